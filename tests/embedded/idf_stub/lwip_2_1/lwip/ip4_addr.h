// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// ESP-IDF's lwIP is a 2.1 up to 5.3: what 2.2 named anew has the old name only.

#include_next <lwip/ip4_addr.h>

#undef ip4_addr_eq
#undef ip4_addr_net_eq
#undef ip4_addr_cmp
#undef ip4_addr_netcmp
#define ip4_addr_cmp(a, b) ((a)->addr == (b)->addr)
#define ip4_addr_netcmp(a, b, mask) (((a)->addr & (mask)->addr) == ((b)->addr & (mask)->addr))
