// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// lwIP's neighbour discovery (included as text), changed in two things.
//
// Its idea of "on this link": lwIP takes every prefix for a /64 and sends no solicitation for a target
// outside of those of its own addresses. The prefixes of a network are of any length; the routes of
// zt_netif_route.c know which.
//
// What it listens to: every message passes nd6_input() below first, after lwIP has read past extension
// headers and joined fragments, so that nothing hides it.

#include <stdbool.h>
#include <stdint.h>

#include "lwip/ip6_addr.h"
#include "zt_netif_hooks.h"

#undef ip6_addr_net_eq
#define ip6_addr_net_eq(target, mine) zt_netif_same_link6(target, mine)
#define nd6_input lwip_nd6_input

#include "core/ipv6/nd6.c"

#undef nd6_input

void nd6_input(struct pbuf *p, struct netif *inp);

// lwIP keeps the neighbours of all networks in one table by address alone. A member of one network must
// not change what we know of a neighbour in another.
static bool of_another_network(const ip6_addr_t *a, const struct netif *inp) {
    for (int i = 0; i < LWIP_ND6_NUM_NEIGHBORS; i++) {
        const struct nd6_neighbor_cache_entry *e = &neighbor_cache[i];
        if (e->state != ND6_NO_ENTRY && e->netif != inp && ip6_addr_eq(a, &e->next_hop_address)) {
            return true;
        }
    }
    return false;
}

static bool listen_to(const struct pbuf *p, struct netif *inp) {
    uint8_t type = *(const uint8_t *)p->payload;
    if (type == ICMP6_TYPE_RA || type == ICMP6_TYPE_RD) {
        return false; // the controller alone says where routes go, never a member
    }
    if (type == ICMP6_TYPE_NS || type == ICMP6_TYPE_NA) {
        struct {
            uint8_t head[8];
            ip6_addr_p_t target;
        } message;
        ip6_addr_t target;
        if (pbuf_copy_partial(p, &message, sizeof(message), 0) != sizeof(message)) {
            return false;
        }
        ip6_addr_copy_from_packed(target, message.target);
        ip6_addr_assign_zone(&target, IP6_UNICAST, inp);
        return !of_another_network(&target, inp) && !of_another_network(ip6_current_src_addr(), inp);
    }
    return true;
}

void nd6_input(struct pbuf *p, struct netif *inp) {
    if (p->len == 0 || !listen_to(p, inp)) {
        pbuf_free(p);
        return;
    }
    lwip_nd6_input(p, inp);
}
