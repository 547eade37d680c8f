// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Integers mod p = 2^255 - 19 in ten limbs of 26 and 25 bits alternately, for machines with a 32 x 32
// to 64 bit product. Included by zt_c25519.c only. Constant time.
//
// Three degrees of tidiness, as bounds on the even limbs (odd ones: half):
//   tight  2^26 + 2^18   what multiplication, squaring and carrying give
//   loose  1.5 * 2^27    a sum of two tight ones, or a difference (2p is added to stay positive)
//   wide   1.3 * 2^28    one sum or difference more
// A product takes (wide, loose): its largest column is then below 2^63, and 19 times a loose limb fits
// in 32 bits. What is subtracted must be tight.

typedef uint32_t fe[10];

static const uint8_t FE_BITS[10] = {26, 25, 26, 25, 26, 25, 26, 25, 26, 25};

static void fe_set(fe h, uint32_t small) {
    for (int i = 0; i < 10; i++) {
        h[i] = 0;
    }
    h[0] = small;
}

static void fe_copy(fe h, const fe f) {
    for (int i = 0; i < 10; i++) {
        h[i] = f[i];
    }
}

static void fe_add(fe h, const fe f, const fe g) {
    for (int i = 0; i < 10; i++) {
        h[i] = f[i] + g[i];
    }
}

// h = f - g; g must be tight.
static void fe_sub(fe h, const fe f, const fe g) {
    h[0] = f[0] + 0x7ffffda - g[0];
    for (int i = 1; i < 10; i++) {
        h[i] = f[i] + (i % 2 ? 0x3fffffe : 0x7fffffe) - g[i];
    }
}

// Any to tight.
static void fe_carry(fe h) {
    uint32_t c = 0;
    for (int i = 0; i < 10; i++) {
        h[i] += c;
        c = h[i] >> FE_BITS[i];
        h[i] &= ((uint32_t)1 << FE_BITS[i]) - 1;
    }
    h[0] += 19 * c;
    h[1] += h[0] >> 26;
    h[0] &= 0x3ffffff;
}

static void fe_swap(fe f, fe g, uint32_t bit) {
    const uint32_t mask = zt_mask(bit);
    for (int i = 0; i < 10; i++) {
        uint32_t x = mask & (f[i] ^ g[i]);
        f[i] ^= x;
        g[i] ^= x;
    }
}

static void fe_fold(fe h, uint64_t t[10]) {
    uint64_t c = 0;
    for (int i = 0; i < 10; i++) {
        t[i] += c;
        c = t[i] >> FE_BITS[i];
        h[i] = (uint32_t)t[i] & (((uint32_t)1 << FE_BITS[i]) - 1);
    }
    c = c * 19 + h[0];
    h[0] = (uint32_t)c & 0x3ffffff;
    h[1] += (uint32_t)(c >> 26);
}

#define M(x, y) ((uint64_t)(x) * (y))
#define LIMB25(c) ((uint32_t)(c) & 0x1ffffff)
#define LIMB26(c) ((uint32_t)(c) & 0x3ffffff)

// h = f * g; f may be wide, g loose; h may be either.
static void fe_mul(fe h, const fe f, const fe g) {
    const uint32_t f0 = f[0], f1 = f[1], f2 = f[2], f3 = f[3], f4 = f[4];
    const uint32_t f5 = f[5], f6 = f[6], f7 = f[7], f8 = f[8], f9 = f[9];
    const uint32_t g0 = g[0], g1 = g[1], g2 = g[2], g3 = g[3], g4 = g[4];
    const uint32_t g5 = g[5], g6 = g[6], g7 = g[7], g8 = g[8], g9 = g[9];
    const uint32_t fd1 = 2 * f1, fd3 = 2 * f3, fd5 = 2 * f5, fd7 = 2 * f7, fd9 = 2 * f9,
        w1 = 19 * g1, w2 = 19 * g2, w3 = 19 * g3, w4 = 19 * g4, w5 = 19 * g5, w6 = 19 * g6,
        w7 = 19 * g7, w8 = 19 * g8, w9 = 19 * g9;
    uint64_t c;
    c = M(f0, g0) + M(fd1, w9) + M(f2, w8) + M(fd3, w7) + M(f4, w6) + M(fd5, w5) + M(f6, w4)
        + M(fd7, w3) + M(f8, w2) + M(fd9, w1);
    const uint32_t h0 = LIMB26(c);
    c >>= 26;
    c += M(f0, g1) + M(f1, g0) + M(f2, w9) + M(f3, w8) + M(f4, w7) + M(f5, w6) + M(f6, w5)
        + M(f7, w4) + M(f8, w3) + M(f9, w2);
    const uint32_t h1 = LIMB25(c);
    c >>= 25;
    c += M(f0, g2) + M(fd1, g1) + M(f2, g0) + M(fd3, w9) + M(f4, w8) + M(fd5, w7) + M(f6, w6)
        + M(fd7, w5) + M(f8, w4) + M(fd9, w3);
    const uint32_t h2 = LIMB26(c);
    c >>= 26;
    c += M(f0, g3) + M(f1, g2) + M(f2, g1) + M(f3, g0) + M(f4, w9) + M(f5, w8) + M(f6, w7)
        + M(f7, w6) + M(f8, w5) + M(f9, w4);
    const uint32_t h3 = LIMB25(c);
    c >>= 25;
    c += M(f0, g4) + M(fd1, g3) + M(f2, g2) + M(fd3, g1) + M(f4, g0) + M(fd5, w9) + M(f6, w8)
        + M(fd7, w7) + M(f8, w6) + M(fd9, w5);
    const uint32_t h4 = LIMB26(c);
    c >>= 26;
    c += M(f0, g5) + M(f1, g4) + M(f2, g3) + M(f3, g2) + M(f4, g1) + M(f5, g0) + M(f6, w9)
        + M(f7, w8) + M(f8, w7) + M(f9, w6);
    const uint32_t h5 = LIMB25(c);
    c >>= 25;
    c += M(f0, g6) + M(fd1, g5) + M(f2, g4) + M(fd3, g3) + M(f4, g2) + M(fd5, g1) + M(f6, g0)
        + M(fd7, w9) + M(f8, w8) + M(fd9, w7);
    const uint32_t h6 = LIMB26(c);
    c >>= 26;
    c += M(f0, g7) + M(f1, g6) + M(f2, g5) + M(f3, g4) + M(f4, g3) + M(f5, g2) + M(f6, g1)
        + M(f7, g0) + M(f8, w9) + M(f9, w8);
    const uint32_t h7 = LIMB25(c);
    c >>= 25;
    c += M(f0, g8) + M(fd1, g7) + M(f2, g6) + M(fd3, g5) + M(f4, g4) + M(fd5, g3) + M(f6, g2)
        + M(fd7, g1) + M(f8, g0) + M(fd9, w9);
    const uint32_t h8 = LIMB26(c);
    c >>= 26;
    c += M(f0, g9) + M(f1, g8) + M(f2, g7) + M(f3, g6) + M(f4, g5) + M(f5, g4) + M(f6, g3)
        + M(f7, g2) + M(f8, g1) + M(f9, g0);
    const uint32_t h9 = LIMB25(c);
    c >>= 25;
    c = c * 19 + h0;
    h[0] = LIMB26(c);
    h[1] = h1 + (uint32_t)(c >> 26);
    h[2] = h2;
    h[3] = h3;
    h[4] = h4;
    h[5] = h5;
    h[6] = h6;
    h[7] = h7;
    h[8] = h8;
    h[9] = h9;
}

// h = f * f; f may be loose.
static void fe_sq(fe h, const fe f) {
    const uint32_t f0 = f[0], f1 = f[1], f2 = f[2], f3 = f[3], f4 = f[4];
    const uint32_t f5 = f[5], f6 = f[6], f7 = f[7], f8 = f[8], f9 = f[9];
    const uint32_t d0 = 2 * f0, d1 = 2 * f1, d2 = 2 * f2, d3 = 2 * f3, d4 = 2 * f4, d5 = 2 * f5,
        d6 = 2 * f6, d7 = 2 * f7, d8 = 2 * f8, d9 = 2 * f9, v7 = 38 * f7, v9 = 38 * f9,
        w5 = 19 * f5, w6 = 19 * f6, w7 = 19 * f7, w8 = 19 * f8, w9 = 19 * f9;
    uint64_t c;
    c = M(f0, f0) + M(d1, v9) + M(d2, w8) + M(d3, v7) + M(d4, w6) + M(d5, w5);
    const uint32_t h0 = LIMB26(c);
    c >>= 26;
    c += M(d0, f1) + M(d2, w9) + M(d3, w8) + M(d4, w7) + M(d5, w6);
    const uint32_t h1 = LIMB25(c);
    c >>= 25;
    c += M(d0, f2) + M(d1, f1) + M(d3, v9) + M(d4, w8) + M(d5, v7) + M(f6, w6);
    const uint32_t h2 = LIMB26(c);
    c >>= 26;
    c += M(d0, f3) + M(d1, f2) + M(d4, w9) + M(d5, w8) + M(d6, w7);
    const uint32_t h3 = LIMB25(c);
    c >>= 25;
    c += M(d0, f4) + M(d1, d3) + M(f2, f2) + M(d5, v9) + M(d6, w8) + M(d7, w7);
    const uint32_t h4 = LIMB26(c);
    c >>= 26;
    c += M(d0, f5) + M(d1, f4) + M(d2, f3) + M(d6, w9) + M(d7, w8);
    const uint32_t h5 = LIMB25(c);
    c >>= 25;
    c += M(d0, f6) + M(d1, d5) + M(d2, f4) + M(d3, f3) + M(d7, v9) + M(f8, w8);
    const uint32_t h6 = LIMB26(c);
    c >>= 26;
    c += M(d0, f7) + M(d1, f6) + M(d2, f5) + M(d3, f4) + M(d8, w9);
    const uint32_t h7 = LIMB25(c);
    c >>= 25;
    c += M(d0, f8) + M(d1, d7) + M(d2, f6) + M(d3, d5) + M(f4, f4) + M(d9, w9);
    const uint32_t h8 = LIMB26(c);
    c >>= 26;
    c += M(d0, f9) + M(d1, f8) + M(d2, f7) + M(d3, f6) + M(d4, f5);
    const uint32_t h9 = LIMB25(c);
    c >>= 25;
    c = c * 19 + h0;
    h[0] = LIMB26(c);
    h[1] = h1 + (uint32_t)(c >> 26);
    h[2] = h2;
    h[3] = h3;
    h[4] = h4;
    h[5] = h5;
    h[6] = h6;
    h[7] = h7;
    h[8] = h8;
    h[9] = h9;
}

#undef M
#undef LIMB25
#undef LIMB26

// h = f * n for a small n (below 2^17); f may be loose.
static void fe_mul_small(fe h, const fe f, uint32_t n) {
    uint64_t t[10];
    for (int i = 0; i < 10; i++) {
        t[i] = (uint64_t)f[i] * n;
    }
    fe_fold(h, t);
}

// Bit 255 is ignored; the value may be p or more. Tight.
static void fe_from_words(fe h, const uint32_t w[8]) {
    unsigned at = 0;
    for (int i = 0; i < 10; i++) {
        uint64_t two = w[at / 32];
        if (at / 32 < 7) {
            two |= (uint64_t)w[at / 32 + 1] << 32;
        }
        h[i] = (uint32_t)(two >> (at % 32)) & (((uint32_t)1 << FE_BITS[i]) - 1);
        at += FE_BITS[i];
    }
}

// The one representative below p, from a tight f.
static void fe_to_words(uint32_t w[8], const fe f) {
    fe h;
    fe_copy(h, f);
    fe_carry(h); // now below 2^255 + 2^18
    uint32_t q = (h[0] + 19) >> 26;
    for (int i = 1; i < 10; i++) {
        q = (h[i] + q) >> FE_BITS[i];
    }
    h[0] += 19 * q; // q is 1 if h >= p; adding 19 and dropping bit 255 subtracts p
    uint64_t all = 0;
    uint32_t c = 0;
    unsigned have = 0;
    int k = 0;
    for (int i = 0; i < 10; i++) {
        h[i] += c;
        c = h[i] >> FE_BITS[i];
        all |= (uint64_t)(h[i] & (((uint32_t)1 << FE_BITS[i]) - 1)) << have;
        have += FE_BITS[i];
        if (have >= 32) {
            w[k++] = (uint32_t)all;
            all >>= 32;
            have -= 32;
        }
    }
    w[k] = (uint32_t)all;
    zt_wipe(h, sizeof(h));
}
