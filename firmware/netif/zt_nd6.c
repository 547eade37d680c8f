// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// lwIP's neighbour discovery (included as text), with its idea of "on this link" replaced. lwIP takes
// every prefix for a /64 and sends no solicitation for a target outside of those of its own addresses.
// The prefixes of a network are of any length; the routes of zt_netif_route.c know which.

#include "lwip/ip6_addr.h"
#include "zt_netif_hooks.h"

#undef ip6_addr_net_eq
#define ip6_addr_net_eq(target, mine) zt_netif_same_link6(target, mine)

#include "core/ipv6/nd6.c"
