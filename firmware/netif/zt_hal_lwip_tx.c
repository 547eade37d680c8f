// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// See zt_hal_lwip.h: what goes out by the wires, in slots.

#include <string.h>

#include "lwip/ip.h"
#include "lwip/mem.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "lwip/sys.h"
#include "lwip/udp.h"
#include "zt_hal_lwip_priv.h"
#include "zt_netif_priv.h"
#include "zt_plane_port.h"

// ---- slots ----

#define HEAD LWIP_MEM_ALIGN_SIZE(PBUF_TRANSPORT)

// Of lwIP's memory, as any datagram.
typedef struct {
    struct pbuf_custom custom; // first: lwIP gives back its address
    uint8_t mem[];             // HEAD, then the datagram
} slot_t;

#define SLOT_SIZE(n) (offsetof(slot_t, mem) + LWIP_MEM_ALIGN_SIZE(HEAD + (n)))

static int slots; // at work
static struct pbuf *big; // a packet longer than a slot, until it is cut into pieces

static bool count_slot(int change) {
    SYS_ARCH_DECL_PROTECT(old);
    SYS_ARCH_PROTECT(old);
    bool may = change < 0 || slots < ZT_HAL_SLOTS;
    slots += may ? change : 0;
    SYS_ARCH_UNPROTECT(old);
    return may;
}

// In whichever thread a driver frees a packet it has sent.
static void slot_free(struct pbuf *p) {
    mem_free(p);
    count_slot(-1);
}

static slot_t *slot_get(size_t n) {
    bool may = count_slot(1);
    slot_t *s = may ? mem_malloc((mem_size_t)SLOT_SIZE(n)) : NULL;
    if (s != NULL) {
        s->custom.custom_free_function = slot_free;
        return s;
    }
    zt_hal_drops.tx_slot++;
    if (may) {
        count_slot(-1);
    }
    return NULL;
}

// ---- the way out ----

// The board's own interface for a destination, when the wire is bound to no address.
static struct netif *underlay(const ip_addr_t *to) {
    struct netif *netif;
    NETIF_FOREACH(netif) {
        if (zt_netif_ours(netif) || !netif_is_up(netif) || !netif_is_link_up(netif)) {
            continue;
        }
        if (!IP_IS_V6(to) && !ip4_addr_isany_val(*netif_ip4_addr(netif))
            && ip4_addr_net_eq(ip_2_ip4(to), netif_ip4_addr(netif), netif_ip4_netmask(netif))) {
            return netif;
        }
        for (s8_t i = 0; IP_IS_V6(to) && i < LWIP_IPV6_NUM_ADDRESSES; i++) {
            if (ip6_addr_isvalid(netif_ip6_addr_state(netif, i))
                && ip6_addr_net_eq(ip_2_ip6(to), netif_ip6_addr(netif, i))) {
                return netif;
            }
        }
    }
    return netif_default;
}

// Sends p, which stays the caller's.
static int transmit(const zt_hal_wire_t *w, const zt_addr_t *to, struct pbuf *p, unsigned ttl) {
    bool bound = !ip_addr_isany(&w->ip);
    ip_addr_t dest;
    zt_netif_address(&dest, to->ip, to->size, NULL);
    if (IP_IS_V6(&dest) != IP_IS_V6(&w->ip)) {
        return ZT_WIRE_EAFNOSUPPORT;
    }
    struct netif *netif = bound ? zt_hal_owner(&w->ip) : underlay(&dest);
    if (netif == NULL) {
        zt_hal_drops.tx_route++;
        return ZT_WIRE_ENETUNREACH;
    }
    if (zt_netif_ours(netif)) {
        zt_hal_drops.tx_loop++;
        return ZT_WIRE_EHOSTUNREACH;
    }
    if (IP_IS_V6(&dest)) {
        ip6_addr_assign_zone(ip_2_ip6(&dest), IP6_UNICAST, netif);
    }
    w->pcb->ttl = (u8_t)(ttl != 0 ? ttl : UDP_TTL);
    switch (udp_sendto_if(w->pcb, p, &dest, to->port, netif)) {
        case ERR_OK:
            zt_io_counters.tx_messages++;
            return 0;
        case ERR_RTE:
            zt_hal_drops.tx_route++;
            return ZT_WIRE_EHOSTUNREACH;
        case ERR_MEM:
        case ERR_BUF:
            zt_hal_drops.tx_stack++;
            return ZT_WIRE_ENOBUFS;
        default:
            zt_hal_drops.tx_stack++;
            return ZT_WIRE_ENETUNREACH;
    }
}

static int send_slot(const zt_hal_wire_t *w, const zt_addr_t *to, slot_t *s, size_t n, unsigned ttl) {
    struct pbuf *p = pbuf_alloced_custom(PBUF_TRANSPORT, (u16_t)n, PBUF_RAM, &s->custom, s->mem,
        (u16_t)LWIP_MEM_ALIGN_SIZE(HEAD + n));
    if (p == NULL) {
        slot_free(&s->custom.pbuf);
        return ZT_WIRE_EINVAL;
    }
    int result = transmit(w, to, p, ttl);
    pbuf_free(p);
    return result;
}

int zt_wire_send(int wire, const zt_addr_t *to, const uint8_t *data, size_t n, unsigned ttl) {
    const zt_hal_wire_t *w = zt_hal_wire(wire);
    if (w == NULL) {
        return ZT_WIRE_EBADF;
    }
    if (n > ZT_HAL_SLOT) {
        return ZT_WIRE_EINVAL;
    }
    slot_t *s = slot_get(n);
    if (s == NULL) {
        return ZT_WIRE_ENOBUFS;
    }
    memcpy(s->mem + HEAD, data, n);
    return send_slot(w, to, s, n, ttl);
}

// ---- for the plane ----

static uint8_t *wire_get(void *ctx, int wire, size_t n) {
    (void)ctx;
    if (zt_hal_wire(wire) == NULL) {
        return NULL;
    }
    if (n <= ZT_HAL_SLOT) {
        slot_t *s = slot_get(n);
        return s != NULL ? s->mem + HEAD : NULL;
    }
    if (big != NULL || n > ZT_HAL_SLOT_MAX) {
        return NULL;
    }
    big = pbuf_alloc(PBUF_RAW, (u16_t)n, PBUF_RAM);
    return big != NULL ? big->payload : NULL;
}

static void give_back(uint8_t *slot) {
    if (big != NULL && slot == big->payload) {
        pbuf_free(big);
        big = NULL;
    } else {
        slot_t *s = (slot_t *)(void *)(slot - HEAD - offsetof(slot_t, mem));
        slot_free(&s->custom.pbuf);
    }
}

static int wire_put(void *ctx, int wire, const zt_addr_t *to, uint8_t *slot, size_t n, size_t datagram) {
    (void)ctx;
    const zt_hal_wire_t *w = zt_hal_wire(wire);
    if (n == 0 || w == NULL) {
        give_back(slot);
        return n == 0 ? 0 : ZT_WIRE_EBADF;
    }
    if (n <= datagram && (big == NULL || slot != big->payload)) {
        int result = send_slot(w, to, (slot_t *)(void *)(slot - HEAD - offsetof(slot_t, mem)), n, 0);
        zt_io_counters.tx_refused += result != 0;
        return result;
    }
    // In pieces: the exception on a board (ZT_NETIF_MTU_MAX), so a copy of each.
    int result = 0;
    for (size_t at = 0; at < n && result == 0; at += datagram) {
        result = zt_wire_send(wire, to, slot + at, n - at < datagram ? n - at : datagram, 0);
    }
    zt_io_counters.tx_refused += result != 0;
    give_back(slot);
    return result;
}

const zt_hal_t zt_port_hal = { wire_get, wire_put, zt_hal_nic_input, NULL };
