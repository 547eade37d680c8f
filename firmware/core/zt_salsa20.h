// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Salsa20 with a 256-bit key (D. J. Bernstein, "The Salsa20 family of stream ciphers"), 12 or 20
// rounds. Constant time in key, iv and data. Buffers stay the caller's. Stack: 200 bytes on
// rv32imc; 1.3 KB where blocks run side by side.

#ifndef ZT_SALSA20_H
#define ZT_SALSA20_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t word[16]; // words 8 and 9 are the number of the next block
} zt_salsa20_t;

void zt_salsa20_init(zt_salsa20_t *s, const uint8_t key[32], const uint8_t iv[8], uint64_t block);

// XORs the next blocks of key stream into n bytes, in place. A block left over in part is thrown
// away: each call starts at a fresh block (VL1 2.1). Splitting is exact at multiples of 64.
void zt_salsa20_xor(zt_salsa20_t *s, unsigned rounds, uint8_t *buf, size_t n);

#endif
