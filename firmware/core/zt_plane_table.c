// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Hash tables and a heap inside fixed memory. Chains are short by rule: an entry that would make one longer
// than ZT_PLANE_CHAIN is refused, so a look-up has a bound whatever the keys are; the hash is seeded at
// start, so nobody can choose keys that meet.

#include "zt_bytes.h"
#include "zt_plane_priv.h"

static zt_entry_t *entry(const zt_table_t *t, unsigned index) {
    return (zt_entry_t *)(void *)(t->entries + (size_t)index * t->stride);
}

#ifdef __SIZEOF_INT128__

__extension__ typedef unsigned __int128 wide_t;

// One product instead of four, of the key's two parts, each hidden by the seed; the second is never 0.
static unsigned hash(const zt_table_t *t, const uint8_t key[KEY]) {
    const uint64_t hide = ((uint64_t)t->seed + 1) * 0x9e3779b97f4a7c15U;
    const uint64_t a = zt_load64_le(key) ^ hide;
    const uint64_t b = ((uint64_t)1 << 63 | zt_load32_le(key + 8)) ^ hide >> 17;
    const wide_t product = (wide_t)a * b;
    const uint64_t both = (uint64_t)product ^ (uint64_t)(product >> 64);
    return (unsigned)(both ^ both >> 29) & t->mask;
}

#else

static unsigned hash(const zt_table_t *t, const uint8_t key[KEY]) {
    uint32_t h = t->seed;
    for (unsigned i = 0; i < KEY; i += 4) {
        h = (h ^ zt_load32_le(key + i)) * 0x9e3779b1U;
        h ^= h >> 15;
    }
    h *= 0x85ebca77U;
    return (h ^ h >> 13) & t->mask;
}

#endif

uint32_t zt_table_buckets(uint16_t limit) {
    uint32_t n = 1;
    while (n < 2U * limit) {
        n *= 2;
    }
    return n;
}

void zt_table_init(zt_table_t *t, uint8_t *entries, size_t stride, uint16_t limit, uint16_t *buckets,
                   uint32_t seed) {
    const uint32_t n = zt_table_buckets(limit);
    t->entries = entries;
    t->buckets = buckets;
    t->seed = seed;
    t->stride = (uint32_t)stride;
    t->limit = limit;
    t->mask = (uint16_t)(n - 1);
    t->used = 0;
    t->fresh = 0;
    t->free = NONE;
    for (uint32_t i = 0; i < n; i++) {
        buckets[i] = NONE;
    }
}

void *zt_table_find(const zt_table_t *t, const uint8_t key[KEY]) {
    unsigned i = t->buckets[hash(t, key)];
    while (i != NONE) {
        zt_entry_t *e = entry(t, i);
        if (memcmp(e->key, key, KEY) == 0) {
            return e;
        }
        i = e->next;
    }
    return NULL;
}

void *zt_table_add(zt_table_t *t, const uint8_t key[KEY]) {
    uint16_t *bucket = &t->buckets[hash(t, key)];
    unsigned length = 0;
    for (unsigned i = *bucket; i != NONE; i = entry(t, i)->next) {
        length++;
    }
    if (t->used == t->limit || length >= ZT_PLANE_CHAIN) {
        return NULL;
    }
    const uint16_t index = t->free != NONE ? t->free : t->fresh++;
    zt_entry_t *e = entry(t, index);
    if (t->free != NONE) {
        t->free = e->next;
    }
    t->used++;
    memset(e, 0, t->stride);
    memcpy(e->key, key, KEY);
    e->used = (uint16_t)(index + 1);
    e->next = *bucket;
    *bucket = index;
    return e;
}

void zt_table_del(zt_table_t *t, void *gone) {
    zt_entry_t *e = gone;
    const uint16_t index = zt_table_index(e);
    uint16_t *link = &t->buckets[hash(t, e->key)];
    while (*link != index) {
        link = &entry(t, *link)->next;
    }
    *link = e->next;
    zt_wipe(e, t->stride);
    e->next = t->free;
    t->free = index;
    t->used--;
}

void *zt_table_at(const zt_table_t *t, uint32_t index) {
    return index < t->fresh && entry(t, index)->used ? entry(t, index) : NULL;
}

uint16_t zt_table_index(const void *e) {
    return (uint16_t)(((const zt_entry_t *)e)->used - 1);
}

// ---- heap: blocks one after the other, each behind its head; first fit, neighbours that are free are
// joined when they are met. Only programming comes here, so a walk may take its time.

typedef struct {
    uint32_t size; // with the head
    uint32_t used;
} block_t;

void zt_arena_init(zt_arena_t *a, uint8_t *base, uint32_t size) {
    a->base = base;
    a->size = size & ~(uint32_t)7;
    if (a->size >= sizeof(block_t)) {
        block_t *b = (block_t *)(void *)base;
        b->size = a->size;
        b->used = 0;
    }
}

static block_t *block_at(const zt_arena_t *a, uint32_t at) {
    return at < a->size && a->size >= sizeof(block_t) ? (block_t *)(void *)(a->base + at) : NULL;
}

void *zt_arena_get(zt_arena_t *a, size_t n) {
    if (n > a->size) {
        return NULL;
    }
    const uint32_t want = (uint32_t)(n + 7 + sizeof(block_t)) & ~(uint32_t)7;
    block_t *b;
    for (uint32_t at = 0; (b = block_at(a, at)) != NULL; at += b->size) {
        if (b->used) {
            continue;
        }
        block_t *next;
        while ((next = block_at(a, at + b->size)) != NULL && !next->used) {
            b->size += next->size;
        }
        if (b->size < want) {
            continue;
        }
        if (b->size - want > sizeof(block_t)) {
            next = (block_t *)(void *)(a->base + at + want);
            next->size = b->size - want;
            next->used = 0;
            b->size = want;
        }
        b->used = 1;
        return b + 1;
    }
    return NULL;
}

void zt_arena_put(zt_arena_t *a, void *block) {
    (void)a;
    if (block) {
        ((block_t *)block - 1)->used = 0;
    }
}
