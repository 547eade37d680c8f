// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Whole packets in place (VL1 4.1 to 4.6), cipher suites 0 and 1. `session` is the 48-byte key of the two
// identities. Constant time in keys and payload; the header, the length and the verdict are public.
// Buffers stay the caller's. Stack: 450 bytes on rv32imc.

#ifndef ZT_WIRE_H
#define ZT_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define ZT_WIRE_HEADER 28 // with the verb byte
#define ZT_WIRE_MAX 65535 // what the 16-bit length in the key can tell apart

// Writes the cipher bits of suite 0 or 1 (FRAGMENTED stays, hops become 0), encrypts for suite 1, writes
// the MAC. 0, or -1 and nothing changed for another suite or n outside ZT_WIRE_HEADER..ZT_WIRE_MAX.
int zt_seal(const uint8_t session[48], uint8_t *pkt, size_t n, unsigned suite);

// 0 and decrypted if the MAC is good; else -1 and nothing changed: bad MAC, bad length, another suite.
int zt_open(const uint8_t session[48], uint8_t *pkt, size_t n);

// XORs the tail pkt[from..n) of a HELLO, its own inverse. 0, or -1 and nothing changed if from is in the
// header or beyond n.
int zt_hello_mask(const uint8_t session[48], uint8_t *pkt, size_t from, size_t n);

#endif
