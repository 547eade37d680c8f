// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// ESP-IDF's lwIP is a 2.1 up to 5.3: what 2.2 named anew has the old name only.

#include_next <lwip/ip6_addr.h>

#undef ip6_addr_eq
#undef ip6_addr_net_eq
#undef ip6_addr_cmp
#undef ip6_addr_netcmp
#define ip6_addr_cmp(a, b) (ip6_addr_zoneless_eq(a, b) && ip6_addr_zone_eq(a, b))
#define ip6_addr_netcmp(a, b) (ip6_addr_net_zoneless_eq(a, b) && ip6_addr_zone_eq(a, b))
