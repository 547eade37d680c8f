// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Salsa20, one block in sixteen local words. Where the target has 128-bit registers, four blocks run
// side by side, one in each lane, with the same code and no intrinsics.

#include "zt_salsa20.h"

#include <string.h>

#include "zt_bytes.h"

// The quarter-round of four words, for plain words and for vectors of them.
#define ROTL(v, n) ((v) << (n) | (v) >> (32 - (n)))
#define QUARTER(a, b, c, d) \
    do { \
        b ^= ROTL(a + d, 7); \
        c ^= ROTL(b + a, 9); \
        d ^= ROTL(c + b, 13); \
        a ^= ROTL(d + c, 18); \
    } while (0)
#define DOUBLE_ROUND(x) \
    do { \
        QUARTER(x[0], x[4], x[8], x[12]); \
        QUARTER(x[5], x[9], x[13], x[1]); \
        QUARTER(x[10], x[14], x[2], x[6]); \
        QUARTER(x[15], x[3], x[7], x[11]); \
        QUARTER(x[0], x[1], x[2], x[3]); \
        QUARTER(x[5], x[6], x[7], x[4]); \
        QUARTER(x[10], x[11], x[8], x[9]); \
        QUARTER(x[15], x[12], x[13], x[14]); \
    } while (0)

void zt_salsa20_init(zt_salsa20_t *s, const uint8_t key[32], const uint8_t iv[8], uint64_t block) {
    // "expand 32-byte k" on the diagonal
    s->word[0] = 0x61707865;
    s->word[5] = 0x3320646e;
    s->word[10] = 0x79622d32;
    s->word[15] = 0x6b206574;
    for (int i = 0; i < 4; i++) {
        s->word[1 + i] = zt_load32_le(key + 4 * i);
        s->word[11 + i] = zt_load32_le(key + 16 + 4 * i);
    }
    s->word[6] = zt_load32_le(iv);
    s->word[7] = zt_load32_le(iv + 4);
    s->word[8] = (uint32_t)block;
    s->word[9] = (uint32_t)(block >> 32);
}

static void count_blocks(zt_salsa20_t *s, uint32_t n) {
    s->word[8] += n;
    s->word[9] += s->word[8] < n;
}

static void next_words(zt_salsa20_t *s, unsigned rounds, uint32_t x[16]) {
    memcpy(x, s->word, 64);
    for (unsigned i = 0; i < rounds; i += 2) {
        DOUBLE_ROUND(x);
    }
    for (int i = 0; i < 16; i++) {
        x[i] += s->word[i];
    }
    count_blocks(s, 1);
}

void zt_salsa20_block(zt_salsa20_t *s, unsigned rounds, uint8_t out[64]) {
    uint32_t x[16];
    next_words(s, rounds, x);
    for (int i = 0; i < 16; i++) {
        zt_store32_le(out + 4 * i, x[i]);
    }
    zt_wipe(x, sizeof(x));
}

#if defined(__GNUC__) && (defined(__SSE2__) || defined(__ARM_NEON))

typedef uint32_t lanes_t __attribute__((vector_size(16)));

// XORs four blocks at a time while there are 256 bytes; returns how many bytes were done.
static size_t xor_wide(zt_salsa20_t *s, unsigned rounds, uint8_t *buf, size_t n) {
    lanes_t x[16];
    size_t done = 0;
    while (n - done >= 256) {
        lanes_t low, high;
        for (uint32_t k = 0; k < 4; k++) {
            low[k] = s->word[8] + k;
            high[k] = s->word[9] + (low[k] < k);
        }
        for (int i = 0; i < 16; i++) {
            uint32_t w = s->word[i];
            x[i] = (lanes_t){w, w, w, w};
        }
        x[8] = low;
        x[9] = high;
        for (unsigned i = 0; i < rounds; i += 2) {
            DOUBLE_ROUND(x);
        }
        x[8] += low - s->word[8];
        x[9] += high - s->word[9];
        for (int i = 0; i < 16; i++) {
            x[i] += s->word[i];
        }
        uint8_t *p = buf + done;
        for (int i = 0; i < 16; i++) {
            for (int k = 0; k < 4; k++) {
                uint8_t *q = p + 64 * k + 4 * i;
                zt_store32_le(q, zt_load32_le(q) ^ x[i][k]);
            }
        }
        count_blocks(s, 4);
        done += 256;
    }
    zt_wipe(x, done ? sizeof(x) : 0);
    return done;
}

#else

static size_t xor_wide(zt_salsa20_t *s, unsigned rounds, uint8_t *buf, size_t n) {
    (void)s;
    (void)rounds;
    (void)buf;
    (void)n;
    return 0;
}

#endif

void zt_salsa20_xor(zt_salsa20_t *s, unsigned rounds, uint8_t *buf, size_t n) {
    uint32_t x[16];
    size_t done = xor_wide(s, rounds, buf, n);
    buf += done;
    n -= done;
    while (n >= 64) {
        next_words(s, rounds, x);
        for (int i = 0; i < 16; i++) {
            zt_store32_le(buf + 4 * i, zt_load32_le(buf + 4 * i) ^ x[i]);
        }
        buf += 64;
        n -= 64;
    }
    if (n) {
        next_words(s, rounds, x);
        for (size_t i = 0; i < n; i++) {
            buf[i] ^= (uint8_t)(x[i / 4] >> (8 * (i % 4)));
        }
    }
    zt_wipe(x, sizeof(x));
}
