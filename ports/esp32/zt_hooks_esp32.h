// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Included into lwIP's own files by ESP-IDF (ESP_IDF_LWIP_HOOK_FILENAME, set by
// firmware/modules/micropython.cmake): where the routes of networks, and the checks of where a packet
// came in and of what a peer says in TCP's options, enter lwIP. Those of IPv6 have settings of their own (sdkconfig.zt).

#ifndef ZT_HOOKS_ESP32_H
#define ZT_HOOKS_ESP32_H

#include "lwip/arch.h"
#include "lwip/err.h"
#include "lwip/ip_addr.h"

struct netif;
struct pbuf;
struct tcp_hdr;

struct netif *zt_esp32_route4(const ip4_addr_t *src, const ip4_addr_t *dest);
const ip4_addr_t *zt_netif_gateway4(struct netif *netif, const ip4_addr_t *dest);
int zt_netif_in4(struct pbuf *p, struct netif *inp);
err_t zt_netif_tcp_in(const struct tcp_hdr *head, u16_t options, u16_t first, const u8_t *second);

// ESP-IDF's own, by source address; ours asks it what it does not know.
#undef LWIP_HOOK_IP4_ROUTE_SRC
#define LWIP_HOOK_IP4_ROUTE_SRC(src, dest) zt_esp32_route4(src, dest)
#define LWIP_HOOK_IP4_INPUT(p, inp) zt_netif_in4(p, inp)
#define LWIP_HOOK_ETHARP_GET_GW(netif, dest) zt_netif_gateway4(netif, dest)
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, head, options, first, second, p) \
    zt_netif_tcp_in(head, options, first, second)

#endif
