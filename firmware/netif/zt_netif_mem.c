// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The memory of packets: the C heap, with a bound.

#include <stdlib.h>
#include <string.h>

#include "zt_netif_priv.h"

static size_t heap_used;

typedef union {
    size_t size;
    uint64_t align;
} heap_head_t;

void *zt_netif_malloc(size_t n) {
    if (n > ZT_LWIP_HEAP || heap_used + n > ZT_LWIP_HEAP) {
        return NULL;
    }
    heap_head_t *h = malloc(sizeof(*h) + n);
    if (h == NULL) {
        return NULL;
    }
    h->size = n;
    heap_used += n;
    return h + 1;
}

void *zt_netif_calloc(size_t count, size_t n) {
    if (n != 0 && count > ZT_LWIP_HEAP / n) {
        return NULL;
    }
    void *p = zt_netif_malloc(count * n);
    if (p != NULL) {
        memset(p, 0, count * n);
    }
    return p;
}

void zt_netif_free(void *p) {
    if (p != NULL) {
        heap_head_t *h = (heap_head_t *)p - 1;
        heap_used -= h->size;
        free(h);
    }
}
