// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// lwIP's questions: about routes, answered by zt_netif_route.c from the managed routes of all networks,
// whether a packet may come in where it did (zt_netif_strong.c), and whether a TCP segment is fit to be read
// (zt_netif_tcp.c).

#ifndef ZT_NETIF_HOOKS_H
#define ZT_NETIF_HOOKS_H

#include "lwip/err.h"
#include "lwip/ip_addr.h"

struct netif;
struct pbuf;
struct tcp_hdr;

// src may be NULL or unspecified.
struct netif *zt_netif_route4(const ip4_addr_t *src, const ip4_addr_t *dest);
const ip4_addr_t *zt_netif_gateway4(struct netif *netif, const ip4_addr_t *dest);
struct netif *zt_netif_route6(const ip6_addr_t *src, const ip6_addr_t *dest);
const ip6_addr_t *zt_netif_gateway6(struct netif *netif, const ip6_addr_t *dest);

// An address of the interface that is on the target's link, or NULL.
const ip6_addr_t *zt_netif_source6(struct netif *netif, const ip6_addr_t *target);

// True if target is reached directly on the link whose interface has the address mine (a pointer into
// the interface).
int zt_netif_same_link6(const ip6_addr_t *target, const ip6_addr_t *mine);

// 1 where the packet is not for the interface it came in by; it is freed then.
int zt_netif_in4(struct pbuf *p, struct netif *inp);
int zt_netif_in6(struct pbuf *p, struct netif *inp);

// ERR_OK, or the segment is dropped. `options` bytes follow the header, from the first-th on in `second`
// if that is not NULL.
err_t zt_netif_tcp_in(const struct tcp_hdr *head, u16_t options, u16_t first, const u8_t *second);

#if NO_SYS // the stack is ours; on ESP-IDF see ports/esp32/zt_hooks_esp32.h
// LWIP_HOOK_IP4_ROUTE_SRC is in lwipopts.h: lwIP's own headers must know of it.
#define LWIP_HOOK_IP4_INPUT(p, inp) zt_netif_in4(p, inp)
#define LWIP_HOOK_IP6_INPUT(p, inp) zt_netif_in6(p, inp)
// lwIP's own first sequence number is a count of its ticks: who knows when a connection was made could write into it.
#define LWIP_HOOK_TCP_ISN(ip, port, remote_ip, remote_port) LWIP_RAND()
#define LWIP_HOOK_ETHARP_GET_GW(netif, dest) zt_netif_gateway4(netif, dest)
#define LWIP_HOOK_IP6_ROUTE(src, dest) zt_netif_route6(src, dest)
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, head, options, first, second, p) \
    zt_netif_tcp_in(head, options, first, second)
#define LWIP_HOOK_ND6_GET_GW(netif, dest) zt_netif_gateway6(netif, dest)
#endif

#endif
