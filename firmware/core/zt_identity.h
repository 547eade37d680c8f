// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// ZeroTier's key pairs (VL1 2.3 to 2.5): 64-byte keys, an X25519 half first, an Ed25519 half second.
// Constant time but for verification. Buffers stay the caller's. Stack: as zt_c25519.h.

#ifndef ZT_IDENTITY_H
#define ZT_IDENTITY_H

#include <stddef.h>
#include <stdint.h>

void zt_identity_public(const uint8_t private_key[64], uint8_t public_key[64]);

// The 48-byte session key of two identities.
void zt_identity_agree(const uint8_t private_key[64], const uint8_t public_key[64], uint8_t session[48]);

// public_key must belong to private_key.
void zt_identity_sign(const uint8_t private_key[64], const uint8_t public_key[64], const uint8_t *msg,
    size_t n, uint8_t sig[96]);

// 0 if good, -1 if not.
int zt_identity_verify_vartime(const uint8_t public_key[64], const uint8_t *msg, size_t n,
    const uint8_t sig[96]);

#endif
