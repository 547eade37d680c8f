// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The Ethernet interface of the board: lwIP's netif over virtio-net, static addresses or DHCP.

#include <string.h>

#include "lwip/dhcp.h"
#include "lwip/dns.h"
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "netif/ethernet.h"
#include "zt_board.h"
#include "zt_hal_lwip.h"
#include "zt_lan.h"
#include "zt_netif.h"
#include "zt_virtio.h"

static struct netif lan;
static bool started, up;
static struct {
    bool set; // else they are asked for by DHCP
    ip4_addr_t ip, mask, gateway;
} fixed;
static uint32_t dropped;

// The machine takes frames in its own time. Like a driver whose ring is full, wait a little for it: what is
// lost here costs a TCP connection a retransmission timeout.
#define SEND_WAIT_TICKS 500000 // 50 ms: this machine may be busy with others

static uint8_t *buffer(void) {
    uint64_t end = zt_board_ticks() + SEND_WAIT_TICKS;
    uint8_t *out;
    while ((out = zt_virtio_net_buffer()) == NULL && zt_board_ticks() < end) {
        zt_virtio_sleep(zt_board_ticks() + 1000);
    }
    return out;
}

static err_t send(struct netif *netif, struct pbuf *p) {
    (void)netif;
    uint8_t *out = p->tot_len <= ZT_VIRTIO_FRAME ? buffer() : NULL;
    if (out == NULL) {
        dropped++;
        return ERR_MEM;
    }
    pbuf_copy_partial(p, out, p->tot_len, 0);
    zt_virtio_net_send(p->tot_len);
    return ERR_OK;
}

static err_t init(struct netif *netif) {
    netif->name[0] = 'e';
    netif->name[1] = 'n';
    netif->mtu = 1500;
    netif->hwaddr_len = 6;
    netif->output = etharp_output;
    netif->output_ip6 = ethip6_output;
    netif->linkoutput = send;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_IGMP | NETIF_FLAG_MLD6;
    return ERR_OK;
}

bool zt_lan_up(void) {
    zt_netif_init();
    if (!started) {
        if (zt_virtio_net_start(lan.hwaddr) != 0 || netif_add(&lan, NULL, NULL, NULL, NULL, init, netif_input) == NULL) {
            return false;
        }
        started = true;
        netif_create_ip6_linklocal_address(&lan, 1);
        netif_set_default(&lan);
    }
    netif_set_link_up(&lan);
    netif_set_up(&lan);
    up = true;
    if (fixed.set) {
        netif_set_addr(&lan, &fixed.ip, &fixed.mask, &fixed.gateway);
    } else {
        dhcp_start(&lan);
    }
    return true;
}

void zt_lan_down(void) {
    if (up) {
        up = false;
        dhcp_release_and_stop(&lan);
        netif_set_link_down(&lan);
        netif_set_addr(&lan, NULL, NULL, NULL);
        netif_set_down(&lan);
    }
}

void zt_lan_static(const ip4_addr_t *ip, const ip4_addr_t *mask, const ip4_addr_t *gateway, const ip4_addr_t *dns) {
    bool was_up = up;
    zt_netif_init();
    zt_lan_down();
    fixed.set = !ip4_addr_isany_val(*ip);
    fixed.ip = *ip;
    fixed.mask = *mask;
    fixed.gateway = *gateway;
    if (was_up) {
        zt_lan_up();
    }
    ip_addr_t server;
    ip_addr_copy_from_ip4(server, *dns);
    dns_setserver(0, &server);
}

const struct netif *zt_lan_netif(void) {
    return &lan;
}

uint32_t zt_lan_dropped(void) {
    return dropped;
}

#ifndef ZT_PLAIN
// What goes to one of the node's wires carries a MAC. Let lwIP not add it up before: a checksum of 0 says that there
// is none (RFC 768).
static void spare_checksum(uint8_t *frame, size_t n) {
    const uint8_t *ip = frame + 14;
    const size_t udp = 14 + (ip[0] & 0x0fu) * 4u;
    const bool is_udp = frame[12] == 0x08 && frame[13] == 0 && (ip[0] & 0xf0u) == 0x40 && ip[9] == IP_PROTO_UDP;
    const bool whole = (ip[6] & 0x3fu) == 0 && ip[7] == 0;
    if (is_udp && whole && n >= udp + 8 && zt_hal_wire_at((uint16_t)(frame[udp + 2] << 8 | frame[udp + 3]))) {
        frame[udp + 6] = frame[udp + 7] = 0;
    }
}
#endif

void zt_lan_poll(void) {
    uint8_t *frame;
    size_t n;
    // As many as there are at one time; more come in the next turn.
    for (int i = 0; i < 8 && (n = zt_virtio_net_receive(&frame)) != 0; i++) {
        struct pbuf *p = up ? pbuf_alloc(PBUF_RAW, (u16_t)n, PBUF_RAM) : NULL;
        if (p != NULL) {
            memcpy(p->payload, frame, n);
            #ifndef ZT_PLAIN
            if (n >= 14 + 20 + 8) {
                spare_checksum(p->payload, n);
            }
            #endif
        } else {
            dropped += up;
        }
        zt_virtio_net_done();
        if (p != NULL) {
            zt_netif_touch();
            if (lan.input(p, &lan) != ERR_OK) {
                pbuf_free(p);
            }
        }
    }
}
