// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The board's Ethernet.

#ifndef ZT_LAN_H
#define ZT_LAN_H

#include <stdbool.h>
#include <stdint.h>

#include "lwip/ip4_addr.h"
#include "lwip/netif.h"

// False without a card. Asks for addresses by DHCP unless they were set.
bool zt_lan_up(void);
void zt_lan_down(void);
// Set before or after it is up; an address of zero means DHCP.
void zt_lan_static(const ip4_addr_t *ip, const ip4_addr_t *mask, const ip4_addr_t *gateway, const ip4_addr_t *dns);
const struct netif *zt_lan_netif(void);
// Frames lost for want of memory or of a buffer of the card.
uint32_t zt_lan_dropped(void);

#endif
