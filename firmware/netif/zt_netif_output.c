// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Frames on their way out: to the data plane, or else into a queue for Python. A frame is copied once, there
// or here: lwIP keeps TCP's own buffer for retransmission, so it must never be handed on.
//
// What waits is in the stack's packet memory, ZT_NETIF_QUEUE bytes at most; a frame beyond that is refused and
// counted. All in the stack's context, but for the two questions that any thread may ask.

#include <string.h>

#include "lwip/mem.h"
#include "lwip/pbuf.h"
#include "zt_atomic.h"
#include "zt_netif_priv.h"
#include "zt_port.h"

typedef struct frame {
    struct frame *next;
    uint16_t n;
    uint8_t index; // the interface, and which that was
    uint8_t generation;
    uint8_t bytes[];
} frame_t;

static frame_t *first, *last;
static size_t held; // bytes of all
static uint32_t drops;
static uint8_t waiting; // is there any?

bool (*zt_netif_output)(int n, const zt_seg_t *segments, size_t count);

#define SEGMENTS 8 // of a chain that goes out without the queue; lwIP's own have four at most

static bool output_directly(int n, const struct pbuf *p) {
    zt_seg_t segments[SEGMENTS];
    size_t count = 0;
    size_t left = p->tot_len;
    while (p != NULL && left != 0) {
        if (count == SEGMENTS) {
            return false;
        }
        segments[count].p = p->payload;
        segments[count++].n = p->len;
        left -= p->len;
        p = p->next;
    }
    return zt_netif_output(n, segments, count);
}

static bool keep(const zt_netif_t *z, const struct pbuf *p) {
    size_t n = p->tot_len;
    if (n > ZT_FRAME_MAX || held + n > ZT_NETIF_QUEUE) {
        return false;
    }
    frame_t *f = mem_malloc((mem_size_t)(sizeof(*f) + n));
    if (f == NULL) {
        return false;
    }
    f->next = NULL;
    f->n = (uint16_t)n;
    f->index = z->index;
    f->generation = z->generation;
    pbuf_copy_partial(p, f->bytes, (u16_t)n, 0);
    if (first == NULL) {
        first = f;
    } else {
        last->next = f;
    }
    last = f;
    held += n;
    ZT_STORE(waiting, 1);
    return true;
}

static void forget_first(void) {
    frame_t *f = first;
    first = f->next;
    held -= f->n;
    mem_free(f);
    ZT_STORE(waiting, first != NULL);
}

err_t zt_netif_link_output(struct netif *netif, struct pbuf *p) {
    const zt_netif_t *z = netif->state;
    if (zt_netif_output != NULL && output_directly(z->index, p)) {
        return ERR_OK;
    }
    if (!keep(z, p)) {
        ZT_STORE(drops, drops + 1);
        return ERR_MEM;
    }
    zt_port_kick();
    return ERR_OK;
}

void zt_netif_queue_reset(void) {
    while (first != NULL) {
        forget_first();
    }
}

bool zt_netif_pending(void) {
    return ZT_LOAD(waiting) != 0;
}

uint32_t zt_netif_drops(void) {
    return ZT_LOAD(drops);
}

int zt_netif_recv(uint8_t *buf, size_t size, int *n) {
    while (first != NULL) {
        const frame_t *f = first;
        const zt_netif_t *z = zt_netif_get(f->index);
        bool wanted = z != NULL && z->generation == f->generation;
        int len = f->n;
        if (wanted && f->n <= size) {
            memcpy(buf, f->bytes, f->n);
            *n = f->index;
        }
        forget_first();
        if (!wanted) {
            continue; // left over from an interface that is gone, whoever has its number now
        }
        if ((size_t)len > size) {
            ZT_STORE(drops, drops + 1);
            return ZT_NETIF_ERR_SMALL;
        }
        return len;
    }
    return 0;
}
