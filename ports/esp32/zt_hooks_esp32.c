// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// ESP-IDF's names for lwIP's questions, and lwIP's timers, which run by themselves there.

#include "lwip_default_hooks.h"
#include "zt_hooks_esp32.h"
#include "zt_netif.h"
#include "zt_netif_hooks.h"
#include "zt_netif_priv.h"

struct netif *zt_esp32_route4(const ip4_addr_t *src, const ip4_addr_t *dest) {
    struct netif *netif = zt_netif_route4(src, dest);
    return netif != NULL ? netif : ip4_route_src_hook(src, dest);
}

struct netif *lwip_hook_ip6_route(const ip6_addr_t *src, const ip6_addr_t *dest) {
    return zt_netif_route6(src, dest);
}

const ip6_addr_t *lwip_hook_nd6_get_gw(struct netif *netif, const ip6_addr_t *dest) {
    return zt_netif_gateway6(netif, dest);
}

// Ours stands in for ESP-IDF's own, and does its part: an interface without a link-local address has no IPv6,
// so that nobody configures it by what all nodes hear.
int lwip_hook_ip6_input(struct pbuf *p, struct netif *inp) {
    if (!zt_netif_ours(inp) && ip6_addr_isany(netif_ip6_addr(inp, 0))) {
        pbuf_free(p);
        return 1;
    }
    return zt_netif_in6(p, inp);
}

int32_t zt_netif_poll(void) {
    return -1;
}
