// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Addresses, name servers, learned MACs and multicast groups of the interfaces.

#include <string.h>

#include "lwip/dns.h"
#include "lwip/etharp.h"
#include "lwip/igmp.h"
#include "lwip/mld6.h"
#include "lwip/nd6.h"
#include "lwip/priv/nd6_priv.h"
#include "zt_netif_priv.h"

void zt_netif_address(ip_addr_t *out, const uint8_t *ip, size_t len, struct netif *netif) {
    memset(out, 0, sizeof(*out));
    if (len == 4) {
        IP_SET_TYPE_VAL(*out, IPADDR_TYPE_V4);
        memcpy(&ip_2_ip4(out)->addr, ip, 4);
    } else {
        IP_SET_TYPE_VAL(*out, IPADDR_TYPE_V6);
        memcpy(ip_2_ip6(out)->addr, ip, 16);
        if (netif != NULL) {
            ip6_addr_assign_zone(ip_2_ip6(out), IP6_UNKNOWN, netif);
        }
    }
}

static int addr4(zt_netif_t *z, const uint8_t *ip, unsigned bits, bool add) {
    ip4_addr_t a, mask, none;
    memcpy(&a.addr, ip, 4);
    ip4_addr_set_zero(&none);
    bool mine = ip4_addr_eq(&a, netif_ip4_addr(&z->netif));
    if (!add) {
        if (!mine) {
            return ZT_NETIF_ERR_NONE;
        }
        netif_set_addr(&z->netif, &none, &none, &none);
        return 0;
    }
    if (!mine && !ip4_addr_isany_val(*netif_ip4_addr(&z->netif))) {
        return ZT_NETIF_ERR_FULL;
    }
    mask.addr = bits == 0 ? 0 : lwip_htonl(0xffffffffu << (32 - bits));
    netif_set_addr(&z->netif, &a, &mask, &none);
    return 0;
}

static int addr6(zt_netif_t *z, const uint8_t *ip, unsigned bits, bool add) {
    ip_addr_t any;
    zt_netif_address(&any, ip, 16, &z->netif);
    const ip6_addr_t *a = ip_2_ip6(&any);
    s8_t i = (s8_t)netif_get_ip6_addr_match(&z->netif, a);
    if (!add) {
        if (i < 0) {
            return ZT_NETIF_ERR_NONE;
        }
        netif_ip6_addr_set_state(&z->netif, i, IP6_ADDR_INVALID);
        zt_netif_route(zt_netif_index(z), ip, 16, bits, NULL, 0, false);
        return 0;
    }
    if (i < 0 && netif_add_ip6_address(&z->netif, a, &i) != ERR_OK) {
        return ZT_NETIF_ERR_FULL;
    }
    // lwIP takes every prefix for a /64; the true one becomes a route on the link.
    int result = zt_netif_route(zt_netif_index(z), ip, 16, bits, NULL, 0, true);
    netif_ip6_addr_set_state(&z->netif, i, result == 0 ? IP6_ADDR_PREFERRED : IP6_ADDR_INVALID);
    return result;
}

int zt_netif_addr(int n, const uint8_t *ip, size_t ip_len, unsigned bits, bool add) {
    zt_netif_t *z = zt_netif_get(n);
    if (z == NULL) {
        return ZT_NETIF_ERR_INDEX;
    }
    if (ip_len == 4 && bits <= 32) {
        return addr4(z, ip, bits, add);
    }
    if (ip_len == 16 && bits <= 128) {
        return addr6(z, ip, bits, add);
    }
    return ZT_NETIF_ERR_ARG;
}

// The servers that a board's own link brought (DHCP) come back when the networks have none any more.
static void own_servers(bool ours) {
    static ip_addr_t saved[DNS_MAX_SERVERS];
    static bool replaced;
    bool change = ours != replaced;
    for (u8_t i = 0; change && i < DNS_MAX_SERVERS; i++) {
        if (ours) {
            ip_addr_copy(saved[i], *dns_getserver(i));
        } else {
            dns_setserver(i, &saved[i]);
        }
    }
    replaced = ours;
}

int zt_netif_dns(unsigned index, const uint8_t *ip, size_t ip_len) {
    if (index >= DNS_MAX_SERVERS) {
        return ZT_NETIF_ERR_FULL;
    }
    if (ip_len != 0 && ip_len != 4 && ip_len != 16) {
        return ZT_NETIF_ERR_ARG;
    }
    if (index == 0) {
        own_servers(ip_len != 0);
        if (ip_len == 0) {
            return ZT_NETIF_ERR_FULL; // the rest is the board's own, too
        }
    }
    ip_addr_t a;
    ip_addr_set_zero(&a);
    if (ip_len != 0) {
        zt_netif_address(&a, ip, ip_len, NULL);
    }
    dns_setserver((u8_t)index, &a);
    return 0;
}

bool zt_netif_mac(int n, const uint8_t *ip, size_t ip_len, uint8_t mac[6]) {
    zt_netif_t *z = zt_netif_get(n);
    if (z == NULL) {
        return false;
    }
    ip_addr_t a;
    zt_netif_address(&a, ip, ip_len, &z->netif);
    const u8_t *found = NULL;
    if (ip_len == 4) {
        struct eth_addr *eth;
        const ip4_addr_t *same;
        if (etharp_find_addr(&z->netif, ip_2_ip4(&a), &eth, &same) >= 0) {
            found = eth->addr;
        }
    } else {
        for (int i = 0; i < LWIP_ND6_NUM_NEIGHBORS && found == NULL; i++) {
            const struct nd6_neighbor_cache_entry *e = &neighbor_cache[i];
            if (e->state != ND6_NO_ENTRY && e->state != ND6_INCOMPLETE && e->netif == &z->netif
                && ip6_addr_eq(ip_2_ip6(&a), &e->next_hop_address)) {
                found = e->lladdr;
            }
        }
    }
    if (found != NULL) {
        memcpy(mac, found, 6);
    }
    return found != NULL;
}

// ---- multicast groups ----

int zt_netif_groups(int n, uint8_t *macs, size_t max) {
    zt_netif_t *z = zt_netif_get(n);
    if (z == NULL) {
        return ZT_NETIF_ERR_INDEX;
    }
    size_t count = 0;
    for (struct igmp_group *g = netif_igmp_data(&z->netif); g != NULL && count < max; g = g->next) {
        const uint8_t *a = (const uint8_t *)&g->group_address.addr;
        uint8_t *m = macs + 6 * count++;
        m[0] = 0x01;
        m[1] = 0x00;
        m[2] = 0x5e;
        m[3] = a[1] & 0x7f;
        m[4] = a[2];
        m[5] = a[3];
    }
    // Every IPv6 node hears all-nodes, which lwIP takes for granted and does not list.
    if (count < max) {
        memcpy(macs + 6 * count++, "\x33\x33\x00\x00\x00\x01", 6);
    }
    for (struct mld_group *g = netif_mld6_data(&z->netif); g != NULL && count < max; g = g->next) {
        uint8_t *m = macs + 6 * count++;
        m[0] = m[1] = 0x33;
        memcpy(m + 2, &g->group_address.addr[3], 4);
    }
    return (int)count;
}
