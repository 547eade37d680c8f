// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// See zt_hal_lwip.h: the table of wires, and the board's interfaces below them.

#include <string.h>

#include "lwip/ip.h"
#include "lwip/netif.h"
#include "lwip/udp.h"
#include "zt_atomic.h"
#include "zt_hal_lwip_priv.h"
#include "zt_netif_priv.h"
#include "zt_plane_port.h"

zt_hal_drops_t zt_hal_drops;
zt_io_counters_t zt_io_counters;

static zt_hal_wire_t wires[ZT_WIRES_MAX];

zt_hal_wire_t *zt_hal_wire(int n) {
    return n >= 0 && n < ZT_WIRES_MAX && wires[n].pcb != NULL ? &wires[n] : NULL;
}

int zt_hal_wire_number(const zt_hal_wire_t *w) {
    return (int)(w - wires);
}

struct netif *zt_hal_owner(const ip_addr_t *ip) {
    struct netif *netif;
    NETIF_FOREACH(netif) {
        if (IP_IS_V6(ip) ? netif_get_ip6_addr_match(netif, ip_2_ip6(ip)) >= 0
            : ip4_addr_eq(ip_2_ip4(ip), netif_ip4_addr(netif))) {
            return netif;
        }
    }
    return NULL;
}

// ---- what changes below the wires ----

static uint32_t serial; // any thread

uint32_t zt_wire_serial(void) {
    return ZT_LOAD(serial);
}

#if LWIP_NETIF_EXT_STATUS_CALLBACK
static void changed(struct netif *netif, netif_nsc_reason_t reason, const netif_ext_callback_args_t *args) {
    (void)args;
    const unsigned matter = LWIP_NSC_NETIF_ADDED | LWIP_NSC_NETIF_REMOVED | LWIP_NSC_LINK_CHANGED
        | LWIP_NSC_STATUS_CHANGED | LWIP_NSC_IPV4_ADDRESS_CHANGED | LWIP_NSC_IPV6_SET
        | LWIP_NSC_IPV6_ADDR_STATE_CHANGED;
    if ((reason & matter) != 0 && !zt_netif_ours(netif)) {
        ZT_STORE(serial, serial + 1);
        zt_port_kick();
    }
}

static void watch(void) {
    static netif_ext_callback_t callback;
    static bool done;
    if (!done) {
        done = true;
        netif_add_ext_callback(&callback, changed);
    }
}
#else
static void watch(void) {
}
#endif

// ---- wires ----

int zt_wire_open(const uint8_t *ip, size_t len, uint16_t port) {
    if (len != 4 && len != 16) {
        return -ZT_WIRE_EINVAL;
    }
    int n = 0;
    while (n < ZT_WIRES_MAX && wires[n].pcb != NULL) {
        n++;
    }
    if (n == ZT_WIRES_MAX) {
        return -ZT_WIRE_EMFILE;
    }
    watch();
    zt_hal_wire_t *w = &wires[n];
    zt_netif_address(&w->ip, ip, len, NULL);
    if (!ip_addr_isany(&w->ip)) {
        struct netif *netif = zt_hal_owner(&w->ip);
        if (netif == NULL || zt_netif_ours(netif)) {
            return -ZT_WIRE_EINVAL;
        }
        if (len == 16) {
            ip6_addr_assign_zone(ip_2_ip6(&w->ip), IP6_UNICAST, netif);
        }
    }
    struct udp_pcb *pcb = udp_new_ip_type(len == 16 ? IPADDR_TYPE_V6 : IPADDR_TYPE_V4);
    if (pcb == NULL) {
        return -ZT_WIRE_ENOMEM;
    }
    if (udp_bind(pcb, &w->ip, port) != ERR_OK) {
        udp_remove(pcb);
        return -ZT_WIRE_EADDRINUSE;
    }
    udp_recv(pcb, zt_hal_received, w);
    w->pcb = pcb;
    return n;
}

int zt_wire_close(int wire) {
    zt_hal_wire_t *w = zt_hal_wire(wire);
    if (w == NULL) {
        return -ZT_WIRE_EBADF;
    }
    udp_remove(w->pcb);
    w->pcb = NULL;
    zt_hal_rx_forget(wire); // its number may soon be another's
    return 0;
}

void zt_wire_close_all(void) {
    for (int n = 0; n < ZT_WIRES_MAX; n++) {
        zt_wire_close(n);
    }
    zt_hal_rx_forget(-1);
}

int zt_wire_port(int wire) {
    const zt_hal_wire_t *w = zt_hal_wire(wire);
    return w != NULL ? w->pcb->local_port : -ZT_WIRE_EBADF;
}

bool zt_hal_wire_at(uint16_t port) {
    for (int i = 0; i < ZT_WIRES_MAX; i++) {
        if (wires[i].pcb != NULL && wires[i].pcb->local_port == port) {
            return true;
        }
    }
    return false;
}

// ---- interfaces ----

bool zt_wire_interface(unsigned index, zt_interface_t *out) {
    unsigned count = 0;
    struct netif *netif;
    NETIF_FOREACH(netif) {
        if (zt_netif_ours(netif) || !netif_is_up(netif) || !netif_is_link_up(netif)) {
            continue;
        }
        memset(out, 0, sizeof(*out));
        out->name[0] = netif->name[0];
        out->name[1] = netif->name[1];
        out->name[2] = (char)('0' + netif->num % 10);
        if (!ip4_addr_isany_val(*netif_ip4_addr(netif)) && count++ == index) {
            out->len = 4;
            out->bits = (uint8_t)__builtin_popcount(netif_ip4_netmask(netif)->addr);
            memcpy(out->ip, &netif_ip4_addr(netif)->addr, 4);
            return true;
        }
        for (s8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
            if (ip6_addr_ispreferred(netif_ip6_addr_state(netif, i)) && count++ == index) {
                out->len = 16;
                out->bits = 64;
                memcpy(out->ip, netif_ip6_addr(netif, i)->addr, 16);
                return true;
            }
        }
    }
    return false;
}
