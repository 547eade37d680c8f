// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// X25519 by the Montgomery ladder: 2.2 million instructions on rv32imc with GCC 12, signing 1.2,
// verifying 2.9 (-Os and -O2 alike). Multiples of Ed25519's base point by a comb of five teeth over
// digits 1 and -1: 51 doublings and 51 additions with a table of 16 entries (1.5 KB), every entry of
// which is read for every digit. Verification walks the same comb beside a sliding window over the
// public key.

#include "zt_c25519.h"

#include "zt_bytes.h"
#include "zt_c25519_table.h"
#include "zt_sha512.h"

// ZT_C25519_32 forces the 32-bit field, so that it can be tested on a 64-bit machine.
#if defined(__SIZEOF_INT128__) && !defined(ZT_C25519_32)
#include "zt_fe51.h"
#else
#include "zt_fe25.h"
#endif
#include "zt_scalar.h"

// ---- field, what both representations share ----

static void fe_from_bytes(fe h, const uint8_t bytes[32]) {
    uint32_t w[8];
    sc_load(w, bytes, 8);
    fe_from_words(h, w);
    zt_wipe(w, sizeof(w));
}

static void fe_to_bytes(uint8_t bytes[32], const fe f) {
    uint32_t w[8];
    fe_to_words(w, f);
    sc_store(bytes, w);
    zt_wipe(w, sizeof(w));
}

// h = f^(2^n)
static void fe_sq_times(fe h, const fe f, int n) {
    fe_sq(h, f);
    for (int i = 1; i < n; i++) {
        fe_sq(h, h);
    }
}

// h = f^(2^250 - 1), and low = f^11 on the way. Names are the exponent: e5 = 2^5 - 1.
static void fe_power_ones(fe h, fe low, const fe f) {
    fe t, e5, e10, e20, e50;
    fe_sq(t, f);
    fe_sq_times(h, t, 2);
    fe_mul(h, h, f); // 9
    fe_mul(low, h, t); // 11
    fe_sq(t, low);
    fe_mul(e5, t, h); // 31
    fe_sq_times(t, e5, 5);
    fe_mul(e10, t, e5);
    fe_sq_times(t, e10, 10);
    fe_mul(e20, t, e10);
    fe_sq_times(t, e20, 20);
    fe_mul(t, t, e20);
    fe_sq_times(t, t, 10);
    fe_mul(e50, t, e10);
    fe_sq_times(t, e50, 50);
    fe_mul(e20, t, e50); // 100
    fe_sq_times(t, e20, 100);
    fe_mul(t, t, e20); // 200
    fe_sq_times(t, t, 50);
    fe_mul(h, t, e50);
    zt_wipe(t, sizeof(t));
    zt_wipe(e5, sizeof(e5));
    zt_wipe(e10, sizeof(e10));
    zt_wipe(e20, sizeof(e20));
    zt_wipe(e50, sizeof(e50));
}

// h = 1/f, or 0 for 0: f^(p - 2), and p - 2 = (2^250 - 1) 2^5 + 11.
static void fe_invert(fe h, const fe f) {
    fe ones, low;
    fe_power_ones(ones, low, f);
    fe_sq_times(ones, ones, 5);
    fe_mul(h, ones, low);
    zt_wipe(ones, sizeof(ones));
    zt_wipe(low, sizeof(low));
}

// ---- X25519 ----

static void clamp(uint8_t k[32]) {
    k[0] &= 248;
    k[31] = (uint8_t)((k[31] & 127) | 64);
}

void zt_x25519(const uint8_t scalar_in[32], const uint8_t point[32], uint8_t out[32]) {
    struct {
        fe x1, x2, z2, x3, z3, a, b, c;
        uint8_t k[32];
    } v;
    for (int i = 0; i < 32; i++) {
        v.k[i] = scalar_in[i];
    }
    clamp(v.k);
    fe_from_bytes(v.x1, point);
    fe_copy(v.x3, v.x1);
    fe_set(v.x2, 1);
    fe_set(v.z3, 1);
    fe_set(v.z2, 0);
    uint32_t swapped = 0;
    for (int i = 254; i >= 0; i--) {
        const uint32_t bit = (uint32_t)(v.k[i / 8] >> (i % 8)) & 1;
        fe_swap(v.x2, v.x3, bit ^ swapped);
        fe_swap(v.z2, v.z3, bit ^ swapped);
        swapped = bit;
        fe_add(v.a, v.x2, v.z2);
        fe_sub(v.b, v.x2, v.z2);
        fe_add(v.c, v.x3, v.z3);
        fe_sub(v.x3, v.x3, v.z3);
        fe_mul(v.x3, v.x3, v.a);
        fe_mul(v.c, v.c, v.b);
        fe_sq(v.a, v.a);
        fe_sq(v.b, v.b);
        fe_sub(v.z3, v.x3, v.c);
        fe_add(v.x3, v.x3, v.c);
        fe_sq(v.x3, v.x3);
        fe_sq(v.z3, v.z3);
        fe_mul(v.z3, v.z3, v.x1);
        fe_mul(v.x2, v.a, v.b);
        fe_sub(v.b, v.a, v.b);
        fe_mul_small(v.c, v.b, 121665);
        fe_add(v.c, v.c, v.a);
        fe_mul(v.z2, v.b, v.c);
    }
    fe_swap(v.x2, v.x3, swapped);
    fe_swap(v.z2, v.z3, swapped);
    fe_invert(v.z2, v.z2);
    fe_mul(v.x2, v.x2, v.z2);
    fe_to_bytes(out, v.x2);
    zt_wipe(&v, sizeof(v));
}

// ---- the group: -x^2 + y^2 = 1 + d x^2 y^2 ----

// A point (x/z, y/z) with t = x y / z. All coordinates tight.
typedef struct {
    fe x, y, z, t;
} point_t;

// A point as an addend. sum and diff are y + x and y - x, z is 2z, t is 2 d t; an affine one has half of
// each, and so no z at all.
typedef struct {
    fe sum, diff, z, t;
} addend_t;

static void ge_set_zero(point_t *p) {
    fe_set(p->x, 0);
    fe_set(p->y, 1);
    fe_set(p->z, 1);
    fe_set(p->t, 0);
}

// Where doubling, adding and the comb do their work: the caller's, so that it is wiped once and not 102 times.
typedef struct {
    fe a, b, c, d, e, f, g, h;
    uint32_t words[24];
    uint32_t mask[16];
} work_t;

// r = 2 p; r may be p.
static void ge_double(point_t *r, const point_t *p, int want_t, work_t *w) {
    fe_sq(w->a, p->x);
    fe_sq(w->b, p->y);
    fe_sq(w->c, p->z);
    fe_add(w->d, p->x, p->y);
    fe_sq(w->d, w->d);
    // h = a + b, e = h - (x + y)^2, g = a - b, f = 2 z^2 + g: each the negative of its usual meaning
    fe_add(w->h, w->a, w->b);
    fe_sub(w->e, w->h, w->d);
    fe_carry(w->e);
    fe_sub(w->g, w->a, w->b);
    fe_add(w->f, w->c, w->c);
    fe_add(w->f, w->f, w->g); // wide
    fe_mul(r->x, w->f, w->e);
    fe_mul(r->y, w->g, w->h);
    fe_mul(r->z, w->f, w->g);
    if (want_t) {
        fe_mul(r->t, w->e, w->h);
    }
}

// r = p + q where q is affine if `affine`. Complete: right for all pairs of points. r may be p.
static void ge_add(point_t *r, const point_t *p, const addend_t *q, int affine, work_t *w) {
    fe_sub(w->a, p->y, p->x);
    fe_mul(w->a, w->a, q->diff);
    fe_add(w->b, p->y, p->x);
    fe_mul(w->b, w->b, q->sum);
    fe_mul(w->c, p->t, q->t);
    if (affine) {
        fe_copy(w->d, p->z);
    } else {
        fe_mul(w->d, p->z, q->z);
    }
    fe_sub(w->e, w->b, w->a);
    fe_sub(w->f, w->d, w->c);
    fe_add(w->g, w->d, w->c);
    fe_add(w->h, w->b, w->a);
    fe_mul(r->x, w->e, w->f);
    fe_mul(r->y, w->g, w->h);
    fe_mul(r->z, w->f, w->g);
    fe_mul(r->t, w->e, w->h);
}

// Negate for bit 1. t becomes loose.
static void ge_negate_addend(addend_t *q, uint32_t bit) {
    fe zero, minus;
    fe_swap(q->sum, q->diff, bit);
    fe_set(zero, 0);
    fe_sub(minus, zero, q->t);
    fe_swap(q->t, minus, bit);
}

// Digit i of the comb for a scalar recoded by comb_recode: the sum of five signed teeth.
static void comb_digit(addend_t *q, const scalar k, unsigned i, work_t *work) {
    uint32_t *w = work->words;
    uint32_t *mask = work->mask;
    const uint32_t minus = sc_bit(k, i + 204) ^ 1;
    uint32_t index = sc_bit(k, i) | sc_bit(k, i + 51) << 1 | sc_bit(k, i + 102) << 2
        | sc_bit(k, i + 153) << 3;
    index ^= zt_mask(minus) & 15;
    for (uint32_t m = 0; m < 16; m++) {
        mask[m] = zt_mask(((m ^ index) - 1) >> 31);
    }
    for (int j = 0; j < 24; j++) {
        uint32_t v = 0;
        for (int m = 0; m < 16; m++) {
            v |= mask[m] & ZT_COMB[m][j];
        }
        w[j] = v;
    }
    fe_from_words(q->sum, w);
    fe_from_words(q->diff, w + 8);
    fe_from_words(q->t, w + 16);
    ge_negate_addend(q, minus);
}

// Bits b of the result mean k = sum over i < 255 of (2 b_i - 1) 2^i mod L. k is any eight words.
static void comb_recode(scalar out, const scalar k) {
    sc_muladd(out, k, ZT_HALF, ZT_HALF_ONES);
}

// r = k B for the base point B. k is any eight words.
static void ge_base(point_t *r, const scalar k) {
    scalar digits;
    addend_t q;
    work_t w;
    comb_recode(digits, k);
    ge_set_zero(r);
    for (unsigned i = 51; i-- > 0;) {
        ge_double(r, r, 1, &w);
        comb_digit(&q, digits, i, &w);
        ge_add(r, r, &q, 1, &w);
    }
    zt_wipe(digits, sizeof(digits));
    zt_wipe(&q, sizeof(q));
    zt_wipe(&w, sizeof(w));
}

static void ge_to_bytes(uint8_t out[32], const point_t *p) {
    struct {
        fe inverse, x, y;
        uint32_t w[8];
    } v;
    fe_invert(v.inverse, p->z);
    fe_mul(v.x, p->x, v.inverse);
    fe_mul(v.y, p->y, v.inverse);
    fe_to_words(v.w, v.x);
    fe_to_bytes(out, v.y);
    out[31] = (uint8_t)(out[31] | (v.w[0] & 1) << 7);
    zt_wipe(&v, sizeof(v));
}

static int fe_equal_vartime(const fe f, const fe g) {
    uint32_t a[8], b[8];
    uint32_t diff = 0;
    fe_to_words(a, f);
    fe_to_words(b, g);
    for (int i = 0; i < 8; i++) {
        diff |= a[i] ^ b[i];
    }
    return diff == 0;
}

// The point with this spelling, its x negated. -1 if there is none or this is not its only spelling.
static int ge_from_bytes_negated_vartime(point_t *p, const uint8_t bytes[32]) {
    fe u, v, w, one, low;
    uint32_t words[8];
    uint8_t again[32];
    const uint32_t sign = bytes[31] >> 7;
    fe_from_bytes(p->y, bytes);
    fe_to_bytes(again, p->y);
    again[31] = (uint8_t)(again[31] | sign << 7);
    if (zt_compare(again, bytes, 32)) {
        return -1;
    }
    // x^2 = u / v = (y^2 - 1) / (d y^2 + 1); the candidate root is u v^3 (u v^7)^((p - 5) / 8)
    fe_set(one, 1);
    fe_sq(u, p->y);
    fe_from_words(v, ZT_D);
    fe_mul(v, v, u);
    fe_sub(u, u, one);
    fe_add(v, v, one);
    fe_sq(w, v);
    fe_mul(w, w, v); // v^3
    fe_sq(p->t, w);
    fe_mul(p->t, p->t, v);
    fe_mul(p->t, p->t, u); // u v^7
    fe_power_ones(p->x, low, p->t);
    fe_sq_times(p->x, p->x, 2);
    fe_mul(p->x, p->x, p->t); // (p - 5) / 8 = (2^250 - 1) 4 + 1
    fe_mul(p->x, p->x, w);
    fe_mul(p->x, p->x, u);
    fe_sq(w, p->x);
    fe_mul(w, w, v); // x^2 v, which is u, or -u if the root is off by a square root of -1
    fe_carry(u);
    if (!fe_equal_vartime(w, u)) {
        fe_add(w, w, u);
        fe_carry(w);
        fe_set(low, 0);
        if (!fe_equal_vartime(w, low)) {
            return -1;
        }
        fe_from_words(w, ZT_SQRT_M1);
        fe_mul(p->x, p->x, w);
    }
    fe_to_words(words, p->x);
    fe_set(low, 0);
    if (sign && fe_equal_vartime(p->x, low)) {
        return -1;
    }
    if ((words[0] & 1) == sign) {
        fe_sub(p->x, low, p->x);
        fe_carry(p->x);
    }
    fe_set(p->z, 1);
    fe_mul(p->t, p->x, p->y);
    return 0;
}

static void ge_to_addend(addend_t *q, const point_t *p) {
    fe two_d;
    fe_from_words(two_d, ZT_2D);
    fe_add(q->sum, p->y, p->x);
    fe_sub(q->diff, p->y, p->x);
    fe_add(q->z, p->z, p->z);
    fe_mul(q->t, p->t, two_d);
}

// Signed digits of width 5 for an n below 2^253: odd, up to 15 either way, at least four zeros between.
static void sc_digits_vartime(int8_t digit[256], const scalar n) {
    uint32_t carry = 0;
    for (unsigned i = 0; i < 256; i++) {
        digit[i] = 0;
        const uint32_t bit = sc_bit(n, i) + carry;
        if (bit != 1) {
            carry = bit / 2;
            continue;
        }
        int value = 1;
        for (unsigned b = 1; b < 5 && i + b < 256; b++) {
            value += (int)sc_bit(n, i + b) << b;
            digit[i + b] = 0;
        }
        carry = value > 15;
        digit[i] = (int8_t)(carry ? value - 32 : value);
        i += 4;
    }
}

// r = s B + h A, t left out. Variable time.
static void ge_two_vartime(point_t *r, const scalar s, const scalar h, const point_t *a) {
    int8_t digit[256];
    addend_t odd[8]; // A, 3A, ... 15A
    addend_t q;
    scalar comb;
    point_t p;
    work_t w;
    sc_digits_vartime(digit, h);
    comb_recode(comb, s);
    ge_to_addend(&q, a);
    odd[0] = q;
    ge_double(&p, a, 1, &w);
    ge_to_addend(&q, &p); // 2A, added to each to get the next
    p = *a;
    for (int i = 1; i < 8; i++) {
        ge_add(&p, &p, &q, 0, &w);
        ge_to_addend(&odd[i], &p);
    }
    ge_set_zero(r);
    for (unsigned i = 256; i-- > 0;) {
        const int d = digit[i];
        ge_double(r, r, d != 0 || i < 51, &w);
        if (d) {
            q = odd[(d < 0 ? -d : d) / 2];
            ge_negate_addend(&q, d < 0);
            ge_add(r, r, &q, 0, &w);
        }
        if (i < 51) {
            comb_digit(&q, comb, i, &w);
            ge_add(r, r, &q, 1, &w);
        }
    }
}

// ---- base point multiples for X25519 ----

void zt_x25519_base(const uint8_t scalar_in[32], uint8_t out[32]) {
    struct {
        point_t p;
        fe up, down;
        scalar k;
        uint8_t bytes[32];
    } v;
    for (int i = 0; i < 32; i++) {
        v.bytes[i] = scalar_in[i];
    }
    clamp(v.bytes);
    sc_load(v.k, v.bytes, 8);
    ge_base(&v.p, v.k);
    // u = (1 + y) / (1 - y) on the Montgomery curve
    fe_add(v.up, v.p.z, v.p.y);
    fe_sub(v.down, v.p.z, v.p.y);
    fe_invert(v.down, v.down);
    fe_mul(v.up, v.up, v.down);
    fe_to_bytes(out, v.up);
    zt_wipe(&v, sizeof(v));
}

// ---- Ed25519 ----

void zt_ed25519_public(const uint8_t seed[32], uint8_t out[32]) {
    struct {
        point_t p;
        scalar a;
        uint8_t hash[64];
    } v;
    zt_sha512(seed, 32, v.hash);
    clamp(v.hash);
    sc_load(v.a, v.hash, 8);
    ge_base(&v.p, v.a);
    ge_to_bytes(out, &v.p);
    zt_wipe(&v, sizeof(v));
}

// s = SHA-512(first || second || msg) mod L
static void hash_to_scalar(scalar s, const uint8_t first[32], const uint8_t *second, const uint8_t *msg,
    size_t n) {
    struct {
        zt_sha512_t h;
        uint32_t words[16];
        uint8_t hash[64];
    } v;
    zt_sha512_init(&v.h);
    zt_sha512_update(&v.h, first, 32);
    zt_sha512_update(&v.h, second, second ? 32 : 0);
    zt_sha512_update(&v.h, msg, n);
    zt_sha512_finish(&v.h, v.hash, 64);
    sc_load(v.words, v.hash, 16);
    sc_reduce(s, v.words);
    zt_wipe(&v, sizeof(v));
}

void zt_ed25519_sign(const uint8_t seed[32], const uint8_t public_key[32], const uint8_t *msg, size_t n,
    uint8_t sig[64]) {
    struct {
        point_t p;
        scalar a, r, h;
        uint8_t hash[64];
        uint8_t big_r[32];
    } v;
    zt_sha512(seed, 32, v.hash);
    hash_to_scalar(v.r, v.hash + 32, NULL, msg, n);
    ge_base(&v.p, v.r);
    ge_to_bytes(v.big_r, &v.p);
    hash_to_scalar(v.h, v.big_r, public_key, msg, n);
    clamp(v.hash);
    sc_load(v.a, v.hash, 8);
    sc_muladd(v.h, v.h, v.a, v.r);
    for (int i = 0; i < 32; i++) {
        sig[i] = v.big_r[i];
    }
    sc_store(sig + 32, v.h);
    zt_wipe(&v, sizeof(v));
}

int zt_ed25519_verify_vartime(const uint8_t public_key[32], const uint8_t *msg, size_t n,
    const uint8_t sig[64]) {
    point_t minus_a, r;
    scalar s, h;
    uint8_t again[32];
    sc_load(s, sig + 32, 8);
    if (!sc_is_reduced_vartime(s) || ge_from_bytes_negated_vartime(&minus_a, public_key)) {
        return -1;
    }
    hash_to_scalar(h, sig, public_key, msg, n);
    ge_two_vartime(&r, s, h, &minus_a);
    ge_to_bytes(again, &r);
    return zt_compare(again, sig, 32);
}
