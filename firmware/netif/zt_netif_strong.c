// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Which packets are ours to take. lwIP takes a packet for any address of the machine from any of its interfaces
// (the weak host model, RFC 1122, 3.3.4.2): whoever shares a board's Wi-Fi would reach what a program has bound to
// an address on a network. An address of a network is reached through that network, and nothing else through it.

#include <string.h>

#include "lwip/ip4.h"
#include "lwip/ip6.h"
#include "lwip/pbuf.h"
#include "zt_netif_hooks.h"
#include "zt_netif_priv.h"

static bool holds4(const struct netif *n, const ip4_addr_t *dest) {
    return !ip4_addr_isany_val(*netif_ip4_addr(n))
           && (ip4_addr_eq(dest, netif_ip4_addr(n)) || ip4_addr_isbroadcast(dest, n));
}

static bool holds6(const struct netif *n, const uint8_t *dest) {
    for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
        if (!ip6_addr_isinvalid(netif_ip6_addr_state(n, i)) && memcmp(netif_ip6_addr(n, i)->addr, dest, 16) == 0) {
            return true;
        }
    }
    return false;
}

static int refuse(struct pbuf *p) {
    pbuf_free(p);
    return 1;
}

int zt_netif_in4(struct pbuf *p, struct netif *inp) {
    ip4_addr_t dest;
    if (p->len < IP_HLEN) {
        return 0; // lwIP drops it
    }
    memcpy(&dest.addr, (const uint8_t *)p->payload + 16, 4);
    // What all hear comes in everywhere: DHCP's answers to an interface that has no address yet, too.
    if (ip4_addr_ismulticast(&dest) || dest.addr == IPADDR_BROADCAST || holds4(inp, &dest)) {
        return 0;
    }
    const struct netif *n;
    NETIF_FOREACH(n) {
        if (n != inp && (zt_netif_ours(n) || zt_netif_ours(inp)) && holds4(n, &dest)) {
            return refuse(p);
        }
    }
    return 0;
}

int zt_netif_in6(struct pbuf *p, struct netif *inp) {
    if (p->len < IP6_HLEN) {
        return 0;
    }
    const uint8_t *dest = (const uint8_t *)p->payload + 24;
    bool link_local = dest[0] == 0xfe && (dest[1] & 0xc0) == 0x80; // lwIP asks for the zone itself
    if (dest[0] == 0xff || link_local || holds6(inp, dest)) {
        return 0;
    }
    const struct netif *n;
    NETIF_FOREACH(n) {
        if (n != inp && (zt_netif_ours(n) || zt_netif_ours(inp)) && holds6(n, dest)) {
            return refuse(p);
        }
    }
    return 0;
}
