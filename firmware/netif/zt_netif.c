// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Interfaces: how they come and go.

#include <string.h>

#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/nd6.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "zt_atomic.h"
#include "zt_netif_priv.h"
#include "zt_port.h"

zt_netif_t *zt_netifs[ZT_NETIF_MAX];
uint32_t zt_netif_bytes;
uint32_t zt_netif_serial;
uint32_t zt_netif_active;

static err_t group_changed4(struct netif *netif, const ip4_addr_t *group, enum netif_mac_filter_action action) {
    (void)netif;
    (void)group;
    (void)action;
    ZT_STORE(zt_netif_serial, zt_netif_serial + 1);
    return ERR_OK;
}

static err_t group_changed6(struct netif *netif, const ip6_addr_t *group, enum netif_mac_filter_action action) {
    (void)netif;
    (void)group;
    (void)action;
    ZT_STORE(zt_netif_serial, zt_netif_serial + 1);
    return ERR_OK;
}

uint32_t zt_netif_activity(void) {
    return ZT_LOAD(zt_netif_active);
}

void zt_netif_touch(void) {
    zt_netif_active++;
}

uint32_t zt_netif_groups_serial(void) {
    return ZT_LOAD(zt_netif_serial);
}

static err_t netif_start(struct netif *netif) {
    netif->name[0] = 'z';
    netif->name[1] = 't';
    netif->hwaddr_len = 6;
    netif->output = etharp_output;
    netif->output_ip6 = zt_netif_output6;
    netif->linkoutput = zt_netif_link_output;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_IGMP | NETIF_FLAG_MLD6;
    netif_set_igmp_mac_filter(netif, group_changed4);
    netif_set_mld_mac_filter(netif, group_changed6);
    return ERR_OK;
}

void zt_netif_init(void) {
    static bool done;
    if (!done) {
        done = true;
        #if NO_SYS
        lwip_init(); // else tcpip_init() does
        #endif
    }
}

zt_netif_t *zt_netif_get(int n) {
    return n >= 0 && n < ZT_NETIF_MAX && zt_netifs[n] != NULL && zt_netifs[n]->used ? zt_netifs[n] : NULL;
}

static bool mtu_ok(uint16_t mtu) {
    return mtu >= 576 && mtu <= ZT_FRAME_MAX - ZT_ETHERNET_HEADER;
}

int zt_netif_add(const uint8_t mac[6], uint16_t mtu) {
    if (!mtu_ok(mtu) || (mac[0] & 1) != 0) {
        return ZT_NETIF_ERR_ARG;
    }
    int n = 0;
    while (n < ZT_NETIF_MAX && zt_netif_get(n) != NULL) {
        n++;
    }
    if (n == ZT_NETIF_MAX) {
        return ZT_NETIF_ERR_FULL;
    }
    zt_netif_t *z = zt_netifs[n];
    uint8_t generation = z != NULL ? (uint8_t)(z->generation + 1) : 0;
    if (z == NULL) {
        z = zt_port_alloc(sizeof(*z));
        if (z == NULL) {
            return ZT_NETIF_ERR_MEM;
        }
        zt_netifs[n] = z;
        zt_netif_bytes += sizeof(*z);
    }
    memset(z, 0, sizeof(*z));
    z->index = (uint8_t)n;
    z->generation = generation;
    memcpy(z->netif.hwaddr, mac, 6);
    if (netif_add(&z->netif, NULL, NULL, NULL, z, netif_start, netif_input) == NULL) {
        return ZT_NETIF_ERR_MEM;
    }
    z->netif.mtu = LWIP_MIN(mtu, ZT_NETIF_MTU_MAX);
    z->used = true;
    // A MAC is unique by construction of the network, so is the link-local address made of it: no
    // second of duplicate detection before the first packet.
    netif_create_ip6_linklocal_address(&z->netif, 1);
    netif_ip6_addr_set_state(&z->netif, 0, IP6_ADDR_PREFERRED);
    netif_set_link_up(&z->netif);
    netif_set_up(&z->netif);
    z->netif.rs_count = 0; // nobody to solicit: see zt_nd6.c
    ZT_STORE(zt_netif_serial, zt_netif_serial + 1);
    return n;
}

// What the interface sent to itself and has not read yet; lwIP forgets it with the interface.
static void drop_loopback(struct netif *netif) {
    #if ENABLE_LOOPBACK
    struct pbuf *p = netif->loop_first;
    netif->loop_first = netif->loop_last = NULL;
    netif->loop_cnt_current = 0;
    while (p != NULL) {
        struct pbuf *next = p->next; // the packets of the list follow each other in one chain
        p->next = NULL;
        pbuf_free(p);
        p = next;
    }
    #else
    (void)netif;
    #endif
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
    ZT_STORE(zt_netif_serial, zt_netif_serial + 1);
    return 0;
}

void zt_netif_reset(void) {
    for (int n = 0; n < ZT_NETIF_MAX; n++) {
        if (zt_netif_get(n) != NULL) {
            zt_netif_remove(n);
        }
    }
    zt_netif_queue_reset();
}

int zt_netif_set_mtu(int n, uint16_t mtu) {
    zt_netif_t *z = zt_netif_get(n);
    if (z == NULL) {
        return ZT_NETIF_ERR_INDEX;
    }
    if (!mtu_ok(mtu)) {
        return ZT_NETIF_ERR_ARG;
    }
    z->netif.mtu = LWIP_MIN(mtu, ZT_NETIF_MTU_MAX);
    nd6_clear_destination_cache();
    return 0;
}
