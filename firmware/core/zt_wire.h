// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Whole packets in place (VL1 4.1 to 4.6), cipher suites 0 and 1. `session` is the 48-byte key of the two
// identities. Constant time in keys and payload; the header, the length and the verdict are public.
// Buffers stay the caller's. Stack: 450 bytes on rv32imc.

#ifndef ZT_WIRE_H
#define ZT_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "simd/zt_simd.h"

#define ZT_WIRE_HEADER 28 // with the verb byte
#define ZT_WIRE_MAX 65535 // what the 16-bit length in the key can tell apart

// Writes the cipher bits of suite 0 or 1 (FRAGMENTED stays, hops become 0), encrypts for suite 1, writes
// the MAC. 0, or -1 and nothing changed for another suite or n outside ZT_WIRE_HEADER..ZT_WIRE_MAX.
int zt_seal(const uint8_t session[48], uint8_t *pkt, size_t n, unsigned suite);

// 0 and decrypted if the MAC is good; else -1 and nothing changed: bad MAC, bad length, another suite.
int zt_open(const uint8_t session[48], uint8_t *pkt, size_t n);

// Several short packets at once, where the machine makes their key streams side by side. All have n bytes,
// ZT_WIRE_HEADER to ZT_WIRE_AHEAD_MAX, and say suite 1. zt_ahead gives the stream of each, -1 if that does not
// pay on this processor; zt_open_ahead is zt_open with it, and wipes it. The packets must not change between.
#ifdef ZT_SALSA20_STREAMS
#define ZT_WIRE_AHEAD ZT_SALSA20_STREAMS
#define ZT_WIRE_AHEAD_MAX (27 + 64)
int zt_ahead(const uint8_t *const session[ZT_WIRE_AHEAD], const uint8_t *const pkt[ZT_WIRE_AHEAD], size_t n,
             uint8_t stream[ZT_WIRE_AHEAD][128]);
int zt_open_ahead(uint8_t stream[128], uint8_t *pkt, size_t n);
#endif

// XORs the tail pkt[from..n) of a HELLO, its own inverse. 0, or -1 and nothing changed if from is in the
// header or beyond n.
int zt_hello_mask(const uint8_t session[48], uint8_t *pkt, size_t from, size_t n);

#endif
