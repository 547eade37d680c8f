// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// lwIP's neighbour discovery, changed in three things. Where the stack is ours it is included here as text;
// where it is not (ESP-IDF) the linker brings nd6_input() and nd6_tmr() here (--wrap).
//
// Its idea of "on this link": lwIP takes every prefix for a /64 and sends no solicitation for a target
// outside of those of its own addresses. The prefixes of a network are of any length; the routes of
// zt_netif_route.c know which. Where the stack is not ours they are asked for what lies outside, by a hook of
// lwIP's, and lwIP then has the packet wait for the neighbour but does not solicit; that is done here. (A
// network whose prefix is longer than /64 is still taken for one.)
//
// What it listens to: every message passes nd6_input() below first, after lwIP has read past extension
// headers and joined fragments, so that nothing hides it.
//
// What it sends when a neighbour has answered: zt_netif_output6() ends a loop without end.

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lwip/ethip6.h"
#include "lwip/icmp6.h"
#include "lwip/inet_chksum.h"
#include "lwip/ip.h"
#include "lwip/ip6_addr.h"
#include "lwip/priv/nd6_priv.h"
#include "lwip/timeouts.h"
#include "zt_netif_hooks.h"
#include "zt_netif_priv.h"

#if NO_SYS
#undef ip6_addr_net_eq
#define ip6_addr_net_eq(target, mine) zt_netif_same_link6(target, mine)
#define nd6_input lwip_nd6_input

#include "core/ipv6/nd6.c"

#undef nd6_input
#define INPUT nd6_input
#define LWIP_INPUT lwip_nd6_input
#else
#define INPUT __wrap_nd6_input
#define LWIP_INPUT __real_nd6_input
void LWIP_INPUT(struct pbuf *p, struct netif *inp);
#endif

void INPUT(struct pbuf *p, struct netif *inp);

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

#define ND_HEAD 24 // of a solicitation or an advertisement, before its options
#define PTB_HEAD 8

// RFC 4861, 7.1: the sender is on this link, no option is empty or goes over the end. lwIP takes the
// first option for the link-layer address without looking, so another one is cut off.
static bool is_neighbour_message(struct pbuf *p, uint8_t option) {
    const uint8_t *m = p->payload;
    if (p->len < ND_HEAD || IP6H_HOPLIM(ip6_current_header()) != 255) {
        return false;
    }
    for (size_t at = ND_HEAD; at < p->len;) {
        size_t size = at + 1 < p->len ? (size_t)m[at + 1] * 8 : 0;
        if (size == 0 || size > p->len - at) {
            return false;
        }
        at += size;
    }
    if (p->len > ND_HEAD && (m[ND_HEAD] != option || m[ND_HEAD + 1] != 1)) {
        pbuf_realloc(p, ND_HEAD);
    }
    return true;
}

// RFC 8201: nobody may ask for less than IPv6's least MTU. lwIP would make fragments of no bytes, for
// ever. More than the network's own is not believed, nor the word of a network that the packets in
// question do not take.
static bool is_too_big_message(const struct pbuf *p, const struct netif *inp) {
    if (p->len < PTB_HEAD + IP6_HLEN) {
        return false;
    }
    const uint8_t *m = p->payload;
    uint32_t mtu = (uint32_t)m[4] << 24 | (uint32_t)m[5] << 16 | (uint32_t)m[6] << 8 | m[7];
    ip6_addr_t dest;
    memset(&dest, 0, sizeof(dest));
    memcpy(dest.addr, m + PTB_HEAD + 24, 16);
    return mtu >= IP6_MIN_MTU_LENGTH && mtu < netif_mtu6(inp) && zt_netif_route6(NULL, &dest) == inp;
}

static bool listen_to(struct pbuf *p, struct netif *inp) {
    uint8_t type = *(const uint8_t *)p->payload;
    if (p->len != p->tot_len) {
        return false; // put together of fragments (RFC 6980)
    }
    if (type == ICMP6_TYPE_PTB) {
        return is_too_big_message(p, inp);
    }
    // The controller alone says where routes go: no router's and no redirecting member's word counts.
    if ((type != ICMP6_TYPE_NS && type != ICMP6_TYPE_NA) || !is_neighbour_message(p, type == ICMP6_TYPE_NS ? 1 : 2)) {
        return false;
    }
    ip6_addr_t target;
    memset(&target, 0, sizeof(target));
    memcpy(target.addr, (const uint8_t *)p->payload + 8, 16);
    ip6_addr_assign_zone(&target, IP6_UNICAST, inp);
    return !of_another_network(&target, inp) && !of_another_network(ip6_current_src_addr(), inp);
}

// When a neighbour has answered, lwIP sends what waited for it. A packet may find its way through another
// neighbour by now, and if the table is full that one takes the place of the first: lwIP puts the packet
// back where it takes the next from, for ever. No more than can wait is sent for one message.
static unsigned may_send = UINT_MAX;

void INPUT(struct pbuf *p, struct netif *inp) {
    #if !NO_SYS
    if (!zt_netif_ours(inp)) {
        LWIP_INPUT(p, inp);
        return;
    }
    #endif
    if (p->len == 0 || !listen_to(p, inp)) {
        pbuf_free(p);
        return;
    }
    may_send = MEMP_NUM_ND6_QUEUE + 4; // and answers of its own
    LWIP_INPUT(p, inp);
    may_send = UINT_MAX;
}

// ---- neighbours outside of the /64 of our addresses ----

#if !NO_SYS
void __wrap_nd6_tmr(void);
void __real_nd6_tmr(void);

// Does lwIP solicit by itself?
static bool within_64(const struct netif *netif, const ip6_addr_t *target) {
    for (s8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
        if (ip6_addr_isvalid(netif_ip6_addr_state(netif, i)) && ip6_addr_net_eq(target, netif_ip6_addr(netif, i))) {
            return true;
        }
    }
    return false;
}

// To all who may have the address, or to a neighbour who had it.
static void solicit(const struct nd6_neighbor_cache_entry *e) {
    const ip6_addr_t target = e->next_hop_address;
    const ip6_addr_t *source = zt_netif_source6(e->netif, &target);
    struct pbuf *p = source != NULL ? pbuf_alloc(PBUF_IP, ND_HEAD + 8, PBUF_RAM) : NULL;
    if (p == NULL) {
        return; // the next tick asks again
    }
    uint8_t *m = p->payload;
    memset(m, 0, ND_HEAD + 8);
    m[0] = ICMP6_TYPE_NS;
    memcpy(m + 8, target.addr, 16);
    m[ND_HEAD] = 1; // our link-layer address
    m[ND_HEAD + 1] = 1;
    memcpy(m + ND_HEAD + 2, e->netif->hwaddr, 6);
    ip6_addr_t dest = target;
    if (e->state == ND6_INCOMPLETE) {
        ip6_addr_set_solicitednode(&dest, target.addr[3]);
        ip6_addr_assign_zone(&dest, IP6_MULTICAST, e->netif);
    }
    uint16_t sum = ip6_chksum_pseudo(p, IP6_NEXTH_ICMP6, p->tot_len, source, &dest);
    memcpy(m + 2, &sum, sizeof(sum));
    ip6_output_if(p, source, &dest, 255, 0, IP6_NEXTH_ICMP6, e->netif);
    pbuf_free(p);
}

static uint32_t asked; // for which neighbours since the last tick, a bit each
static bool soon;      // solicit_new() will run
_Static_assert(LWIP_ND6_NUM_NEIGHBORS <= 32, "a bit each");

// lwIP has just begun to look for it.
static bool is_new(int i) {
    const struct nd6_neighbor_cache_entry *e = &neighbor_cache[i];
    return e->state == ND6_INCOMPLETE && e->counter.probes_sent == 1 && (asked >> i & 1) == 0
           && zt_netif_ours(e->netif) && !within_64(e->netif, &e->next_hop_address);
}

static void solicit_new(void *arg) {
    (void)arg;
    soon = false;
    for (int i = 0; i < LWIP_ND6_NUM_NEIGHBORS; i++) {
        if (is_new(i)) {
            asked |= (uint32_t)1 << i;
            solicit(&neighbor_cache[i]);
        }
    }
}

// After the packet that waits for it, which may be far down on the stack.
static void solicit_soon(void) {
    for (int i = 0; i < LWIP_ND6_NUM_NEIGHBORS && !soon; i++) {
        if (is_new(i)) {
            soon = true;
            sys_timeout(0, solicit_new, NULL);
        }
    }
}

// lwIP has counted the tick: it gives a neighbour up after so many of them without an answer.
void __wrap_nd6_tmr(void) {
    __real_nd6_tmr();
    for (int i = 0; i < LWIP_ND6_NUM_NEIGHBORS; i++) {
        const struct nd6_neighbor_cache_entry *e = &neighbor_cache[i];
        if ((e->state == ND6_INCOMPLETE || e->state == ND6_PROBE) && zt_netif_ours(e->netif)
            && !within_64(e->netif, &e->next_hop_address)) {
            solicit(e);
        }
    }
    asked = 0;
    soon = false;
}
#endif

err_t zt_netif_output6(struct netif *netif, struct pbuf *p, const ip6_addr_t *dest) {
    // An answer to nobody; lwIP would find "nobody" in the unused entries of its table.
    if (may_send == 0 || ip6_addr_isany(dest)) {
        return ERR_VAL;
    }
    may_send -= may_send != UINT_MAX;
    err_t result = ethip6_output(netif, p, dest);
    #if !NO_SYS
    if (!ip6_addr_ismulticast(dest)) {
        solicit_soon();
    }
    #endif
    return result;
}
