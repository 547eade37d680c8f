// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// See zt_hal_lwip.h: what comes in by the wires, to the plane or to Python.

#include <string.h>

#include "lwip/ip.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "lwip/udp.h"
#include "netif/ethernet.h"
#include "zt_atomic.h"
#include "zt_hal_lwip_priv.h"
#include "zt_netif_priv.h"
#include "zt_plane_port.h"

// ---- what waits for Python, or behind what waits for Python ----

static struct {
    struct pbuf *p;
    zt_addr_t from;
    int wire;
} queue[ZT_HAL_QUEUE];
static unsigned queue_first;
static uint32_t queue_count; // any thread may look whether there is any

static bool queue_put(int wire, const zt_addr_t *from, struct pbuf *p) {
    if (queue_count == ZT_HAL_QUEUE) {
        return false;
    }
    unsigned i = (queue_first + queue_count) % ZT_HAL_QUEUE;
    ZT_STORE(queue_count, queue_count + 1);
    queue[i].p = p;
    queue[i].from = *from;
    queue[i].wire = wire;
    return true;
}

static struct pbuf *queue_get(int *wire, zt_addr_t *from) {
    unsigned i = queue_first;
    *wire = queue[i].wire;
    *from = queue[i].from;
    queue_first = (queue_first + 1) % ZT_HAL_QUEUE;
    ZT_STORE(queue_count, queue_count - 1);
    return queue[i].p;
}

void zt_hal_rx_forget(int wire) {
    for (unsigned left = queue_count; left != 0; left--) {
        int from_wire;
        zt_addr_t from;
        struct pbuf *p = queue_get(&from_wire, &from);
        if (wire < 0 || from_wire == wire) {
            pbuf_free(p);
        } else {
            queue_put(from_wire, &from, p);
        }
    }
}

bool zt_port_waiting(void) {
    return ZT_LOAD(queue_count) != 0;
}

// ---- to the plane ----

typedef struct {
    struct pbuf *p;
    bool taken; // lwIP has it
} owner_t;

// How much may be decrypted in one stretch of time, in bytes; a packet costs the same as so many more.
#define PACKET_COST 256

static bool within_budget(uint32_t now, size_t n) {
    static uint32_t since;
    static uint32_t spent;
    if (now - since >= ZT_HAL_BUDGET_MS) {
        since = now;
        spent = 0;
    }
    if (spent >= ZT_HAL_BUDGET) {
        return false;
    }
    spent += PACKET_COST + (uint32_t)n;
    return true;
}

// Brings a datagram to the plane and lets go of it.
static void process(int wire, const zt_addr_t *from, struct pbuf *p) {
    uint32_t now = zt_port_ms();
    if (!within_budget(now, p->tot_len)) {
        zt_hal_drops.rx_budget++;
        pbuf_free(p);
        return;
    }
    if (p->next != NULL || p->ref != 1) {
        // In pieces, or somebody else's too: not ours to write to.
        struct pbuf *copy = pbuf_alloc(PBUF_RAW, p->tot_len, PBUF_RAM);
        if (copy == NULL) {
            zt_hal_drops.rx_memory++;
            pbuf_free(p);
            return;
        }
        pbuf_copy(copy, p);
        pbuf_free(p);
        p = copy;
    }
    zt_io_counters.rx_messages++;
    zt_io_counters.rx_datagrams++;
    owner_t owner = { p, false };
    zt_plane_rx(zt_plane, now, wire, from, p->payload, p->len, &owner);
    if (!owner.taken) {
        pbuf_free(p);
    }
}

#define FRAME_MIN 60

void zt_hal_nic_input(void *ctx, int nic, void *owner_in, uint8_t *frame, size_t n) {
    (void)ctx;
    owner_t *owner = owner_in;
    zt_netif_t *z = zt_netif_get(nic);
    if (owner == NULL || z == NULL || n < FRAME_MIN) {
        zt_netif_input(nic, frame, n);
        return;
    }
    // The frame lies in the datagram's own pbuf, which now becomes the frame's.
    struct pbuf *p = owner->p;
    p->payload = frame;
    p->len = p->tot_len = (u16_t)n;
    owner->taken = true;
    zt_netif_active++;
    if (ethernet_input(p, &z->netif) != ERR_OK) {
        pbuf_free(p);
    }
}

static void to_address(zt_addr_t *out, const ip_addr_t *ip, uint16_t port) {
    memset(out, 0, sizeof(*out));
    out->port = port;
    if (IP_IS_V6(ip)) {
        out->size = 16;
        memcpy(out->ip, ip_2_ip6(ip)->addr, 16);
    } else {
        out->size = 4;
        memcpy(out->ip, &ip_2_ip4(ip)->addr, 4);
    }
}

void zt_hal_received(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *ip, u16_t port) {
    (void)pcb;
    int wire = zt_hal_wire_number(arg);
    zt_addr_t from;
    if (zt_netif_ours(ip_current_input_netif())) {
        // Out of one of our networks, to all: one to the board's own address is refused before
        // (zt_netif_strong.c). A tunnel in the tunnel has no end, and the plane is not to be entered from within.
        zt_hal_drops.rx_loop++;
        pbuf_free(p);
        return;
    }
    to_address(&from, ip, port);
    if (zt_plane == NULL) {
        if (!queue_put(wire, &from, p)) {
            zt_hal_drops.rx_full++;
            pbuf_free(p);
        }
        zt_port_kick();
        return;
    }
    if (queue_count != 0 || zt_plane_pending()) {
        if (queue_count == ZT_HAL_QUEUE) {
            // Python does not keep up: better out of order by a few packets than lost.
            int first;
            zt_addr_t first_from;
            struct pbuf *oldest = queue_get(&first, &first_from);
            process(first, &first_from, oldest);
        }
        queue_put(wire, &from, p);
        return;
    }
    process(wire, &from, p);
}

void zt_port_plane(void) {
    zt_hal_rx_forget(-1);
}

bool zt_port_drain(void) {
    // One that waits behind an event waits until Python has taken it, whoever calls.
    while (zt_plane != NULL && queue_count != 0 && !zt_plane_pending()) {
        int wire;
        zt_addr_t from;
        struct pbuf *p = queue_get(&wire, &from);
        process(wire, &from, p);
    }
    return zt_port_more();
}

bool zt_port_more(void) {
    return zt_plane != NULL && queue_count != 0;
}

void zt_port_flush(void) {
    // Nothing is kept back.
}

// ---- to Python, where there is no plane ----

int zt_wire_recv(int wire, uint8_t *buf, size_t size, zt_addr_t *from) {
    if (zt_hal_wire(wire) == NULL) {
        return -ZT_WIRE_EBADF;
    }
    // The queue is short and in order; other wires' datagrams stay where they are.
    for (unsigned i = 0; i < queue_count; i++) {
        unsigned at = (queue_first + i) % ZT_HAL_QUEUE;
        if (queue[at].wire != wire) {
            continue;
        }
        struct pbuf *p = queue[at].p;
        *from = queue[at].from;
        for (; i + 1 < queue_count; i++) {
            unsigned next = (at + 1) % ZT_HAL_QUEUE;
            queue[at] = queue[next];
            at = next;
        }
        ZT_STORE(queue_count, queue_count - 1);
        size_t n = p->tot_len <= size ? p->tot_len : 0; // larger than any packet of ours
        pbuf_copy_partial(p, buf, (u16_t)n, 0);
        pbuf_free(p);
        if (n == 0) {
            return zt_wire_recv(wire, buf, size, from);
        }
        return (int)n;
    }
    return 0;
}
