// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// X25519 (RFC 7748) and Ed25519 (RFC 8032). Buffers stay the caller's; inputs and outputs may overlap
// unless a line says otherwise. Constant time in everything but lengths, except what is named vartime.
// Secret locals are wiped. Stack, all calls included (painted and read back, rv32imc, GCC 12 -O2):
// zt_x25519 1.0 KB, with the base point 1.4 KB, signing 1.5 KB, verifying 3.6 KB.

#ifndef ZT_C25519_H
#define ZT_C25519_H

#include <stddef.h>
#include <stdint.h>

// The scalar is clamped on a copy, bit 255 of the point is ignored, and an all-zero result is no error
// (VL1 2.3).
void zt_x25519(const uint8_t scalar[32], const uint8_t point[32], uint8_t out[32]);

// zt_x25519 with the base point 9, about three times as fast.
void zt_x25519_base(const uint8_t scalar[32], uint8_t out[32]);

void zt_ed25519_public(const uint8_t seed[32], uint8_t out[32]);

// public_key must be the seed's: signing with another one gives the seed away.
void zt_ed25519_sign(const uint8_t seed[32], const uint8_t public_key[32], const uint8_t *msg, size_t n,
    uint8_t sig[64]);

// 0 if good, -1 if not. Strict: S must be below L and the key spelled in its one canonical way.
int zt_ed25519_verify_vartime(const uint8_t public_key[32], const uint8_t *msg, size_t n,
    const uint8_t sig[64]);

#endif
