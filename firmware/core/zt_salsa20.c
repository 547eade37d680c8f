// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Salsa20, one block in sixteen local words. Where the target has 128-bit registers, four blocks run
// side by side, one in each lane, with the same code and no intrinsics.

#include "zt_salsa20.h"

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
// Sixteen variables and not an array: that is what makes compilers keep them in registers.
#define DOUBLE_ROUND() \
    do { \
        QUARTER(x0, x4, x8, x12); \
        QUARTER(x5, x9, x13, x1); \
        QUARTER(x10, x14, x2, x6); \
        QUARTER(x15, x3, x7, x11); \
        QUARTER(x0, x1, x2, x3); \
        QUARTER(x5, x6, x7, x4); \
        QUARTER(x10, x11, x8, x9); \
        QUARTER(x15, x12, x13, x14); \
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
    const uint32_t *w = s->word;
    uint32_t x0 = w[0], x1 = w[1], x2 = w[2], x3 = w[3], x4 = w[4], x5 = w[5], x6 = w[6], x7 = w[7];
    uint32_t x8 = w[8], x9 = w[9], x10 = w[10], x11 = w[11], x12 = w[12], x13 = w[13], x14 = w[14],
        x15 = w[15];
    for (; rounds; rounds -= 2) {
        DOUBLE_ROUND();
    }
    x[0] = x0 + w[0];
    x[1] = x1 + w[1];
    x[2] = x2 + w[2];
    x[3] = x3 + w[3];
    x[4] = x4 + w[4];
    x[5] = x5 + w[5];
    x[6] = x6 + w[6];
    x[7] = x7 + w[7];
    x[8] = x8 + w[8];
    x[9] = x9 + w[9];
    x[10] = x10 + w[10];
    x[11] = x11 + w[11];
    x[12] = x12 + w[12];
    x[13] = x13 + w[13];
    x[14] = x14 + w[14];
    x[15] = x15 + w[15];
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

static lanes_t same(uint32_t v) {
    return (lanes_t){v, v, v, v};
}

// XORs four blocks at a time while there are 256 bytes; returns how many bytes were done.
static size_t xor_wide(zt_salsa20_t *s, unsigned rounds, uint8_t *buf, size_t n) {
    const uint32_t *w = s->word;
    lanes_t x[16];
    size_t done = 0;
    for (; n - done >= 256; done += 256, buf += 256) {
        lanes_t low, high;
        for (uint32_t k = 0; k < 4; k++) {
            low[k] = w[8] + k;
            high[k] = w[9] + (low[k] < k);
        }
        lanes_t x0 = same(w[0]), x1 = same(w[1]), x2 = same(w[2]), x3 = same(w[3]), x4 = same(w[4]),
            x5 = same(w[5]), x6 = same(w[6]), x7 = same(w[7]), x8 = low, x9 = high, x10 = same(w[10]),
            x11 = same(w[11]), x12 = same(w[12]), x13 = same(w[13]), x14 = same(w[14]),
            x15 = same(w[15]);
        for (unsigned i = 0; i < rounds; i += 2) {
            DOUBLE_ROUND();
        }
        x[0] = x0 + w[0];
        x[1] = x1 + w[1];
        x[2] = x2 + w[2];
        x[3] = x3 + w[3];
        x[4] = x4 + w[4];
        x[5] = x5 + w[5];
        x[6] = x6 + w[6];
        x[7] = x7 + w[7];
        x[8] = x8 + low;
        x[9] = x9 + high;
        x[10] = x10 + w[10];
        x[11] = x11 + w[11];
        x[12] = x12 + w[12];
        x[13] = x13 + w[13];
        x[14] = x14 + w[14];
        x[15] = x15 + w[15];
        for (int i = 0; i < 16; i++) {
            for (int k = 0; k < 4; k++) {
                uint8_t *p = buf + 64 * k + 4 * i;
                zt_store32_le(p, zt_load32_le(p) ^ x[i][k]);
            }
        }
        count_blocks(s, 4);
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

static void xor_word(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(p[0] ^ v);
    p[1] = (uint8_t)(p[1] ^ v >> 8);
    p[2] = (uint8_t)(p[2] ^ v >> 16);
    p[3] = (uint8_t)(p[3] ^ v >> 24);
}

void zt_salsa20_xor(zt_salsa20_t *s, unsigned rounds, uint8_t *buf, size_t n) {
    uint32_t x[16];
    size_t done = xor_wide(s, rounds, buf, n);
    buf += done;
    n -= done;
    while (n >= 64) {
        next_words(s, rounds, x);
        for (int i = 0; i < 16; i++) {
            xor_word(buf + 4 * i, x[i]);
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
