// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Poly1305 one-time authenticator (RFC 8439, 2.5). Constant time in key and message. The state is the
// caller's and holds key material until zt_poly1305_finish, which wipes it. Stack: 260 bytes on rv32imc.

#ifndef ZT_POLY1305_H
#define ZT_POLY1305_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t h[5];   // the sum so far, five words, the last one small
    uint32_t r[4];   // clamped multiplier
    uint32_t pad[4]; // added at the end
    uint8_t tail[16];
    size_t used;
} zt_poly1305_t;

void zt_poly1305_init(zt_poly1305_t *p, const uint8_t key[32]);
void zt_poly1305_update(zt_poly1305_t *p, const uint8_t *data, size_t n);
void zt_poly1305_finish(zt_poly1305_t *p, uint8_t tag[16]);

// All of it in one call.
void zt_poly1305(const uint8_t key[32], const uint8_t *data, size_t n, uint8_t tag[16]);

#endif
