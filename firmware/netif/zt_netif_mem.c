// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The memory of packets: ZT_LWIP_HEAP bytes of our own, of which only what is used is ever touched, so that
// no frame costs a call of malloc. Blocks lie one after the other, each behind a head that gives its size and
// that of the one before; neighbours that are free are joined at once. Free blocks are in lists by size,
// two to each power of two, with a bit for each list that is not empty: both functions do the same few steps
// however many blocks there are. A block is looked for in the first list all of whose blocks are large
// enough, the last put there first, which is the likeliest to be in the cache.
//
// With ZT_NETIF_LIBC_HEAP (the builds with sanitizers) it is malloc with a bound.

#include <stdlib.h>
#include <string.h>

#include "lwipopts.h"
#include "zt_netif.h"

static size_t heap_used;
static size_t heap_peak;

static void count(size_t n) {
    heap_used += n;
    if (heap_used > heap_peak) {
        heap_peak = heap_used;
    }
}

void zt_netif_memory(size_t *used, size_t *peak) {
    *used = heap_used;
    *peak = heap_peak;
}

#ifdef ZT_NETIF_LIBC_HEAP

typedef union {
    size_t size;
    uint64_t align;
} head_t;

void *zt_netif_malloc(size_t n) {
    if (n > ZT_LWIP_HEAP || heap_used + n > ZT_LWIP_HEAP) {
        return NULL;
    }
    head_t *h = malloc(sizeof(*h) + n);
    if (h == NULL) {
        return NULL;
    }
    h->size = n;
    count(n);
    return h + 1;
}

void zt_netif_free(void *p) {
    if (p != NULL) {
        head_t *h = (head_t *)p - 1;
        heap_used -= h->size;
        free(h);
    }
}

#else

#define UNIT 8 // sizes are multiples of it
#define USED 1U
#define LISTS 64
#define TRIES 8
#define END 0xffffffffU

typedef struct {
    uint32_t before; // size of the block before; 0: none
    uint32_t size; // with this head; USED
} head_t;

// What a free block has behind its head: its place in a list.
typedef struct {
    uint32_t next;
    uint32_t previous;
} link_t;

static uint64_t memory[ZT_LWIP_HEAP / UNIT];
static uint32_t first[LISTS];
static uint64_t filled; // a bit for each list
static bool ready;

static head_t *block_at(uint32_t at) {
    return (head_t *)(void *)(memory + at / UNIT);
}

static uint32_t place_of(const head_t *h) {
    return (uint32_t)((const uint8_t *)h - (const uint8_t *)memory);
}

static link_t *link_of(head_t *h) {
    return (link_t *)(void *)(h + 1);
}

// The list for a block of that size: its highest bit and the one below.
static unsigned list_of(uint32_t size) {
    uint32_t units = size / UNIT;
    unsigned top = 31 - (unsigned)__builtin_clz(units);
    return 2 * top + (units >> (top - 1) & 1);
}

static void put(head_t *h) {
    unsigned list = list_of(h->size);
    uint32_t at = place_of(h);
    link_t *l = link_of(h);
    l->previous = END;
    l->next = filled >> list & 1 ? first[list] : END;
    if (l->next != END) {
        link_of(block_at(l->next))->previous = at;
    }
    first[list] = at;
    filled |= 1ULL << list;
}

static void take(head_t *h) {
    unsigned list = list_of(h->size);
    link_t *l = link_of(h);
    if (l->next != END) {
        link_of(block_at(l->next))->previous = l->previous;
    }
    if (l->previous != END) {
        link_of(block_at(l->previous))->next = l->next;
        return;
    }
    first[list] = l->next;
    if (l->next == END) {
        filled &= ~(1ULL << list);
    }
}

static void prepare(void) {
    ready = true;
    head_t *h = block_at(0);
    h->before = 0;
    h->size = sizeof(memory) - sizeof(head_t);
    head_t *end = block_at(h->size);
    end->before = h->size;
    end->size = USED;
    put(h);
}

static head_t *find(uint32_t want) {
    // The next list up, unless all of this one are large enough.
    unsigned top = 31 - (unsigned)__builtin_clz(want / UNIT);
    unsigned list = list_of(want + ((1U << (top - 1)) - 1) * UNIT);
    uint64_t enough = filled >> list << list;
    if (enough != 0) {
        return block_at(first[__builtin_ctzll(enough)]);
    }
    // Nearly full: one of its own size, if it is among the first few.
    list = list_of(want);
    uint32_t at = filled >> list & 1 ? first[list] : END;
    for (unsigned i = 0; i < TRIES && at != END; i++) {
        head_t *h = block_at(at);
        if (h->size >= want) {
            return h;
        }
        at = link_of(h)->next;
    }
    return NULL;
}

void *zt_netif_malloc(size_t n) {
    if (n > ZT_LWIP_HEAP - 4 * sizeof(head_t)) {
        return NULL;
    }
    if (!ready) {
        prepare();
    }
    uint32_t want = ((uint32_t)n + UNIT - 1) / UNIT * UNIT + sizeof(head_t);
    if (want < sizeof(head_t) + sizeof(link_t)) {
        want = sizeof(head_t) + sizeof(link_t);
    }
    head_t *h = find(want);
    if (h == NULL) {
        return NULL;
    }
    take(h);
    uint32_t rest = h->size - want;
    if (rest >= sizeof(head_t) + sizeof(link_t)) {
        h->size = want;
        head_t *other = block_at(place_of(h) + want);
        other->before = want;
        other->size = rest;
        block_at(place_of(other) + rest)->before = rest;
        put(other);
    }
    count(h->size);
    h->size |= USED;
    return h + 1;
}

void zt_netif_free(void *p) {
    if (p == NULL) {
        return;
    }
    head_t *h = (head_t *)p - 1;
    h->size &= ~USED;
    heap_used -= h->size;
    head_t *next = block_at(place_of(h) + h->size);
    if (!(next->size & USED)) {
        take(next);
        h->size += next->size;
    }
    if (h->before != 0) {
        head_t *previous = block_at(place_of(h) - h->before);
        if (!(previous->size & USED)) {
            take(previous);
            previous->size += h->size;
            h = previous;
        }
    }
    block_at(place_of(h) + h->size)->before = h->size;
    put(h);
}

#endif

void *zt_netif_calloc(size_t times, size_t n) {
    if (n != 0 && times > ZT_LWIP_HEAP / n) {
        return NULL;
    }
    void *p = zt_netif_malloc(times * n);
    if (p != NULL) {
        memset(p, 0, times * n);
    }
    return p;
}
