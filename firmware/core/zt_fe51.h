// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Integers mod p = 2^255 - 19 in five limbs of 51 bits, for compilers with 128-bit integers. Included by
// zt_c25519.c only. Constant time. The same functions as zt_fe29.h, under its rules of tidiness; here
// tight is below 2^52, loose below 2^53.4, wide below 2^54, and every product stays below 2^115.

__extension__ typedef unsigned __int128 wide_t;
typedef uint64_t fe[5];

#define LIMB 0x7ffffffffffff

static void fe_set(fe h, uint32_t small) {
    h[0] = small;
    h[1] = h[2] = h[3] = h[4] = 0;
}

static void fe_copy(fe h, const fe f) {
    for (int i = 0; i < 5; i++) {
        h[i] = f[i];
    }
}

static void fe_add(fe h, const fe f, const fe g) {
    for (int i = 0; i < 5; i++) {
        h[i] = f[i] + g[i];
    }
}

// h = f - g; g must be tight.
static void fe_sub(fe h, const fe f, const fe g) {
    h[0] = f[0] + 0xfffffffffffda - g[0];
    for (int i = 1; i < 5; i++) {
        h[i] = f[i] + 0xffffffffffffe - g[i];
    }
}

// Any to tight.
static void fe_carry(fe h) {
    uint64_t c = 0;
    for (int i = 0; i < 5; i++) {
        h[i] += c;
        c = h[i] >> 51;
        h[i] &= LIMB;
    }
    h[0] += 19 * c;
    h[1] += h[0] >> 51;
    h[0] &= LIMB;
}

static void fe_swap(fe f, fe g, uint32_t bit) {
    const uint64_t mask = (uint64_t)zt_mask(bit) << 32 | zt_mask(bit);
    for (int i = 0; i < 5; i++) {
        uint64_t x = mask & (f[i] ^ g[i]);
        f[i] ^= x;
        g[i] ^= x;
    }
}

static void fe_fold(fe h, wide_t t[5]) {
    wide_t c = 0;
    for (int i = 0; i < 5; i++) {
        t[i] += c;
        c = t[i] >> 51;
        h[i] = (uint64_t)t[i] & LIMB;
    }
    c = c * 19 + h[0];
    h[0] = (uint64_t)c & LIMB;
    h[1] += (uint64_t)(c >> 51);
}

#define M(x, y) ((wide_t)(x) * (y))

// h = f * g; f may be wide, g loose; h may be either.
static void fe_mul(fe h, const fe f, const fe g) {
    const uint64_t g0 = g[0], g1 = g[1], g2 = g[2], g3 = g[3], g4 = g[4];
    const uint64_t w1 = 19 * g1, w2 = 19 * g2, w3 = 19 * g3, w4 = 19 * g4;
    wide_t t[5];
    t[0] = M(f[0], g0) + M(f[1], w4) + M(f[2], w3) + M(f[3], w2) + M(f[4], w1);
    t[1] = M(f[0], g1) + M(f[1], g0) + M(f[2], w4) + M(f[3], w3) + M(f[4], w2);
    t[2] = M(f[0], g2) + M(f[1], g1) + M(f[2], g0) + M(f[3], w4) + M(f[4], w3);
    t[3] = M(f[0], g3) + M(f[1], g2) + M(f[2], g1) + M(f[3], g0) + M(f[4], w4);
    t[4] = M(f[0], g4) + M(f[1], g3) + M(f[2], g2) + M(f[3], g1) + M(f[4], g0);
    fe_fold(h, t);
}

// h = f * f; f may be loose.
static void fe_sq(fe h, const fe f) {
    const uint64_t f0 = f[0], f1 = f[1], f2 = f[2], f3 = f[3], f4 = f[4];
    const uint64_t d0 = 2 * f0, d1 = 2 * f1, d2 = 2 * f2, d3 = 2 * f3, w3 = 19 * f3, w4 = 19 * f4;
    wide_t t[5];
    t[0] = M(f0, f0) + M(d1, w4) + M(d2, w3);
    t[1] = M(d0, f1) + M(d2, w4) + M(f3, w3);
    t[2] = M(d0, f2) + M(f1, f1) + M(d3, w4);
    t[3] = M(d0, f3) + M(d1, f2) + M(f4, w4);
    t[4] = M(d0, f4) + M(d1, f3) + M(f2, f2);
    fe_fold(h, t);
}

// h = f * n for a small n (below 2^17); f may be loose.
static void fe_mul_small(fe h, const fe f, uint32_t n) {
    wide_t t[5];
    for (int i = 0; i < 5; i++) {
        t[i] = M(f[i], n);
    }
    fe_fold(h, t);
}

#undef M

// Bit 255 is ignored; the value may be p or more. Tight.
static void fe_from_words(fe h, const uint32_t w[8]) {
    uint64_t v[4];
    for (int i = 0; i < 4; i++) {
        v[i] = (uint64_t)w[2 * i + 1] << 32 | w[2 * i];
    }
    h[0] = v[0] & LIMB;
    h[1] = (v[0] >> 51 | v[1] << 13) & LIMB;
    h[2] = (v[1] >> 38 | v[2] << 26) & LIMB;
    h[3] = (v[2] >> 25 | v[3] << 39) & LIMB;
    h[4] = v[3] >> 12 & LIMB;
}

// The one representative below p, from a tight f.
static void fe_to_words(uint32_t w[8], const fe f) {
    fe h;
    fe_copy(h, f);
    fe_carry(h); // now below 2^255 + 2^51
    uint64_t q = (h[0] + 19) >> 51;
    for (int i = 1; i < 5; i++) {
        q = (h[i] + q) >> 51;
    }
    h[0] += 19 * q; // q is 1 if h >= p; adding 19 and dropping bit 255 subtracts p
    for (int i = 0; i < 4; i++) {
        h[i + 1] += h[i] >> 51;
        h[i] &= LIMB;
    }
    h[4] &= LIMB;
    for (int i = 0; i < 4; i++) {
        // Word pair i starts at bit 64 i, which is bit 13 i of limb i.
        uint64_t v = h[i] >> (13 * i) | h[i + 1] << (51 - 13 * i);
        w[2 * i] = (uint32_t)v;
        w[2 * i + 1] = (uint32_t)(v >> 32);
    }
    zt_wipe(h, sizeof(h));
}

#undef LIMB
