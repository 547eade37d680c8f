// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The ESP32's threads on a host: lwIP in its own, an interpreter that enters by zt_port_enter, programs on
// sockets (IPv4, IPv6, by a gateway), and the air (air.c). Everything else is the firmware: zt_hal_esp32.c,
// zt_hal_lwip.c, zt_netif*.c, zt_plane_run.c, the core. Built with ThreadSanitizer by test_esp32_threads.py.
//
// While bytes flow the interpreter renews, reads counters, replaces the network, and ends the plane and begins
// it again under full load (a soft reset). At the end it takes all down in the order of a real one, and asks
// that nothing is left. Arguments: bytes of TCP, datagrams of UDP.

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "idf_host.h"
#include "lwip/dns.h"
#include "lwip/pbuf.h"
#include "lwip/sockets.h"
#include "lwip/tcpip.h"
#include "lwip_default_hooks.h"
#include "zt_esp32.h"
#include "zt_hal_lwip.h"
#include "zt_netif.h"
#include "zt_plane_run.h"
#include "threads.h"

#define ROUNDS 20 // of the interpreter between two of the bigger events
#define FEW 10 // datagrams
#define RESTARTS 3 // while datagrams go back and forth

const uint8_t us[5] = { 1, 2, 3, 4, 5 }, peer[5] = { 9, 8, 7, 6, 5 };
const uint8_t nwid[8] = { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x80 };
const uint8_t board_ip[4] = { 192, 168, 4, 2 }, peer_outer[4] = { 192, 168, 4, 3 };
uint8_t key[48];
uint16_t wire_port;
pthread_t stack_thread;

static const uint8_t our_ip[4] = { 10, 9, 0, 1 }, peer_ip[4] = { 10, 9, 0, 2 };
static const uint8_t our_ip6[16] = { 0xfd, 0, 9, [15] = 1 }, peer_ip6[16] = { 0xfd, 0, 9, [15] = 2 };
// 6PLANE: a /40, whose members are each in another /64.
static const uint8_t our_plane[16] = { 0xfc, 1, 2, 3, 4, 1, 2, 3, 4, 5, [15] = 1 };
static const uint8_t peer_plane[16] = { 0xfc, 1, 2, 3, 4, 9, 8, 7, 6, 5, [15] = 1 };
static const uint8_t behind_peer[4] = { 10, 77, 0, 5 }; // reached by way of the peer
static uint8_t our_mac[6], peer_mac[6];
static atomic_int done, restarts, solicited;

static void mac_of(uint8_t mac[6], const uint8_t address[5]) {
    mac[0] = (uint8_t)((nwid[7] & 0xfe) | 2);
    for (int i = 0; i < 5; i++) {
        mac[1 + i] = address[i] ^ nwid[6 - i];
    }
}

// ---- the interpreter ----

static int nic, wire, network;
static int objects; // any Python object: whoever holds the interpreter's lock may change it
static uint32_t rx_before;

// What all nodes hear is not for an interface of the board that has no link-local address yet.
static void hear_all_nodes(void) {
    static const uint8_t head[40] = { 0x60, [6] = 58, [7] = 255, [24] = 0xff, [25] = 2, [39] = 1 };
    static struct netif wifi;
    for (int i = 0; i < 2; i++) {
        struct pbuf *p = pbuf_alloc(PBUF_RAW, sizeof(head), PBUF_RAM);
        CHECK(p != NULL && pbuf_take(p, head, sizeof(head)) == ERR_OK);
        int taken = lwip_hook_ip6_input(p, &wifi);
        CHECK(taken == (i == 0));
        if (!taken) {
            pbuf_free(p);
        }
        IP_ADDR6(&wifi.ip6_addr[0], PP_HTONL(0xfe800000), 0, 0, PP_HTONL(1));
    }
}

static int begin(void *arg) {
    (void)arg;
    hear_all_nodes();
    CHECK(LWIP_TCPIP_CORE_LOCKING || pthread_equal(pthread_self(), stack_thread));
    zt_netif_init();
    nic = zt_netif_add(our_mac, 1380);
    CHECK(nic >= 0 && zt_netif_addr(nic, our_ip, 4, 24, true) == 0);
    CHECK(zt_netif_addr(nic, our_ip6, 16, 64, true) == 0);
    CHECK(zt_netif_addr(nic, our_plane, 16, 40, true) == 0);
    CHECK(zt_netif_dns(0, peer_ip, 4) == 0 && zt_netif_dns(1, NULL, 0) == 0);
    CHECK(zt_netif_route(nic, behind_peer, 4, 16, peer_ip, 4, true) == 0);
    wire = zt_wire_open(board_ip, 4, 0);
    CHECK(wire >= 0);
    wire_port = (uint16_t)zt_wire_port(wire);
    return 0;
}

static void program_network(void) {
    zt_plane_network_t net = { .nic = (int16_t)nic, .config_flags = 2, .multicast_limit = 32 };
    memcpy(net.nwid, nwid, 8);
    network = zt_run_network_set(&net, (const uint8_t *)"\1\0", 2, NULL, 0);
    CHECK(network >= 0);
    CHECK(zt_run_member_set(network, peer, ZT_PLANE_ADMITTED | ZT_PLANE_SENDABLE, 6000, NULL, 0) == 0);
}

static void program(void) {
    static const zt_plane_limits_t limits = { .peers = 8, .networks = 1, .members = 16, .groups = 2,
        .group_members = 8, .reassembly = 2, .packet_bytes = 3072, .event_bytes = 8192, .rules_bytes = 4096 };
    uint8_t random[16];
    zt_port_random(random, sizeof(random));
    CHECK(zt_run_start(&limits, us, random) == 0);
    zt_plane_peer_t p = { .path = { .wire = (int16_t)wire, .remote = { .size = 4, .port = 9993 } } };
    memcpy(p.path.remote.ip, peer_outer, 4);
    p.sources[0] = p.path;
    CHECK(zt_run_peer_set(peer, key, &p, 6000) == 0);
    program_network();
    rx_before = 0;
}

typedef struct {
    uint8_t *p;
    size_t n;
} given_t;

static int give_frame(void *arg) {
    const given_t *g = arg;
    return zt_netif_input(nic, g->p, g->n);
}

// A neighbour solicitation for the peer's address becomes the advertisement.
static void advertise(uint8_t *f) {
    uint8_t asker[16];
    memcpy(asker, f + 22, 16);
    memcpy(f, our_mac, 6);
    memcpy(f + 6, peer_mac, 6);
    memcpy(f + 22, f + 62, 16);
    memcpy(f + 38, asker, 16);
    uint8_t *m = f + 54;
    memset(m, 0, 8);
    m[0] = 136;
    m[4] = 0x60; // solicited, override
    m[24] = 2;
    m[25] = 1;
    memcpy(m + 26, peer_mac, 6);
    uint8_t pseudo[40 + 32] = { [35] = 32, [39] = 58 };
    memcpy(pseudo, f + 22, 32);
    memcpy(pseudo + 40, m, 32);
    uint16_t sum = ip_sum(pseudo, sizeof(pseudo));
    m[2] = (uint8_t)(sum >> 8);
    m[3] = (uint8_t)sum;
    CHECK(zt_port_enter(give_frame, &(given_t) { f, 86 }) == 0);
}

// What Python does with a frame: here it knows who has the peer's addresses.
static void frame(uint8_t *f, size_t n) {
    bool solicits = n == 86 && f[12] == 0x86 && f[54] == 135;
    if (solicits && memcmp(f + 62, peer_plane, 16) == 0) {
        CHECK(memcmp(f + 22, our_plane, 16) == 0); // or it would be nobody's
        if (solicited++ == 0) {
            return; // lost: lwIP asks again
        }
    }
    if (solicits && (memcmp(f + 62, peer_ip6, 16) == 0 || memcmp(f + 62, peer_plane, 16) == 0)) {
        advertise(f);
    }
    if (n < 42 || f[12] != 8 || f[13] != 6 || f[21] != 1 || memcmp(f + 38, peer_ip, 4) != 0) {
        return;
    }
    memcpy(f, our_mac, 6);
    memcpy(f + 6, peer_mac, 6);
    f[21] = 2;
    memcpy(f + 32, our_mac, 6);
    memcpy(f + 38, our_ip, 4);
    memcpy(f + 22, peer_mac, 6);
    memcpy(f + 28, peer_ip, 4);
    CHECK(zt_port_enter(give_frame, &(given_t) { f, 42 }) == 0);
}

typedef struct {
    uint8_t *buf;
    int nic;
    uint8_t mac[6];
} ask_t;

static int take_frame(void *arg) {
    ask_t *a = arg;
    return zt_netif_recv(a->buf, ZT_PLANE_PACKET_MAX, &a->nic);
}

static int ask(void *arg) {
    ask_t *a = arg;
    uint8_t macs[6 * 8];
    CHECK(zt_netif_groups(nic, macs, 8) > 0);
    zt_port_drain();
    return zt_netif_mac(nic, peer_ip, 4, a->mac);
}

// One turn of the node.
static void turn(void) {
    static uint8_t buf[ZT_PLANE_PACKET_MAX];
    zt_plane_event_t ev;
    ask_t a = { .buf = buf };
    while (zt_run_event(&ev, buf, sizeof(buf)) == 1) {
        if (ev.kind == ZT_PLANE_EVENT_FRAME) {
            frame(buf, ev.n);
        }
    }
    while (zt_netif_pending() && zt_port_enter(take_frame, &a) > 0) {
    }
    if (zt_port_enter(ask, &a)) {
        CHECK(memcmp(a.mac, peer_mac, 6) == 0);
    }
    CHECK(zt_run_peer_renew(peer, 6000) == 0);
    CHECK(zt_run_member_renew(network, peer, 6000) == 0);
    zt_plane_peer_stats_t ps;
    CHECK(zt_run_peer_stats(peer, &ps) == 0);
    uint32_t counters[ZT_PLANE_COUNTERS];
    zt_io_counters_t io;
    zt_run_counters(counters, &io);
    CHECK(counters[ZT_PLANE_RX] >= rx_before);
    rx_before = counters[ZT_PLANE_RX];
    zt_run_expire();
    objects++;
}

static int finish(void *arg) {
    (void)arg;
    CHECK(zt_hal_drops.rx_loop > 0);
    CHECK(zt_wire_close(wire) == 0);
    CHECK(memcmp(dns_getserver(0), peer_ip, 4) == 0);
    CHECK(zt_netif_dns(0, NULL, 0) == ZT_NETIF_ERR_FULL);
    CHECK(memcmp(dns_getserver(0), peer_outer, 4) == 0); // the board's own
    zt_netif_reset();
    struct netif *netif;
    NETIF_FOREACH(netif) {
        CHECK(netif->name[0] != 'z');
    }
    return 0;
}

static void *interpreter(void *arg) {
    (void)arg;
    zt_esp32_acquire();
    for (int round = 1; done < 2; round++) {
        turn();
        if (round % ROUNDS == 0) {
            program_network(); // as a new configuration does
        }
        if (round % (4 * ROUNDS) == 0) {
            zt_plane_end(); // as a soft reset does, while bytes flow
            program();
            restarts++;
        }
        zt_esp32_release();
        host_wait(5);
        zt_esp32_acquire();
    }
    zt_plane_end();
    zt_port_enter(finish, NULL);
    zt_esp32_release();
    return NULL;
}

// Another thread of the program's: it gets on while the node waits for lwIP.
static void *other(void *arg) {
    (void)arg;
    while (done < 2) {
        zt_esp32_acquire();
        objects++;
        zt_esp32_release();
        usleep(200);
    }
    return NULL;
}

// ---- two programs on ordinary sockets ----

static struct sockaddr_in at(const uint8_t *ip, uint16_t port) {
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = lwip_htons(port) };
    if (ip != NULL) {
        memcpy(&a.sin_addr, ip, 4);
    }
    return a;
}

static uint8_t pattern(size_t i) {
    return (uint8_t)(i * 7 + (i >> 8));
}

static void udp6(const struct timeval *tv, const uint8_t *ip) {
    int s = lwip_socket(AF_INET6, SOCK_DGRAM, 0);
    struct sockaddr_in6 own = { .sin6_family = AF_INET6, .sin6_port = lwip_htons(5006) }, to = own;
    memcpy(&to.sin6_addr, ip, 16);
    CHECK(s >= 0 && lwip_bind(s, (struct sockaddr *)&own, sizeof(own)) == 0);
    CHECK(lwip_setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, tv, sizeof(*tv)) == 0);
    uint8_t in[100];
    for (int got = 0; got < FEW;) {
        lwip_sendto(s, "over IPv6", 9, 0, (struct sockaddr *)&to, sizeof(to));
        got += lwip_recvfrom(s, in, sizeof(in), 0, NULL, NULL) == 9;
    }
    CHECK(lwip_close(s) == 0);
}

static void *udp(void *arg) {
    int want = *(const int *)arg;
    int s = lwip_socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in own = at(NULL, 5000), to = at(peer_ip, 5000);
    struct timeval tv = { .tv_usec = 100000 };
    CHECK(s >= 0 && lwip_bind(s, (struct sockaddr *)&own, sizeof(own)) == 0);
    CHECK(lwip_setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
    uint8_t out[700], in[1500];
    for (int got = 0, n = 0; got < want || restarts < RESTARTS; n++) {
        size_t size = 1 + (size_t)(n * 37) % sizeof(out);
        for (size_t i = 0; i < size; i++) {
            out[i] = pattern(i + (size_t)n);
        }
        lwip_sendto(s, out, size, 0, (struct sockaddr *)&to, sizeof(to));
        int r = (int)lwip_recvfrom(s, in, sizeof(in), 0, NULL, NULL);
        for (int i = 1; i < r; i++) { // of whichever datagram it is: one that was late is not the last sent
            CHECK((uint8_t)(in[i] - in[i - 1] - 7) <= 1);
        }
        got += r > 0;
    }
    // By a gateway, which lwIP asks our routes for; and over IPv6.
    struct sockaddr_in far = at(behind_peer, 5000), from;
    for (int got = 0; got < FEW;) {
        socklen_t size = sizeof(from);
        lwip_sendto(s, out, 99, 0, (struct sockaddr *)&far, sizeof(far));
        int r = (int)lwip_recvfrom(s, in, sizeof(in), 0, (struct sockaddr *)&from, &size);
        got += r == 99 && from.sin_addr.s_addr == far.sin_addr.s_addr;
    }
    CHECK(lwip_close(s) == 0);
    udp6(&tv, peer_ip6);
    udp6(&tv, peer_plane);
    CHECK(solicited > 1);
    done++;
    return NULL;
}

static int listener;

static void *tcp_server(void *arg) {
    size_t want = *(const size_t *)arg;
    int s = lwip_accept(listener, NULL, NULL);
    CHECK(s >= 0);
    uint8_t in[2000];
    size_t got = 0;
    for (ssize_t r; (r = lwip_recv(s, in, sizeof(in), 0)) > 0; got += (size_t)r) {
        for (ssize_t i = 0; i < r; i++) {
            CHECK(in[i] == pattern(got + (size_t)i));
        }
    }
    CHECK(got == want);
    CHECK(lwip_send(s, "ok", 2, 0) == 2);
    lwip_close(s);
    return NULL;
}

static void *tcp_client(void *arg) {
    size_t want = *(const size_t *)arg;
    int s = lwip_socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = at(peer_ip, 7000);
    CHECK(s >= 0 && lwip_connect(s, (struct sockaddr *)&to, sizeof(to)) == 0);
    uint8_t out[1777];
    for (size_t sent = 0; sent < want;) {
        size_t n = want - sent < sizeof(out) ? want - sent : sizeof(out);
        for (size_t i = 0; i < n; i++) {
            out[i] = pattern(sent + i);
        }
        ssize_t r = lwip_send(s, out, n, 0);
        CHECK(r > 0);
        sent += (size_t)r;
    }
    CHECK(lwip_shutdown(s, SHUT_WR) == 0);
    uint8_t in[8];
    CHECK(lwip_recv(s, in, sizeof(in), 0) == 2);
    lwip_close(s);
    done++;
    return NULL;
}

// ---- together ----

static void stack_ready(void *arg) {
    stack_thread = pthread_self();
    sys_sem_signal(arg);
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IONBF, 0);
    size_t bytes = argc > 1 ? strtoul(argv[1], NULL, 10) : 200000;
    int datagrams = argc > 2 ? atoi(argv[2]) : 300;
    mac_of(our_mac, us);
    mac_of(peer_mac, peer);
    for (size_t i = 0; i < sizeof(key); i++) {
        key[i] = (uint8_t)(i * 5 + 1);
    }
    sys_sem_t ready;
    CHECK(sys_sem_new(&ready, 0) == ERR_OK);
    tcpip_init(stack_ready, &ready);
    sys_sem_wait(&ready);

    zt_esp32_acquire();
    zt_port_enter(air_begin, NULL);
    zt_port_enter(begin, NULL);
    program();
    zt_esp32_release();

    listener = lwip_socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in own = at(NULL, 7000);
    CHECK(lwip_bind(listener, (struct sockaddr *)&own, sizeof(own)) == 0 && lwip_listen(listener, 2) == 0);

    pthread_t t[6];
    pthread_create(&t[0], NULL, air_thread, NULL);
    pthread_create(&t[1], NULL, interpreter, NULL);
    pthread_create(&t[2], NULL, other, NULL);
    pthread_create(&t[3], NULL, tcp_server, &bytes);
    pthread_create(&t[4], NULL, tcp_client, &bytes);
    pthread_create(&t[5], NULL, udp, &datagrams);
    for (int i = 1; i < 6; i++) {
        pthread_join(t[i], NULL);
    }
    printf("%d packets, %d forged, %d restarts of the plane, %d in the wrong thread\n", mirrored, forged, restarts, wrong_thread);
    CHECK(wrong_thread == 0 && mirrored > 0 && forged > 0);
    printf("ok\n");
    _exit(0);
}
