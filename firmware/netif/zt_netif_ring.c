// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Frames on their way out: to the data plane, or else into a ring for Python. A frame is copied once, there
// or here: lwIP keeps TCP's own buffer for retransmission, so it must never be handed on.
//
// The ring has records of {length 16 bits, interface, its generation} and the frame, in order. Indices go
// back to 0 when it runs empty, so only as much of it is ever touched as a burst needs. All in the stack's
// context, but for the two questions that any thread may ask.

#include <string.h>

#include "lwip/pbuf.h"
#include "zt_atomic.h"
#include "zt_netif_priv.h"
#include "zt_port.h"

#define RECORD_HEAD 4

static uint8_t ring[ZT_NETIF_RING];
static size_t ring_read, ring_write;
static size_t ring_wrap; // where the reader turns back to 0; 0 when the writer has not wrapped
static uint32_t ring_drops;
static uint8_t waiting; // is anything in it?

static uint8_t *ring_reserve(size_t n) {
    if (ring_wrap == 0) {
        if (sizeof(ring) - ring_write >= n) {
            return ring + ring_write;
        }
        if (ring_read <= n) {
            return NULL;
        }
        ring_wrap = ring_write;
        ring_write = 0;
        return ring;
    }
    return ring_read - ring_write > n ? ring + ring_write : NULL;
}

bool (*zt_netif_output)(int n, const zt_seg_t *segments, size_t count);

#define SEGMENTS 8 // of a chain that goes out without the ring; lwIP's own have four at most

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

err_t zt_netif_link_output(struct netif *netif, struct pbuf *p) {
    size_t n = p->tot_len;
    int index = (int)((zt_netif_t *)netif->state - zt_netifs);
    if (zt_netif_output != NULL && output_directly(index, p)) {
        return ERR_OK;
    }
    uint8_t *slot = n <= ZT_FRAME_MAX ? ring_reserve(RECORD_HEAD + n) : NULL;
    if (slot == NULL) {
        ZT_STORE(ring_drops, ring_drops + 1);
        return ERR_MEM;
    }
    slot[0] = (uint8_t)(n >> 8);
    slot[1] = (uint8_t)n;
    slot[2] = (uint8_t)index;
    slot[3] = ((zt_netif_t *)netif->state)->generation;
    pbuf_copy_partial(p, slot + RECORD_HEAD, (u16_t)n, 0);
    ring_write += RECORD_HEAD + n;
    ZT_STORE(waiting, 1);
    zt_port_kick();
    return ERR_OK;
}

void zt_netif_ring_reset(void) {
    ring_read = ring_write = ring_wrap = 0;
    ZT_STORE(waiting, 0);
}

bool zt_netif_pending(void) {
    return ZT_LOAD(waiting) != 0;
}

uint32_t zt_netif_drops(void) {
    return ZT_LOAD(ring_drops);
}

int zt_netif_recv(uint8_t *buf, size_t size, int *n) {
    while (waiting != 0) {
        if (ring_wrap != 0 && ring_read == ring_wrap) {
            ring_read = 0;
            ring_wrap = 0;
            continue;
        }
        const uint8_t *slot = ring + ring_read;
        size_t len = (size_t)slot[0] << 8 | slot[1];
        int index = slot[2];
        bool wanted = zt_netifs[index].used && zt_netifs[index].generation == slot[3];
        bool fits = len <= size;
        if (wanted && fits) {
            memcpy(buf, slot + RECORD_HEAD, len);
        }
        ring_read += RECORD_HEAD + len;
        if (ring_wrap == 0 && ring_read == ring_write) {
            zt_netif_ring_reset();
        }
        if (!wanted) {
            continue; // left over from an interface that is gone, whoever has its number now
        }
        if (!fits) {
            ZT_STORE(ring_drops, ring_drops + 1);
            return ZT_NETIF_ERR_SMALL;
        }
        *n = index;
        return (int)len;
    }
    return 0;
}
