// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// SHA-512 and SHA-384 (FIPS 180-4), incremental. Constant time in the message; its length is public.
// The state is the caller's; finishing wipes it. Stack: 560 bytes on rv32imc with the state.

#ifndef ZT_SHA512_H
#define ZT_SHA512_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t h[8];
    uint64_t length; // bytes so far
    uint8_t block[128];
} zt_sha512_t;

void zt_sha512_init(zt_sha512_t *s);
void zt_sha384_init(zt_sha512_t *s);
void zt_sha512_update(zt_sha512_t *s, const uint8_t *data, size_t n);

// Writes the first n bytes of the digest: 64 for SHA-512, 48 after zt_sha384_init.
void zt_sha512_finish(zt_sha512_t *s, uint8_t *out, size_t n);

// out may be data.
void zt_sha512(const uint8_t *data, size_t n, uint8_t out[64]);
void zt_sha384(const uint8_t *data, size_t n, uint8_t out[48]);

#endif
