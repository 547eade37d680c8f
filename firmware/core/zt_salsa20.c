// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Salsa20, one block in sixteen local words. Several blocks at once, where the machine has the registers,
// are in simd/.

#include "zt_salsa20.h"

#include "simd/zt_simd.h"
#include "zt_bytes.h"
#include "zt_salsa20_round.h"

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

// Runs the rounds; USE(i, xi) then takes each word before its input w[i] is added.
#define BLOCK(USE) \
    do { \
        uint32_t x0 = w[0], x1 = w[1], x2 = w[2], x3 = w[3], x4 = w[4], x5 = w[5], x6 = w[6], x7 = w[7]; \
        uint32_t x8 = w[8], x9 = w[9], x10 = w[10], x11 = w[11], x12 = w[12], x13 = w[13], x14 = w[14], \
            x15 = w[15]; \
        for (unsigned i = rounds; i; i -= 2) { \
            ZT_DOUBLE_ROUND(); \
        } \
        ZT_EACH_WORD(USE); \
        w[8]++; \
        w[9] += w[8] == 0; \
    } while (0)

#if ZT_ALIGNED_WORDS

// `count` blocks, one or more, at any address: the key stream and not the text is shifted into the place
// of aligned words. Bytes that share their word with what is outside are done one by one.
static void xor_blocks(uint32_t w[16], unsigned rounds, uint8_t *buf, size_t count) {
    const unsigned off = (unsigned)((uintptr_t)buf & 3);
    if (off == 0) {
        for (zt_word_t *p = (zt_word_t *)buf; count; count--, p += 16) {
#define XOR(i, xi) p[i] ^= xi + w[i]
            BLOCK(XOR);
#undef XOR
        }
        return;
    }
    const unsigned up = 8 * off;
    const unsigned down = 32 - up;
    const unsigned head = 4 - off; // bytes before the first aligned word
    uint32_t left = 0; // what of the last word of key stream was not yet used
    int first = 1;
    for (zt_word_t *p = (zt_word_t *)(buf + head); count; count--, p += 16) {
#define XOR(i, xi) \
    do { \
        xi += w[i]; \
        if (i) { \
            p[i - 1] ^= left | xi << up; \
        } else if (!first) { \
            p[-1] ^= left | xi << up; \
        } else { \
            for (unsigned k = 0; k < head; k++) { \
                buf[k] = (uint8_t)(buf[k] ^ xi >> (8 * k)); \
            } \
        } \
        left = xi >> down; \
    } while (0)
        BLOCK(XOR);
#undef XOR
        first = 0;
        buf += 64;
    }
    for (unsigned k = 0; k < off; k++) {
        buf[(int)k - (int)off] = (uint8_t)(buf[(int)k - (int)off] ^ left >> (8 * k));
    }
}

#else

static void xor_blocks(uint32_t w[16], unsigned rounds, uint8_t *buf, size_t count) {
    for (; count; count--, buf += 64) {
#define XOR(i, xi) zt_store32_le(buf + 4 * (i), zt_load32_le(buf + 4 * (i)) ^ (xi + w[i]))
        BLOCK(XOR);
#undef XOR
    }
}

#endif

void zt_salsa20_xor(zt_salsa20_t *s, unsigned rounds, uint8_t *buf, size_t n) {
    size_t done = zt_salsa20_xor_wide(s, rounds, buf, n);
    buf += done;
    n -= done;
    if (n >= 64) {
        xor_blocks(s->word, rounds, buf, n / 64);
        buf += n & ~(size_t)63;
        n &= 63;
    }
    if (n) {
        uint32_t part[16] = {0}; // as bytes
        xor_blocks(s->word, rounds, (uint8_t *)part, 1);
        for (size_t i = 0; i < n; i++) {
            buf[i] ^= ((const uint8_t *)part)[i];
        }
        zt_wipe(part, sizeof(part));
    }
}
