// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Shared by the files of this folder only.

#ifndef ZT_NETIF_PRIV_H
#define ZT_NETIF_PRIV_H

#include "lwip/netif.h"
#include "zt_netif.h"

// The lwIP of ESP-IDF is a 2.1, where these have their older names.
#ifndef ip4_addr_eq
#define ip4_addr_eq(a, b) ip4_addr_cmp(a, b)
#define ip4_addr_net_eq(a, b, mask) ip4_addr_netcmp(a, b, mask)
#define ip6_addr_eq(a, b) ip6_addr_cmp(a, b)
#define ip6_addr_net_eq(a, b) ip6_addr_netcmp(a, b)
#endif

#define ZT_ETHERNET_HEADER 14
#define ZT_FRAME_MAX (10000 + ZT_ETHERNET_HEADER)

typedef struct {
    uint8_t len;     // 0 free, 4 or 16
    uint8_t bits;
    uint8_t via_len; // 0: on the link
    uint8_t uses;    // an address and a managed route may name the same prefix
    uint8_t ip[16];
    ip_addr_t via;
} zt_route_t;

typedef struct {
    struct netif netif;
    bool used;
    uint8_t index;
    uint8_t generation; // counts the networks that had this place
    zt_route_t routes[ZT_NETIF_ROUTES];
    uint8_t route_end; // none is in use from there on
} zt_netif_t;

// NULL where there was never one so far; memory that one had is its successor's.
extern zt_netif_t *zt_netifs[ZT_NETIF_MAX];
extern uint32_t zt_netif_serial;
extern uint32_t zt_netif_active;

zt_netif_t *zt_netif_get(int n);
// Where lwIP hands over a frame, and the frames that wait (zt_netif_output.c).
err_t zt_netif_link_output(struct netif *netif, struct pbuf *p);
void zt_netif_queue_reset(void);
// Where lwIP hands over an IPv6 packet (zt_nd6.c).
err_t zt_netif_output6(struct netif *netif, struct pbuf *p, const ip6_addr_t *dest);
// len 4 or 16; netif gives a link-local address its zone, NULL none.
void zt_netif_address(ip_addr_t *out, const uint8_t *ip, size_t len, struct netif *netif);

// By its name: an interface of the board's own may have any state.
static inline bool zt_netif_ours(const struct netif *netif) {
    return netif->name[0] == 'z' && netif->name[1] == 't';
}

static inline int zt_netif_index(const zt_netif_t *z) {
    return z->index;
}

#endif
