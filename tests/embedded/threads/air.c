// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The air: takes what the board sends on its Wi-Fi and brings what a peer answers, from a thread of its own, as
// Wi-Fi's task does.
//
// The peer is a mirror: it opens a packet, exchanges source and destination of the IP packet in the frame, and
// sends it back sealed anew. So a socket that talks to the peer's address talks to ours, and every byte of it
// crosses the plane twice. Now and then it forges one, or sends a datagram for the board's wire from within the
// network, which has to be refused there: else the plane would be entered from within.

#include <stdbool.h>
#include <string.h>

#include "lwip/dns.h"
#include "lwip/etharp.h"
#include "lwip/tcpip.h"
#include "netif/ethernet.h"
#include "threads.h"
#include "zt_wire.h"

#define AIR 256 // frames on their way
#define FRAME 6
#define HEAD (14 + 20 + 8)

static const uint8_t board_mac[6] = { 2, 0, 0, 0, 0, 1 }, peer_outer_mac[6] = { 2, 0, 0, 0, 0, 2 };
atomic_int wrong_thread, mirrored, forged;

static struct {
    uint8_t bytes[1600];
    size_t n;
} air[AIR];
static unsigned air_first, air_count;
static pthread_mutex_t air_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t air_bell = PTHREAD_COND_INITIALIZER;
static struct netif wifi;

static err_t wifi_output(struct netif *netif, struct pbuf *p) {
    (void)netif;
    if (!LWIP_TCPIP_CORE_LOCKING && !pthread_equal(pthread_self(), stack_thread)) {
        wrong_thread++;
    }
    pthread_mutex_lock(&air_lock);
    if (air_count < AIR && p->tot_len <= sizeof(air[0].bytes)) {
        unsigned i = (air_first + air_count++) % AIR;
        air[i].n = pbuf_copy_partial(p, air[i].bytes, p->tot_len, 0);
        pthread_cond_signal(&air_bell);
    }
    pthread_mutex_unlock(&air_lock);
    return ERR_OK;
}

static err_t wifi_start(struct netif *netif) {
    netif->name[0] = 's';
    netif->name[1] = 't';
    netif->mtu = 1500;
    netif->hwaddr_len = 6;
    memcpy(netif->hwaddr, board_mac, 6);
    netif->output = etharp_output;
    netif->linkoutput = wifi_output;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
    return ERR_OK;
}

int air_begin(void *arg) {
    (void)arg;
    ip4_addr_t ip, mask, none;
    memcpy(&ip.addr, board_ip, 4);
    IP4_ADDR(&mask, 255, 255, 255, 0);
    ip4_addr_set_zero(&none);
    netif_add(&wifi, &ip, &mask, &none, NULL, wifi_start, tcpip_input);
    ip_addr_t server; // as DHCP brings one
    ip_addr_copy_from_ip4(server, ip);
    memcpy(&ip_2_ip4(&server)->addr, peer_outer, 4);
    dns_setserver(0, &server);
    netif_set_default(&wifi);
    netif_set_link_up(&wifi);
    netif_set_up(&wifi);
    return 0;
}

uint16_t ip_sum(const uint8_t *p, size_t n) {
    uint32_t sum = 0;
    for (size_t i = 0; i < n; i += 2) {
        sum += (uint32_t)p[i] << 8 | p[i + 1];
    }
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

// An IP packet or ARP of the inner network becomes the answer to it; false for what has none.
static bool mirror(uint16_t ethertype, uint8_t *p, size_t n) {
    uint8_t t[16];
    if (ethertype == 0x0800 && n >= 20) {
        memcpy(t, p + 12, 4);
        memcpy(p + 12, p + 16, 4);
        memcpy(p + 16, t, 4);
        return true;
    }
    if (ethertype == 0x86dd && n >= 48 && p[6] == 17) {
        memcpy(t, p + 8, 16);
        memcpy(p + 8, p + 24, 16);
        memcpy(p + 24, t, 16);
        return true;
    }
    return false;
}

// A datagram for the board's wire, out of the network: it must not get there. One to the board's own address does
// not get as far (zt_netif_strong.c), one to all does.
static void tunnel_in_tunnel(uint8_t *p) {
    memset(p + 16, 0xff, 4);
    p[22] = (uint8_t)(wire_port >> 8);
    p[23] = (uint8_t)wire_port;
    p[26] = p[27] = 0; // no checksum
    p[10] = p[11] = 0;
    uint16_t sum = ip_sum(p, 20);
    p[10] = (uint8_t)(sum >> 8);
    p[11] = (uint8_t)sum;
}

// A frame from the board on its Wi-Fi; what the board is to get in return is written over it.
static size_t answer(uint8_t *f, size_t n) {
    static uint64_t id = 0x1000;
    if (n >= 42 && f[12] == 8 && f[13] == 6 && f[21] == 1) { // who has the peer's outer address
        memcpy(f, board_mac, 6);
        memcpy(f + 6, peer_outer_mac, 6);
        f[21] = 2;
        memcpy(f + 32, board_mac, 6);
        memcpy(f + 38, board_ip, 4);
        memcpy(f + 22, peer_outer_mac, 6);
        memcpy(f + 28, peer_outer, 4);
        return 42;
    }
    if (n < HEAD + ZT_WIRE_HEADER || f[12] != 8 || f[13] != 0 || f[23] != 17 || memcmp(f + 30, peer_outer, 4) != 0) {
        return 0;
    }
    size_t size = (size_t)f[38] << 8 | f[39];
    if (size < 8 + ZT_WIRE_HEADER + 10 || size > n - 34) {
        return 0;
    }
    uint8_t *z = f + HEAD;
    size_t zn = size - 8;
    CHECK(zt_open(key, z, zn) == 0); // what the board sends is always whole
    if ((z[27] & 0x1f) != FRAME || memcmp(z + 28, nwid, 8) != 0) {
        return 0;
    }
    if (!mirror((uint16_t)(z[36] << 8 | z[37]), z + 38, zn - 38)) {
        return 0;
    }
    static int datagrams;
    if (z[36] == 8 && z[47] == 17 && zn >= 66 && ++datagrams % 20 == 0) {
        tunnel_in_tunnel(z + 38);
    }
    id++;
    for (int i = 0; i < 8; i++) {
        z[i] = (uint8_t)(id >> (56 - 8 * i));
    }
    memcpy(z + 8, us, 5);
    memcpy(z + 13, peer, 5);
    z[18] = 0;
    CHECK(zt_seal(key, z, zn, 1) == 0);
    if (id % 97 == 0) { // and now and then a forgery
        z[40] ^= 1;
        forged++;
    }
    mirrored++;
    memcpy(f, board_mac, 6);
    memcpy(f + 6, peer_outer_mac, 6);
    memcpy(f + 26, peer_outer, 4);
    memcpy(f + 30, board_ip, 4);
    f[24] = f[25] = 0;
    uint16_t sum = ip_sum(f + 14, 20);
    f[24] = (uint8_t)(sum >> 8);
    f[25] = (uint8_t)sum;
    uint8_t port[2] = { f[34], f[35] };
    memcpy(f + 34, f + 36, 2);
    memcpy(f + 36, port, 2);
    f[40] = f[41] = 0; // no checksum
    return 34 + size;
}

// As Wi-Fi's task: a frame from the radio goes to lwIP's mailbox.
void *air_thread(void *arg) {
    (void)arg;
    for (;;) {
        uint8_t f[1600];
        pthread_mutex_lock(&air_lock);
        while (air_count == 0) {
            pthread_cond_wait(&air_bell, &air_lock);
        }
        size_t n = air[air_first].n;
        memcpy(f, air[air_first].bytes, n);
        air_first = (air_first + 1) % AIR;
        air_count--;
        pthread_mutex_unlock(&air_lock);
        n = answer(f, n);
        struct pbuf *p = n != 0 ? pbuf_alloc(PBUF_RAW, (u16_t)n, PBUF_RAM) : NULL;
        if (p != NULL) {
            memcpy(p->payload, f, n);
            if (wifi.input(p, &wifi) != ERR_OK) {
                pbuf_free(p); // the mailbox is full
            }
        }
    }
    return NULL;
}
