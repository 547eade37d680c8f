// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// X25519 by the Montgomery ladder, Ed25519 by the comb of zt_ge.h. On rv32imc (GCC 12, -Os) X25519 takes
// 1.7 million instructions, signing 0.96 and verifying 2.4 (make bench-embedded).

#include "zt_c25519.h"

#include "zt_bytes.h"
#include "zt_c25519_table.h"
#include "zt_sha512.h"

// ZT_C25519_32 forces the 32-bit field, so that it can be tested on a 64-bit machine.
#if defined(__SIZEOF_INT128__) && !defined(ZT_C25519_32)
#include "zt_fe51.h"
#else
#include "zt_fe29.h"
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

#include "zt_ge.h"

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
