// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Integers mod p = 2^255 - 19 in nine signed limbs of 29 bits (the last one: 23), for machines with a
// 32 x 32 to 64 bit product. Included by zt_c25519.c only. Constant time.
//
// Nine limbs mean 81 products where the usual ten of 25.5 bits mean 100, and leave no room to multiply
// an operand by 19 in advance: the upper half of a product is carried into limbs of its own, which are
// then 19 * 2^6 times as much in the lower half. Signs keep sums and differences small.
//
// Three degrees of tidiness, as bounds on the limbs' magnitudes (on the last one: 2^-6 of it):
//   tight  0 to 2^29, limb 1 by 2^16 less or more: what multiplication, squaring and carrying give
//   loose  2^29 + 2^18   a difference of two tight ones, or their sum (less p, which recentres it)
//   wide   1.51 * 2^30   a sum or difference of two loose ones
// A product takes (wide, loose): no column has more than eight full products, so each is below 2^63.

typedef int32_t fe[9];

static void fe_set(fe h, uint32_t small) {
    for (int i = 0; i < 9; i++) {
        h[i] = 0;
    }
    h[0] = (int32_t)small;
}

static void fe_copy(fe h, const fe f) {
    for (int i = 0; i < 9; i++) {
        h[i] = f[i];
    }
}

// The short loops are written out: left to the compiler, they cost more than twice the instructions where
// it builds for size.
#define EACH_LIMB(DO) \
    do { \
        DO(0); \
        DO(1); \
        DO(2); \
        DO(3); \
        DO(4); \
        DO(5); \
        DO(6); \
        DO(7); \
        DO(8); \
    } while (0)

// h = f + g - p
static void fe_add(fe h, const fe f, const fe g) {
#define ADD(i) h[i] = f[i] + g[i] - (i == 0 ? 0x1fffffed : i == 8 ? 0x7fffff : 0x1fffffff)
    EACH_LIMB(ADD);
#undef ADD
}

static void fe_sub(fe h, const fe f, const fe g) {
#define SUB(i) h[i] = f[i] - g[i]
    EACH_LIMB(SUB);
#undef SUB
}

#define LIMB(c) ((int32_t)((uint32_t)(c) & 0x1fffffff))

// Any to tight.
static void fe_carry(fe h) {
    int32_t c = 0;
    for (int i = 0; i < 8; i++) {
        h[i] += c;
        c = h[i] >> 29;
        h[i] &= 0x1fffffff;
    }
    h[8] += c;
    h[0] += 19 * (h[8] >> 23);
    h[8] &= 0x7fffff;
    h[1] += h[0] >> 29;
    h[0] &= 0x1fffffff;
}

static void fe_swap(fe f, fe g, uint32_t bit) {
    const int32_t mask = (int32_t)zt_mask(bit);
#define SWAP(i) \
    do { \
        const int32_t x = mask & (f[i] ^ g[i]); \
        f[i] ^= x; \
        g[i] ^= x; \
    } while (0)
    EACH_LIMB(SWAP);
#undef SWAP
}

// h += 19 c, what was carried out of the last limb.
static void fe_wrap(fe h, int64_t c) {
    c = 19 * c + h[0];
    h[0] = LIMB(c);
    h[1] += (int32_t)(c >> 29);
}

#define M(x, y) ((int64_t)(x) * (y))
#define W(x) ((int64_t)(x) * 1216)

// h = f * g; f may be wide, g loose; h may be either. t is the lower half's column, u the upper's.
static void fe_mul(fe h, const fe f, const fe g) {
    const int32_t f0 = f[0], f1 = f[1], f2 = f[2], f3 = f[3], f4 = f[4], f5 = f[5], f6 = f[6],
        f7 = f[7], f8 = f[8];
    const int32_t g0 = g[0], g1 = g[1], g2 = g[2], g3 = g[3], g4 = g[4], g5 = g[5], g6 = g[6],
        g7 = g[7], g8 = g[8];
    int64_t t = 0;
    int64_t u = 0;
    u += M(f1, g8) + M(f2, g7) + M(f3, g6) + M(f4, g5) + M(f5, g4) + M(f6, g3) + M(f7, g2)
        + M(f8, g1);
    t += W(LIMB(u)) + M(f0, g0);
    h[0] = LIMB(t);
    t >>= 29;
    u >>= 29;
    u += M(f2, g8) + M(f3, g7) + M(f4, g6) + M(f5, g5) + M(f6, g4) + M(f7, g3) + M(f8, g2);
    t += W(LIMB(u)) + M(f0, g1) + M(f1, g0);
    h[1] = LIMB(t);
    t >>= 29;
    u >>= 29;
    u += M(f3, g8) + M(f4, g7) + M(f5, g6) + M(f6, g5) + M(f7, g4) + M(f8, g3);
    t += W(LIMB(u)) + M(f0, g2) + M(f1, g1) + M(f2, g0);
    h[2] = LIMB(t);
    t >>= 29;
    u >>= 29;
    u += M(f4, g8) + M(f5, g7) + M(f6, g6) + M(f7, g5) + M(f8, g4);
    t += W(LIMB(u)) + M(f0, g3) + M(f1, g2) + M(f2, g1) + M(f3, g0);
    h[3] = LIMB(t);
    t >>= 29;
    u >>= 29;
    u += M(f5, g8) + M(f6, g7) + M(f7, g6) + M(f8, g5);
    t += W(LIMB(u)) + M(f0, g4) + M(f1, g3) + M(f2, g2) + M(f3, g1) + M(f4, g0);
    h[4] = LIMB(t);
    t >>= 29;
    u >>= 29;
    u += M(f6, g8) + M(f7, g7) + M(f8, g6);
    t += W(LIMB(u)) + M(f0, g5) + M(f1, g4) + M(f2, g3) + M(f3, g2) + M(f4, g1) + M(f5, g0);
    h[5] = LIMB(t);
    t >>= 29;
    u >>= 29;
    u += M(f7, g8) + M(f8, g7);
    t += W(LIMB(u)) + M(f0, g6) + M(f1, g5) + M(f2, g4) + M(f3, g3) + M(f4, g2) + M(f5, g1)
        + M(f6, g0);
    h[6] = LIMB(t);
    t >>= 29;
    u >>= 29;
    u += M(f8, g8);
    t += W(LIMB(u)) + M(f0, g7) + M(f1, g6) + M(f2, g5) + M(f3, g4) + M(f4, g3) + M(f5, g2)
        + M(f6, g1) + M(f7, g0);
    h[7] = LIMB(t);
    t >>= 29;
    u >>= 29;
    t += W((int32_t)u) + M(f0, g8) + M(f1, g7) + M(f2, g6) + M(f3, g5) + M(f4, g4) + M(f5, g3)
        + M(f6, g2) + M(f7, g1) + M(f8, g0);
    h[8] = (int32_t)((uint32_t)t & 0x7fffff);
    fe_wrap(h, t >> 23);
}

// h = f * f; f may be loose.
static void fe_sq(fe h, const fe f) {
    const int32_t f0 = f[0], f1 = f[1], f2 = f[2], f3 = f[3], f4 = f[4], f5 = f[5], f6 = f[6],
        f7 = f[7], f8 = f[8];
    const int32_t d0 = 2 * f0, d1 = 2 * f1, d2 = 2 * f2, d3 = 2 * f3, d4 = 2 * f4, d5 = 2 * f5,
        d6 = 2 * f6, d7 = 2 * f7;
    int64_t t = 0;
    int64_t u = 0;
    u += M(d1, f8) + M(d2, f7) + M(d3, f6) + M(d4, f5);
    t += W(LIMB(u)) + M(f0, f0);
    h[0] = LIMB(t);
    t >>= 29;
    u >>= 29;
    u += M(d2, f8) + M(d3, f7) + M(d4, f6) + M(f5, f5);
    t += W(LIMB(u)) + M(d0, f1);
    h[1] = LIMB(t);
    t >>= 29;
    u >>= 29;
    u += M(d3, f8) + M(d4, f7) + M(d5, f6);
    t += W(LIMB(u)) + M(d0, f2) + M(f1, f1);
    h[2] = LIMB(t);
    t >>= 29;
    u >>= 29;
    u += M(d4, f8) + M(d5, f7) + M(f6, f6);
    t += W(LIMB(u)) + M(d0, f3) + M(d1, f2);
    h[3] = LIMB(t);
    t >>= 29;
    u >>= 29;
    u += M(d5, f8) + M(d6, f7);
    t += W(LIMB(u)) + M(d0, f4) + M(d1, f3) + M(f2, f2);
    h[4] = LIMB(t);
    t >>= 29;
    u >>= 29;
    u += M(d6, f8) + M(f7, f7);
    t += W(LIMB(u)) + M(d0, f5) + M(d1, f4) + M(d2, f3);
    h[5] = LIMB(t);
    t >>= 29;
    u >>= 29;
    u += M(d7, f8);
    t += W(LIMB(u)) + M(d0, f6) + M(d1, f5) + M(d2, f4) + M(f3, f3);
    h[6] = LIMB(t);
    t >>= 29;
    u >>= 29;
    u += M(f8, f8);
    t += W(LIMB(u)) + M(d0, f7) + M(d1, f6) + M(d2, f5) + M(d3, f4);
    h[7] = LIMB(t);
    t >>= 29;
    u >>= 29;
    t += W((int32_t)u) + M(d0, f8) + M(d1, f7) + M(d2, f6) + M(d3, f5) + M(f4, f4);
    h[8] = (int32_t)((uint32_t)t & 0x7fffff);
    fe_wrap(h, t >> 23);
}

#undef W

// h = f * n for a small n (below 2^17); f may be loose.
static void fe_mul_small(fe h, const fe f, uint32_t n) {
    int64_t t = 0;
    for (int i = 0; i < 8; i++) {
        t += M(f[i], (int32_t)n);
        h[i] = LIMB(t);
        t >>= 29;
    }
    t += M(f[8], (int32_t)n);
    h[8] = (int32_t)((uint32_t)t & 0x7fffff);
    fe_wrap(h, t >> 23);
}

#undef M

// Bit 255 is ignored; the value may be p or more. Tight.
static void fe_from_words(fe h, const uint32_t w[8]) {
    h[0] = LIMB(w[0]);
    for (unsigned i = 1; i < 8; i++) {
        // Limb i starts at bit 29 i, which is bit 32 - 3 i of word i - 1.
        h[i] = LIMB(w[i - 1] >> (32 - 3 * i) | w[i] << (3 * i));
    }
    h[8] = (int32_t)(w[7] >> 8 & 0x7fffff);
}

// The one representative below p, from a tight f.
static void fe_to_words(uint32_t w[8], const fe f) {
    fe h;
    fe_copy(h, f);
    fe_carry(h); // now from 0 to 2^255 + 2^46
    int32_t q = (h[0] + 19) >> 29;
    for (int i = 1; i < 8; i++) {
        q = (h[i] + q) >> 29;
    }
    q = (h[8] + q) >> 23;
    h[0] += 19 * q; // q is 1 if h >= p; adding 19 and dropping bit 255 subtracts p
    for (int i = 0; i < 8; i++) {
        h[i + 1] += h[i] >> 29;
        h[i] &= 0x1fffffff;
    }
    h[8] &= 0x7fffff;
    for (unsigned i = 0; i < 8; i++) {
        // Word i starts at bit 32 i, which is bit 3 i of limb i.
        w[i] = (uint32_t)h[i] >> (3 * i) | (uint32_t)h[i + 1] << (29 - 3 * i);
    }
    zt_wipe(h, sizeof(h));
}

#undef LIMB
#undef EACH_LIMB
