// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Managed routes, multicast groups, lwIP's timers and ping. lwIP's own timer list is not used: it
// wakes ten times a second for multicast reports that are hardly ever due, and an idle node should
// sleep. Each timer here says whether it is needed at all.

#include <string.h>

#include "lwip/dns.h"
#include "lwip/etharp.h"
#include "lwip/icmp.h"
#include "lwip/icmp6.h"
#include "lwip/igmp.h"
#include "lwip/inet_chksum.h"
#include "lwip/ip.h"
#include "lwip/ip4_frag.h"
#include "lwip/ip6_frag.h"
#include "lwip/mld6.h"
#include "lwip/nd6.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/raw.h"
#include "zt_netif_hooks.h"
#include "zt_netif_priv.h"

// ---- routes ----

static bool prefix_matches(const uint8_t *a, const uint8_t *b, unsigned bits) {
    unsigned whole = bits / 8;
    if (memcmp(a, b, whole) != 0) {
        return false;
    }
    unsigned rest = bits % 8;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

static void to_addr(ip_addr_t *out, const uint8_t *ip, size_t len, struct netif *netif) {
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

static zt_route_t *same_route(zt_netif_t *z, const uint8_t *ip, size_t ip_len, unsigned bits, const uint8_t *via,
    size_t via_len) {
    for (int i = 0; i < ZT_NETIF_ROUTES; i++) {
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
    } else if (r != NULL) {
        r->uses++;
    } else {
        r = z->routes;
        while (r < z->routes + ZT_NETIF_ROUTES && r->len != 0) {
            r++;
        }
        if (r == z->routes + ZT_NETIF_ROUTES) {
            return ZT_NETIF_ERR_FULL;
        }
        memset(r, 0, sizeof(*r));
        r->len = (uint8_t)ip_len;
        r->bits = (uint8_t)bits;
        r->via_len = (uint8_t)via_len;
        r->uses = 1;
        memcpy(r->ip, ip, ip_len);
        if (via_len != 0) {
            to_addr(&r->via, via, via_len, &z->netif);
        }
    }
    nd6_clear_destination_cache();
    return 0;
}

// The longest matching prefix; on equal length the first network joined.
static const zt_route_t *find_route(const uint8_t *ip, size_t len, const zt_netif_t *only, zt_netif_t **owner) {
    const zt_route_t *best = NULL;
    for (int n = 0; n < ZT_NETIF_MAX; n++) {
        zt_netif_t *z = &zt_netifs[n];
        if (!z->used || (only != NULL && z != only)) {
            continue;
        }
        for (int i = 0; i < ZT_NETIF_ROUTES; i++) {
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
    const zt_netif_t *z = netif->state;
    return netif->name[0] == 'z' && netif->name[1] == 't' ? z : NULL;
}

struct netif *zt_netif_route4(const ip4_addr_t *dest) {
    zt_netif_t *z = NULL;
    return find_route((const uint8_t *)&dest->addr, 4, NULL, &z) != NULL ? &z->netif : NULL;
}

const ip4_addr_t *zt_netif_gateway4(struct netif *netif, const ip4_addr_t *dest) {
    const zt_netif_t *z = ours(netif);
    const zt_route_t *r = z != NULL ? find_route((const uint8_t *)&dest->addr, 4, z, NULL) : NULL;
    if (r == NULL) {
        return NULL;
    }
    return r->via_len != 0 ? ip_2_ip4(&r->via) : dest;
}

struct netif *zt_netif_route6(const ip6_addr_t *dest) {
    zt_netif_t *z = NULL;
    return find_route((const uint8_t *)dest->addr, 16, NULL, &z) != NULL ? &z->netif : NULL;
}

const ip6_addr_t *zt_netif_gateway6(struct netif *netif, const ip6_addr_t *dest) {
    const zt_netif_t *z = ours(netif);
    const zt_route_t *r = z != NULL ? find_route((const uint8_t *)dest->addr, 16, z, NULL) : NULL;
    if (r == NULL) {
        return NULL;
    }
    return r->via_len != 0 ? ip_2_ip6(&r->via) : dest;
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

// ---- timers ----

static bool need_always(void) {
    for (int n = 0; n < ZT_NETIF_MAX; n++) {
        if (zt_netifs[n].used) {
            return true;
        }
    }
    return false;
}

static bool need_tcp(void) {
    return tcp_active_pcbs != NULL || tcp_tw_pcbs != NULL;
}

static bool need_igmp(void) {
    for (int n = 0; n < ZT_NETIF_MAX; n++) {
        if (!zt_netifs[n].used) {
            continue;
        }
        for (struct igmp_group *g = netif_igmp_data(&zt_netifs[n].netif); g != NULL; g = g->next) {
            if (g->timer != 0) {
                return true;
            }
        }
    }
    return false;
}

static bool need_mld(void) {
    for (int n = 0; n < ZT_NETIF_MAX; n++) {
        if (!zt_netifs[n].used) {
            continue;
        }
        for (struct mld_group *g = netif_mld6_data(&zt_netifs[n].netif); g != NULL; g = g->next) {
            if (g->timer != 0) {
                return true;
            }
        }
    }
    return false;
}

// A connection whose sending side was shut down ends in TIME_WAIT under a socket that still holds it.
// It must not expire there; closing the socket lets go of it.
static void tcp_tick(void) {
    for (struct tcp_pcb *pcb = tcp_tw_pcbs; pcb != NULL; pcb = pcb->next) {
        if (pcb->callback_arg != NULL) {
            pcb->tmr = tcp_ticks;
        }
    }
    tcp_tmr();
}

static void slow_tick(void) {
    ip_reass_tmr();
    ip6_reass_tmr();
    etharp_tmr();
    nd6_tmr();
    dns_tmr();
}

static const struct {
    uint32_t ms;
    void (*run)(void);
    bool (*needed)(void);
} timers[] = {
    { 1000, slow_tick, need_always },
    { TCP_TMR_INTERVAL, tcp_tick, need_tcp },
    { IGMP_TMR_INTERVAL, igmp_tmr, need_igmp },
    { MLD6_TMR_INTERVAL, mld6_tmr, need_mld },
};

#define TIMERS (sizeof(timers) / sizeof(timers[0]))

static uint32_t timer_due[TIMERS];
static bool timer_on[TIMERS];

static bool run_loopback(void) {
    bool more = false;
    struct netif *netif;
    NETIF_FOREACH(netif) {
        if (netif->loop_first != NULL) {
            netif_poll(netif);
            more = more || netif->loop_first != NULL;
        }
    }
    return more;
}

int32_t zt_netif_poll(void) {
    // A packet to ourselves may be answered by another; what is left after a few rounds waits its turn.
    bool more = run_loopback();
    for (int i = 0; more && i < 8; i++) {
        more = run_loopback();
    }
    uint32_t now = sys_now();
    for (size_t i = 0; i < TIMERS; i++) {
        if (timer_on[i] && (int32_t)(now - timer_due[i]) >= 0) {
            timers[i].run();
            // After a long sleep one call, not a burst.
            timer_due[i] += timers[i].ms;
            if ((int32_t)(now - timer_due[i]) >= 0) {
                timer_due[i] = now + timers[i].ms;
            }
        }
    }
    int32_t next = more ? 0 : -1;
    for (size_t i = 0; i < TIMERS; i++) {
        bool on = timers[i].needed();
        if (on && !timer_on[i]) {
            timer_due[i] = now + timers[i].ms;
        }
        timer_on[i] = on;
        if (on) {
            int32_t left = (int32_t)(timer_due[i] - now);
            left = left < 0 ? 0 : left;
            next = next < 0 || left < next ? left : next;
        }
    }
    return next;
}

// ---- ping ----

static struct raw_pcb *ping4, *ping6;
static struct {
    struct pbuf *p;
    ip_addr_t from;
} pongs[ZT_NETIF_PINGS];
static unsigned pong_read, pong_write;

#define ECHO_HEAD 8

static u8_t pong(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *from) {
    (void)arg;
    u16_t skip = 0;
    if (pcb == ping4) {
        skip = (u16_t)(IPH_HL_BYTES((const struct ip_hdr *)p->payload));
    } else {
        skip = IP6_HLEN;
    }
    u8_t want = pcb == ping4 ? ICMP_ER : ICMP6_TYPE_EREP;
    if (p->tot_len < skip + ECHO_HEAD || pbuf_get_at(p, skip) != want) {
        return 0; // not an echo reply: lwIP's own business
    }
    if (pong_write - pong_read == ZT_NETIF_PINGS) {
        return 0;
    }
    pbuf_remove_header(p, skip);
    pongs[pong_write % ZT_NETIF_PINGS].p = p;
    ip_addr_copy(pongs[pong_write % ZT_NETIF_PINGS].from, *from);
    pong_write++;
    return 1;
}

int zt_netif_ping(const uint8_t *ip, size_t ip_len, uint16_t ident, uint16_t seq, const uint8_t *payload, size_t len) {
    if ((ip_len != 4 && ip_len != 16) || len > 9000) {
        return ZT_NETIF_ERR_ARG;
    }
    struct raw_pcb **pcb = ip_len == 4 ? &ping4 : &ping6;
    if (*pcb == NULL) {
        *pcb = raw_new_ip_type(ip_len == 4 ? IPADDR_TYPE_V4 : IPADDR_TYPE_V6,
            ip_len == 4 ? IP_PROTO_ICMP : IP6_NEXTH_ICMP6);
        if (*pcb == NULL) {
            return ZT_NETIF_ERR_MEM;
        }
        if (ip_len == 16) {
            (*pcb)->chksum_reqd = 1;
            (*pcb)->chksum_offset = 2;
        }
        raw_recv(*pcb, pong, NULL);
        raw_bind(*pcb, ip_len == 4 ? IP4_ADDR_ANY : IP6_ADDR_ANY);
    }
    struct pbuf *p = pbuf_alloc(PBUF_IP, (u16_t)(ECHO_HEAD + len), PBUF_RAM);
    if (p == NULL) {
        return ZT_NETIF_ERR_MEM;
    }
    uint8_t *b = p->payload;
    memset(b, 0, ECHO_HEAD);
    b[0] = ip_len == 4 ? ICMP_ECHO : ICMP6_TYPE_EREQ;
    b[4] = (uint8_t)(ident >> 8);
    b[5] = (uint8_t)ident;
    b[6] = (uint8_t)(seq >> 8);
    b[7] = (uint8_t)seq;
    memcpy(b + ECHO_HEAD, payload, len);
    if (ip_len == 4) {
        uint16_t sum = inet_chksum(b, p->len);
        memcpy(b + 2, &sum, 2);
    }
    ip_addr_t dest;
    to_addr(&dest, ip, ip_len, NULL);
    err_t err = raw_sendto(*pcb, p, &dest);
    pbuf_free(p);
    if (err == ERR_OK) {
        return 0;
    }
    return err == ERR_MEM || err == ERR_BUF ? ZT_NETIF_ERR_MEM : ZT_NETIF_ERR_ROUTE;
}

int zt_netif_pong(uint8_t ip[16], size_t *ip_len, uint16_t *ident, uint16_t *seq, uint8_t *buf, size_t size) {
    if (pong_read == pong_write) {
        return -1;
    }
    struct pbuf *p = pongs[pong_read % ZT_NETIF_PINGS].p;
    const ip_addr_t *from = &pongs[pong_read % ZT_NETIF_PINGS].from;
    pong_read++;
    *ip_len = IP_IS_V4(from) ? 4 : 16;
    if (*ip_len == 4) {
        memcpy(ip, &ip_2_ip4(from)->addr, 4);
    } else {
        memcpy(ip, ip_2_ip6(from)->addr, 16);
    }
    uint8_t head[ECHO_HEAD];
    pbuf_copy_partial(p, head, ECHO_HEAD, 0);
    *ident = (uint16_t)(head[4] << 8 | head[5]);
    *seq = (uint16_t)(head[6] << 8 | head[7]);
    size_t n = (size_t)(p->tot_len - ECHO_HEAD);
    n = n < size ? n : size;
    pbuf_copy_partial(p, buf, (u16_t)n, ECHO_HEAD);
    pbuf_free(p);
    return (int)n;
}
