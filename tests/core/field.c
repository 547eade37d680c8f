// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The 32-bit field by itself, for tests that give it limbs as far out as its rules allow: what it
// computes there decides whether the bounds in zt_fe29.h are right.

#include "zt_bytes.h"
#include "zt_fe29.h"

void field_mul(int32_t h[9], const int32_t f[9], const int32_t g[9]);
void field_sq(int32_t h[9], const int32_t f[9]);
void field_mul_small(int32_t h[9], const int32_t f[9], uint32_t n);
void field_add(int32_t h[9], const int32_t f[9], const int32_t g[9]);
void field_sub(int32_t h[9], const int32_t f[9], const int32_t g[9]);
void field_carry(int32_t h[9], const int32_t f[9]);
void field_to_words(uint32_t w[8], const int32_t f[9]);
void field_from_words(int32_t h[9], const uint32_t w[8]);

void field_mul(int32_t h[9], const int32_t f[9], const int32_t g[9]) {
    fe_mul(h, f, g);
}

void field_sq(int32_t h[9], const int32_t f[9]) {
    fe_sq(h, f);
}

void field_mul_small(int32_t h[9], const int32_t f[9], uint32_t n) {
    fe_mul_small(h, f, n);
}

void field_add(int32_t h[9], const int32_t f[9], const int32_t g[9]) {
    fe_add(h, f, g);
}

void field_sub(int32_t h[9], const int32_t f[9], const int32_t g[9]) {
    fe_sub(h, f, g);
}

void field_carry(int32_t h[9], const int32_t f[9]) {
    fe_copy(h, f);
    fe_carry(h);
}

void field_to_words(uint32_t w[8], const int32_t f[9]) {
    fe_to_words(w, f);
}

void field_from_words(int32_t h[9], const uint32_t w[8]) {
    fe_from_words(h, w);
}
