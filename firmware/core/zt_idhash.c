// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The identity hash: a chained fill of 2 MiB, then rounds that swap a digest word with a word of the
// memory and encrypt the digest. The key stream of the rounds does not depend on the data, so it is made
// for many rounds at once.

#include "zt_idhash.h"

#include <string.h>

#include "zt_bytes.h"
#include "zt_c25519.h"
#include "zt_sha512.h"

#define FILL_BLOCKS (ZT_IDHASH_MEMORY / 64)
#define BATCH 4 // blocks of key stream at once: what the cipher's wide path takes
#define HASHCASH 17

void zt_idhash_init(zt_idhash_t *h, const uint8_t public_key[64], uint8_t *memory) {
    zt_sha512(public_key, 64, h->digest);
    zt_salsa20_init(&h->cipher, h->digest, h->digest + 32, 0);
    h->memory = memory;
    h->done = 0;
}

// Up to BATCH blocks of memory, each the key stream over the block before it.
static void fill(zt_idhash_t *h, uint32_t count) {
    uint8_t *p = h->memory + (size_t)h->done * 64;
    memset(p, 0, (size_t)count * 64);
    zt_salsa20_xor(&h->cipher, 20, p, (size_t)count * 64);
    for (uint32_t i = 0; i < count; i++, p += 64) {
        if (h->done + i == 0) {
            continue;
        }
        for (int k = 0; k < 64; k++) {
            p[k] ^= p[k - 64];
        }
    }
}

static void mix(zt_idhash_t *h, uint32_t count) {
    uint8_t stream[64 * BATCH] = {0};
    uint8_t word[8];
    zt_salsa20_xor(&h->cipher, 20, stream, (size_t)count * 64);
    for (uint32_t i = 0; i < count; i++) {
        // Two index words, big endian, of which only the low bits count.
        const uint8_t *index = h->memory + (size_t)(h->done + i - FILL_BLOCKS) * 16;
        uint8_t *a = h->digest + 8 * (index[7] & 7);
        uint8_t *b = h->memory
            + 8 * (((uint32_t)(index[13] & 3) << 16) | ((uint32_t)index[14] << 8) | index[15]);
        memcpy(word, a, 8);
        memcpy(a, b, 8);
        memcpy(b, word, 8);
        for (int k = 0; k < 64; k++) {
            h->digest[k] ^= stream[64 * i + (uint32_t)k];
        }
    }
}

int zt_idhash_step(zt_idhash_t *h, uint32_t blocks) {
    while (blocks && h->done < ZT_IDHASH_BLOCKS) {
        // Both phases are multiples of BATCH long, so a batch that ends early stays within one.
        uint32_t count = BATCH - h->done % BATCH;
        if (count > blocks) {
            count = blocks;
        }
        if (h->done < FILL_BLOCKS) {
            fill(h, count);
        } else {
            mix(h, count);
        }
        h->done += count;
        blocks -= count;
    }
    return h->done == ZT_IDHASH_BLOCKS;
}

void zt_search_init(zt_search_t *s, const uint8_t private_key[64], uint8_t *memory) {
    memcpy(s->private_key, private_key, 64);
    zt_ed25519_public(private_key + 32, s->public_key + 32);
    ZT_DECLASSIFY(s->public_key + 32, 32);
    s->hash.memory = memory;
    s->tries = 0;
    s->active = 0;
}

static void next_key(zt_search_t *s) {
    zt_store64_le(s->private_key + 8, zt_load64_le(s->private_key + 8) + 1);
    zt_store64_le(s->private_key + 16, zt_load64_le(s->private_key + 16) - 1);
    zt_x25519_base(s->private_key, s->public_key);
    ZT_DECLASSIFY(s->public_key, 32);
    zt_idhash_init(&s->hash, s->public_key, s->hash.memory);
    s->active = 1;
}

int zt_search_step(zt_search_t *s, uint32_t blocks) {
    if (!s->active) {
        next_key(s);
    }
    if (!zt_idhash_step(&s->hash, blocks)) {
        return 0;
    }
    s->active = 0;
    s->tries++;
    return s->hash.digest[0] < HASHCASH;
}

size_t zt_idhash_size(void) {
    return sizeof(zt_idhash_t);
}

size_t zt_search_size(void) {
    return sizeof(zt_search_t);
}

void zt_idhash_result(const zt_idhash_t *h, uint8_t digest[64], uint32_t *done) {
    memcpy(digest, h->digest, 64);
    *done = h->done;
}

void zt_search_result(const zt_search_t *s, uint8_t private_key[64], uint8_t public_key[64],
    uint8_t digest[64], uint32_t *tries) {
    memcpy(private_key, s->private_key, 64);
    memcpy(public_key, s->public_key, 64);
    memcpy(digest, s->hash.digest, 64);
    *tries = s->tries;
}
