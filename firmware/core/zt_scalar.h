// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Integers mod L, the order of Ed25519's base point, in eight 32-bit words. Included by zt_c25519.c
// only. Constant time. Barrett reduction: L and floor(2^512 / L) are in zt_c25519_table.h.

typedef uint32_t scalar[8];

static void sc_load(uint32_t *w, const uint8_t *bytes, int words) {
    for (int i = 0; i < words; i++) {
        w[i] = zt_load32_le(bytes + 4 * i);
    }
}

static void sc_store(uint8_t bytes[32], const scalar s) {
    for (int i = 0; i < 8; i++) {
        zt_store32_le(bytes + 4 * i, s[i]);
    }
}

// out = a * b + out. out has na + nb words; the upper nb of them count as zero.
static void sc_multiply_add(uint32_t *out, const uint32_t *a, int na, const uint32_t *b, int nb) {
    for (int j = 0; j < nb; j++) {
        uint64_t t = 0;
        for (int i = 0; i < na; i++) {
            t += (uint64_t)a[i] * b[j] + out[i + j];
            out[i + j] = (uint32_t)t;
            t >>= 32;
        }
        out[na + j] = (uint32_t)t;
    }
}

// r -= L where r has 9 words; returns 1 if it went below zero.
static uint32_t sc_subtract(uint32_t r[9], const uint32_t s[9]) {
    uint32_t borrow = 0;
    for (int i = 0; i < 9; i++) {
        uint64_t t = (uint64_t)r[i] - s[i] - borrow;
        r[i] = (uint32_t)t;
        borrow = (uint32_t)(t >> 63);
    }
    return borrow;
}

// s = x mod L for any x below 2^512.
static void sc_reduce(scalar s, const uint32_t x[16]) {
    uint32_t q[18] = {0};
    uint32_t product[17] = {0};
    uint32_t r[9];
    uint32_t take[9];
    sc_multiply_add(q, x + 7, 9, ZT_MU, 9);
    sc_multiply_add(product, q + 9, 9, ZT_L, 8);
    for (int i = 0; i < 9; i++) {
        r[i] = x[i];
    }
    // The quotient before rounding down is too small by less than 0.225 (the fraction of 2^512 / L that
    // ZT_MU lacks) and 2^-28 (the words of x that were left out), so it is at most 1 too small after, and
    // r is below 2 L.
    sc_subtract(r, product);
    uint32_t below = 0;
    for (int i = 0; i < 8; i++) {
        below = (uint32_t)(((uint64_t)r[i] - ZT_L[i] - below) >> 63);
    }
    below = (uint32_t)(((uint64_t)r[8] - below) >> 63);
    const uint32_t mask = ~zt_mask(below);
    for (int i = 0; i < 8; i++) {
        take[i] = ZT_L[i] & mask;
    }
    take[8] = 0;
    sc_subtract(r, take);
    for (int i = 0; i < 8; i++) {
        s[i] = r[i];
    }
    zt_wipe(q, sizeof(q));
    zt_wipe(product, sizeof(product));
    zt_wipe(r, sizeof(r));
    zt_wipe(take, sizeof(take));
}

// s = a * b + c mod L; a and b any eight words, c below L.
static void sc_muladd(scalar s, const scalar a, const scalar b, const scalar c) {
    uint32_t x[16] = {0};
    for (int i = 0; i < 8; i++) {
        x[i] = c[i];
    }
    sc_multiply_add(x, a, 8, b, 8);
    sc_reduce(s, x);
    zt_wipe(x, sizeof(x));
}

// 1 if s is below L. Variable time.
static int sc_is_reduced_vartime(const scalar s) {
    for (int i = 7; i >= 0; i--) {
        if (s[i] != ZT_L[i]) {
            return s[i] < ZT_L[i];
        }
    }
    return 0;
}

static uint32_t sc_bit(const scalar s, unsigned i) {
    return s[i / 32] >> (i % 32) & 1;
}

// Bits b of the result mean k = sum over i < 255 of (2 b_i - 1) 2^i mod L. k is any eight words.
static void sc_recode(scalar out, const scalar k) {
    sc_muladd(out, k, ZT_HALF, ZT_HALF_ONES);
}
