// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The memory-hard hash of a public key (VL1 3.4) and the search for a key that meets its condition
// (VL1 3.5), in steps, so that a caller can show progress and stop. What is hashed is public: the walk
// through memory is not constant time. The private key of a search is, and the caller wipes the search.
//
// The caller gives ZT_IDHASH_MEMORY bytes of scratch, any alignment, and keeps it until the end; its
// content does not matter before and is public after. Stack: 0.5 KB, a search as zt_c25519.h.

#ifndef ZT_IDHASH_H
#define ZT_IDHASH_H

#include <stddef.h>
#include <stdint.h>

#include "zt_salsa20.h"

#define ZT_IDHASH_MEMORY 2097152
#define ZT_IDHASH_BLOCKS 163840 // 32768 to fill the memory, 131072 to mix it

typedef struct {
    zt_salsa20_t cipher;
    uint8_t digest[64];
    uint8_t *memory;
    uint32_t done; // blocks so far
} zt_idhash_t;

void zt_idhash_init(zt_idhash_t *h, const uint8_t public_key[64], uint8_t *memory);

// Does up to `blocks` blocks of the work. 1 when all of it is done and h->digest is the result, else 0.
int zt_idhash_step(zt_idhash_t *h, uint32_t blocks);

typedef struct {
    uint8_t private_key[64];
    uint8_t public_key[64];
    uint32_t tries; // keys hashed to the end
    int active;     // `hash` is at work on the present key
    zt_idhash_t hash;
} zt_search_t;

// Starts from 64 random bytes; the first key tried is one step away from them.
void zt_search_init(zt_search_t *s, const uint8_t private_key[64], uint8_t *memory);

// 1 when private_key and public_key are an identity with hash.digest, else 0. Whether its address is
// reserved is for the caller to see; if so, start again from other random bytes.
int zt_search_step(zt_search_t *s, uint32_t blocks);

// For callers that cannot see the structs: their sizes, and what is in them.
size_t zt_idhash_size(void);
size_t zt_search_size(void);
void zt_idhash_result(const zt_idhash_t *h, uint8_t digest[64], uint32_t *done);
void zt_search_result(const zt_search_t *s, uint8_t private_key[64], uint8_t public_key[64],
    uint8_t digest[64], uint32_t *tries);

#endif
