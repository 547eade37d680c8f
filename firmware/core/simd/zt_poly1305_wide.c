// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Poly1305 in full 64-bit words, which is the portable code over again with words twice as long: four wide
// products and two narrow ones a block. Long messages go four blocks at a time where the processor has
// AVX2, in five limbs of 26 bits: lane k of the sum takes every fourth block and is multiplied by r^4 from
// one to the next, the last time by the power that its own place is due. Constant time.

#include "zt_simd.h"

#if ZT_SIMD_POLY1305

#include "../zt_bytes.h"

__extension__ typedef unsigned __int128 wide_t;

// h[2] is small: 4 at most between blocks.
typedef struct {
    uint64_t h[3];
} sum_t;

// h = (h + block + top * 2^128) * r for each block.
static void multiply(sum_t *sum, const uint64_t r[2], const uint8_t *data, size_t count, uint64_t top) {
    const uint64_t r0 = r[0], r1 = r[1];
    const uint64_t v0 = (r0 >> 2) * 5; // the two low bits of r0 do not wrap
    const uint64_t v1 = r1 + (r1 >> 2);
    uint64_t h0 = sum->h[0], h1 = sum->h[1], h2 = sum->h[2];
    for (; count; count--, data += 16) {
        wide_t t = (wide_t)h0 + zt_load64_le(data);
        const uint64_t s0 = (uint64_t)t;
        t = (t >> 64) + h1 + zt_load64_le(data + 8);
        const uint64_t s1 = (uint64_t)t;
        const uint64_t s2 = (uint64_t)(t >> 64) + h2 + top;

        wide_t x0 = (wide_t)s0 * r0 + (wide_t)s1 * v1;
        wide_t x1 = (wide_t)s0 * r1 + (wide_t)s1 * r0;
        x0 += s2 * v0;
        x1 += s2 * v1;
        x1 += x0 >> 64;
        const uint64_t over = s2 * (r0 & 3) + (uint64_t)(x1 >> 64);

        t = (wide_t)(uint64_t)x0 + (over >> 2) * 5;
        h0 = (uint64_t)t;
        t = (t >> 64) + (uint64_t)x1;
        h1 = (uint64_t)t;
        h2 = (over & 3) + (uint64_t)(t >> 64);
    }
    sum->h[0] = h0;
    sum->h[1] = h1;
    sum->h[2] = h2;
}

#if ZT_SIMD_AVX2

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))
#define LIMB 0x3ffffff
#define MUL(a, b) _mm256_mul_epu32(a, b)
#define ADD(a, b) _mm256_add_epi64(a, b)
#define SHIFT(a, n) _mm256_srli_epi64(a, n)
#define MASK(a) _mm256_and_si256(a, mask)

static void to_limbs(uint32_t limb[5], const sum_t *s) {
    limb[0] = s->h[0] & LIMB;
    limb[1] = s->h[0] >> 26 & LIMB;
    limb[2] = (s->h[0] >> 52 | s->h[1] << 12) & LIMB;
    limb[3] = s->h[1] >> 14 & LIMB;
    limb[4] = (uint32_t)(s->h[1] >> 40 | s->h[2] << 24);
}

// Limbs of up to 28 bits; h[2] comes out 4 at most.
static void from_limbs(sum_t *s, const uint64_t limb[5]) {
    wide_t t = (wide_t)limb[3] << 78;
    t += (wide_t)limb[2] << 52;
    t += (wide_t)limb[1] << 26;
    t += limb[0];
    uint64_t high = limb[4] >> 24;
    const wide_t add = (wide_t)(limb[4] & 0xffffff) << 104;
    t += add;
    high += t < add;
    const wide_t wrap = (high >> 2) * 5;
    t += wrap;
    s->h[0] = (uint64_t)t;
    s->h[1] = (uint64_t)(t >> 64);
    s->h[2] = (high & 3) + (t < wrap);
}

// Limbs of the powers of r for the four lanes, r^4 in each and, at [1], each lane's last: blocks 0, 2, 1
// and 3 of four are in lanes 0 to 3, because that is how they come out of the registers.
static void powers(uint32_t p[2][5][8], const uint64_t r[2]) {
    static const uint8_t NOTHING[16] = {0};
    static const int LANE[5] = {0, 3, 1, 2, 0}; // of r^n
    sum_t s = {{r[0], r[1], 0}};
    uint32_t limb[5];
    for (int n = 1; n <= 4; n++) {
        to_limbs(limb, &s);
        for (int i = 0; i < 5; i++) {
            p[1][i][2 * LANE[n]] = limb[i];
        }
        if (n < 4) {
            multiply(&s, r, NOTHING, 1, 0);
        }
    }
    for (int i = 0; i < 5; i++) {
        for (int k = 0; k < 4; k++) {
            p[0][i][2 * k] = limb[i];
        }
    }
    zt_wipe(&s, sizeof(s));
    zt_wipe(limb, sizeof(limb));
}

// As multiply, for a number of blocks that is a multiple of four, with their top bit set.
AVX2 static void multiply_by_four(sum_t *sum, const uint64_t r[2], const uint8_t *data, size_t count) {
    uint32_t p[2][5][8];
    uint32_t first[5];
    uint64_t limb[5];
    const __m256i mask = _mm256_set1_epi64x(LIMB);
    const __m256i top = _mm256_set1_epi64x(1 << 24);
    powers(p, r);
    to_limbs(first, sum);
    __m256i h[5];
    for (int i = 0; i < 5; i++) {
        h[i] = _mm256_set_epi64x(0, 0, 0, first[i]);
    }
    __m256i h0 = h[0], h1 = h[1], h2 = h[2], h3 = h[3], h4 = h[4];
    __m256i r0, r1, r2, r3, r4, v1, v2, v3, v4;
    const __m256i five = _mm256_set1_epi64x(5);
#define POWERS(which) \
    do { \
        r0 = _mm256_loadu_si256((const __m256i *)(const void *)p[which][0]); \
        r1 = _mm256_loadu_si256((const __m256i *)(const void *)p[which][1]); \
        r2 = _mm256_loadu_si256((const __m256i *)(const void *)p[which][2]); \
        r3 = _mm256_loadu_si256((const __m256i *)(const void *)p[which][3]); \
        r4 = _mm256_loadu_si256((const __m256i *)(const void *)p[which][4]); \
        v1 = MUL(r1, five); \
        v2 = MUL(r2, five); \
        v3 = MUL(r3, five); \
        v4 = MUL(r4, five); \
    } while (0)
    POWERS(0);
    for (;; data += 64) {
        const __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)data);
        const __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(data + 32));
        const __m256i low = _mm256_unpacklo_epi64(a, b);
        const __m256i high = _mm256_unpackhi_epi64(a, b);
        h0 = ADD(h0, MASK(low));
        h1 = ADD(h1, MASK(SHIFT(low, 26)));
        h2 = ADD(h2, MASK(_mm256_or_si256(SHIFT(low, 52), _mm256_slli_epi64(high, 12))));
        h3 = ADD(h3, MASK(SHIFT(high, 14)));
        h4 = ADD(h4, _mm256_or_si256(SHIFT(high, 40), top));
        count -= 4;
        if (count == 0) {
            POWERS(1);
        }
        __m256i d0 = ADD(ADD(ADD(MUL(h1, v4), MUL(h2, v3)), ADD(MUL(h3, v2), MUL(h4, v1))), MUL(h0, r0));
        __m256i d1 = ADD(ADD(ADD(MUL(h1, r0), MUL(h2, v4)), ADD(MUL(h3, v3), MUL(h4, v2))), MUL(h0, r1));
        __m256i d2 = ADD(ADD(ADD(MUL(h1, r1), MUL(h2, r0)), ADD(MUL(h3, v4), MUL(h4, v3))), MUL(h0, r2));
        __m256i d3 = ADD(ADD(ADD(MUL(h1, r2), MUL(h2, r1)), ADD(MUL(h3, r0), MUL(h4, v4))), MUL(h0, r3));
        __m256i d4 = ADD(ADD(ADD(MUL(h1, r3), MUL(h2, r2)), ADD(MUL(h3, r1), MUL(h4, r0))), MUL(h0, r4));
        // Two chains of carries at once; limbs 1 and 4 may keep one bit too many.
        d1 = ADD(d1, SHIFT(d0, 26));
        d4 = ADD(d4, SHIFT(d3, 26));
        h0 = MASK(d0);
        h3 = MASK(d3);
        d2 = ADD(d2, SHIFT(d1, 26));
        const __m256i c = SHIFT(d4, 26);
        h0 = ADD(h0, ADD(c, _mm256_slli_epi64(c, 2)));
        h1 = MASK(d1);
        h4 = MASK(d4);
        h3 = ADD(h3, SHIFT(d2, 26));
        h2 = MASK(d2);
        h1 = ADD(h1, SHIFT(h0, 26));
        h0 = MASK(h0);
        h4 = ADD(h4, SHIFT(h3, 26));
        h3 = MASK(h3);
        if (count == 0) {
            break;
        }
    }
    h[0] = h0;
    h[1] = h1;
    h[2] = h2;
    h[3] = h3;
    h[4] = h4;
    for (int i = 0; i < 5; i++) {
        __m128i two = _mm_add_epi64(_mm256_castsi256_si128(h[i]), _mm256_extracti128_si256(h[i], 1));
        two = _mm_add_epi64(two, _mm_unpackhi_epi64(two, two));
        limb[i] = (uint64_t)_mm_cvtsi128_si64(two);
    }
    from_limbs(sum, limb);
    zt_wipe(p, sizeof(p));
    zt_wipe(first, sizeof(first));
    zt_wipe(limb, sizeof(limb));
    zt_wipe(h, sizeof(h));
}

#endif

void zt_poly1305_blocks_wide(zt_poly1305_t *p, const uint8_t *data, size_t count, uint32_t top) {
    const uint64_t r[2] = {(uint64_t)p->r[1] << 32 | p->r[0], (uint64_t)p->r[3] << 32 | p->r[2]};
    sum_t sum = {{(uint64_t)p->h[1] << 32 | p->h[0], (uint64_t)p->h[3] << 32 | p->h[2], p->h[4]}};
#if ZT_SIMD_AVX2
    // The powers of r cost as much as a dozen blocks.
    if (count >= 16 && zt_has_avx2()) {
        const size_t fours = count & ~(size_t)3;
        multiply_by_four(&sum, r, data, fours);
        data += 16 * fours;
        count -= fours;
    }
#endif
    multiply(&sum, r, data, count, top);
    p->h[0] = (uint32_t)sum.h[0];
    p->h[1] = (uint32_t)(sum.h[0] >> 32);
    p->h[2] = (uint32_t)sum.h[1];
    p->h[3] = (uint32_t)(sum.h[1] >> 32);
    p->h[4] = (uint32_t)sum.h[2];
}

#endif
