// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The managed routes of all networks, and lwIP's questions about them.

#include <string.h>

#include "lwip/nd6.h"
#include "zt_netif_hooks.h"
#include "zt_netif_priv.h"

static bool prefix_matches(const uint8_t *a, const uint8_t *b, unsigned bits) {
    unsigned whole = bits / 8;
    if (memcmp(a, b, whole) != 0) {
        return false;
    }
    unsigned rest = bits % 8;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

static zt_route_t *same_route(zt_netif_t *z, const uint8_t *ip, size_t ip_len, unsigned bits, const uint8_t *via,
    size_t via_len) {
    for (int i = 0; i < z->route_end; i++) {
        zt_route_t *r = &z->routes[i];
        if (r->len != ip_len || r->bits != bits || r->via_len != via_len || !prefix_matches(r->ip, ip, bits)) {
            continue;
        }
        if (via_len == 0 || (via_len == 4 && memcmp(&ip_2_ip4(&r->via)->addr, via, 4) == 0)
            || (via_len == 16 && memcmp(ip_2_ip6(&r->via)->addr, via, 16) == 0)) {
            return r;
        }
    }
    return NULL;
}

int zt_netif_route(int n, const uint8_t *ip, size_t ip_len, unsigned bits, const uint8_t *via, size_t via_len,
    bool add) {
    zt_netif_t *z = zt_netif_get(n);
    if (z == NULL) {
        return ZT_NETIF_ERR_INDEX;
    }
    if ((ip_len != 4 && ip_len != 16) || bits > ip_len * 8 || (via_len != 0 && via_len != ip_len)) {
        return ZT_NETIF_ERR_ARG;
    }
    zt_route_t *r = same_route(z, ip, ip_len, bits, via, via_len);
    if (!add) {
        if (r == NULL) {
            return ZT_NETIF_ERR_NONE;
        }
        if (--r->uses == 0) {
            r->len = 0;
        }
        while (z->route_end != 0 && z->routes[z->route_end - 1].len == 0) {
            z->route_end--;
        }
    } else if (r != NULL) {
        r->uses = (uint8_t)(r->uses + (r->uses < 255));
    } else {
        r = z->routes;
        while (r < z->routes + ZT_NETIF_ROUTES && r->len != 0) {
            r++;
        }
        if (r == z->routes + ZT_NETIF_ROUTES) {
            return ZT_NETIF_ERR_FULL;
        }
        if (r == z->routes + z->route_end) {
            z->route_end++;
        }
        memset(r, 0, sizeof(*r));
        r->len = (uint8_t)ip_len;
        r->bits = (uint8_t)bits;
        r->via_len = (uint8_t)via_len;
        r->uses = 1;
        memcpy(r->ip, ip, ip_len);
        if (via_len != 0) {
            zt_netif_address(&r->via, via, via_len, &z->netif);
        }
    }
    nd6_clear_destination_cache();
    return 0;
}

// The longest matching prefix; on equal length the one entered first.
static const zt_route_t *find_route(const uint8_t *ip, size_t len, const zt_netif_t *only, zt_netif_t **owner) {
    const zt_route_t *best = NULL;
    for (int n = 0; n < ZT_NETIF_MAX; n++) {
        zt_netif_t *z = zt_netif_get(n);
        if (z == NULL || (only != NULL && z != only)) {
            continue;
        }
        for (int i = 0; i < z->route_end; i++) {
            const zt_route_t *r = &z->routes[i];
            if (r->len == len && (best == NULL || r->bits > best->bits) && prefix_matches(r->ip, ip, r->bits)) {
                best = r;
                if (owner != NULL) {
                    *owner = z;
                }
            }
        }
    }
    return best;
}

static const zt_netif_t *ours(const struct netif *netif) {
    return zt_netif_ours(netif) ? netif->state : NULL;
}

// ---- which network ----
// The one that has the destination as its own address; else the one that owns the source, if it leads
// to the destination at all: two networks may use the same subnet. Else the longest prefix, and on equal
// length the first network joined.

static int own_bits4(const zt_netif_t *z, const ip4_addr_t *dest) {
    const struct netif *n = &z->netif;
    if (ip4_addr_isany_val(*netif_ip4_addr(n)) || !ip4_addr_net_eq(dest, netif_ip4_addr(n), netif_ip4_netmask(n))) {
        return -1;
    }
    return __builtin_popcount(netif_ip4_netmask(n)->addr);
}

struct netif *zt_netif_route4(const ip4_addr_t *src, const ip4_addr_t *dest) {
    if (ip4_addr_ismulticast(dest) || ip4_addr_isloopback(dest)) {
        return NULL; // lwIP's own business
    }
    bool bound = src != NULL && !ip4_addr_isany_val(*src);
    zt_netif_t *found = NULL;
    int best = -1;
    for (int n = 0; n < ZT_NETIF_MAX; n++) {
        zt_netif_t *z = zt_netif_get(n);
        if (z == NULL) {
            continue;
        }
        if (ip4_addr_eq(dest, netif_ip4_addr(&z->netif))) {
            return &z->netif;
        }
        const zt_route_t *r = find_route((const uint8_t *)&dest->addr, 4, z, NULL);
        int own = own_bits4(z, dest);
        int bits = r != NULL && r->bits > own ? r->bits : own;
        if (bits >= 0 && bound && ip4_addr_eq(src, netif_ip4_addr(&z->netif))) {
            bits = 33;
        }
        if (bits > best) {
            best = bits;
            found = z;
        }
    }
    return found != NULL ? &found->netif : NULL;
}

const ip4_addr_t *zt_netif_gateway4(struct netif *netif, const ip4_addr_t *dest) {
    const zt_netif_t *z = ours(netif);
    const zt_route_t *r = z != NULL ? find_route((const uint8_t *)&dest->addr, 4, z, NULL) : NULL;
    if (r == NULL) {
        return NULL;
    }
    return r->via_len != 0 ? ip_2_ip4(&r->via) : dest;
}

// The prefix of each address is among the routes.
struct netif *zt_netif_route6(const ip6_addr_t *src, const ip6_addr_t *dest) {
    bool bound = src != NULL && !ip6_addr_isany(src);
    zt_netif_t *found = NULL;
    int best = -1;
    for (int n = 0; n < ZT_NETIF_MAX; n++) {
        zt_netif_t *z = zt_netif_get(n);
        if (z == NULL) {
            continue;
        }
        if (netif_get_ip6_addr_match(&z->netif, dest) >= 0) {
            return &z->netif;
        }
        const zt_route_t *r = find_route((const uint8_t *)dest->addr, 16, z, NULL);
        int bits = r != NULL ? r->bits : -1;
        if (bits >= 0 && bound && netif_get_ip6_addr_match(&z->netif, src) >= 0) {
            bits = 129;
        }
        if (bits > best) {
            best = bits;
            found = z;
        }
    }
    return found != NULL ? &found->netif : NULL;
}

const ip6_addr_t *zt_netif_gateway6(struct netif *netif, const ip6_addr_t *dest) {
    const zt_netif_t *z = ours(netif);
    const zt_route_t *r = z != NULL ? find_route((const uint8_t *)dest->addr, 16, z, NULL) : NULL;
    if (r == NULL) {
        return NULL;
    }
    return r->via_len != 0 ? ip_2_ip6(&r->via) : dest;
}

// The one whose prefix brought the target onto the link.
const ip6_addr_t *zt_netif_source6(struct netif *netif, const ip6_addr_t *target) {
    const zt_netif_t *z = ours(netif);
    const zt_route_t *r = z != NULL ? find_route((const uint8_t *)target->addr, 16, z, NULL) : NULL;
    for (s8_t i = 0; r != NULL && i < LWIP_IPV6_NUM_ADDRESSES; i++) {
        const ip6_addr_t *a = netif_ip6_addr(netif, i);
        if (ip6_addr_isvalid(netif_ip6_addr_state(netif, i)) && prefix_matches(r->ip, (const uint8_t *)a->addr, r->bits)) {
            return a;
        }
    }
    return NULL;
}

int zt_netif_same_link6(const ip6_addr_t *target, const ip6_addr_t *mine) {
    if (ip6_addr_islinklocal(target) || ip6_addr_islinklocal(mine)) {
        return ip6_addr_islinklocal(target) && ip6_addr_islinklocal(mine);
    }
    for (int n = 0; n < ZT_NETIF_MAX; n++) {
        const zt_netif_t *z = zt_netif_get(n);
        if (z != NULL && (const uint8_t *)mine >= (const uint8_t *)&z->netif
            && (const uint8_t *)mine < (const uint8_t *)(&z->netif + 1)) {
            const zt_route_t *r = find_route((const uint8_t *)target->addr, 16, z, NULL);
            return r != NULL && r->via_len == 0;
        }
    }
    return ip6_addr_net_eq(target, mine);
}
