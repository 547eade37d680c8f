// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// In ESP-IDF this is the hook file of every lwIP source; it includes ours.

#ifndef LWIP_DEFAULT_HOOKS_H
#define LWIP_DEFAULT_HOOKS_H

#include "lwip/arch.h"
#include "lwip/err.h"
#include "lwip/ip_addr.h"

#ifdef ESP_IDF_LWIP_HOOK_FILENAME
#include ESP_IDF_LWIP_HOOK_FILENAME
#endif

struct netif;
struct pbuf;

struct netif *lwip_hook_ip6_route(const ip6_addr_t *src, const ip6_addr_t *dest);
#define LWIP_HOOK_IP6_ROUTE lwip_hook_ip6_route
const ip6_addr_t *lwip_hook_nd6_get_gw(struct netif *netif, const ip6_addr_t *dest);
#define LWIP_HOOK_ND6_GET_GW lwip_hook_nd6_get_gw
int lwip_hook_ip6_input(struct pbuf *p, struct netif *inp);
#define LWIP_HOOK_IP6_INPUT lwip_hook_ip6_input
struct netif *ip4_route_src_hook(const ip4_addr_t *src, const ip4_addr_t *dest);

#endif
