// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Interfaces, addresses, groups and the ring of frames on their way out. A frame is copied once into the ring: lwIP keeps TCP's own buffer for
// retransmission, so it must never be handed on.

#include <string.h>

#include "lwip/dns.h"
#include "lwip/etharp.h"
#include "lwip/igmp.h"
#include "lwip/init.h"
#include "lwip/mld6.h"
#include "lwip/nd6.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "lwip/priv/nd6_priv.h"
#include "netif/ethernet.h"
#include "zt_netif_priv.h"

#define ETHERNET_HEADER 14
#define FRAME_MAX (10000 + ETHERNET_HEADER)
#define FRAME_MIN 60

zt_netif_t zt_netifs[ZT_NETIF_MAX];
uint32_t zt_netif_serial;
uint32_t zt_netif_active;

// ---- packet memory: the C heap, with a bound ----

static size_t heap_used;

typedef union {
    size_t size;
    uint64_t align;
} heap_head_t;

void *zt_netif_malloc(size_t n) {
    if (n > ZT_LWIP_HEAP || heap_used + n > ZT_LWIP_HEAP) {
        return NULL;
    }
    heap_head_t *h = malloc(sizeof(*h) + n);
    if (h == NULL) {
        return NULL;
    }
    h->size = n;
    heap_used += n;
    return h + 1;
}

void *zt_netif_calloc(size_t count, size_t n) {
    if (n != 0 && count > ZT_LWIP_HEAP / n) {
        return NULL;
    }
    void *p = zt_netif_malloc(count * n);
    if (p != NULL) {
        memset(p, 0, count * n);
    }
    return p;
}

void zt_netif_free(void *p) {
    if (p != NULL) {
        heap_head_t *h = (heap_head_t *)p - 1;
        heap_used -= h->size;
        free(h);
    }
}

// ---- checksums ----

// The ones' complement sum of RFC 1071, not inverted, as lwIP's lwip_standard_chksum. The data may lie
// anywhere.
uint16_t zt_netif_chksum(const void *data, int n) {
    const uint8_t *p = data;
    uint64_t even = 0, odd = 0;
    while (n >= 16) {
        uint32_t w[4];
        memcpy(w, p, 16);
        even += (uint64_t)w[0] + w[2];
        odd += (uint64_t)w[1] + w[3];
        p += 16;
        n -= 16;
    }
    uint64_t sum = (even & 0xffffffff) + (even >> 32) + (odd & 0xffffffff) + (odd >> 32);
    while (n > 0) {
        uint8_t last[2] = { p[0], n > 1 ? p[1] : 0 };
        uint16_t w;
        memcpy(&w, last, 2);
        sum += w;
        p += 2;
        n -= 2;
    }
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)sum;
}

// ---- the ring: records of {length 16 bits, interface, its generation} and the frame, in order ----
// Indices go back to 0 when it runs empty, so only as much of it is ever touched as a burst needs.

#define RECORD_HEAD 4

static uint8_t ring[ZT_NETIF_RING];
static size_t ring_read, ring_write;
static size_t ring_wrap; // where the reader turns back to 0; 0 when the writer has not wrapped
static uint32_t ring_drops;

static uint8_t *ring_reserve(size_t n) {
    if (ring_wrap == 0) {
        if (sizeof(ring) - ring_write >= n) {
            return ring + ring_write;
        }
        if (ring_read <= n) {
            return NULL;
        }
        ring_wrap = ring_write;
        ring_write = 0;
        return ring;
    }
    return ring_read - ring_write > n ? ring + ring_write : NULL;
}

bool (*zt_netif_output)(int n, const zt_seg_t *segments, size_t count);

#define SEGMENTS 8 // of a chain that goes out without the ring; lwIP's own have four at most

static bool output_directly(int n, const struct pbuf *p) {
    zt_seg_t segments[SEGMENTS];
    size_t count = 0;
    size_t left = p->tot_len;
    while (p != NULL && left != 0) {
        if (count == SEGMENTS) {
            return false;
        }
        segments[count].p = p->payload;
        segments[count++].n = p->len;
        left -= p->len;
        p = p->next;
    }
    return zt_netif_output(n, segments, count);
}

static err_t link_output(struct netif *netif, struct pbuf *p) {
    size_t n = p->tot_len;
    int index = (int)((zt_netif_t *)netif->state - zt_netifs);
    if (zt_netif_output != NULL && output_directly(index, p)) {
        return ERR_OK;
    }
    uint8_t *slot = n <= FRAME_MAX ? ring_reserve(RECORD_HEAD + n) : NULL;
    if (slot == NULL) {
        ring_drops++;
        return ERR_MEM;
    }
    slot[0] = (uint8_t)(n >> 8);
    slot[1] = (uint8_t)n;
    slot[2] = (uint8_t)index;
    slot[3] = ((zt_netif_t *)netif->state)->generation;
    pbuf_copy_partial(p, slot + RECORD_HEAD, (u16_t)n, 0);
    ring_write += RECORD_HEAD + n;
    return ERR_OK;
}

bool zt_netif_pending(void) {
    return ring_read != ring_write || ring_wrap != 0;
}

uint32_t zt_netif_activity(void) {
    return zt_netif_active;
}

uint32_t zt_netif_drops(void) {
    return ring_drops;
}

int zt_netif_recv(uint8_t *buf, size_t size, int *n) {
    while (zt_netif_pending()) {
        if (ring_wrap != 0 && ring_read == ring_wrap) {
            ring_read = 0;
            ring_wrap = 0;
            continue;
        }
        const uint8_t *slot = ring + ring_read;
        size_t len = (size_t)slot[0] << 8 | slot[1];
        int index = slot[2];
        bool wanted = zt_netifs[index].used && zt_netifs[index].generation == slot[3];
        bool fits = len <= size;
        if (wanted && fits) {
            memcpy(buf, slot + RECORD_HEAD, len);
        }
        ring_read += RECORD_HEAD + len;
        if (ring_wrap == 0 && ring_read == ring_write) {
            ring_read = ring_write = 0;
        }
        if (!wanted) {
            continue; // left over from an interface that is gone, whoever has its number now
        }
        if (!fits) {
            ring_drops++;
            return ZT_NETIF_ERR_SMALL;
        }
        *n = index;
        return (int)len;
    }
    return 0;
}

// ---- interfaces ----

static err_t group_changed4(struct netif *netif, const ip4_addr_t *group, enum netif_mac_filter_action action) {
    (void)netif;
    (void)group;
    (void)action;
    zt_netif_serial++;
    return ERR_OK;
}

static err_t group_changed6(struct netif *netif, const ip6_addr_t *group, enum netif_mac_filter_action action) {
    (void)netif;
    (void)group;
    (void)action;
    zt_netif_serial++;
    return ERR_OK;
}

uint32_t zt_netif_groups_serial(void) {
    return zt_netif_serial;
}

static err_t netif_start(struct netif *netif) {
    netif->name[0] = 'z';
    netif->name[1] = 't';
    netif->hwaddr_len = 6;
    netif->output = etharp_output;
    netif->output_ip6 = zt_netif_output6;
    netif->linkoutput = link_output;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_IGMP | NETIF_FLAG_MLD6;
    netif_set_igmp_mac_filter(netif, group_changed4);
    netif_set_mld_mac_filter(netif, group_changed6);
    return ERR_OK;
}

void zt_netif_init(void) {
    static bool done;
    if (!done) {
        done = true;
        lwip_init();
    }
}

zt_netif_t *zt_netif_get(int n) {
    return n >= 0 && n < ZT_NETIF_MAX && zt_netifs[n].used ? &zt_netifs[n] : NULL;
}

static bool mtu_ok(uint16_t mtu) {
    return mtu >= 576 && mtu <= FRAME_MAX - ETHERNET_HEADER;
}

int zt_netif_add(const uint8_t mac[6], uint16_t mtu) {
    if (!mtu_ok(mtu) || (mac[0] & 1) != 0) {
        return ZT_NETIF_ERR_ARG;
    }
    int n = 0;
    while (n < ZT_NETIF_MAX && zt_netifs[n].used) {
        n++;
    }
    if (n == ZT_NETIF_MAX) {
        return ZT_NETIF_ERR_FULL;
    }
    zt_netif_t *z = &zt_netifs[n];
    uint8_t generation = (uint8_t)(z->generation + 1);
    memset(z, 0, sizeof(*z));
    z->generation = generation;
    memcpy(z->netif.hwaddr, mac, 6);
    if (netif_add(&z->netif, NULL, NULL, NULL, z, netif_start, netif_input) == NULL) {
        return ZT_NETIF_ERR_MEM;
    }
    z->netif.mtu = mtu;
    z->used = true;
    // A MAC is unique by construction of the network, so is the link-local address made of it: no
    // second of duplicate detection before the first packet.
    netif_create_ip6_linklocal_address(&z->netif, 1);
    netif_ip6_addr_set_state(&z->netif, 0, IP6_ADDR_PREFERRED);
    netif_set_link_up(&z->netif);
    netif_set_up(&z->netif);
    z->netif.rs_count = 0; // nobody to solicit: see zt_nd6.c
    zt_netif_serial++;
    return n;
}

// What the interface sent to itself and has not read yet; lwIP forgets it with the interface.
static void drop_loopback(struct netif *netif) {
    struct pbuf *p = netif->loop_first;
    netif->loop_first = netif->loop_last = NULL;
    netif->loop_cnt_current = 0;
    while (p != NULL) {
        struct pbuf *next = p->next; // the packets of the list follow each other in one chain
        p->next = NULL;
        pbuf_free(p);
        p = next;
    }
}

int zt_netif_remove(int n) {
    zt_netif_t *z = zt_netif_get(n);
    if (z == NULL) {
        return ZT_NETIF_ERR_INDEX;
    }
    // Addresses first: the connections that end with them say so in packets, which would otherwise wait
    // for ARP on an interface that is gone.
    netif_set_addr(&z->netif, NULL, NULL, NULL);
    for (s8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
        netif_ip6_addr_set_state(&z->netif, i, IP6_ADDR_INVALID);
    }
    netif_set_down(&z->netif);
    netif_remove(&z->netif);
    drop_loopback(&z->netif);
    z->used = false;
    zt_netif_serial++;
    return 0;
}

void zt_netif_reset(void) {
    for (int n = 0; n < ZT_NETIF_MAX; n++) {
        if (zt_netifs[n].used) {
            zt_netif_remove(n);
        }
    }
    ring_read = ring_write = ring_wrap = 0;
}

int zt_netif_set_mtu(int n, uint16_t mtu) {
    zt_netif_t *z = zt_netif_get(n);
    if (z == NULL) {
        return ZT_NETIF_ERR_INDEX;
    }
    if (!mtu_ok(mtu)) {
        return ZT_NETIF_ERR_ARG;
    }
    z->netif.mtu = mtu;
    nd6_clear_destination_cache();
    return 0;
}

// ---- addresses ----

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

int zt_netif_dns(unsigned index, const uint8_t *ip, size_t ip_len) {
    if (index >= DNS_MAX_SERVERS) {
        return ZT_NETIF_ERR_FULL;
    }
    if (ip_len != 0 && ip_len != 4 && ip_len != 16) {
        return ZT_NETIF_ERR_ARG;
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

// ---- input ----

// Pbufs that point into somebody else's memory.
typedef struct owned {
    struct pbuf_custom custom;
    zt_owner_t *owner;
    struct owned *next; // of the free
} owned_t;

static owned_t owneds[ZT_NETIF_OWNED];
static owned_t *free_owned;
static unsigned used_owned; // those from here on were never used

static void owned_free(struct pbuf *p) {
    owned_t *o = (owned_t *)(void *)p;
    zt_owner_t *owner = o->owner;
    o->next = free_owned;
    free_owned = o;
    owner->done(owner);
}

static struct pbuf *owned(uint8_t *frame, size_t len, zt_owner_t *owner) {
    owned_t *o = free_owned;
    if (o != NULL) {
        free_owned = o->next;
    } else if (used_owned < ZT_NETIF_OWNED) {
        o = &owneds[used_owned++];
    } else {
        return NULL;
    }
    o->owner = owner;
    o->custom.custom_free_function = owned_free;
    owner->refs++;
    return pbuf_alloced_custom(PBUF_RAW, (u16_t)len, PBUF_REF, &o->custom, frame, (u16_t)len);
}

int zt_netif_input_owned(int n, uint8_t *frame, size_t len, zt_owner_t *owner) {
    zt_netif_t *z = zt_netif_get(n);
    if (z == NULL) {
        return ZT_NETIF_ERR_INDEX;
    }
    if (len < ETHERNET_HEADER || len > FRAME_MAX) {
        return ZT_NETIF_ERR_ARG;
    }
    // lwIP reads an IPv4 header before it has looked whether there is one: on a wire no frame is shorter.
    size_t room = len < FRAME_MIN ? FRAME_MIN : len;
    struct pbuf *p = owner != NULL && room == len ? owned(frame, len, owner) : NULL;
    if (p == NULL) {
        p = pbuf_alloc(PBUF_RAW, (u16_t)room, PBUF_RAM);
        if (p == NULL) {
            return ZT_NETIF_ERR_MEM;
        }
        memcpy(p->payload, frame, len);
        memset((uint8_t *)p->payload + len, 0, room - len);
    }
    zt_netif_active++;
    if (ethernet_input(p, &z->netif) != ERR_OK) {
        pbuf_free(p);
    }
    return 0;
}

int zt_netif_input(int n, const uint8_t *frame, size_t len) {
    // Without an owner it is only read.
    return zt_netif_input_owned(n, (uint8_t *)(uintptr_t)frame, len, NULL);
}
