// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Times the data plane alone (zt_plane_tx, zt_plane_rx_run) with 1, 10, 100 and 1,000 peers that take turns
// frame by frame in a random order, so that no table entry is used twice in a row. Prints lines of
// "peers direction frame_bytes frames_per_second table_bytes". The sizes are measured in short turns one
// after the other, and the best turn of each counts: they meet the same quiet moments of the machine.

#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "zt_plane.h"
#include "zt_wire.h"

enum {
    SIZES = 4,
    MOST = 1000,
    PACKETS = 1000, // prepared ones, as many for each number of peers
    OUT = 96 * 1024, // as large as a port's send buffer
    TURNS = 60,
    RUN = 4,
    HEAD = 38, // of a packet with a FRAME, before the payload
    ETHERNET = 14
};

static const unsigned COUNTS[SIZES] = {1, 10, 100, MOST};
static const unsigned FRAMES[] = {64, 1400};
static const uint8_t NWID[8] = {0x80, 0x56, 0xc2, 0xe2, 0x1c, 0, 0, 1};
static const uint8_t SELF[5] = {0x11, 0x22, 0x33, 0x44, 0x55};

typedef struct {
    zt_plane_t *plane;
    size_t bytes;
    unsigned peers;
    int network;
    uint8_t address[MOST][5];
    uint8_t key[MOST][48];
    uint16_t order[PACKETS];
    uint8_t (*packets)[1500]; // sealed, from peers in that order
} setup_t;

static setup_t setups[SIZES];
static uint8_t out[OUT + ZT_HAL_SLOT_MAX];
static size_t used;
static uint64_t delivered, transmitted;

static uint8_t *wire_get(void *ctx, int wire, size_t n) {
    (void)ctx;
    (void)wire;
    if (n > OUT - used) {
        used = 0;
    }
    return out + used;
}

static int wire_put(void *ctx, int wire, const zt_addr_t *to, uint8_t *slot, size_t n, size_t datagram) {
    (void)ctx;
    (void)wire;
    (void)to;
    (void)slot;
    (void)datagram;
    used += n;
    transmitted += n != 0;
    return 0;
}

static void nic_input(void *ctx, int nic, void *owner, uint8_t *frame, size_t n) {
    (void)ctx;
    (void)nic;
    (void)owner;
    (void)frame;
    (void)n;
    delivered++;
}

static const zt_hal_t HAL = {wire_get, wire_put, nic_input, NULL};

static uint32_t draw(void) {
    static uint32_t x = 2463534242U;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return x;
}

static void fill(uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        p[i] = (uint8_t)(draw() >> 11);
    }
}

static void mac_of(const uint8_t address[5], uint8_t mac[6]) {
    mac[0] = (NWID[7] & 0xfe) | 2;
    if (mac[0] == 0x52) {
        mac[0] = 0x32;
    }
    for (int i = 0; i < 5; i++) {
        mac[1 + i] = address[i] ^ NWID[6 - i];
    }
}

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void check(int good, const char *what) {
    if (!good) {
        fprintf(stderr, "bench_plane: %s\n", what);
        exit(1);
    }
}

static void place(setup_t *s, unsigned peers) {
    const zt_plane_limits_t limits = {
        .peers = (uint16_t)peers,
        .networks = 1,
        .members = (uint16_t)peers,
        .groups = 4,
        .group_members = 8,
        .reassembly = 2,
        .packet_bytes = 2880,
        .event_bytes = 8192,
        .rules_bytes = 1024,
    };
    uint8_t random[16];
    fill(random, sizeof random);
    s->peers = peers;
    s->bytes = zt_plane_size(&limits);
    s->plane = zt_plane_init(malloc(s->bytes), s->bytes, &limits, SELF, random, &HAL, NULL);
    check(s->plane != NULL, "no plane");
    zt_plane_network_t net = {.config_flags = 2, .multicast_limit = 32};
    memcpy(net.nwid, NWID, 8);
    static const uint8_t ACCEPT[2] = {1, 0};
    s->network = zt_plane_network_set(s->plane, &net, ACCEPT, sizeof ACCEPT, NULL, 0);
    check(s->network >= 0, "no network");
    for (unsigned i = 0; i < peers; i++) {
        fill(s->key[i], 48);
        zt_plane_peer_t way;
        memset(&way, 0, sizeof way);
        way.path.remote = (zt_addr_t){.ip = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}, .port = 9993, .size = 4};
        way.sources[0].remote = (zt_addr_t){.ip = {10, 0, 0, 0}, .port = 9993, .size = 4};
        int set;
        do { // a chain may be full: another address then, as Python would do without an entry
            fill(s->address[i], 5);
            s->address[i][0] &= 0x7f;
            set = zt_plane_peer_set(s->plane, 0, s->address[i], s->key[i], &way, ZT_PLANE_TTL_MS) == 0 &&
                  zt_plane_member_set(s->plane, 0, s->network, s->address[i],
                                      ZT_PLANE_ADMITTED | ZT_PLANE_SENDABLE, ZT_PLANE_TTL_MS, NULL, 0) == 0;
        } while (!set);
    }
    for (unsigned i = 0; i < PACKETS; i++) {
        s->order[i] = (uint16_t)(i % peers);
    }
    for (unsigned i = PACKETS - 1; i > 0; i--) {
        const unsigned k = draw() % (i + 1);
        const uint16_t t = s->order[i];
        s->order[i] = s->order[k];
        s->order[k] = t;
    }
    s->packets = malloc(PACKETS * sizeof *s->packets);
}

static void seal_all(setup_t *s, size_t n) {
    for (unsigned i = 0; i < PACKETS; i++) {
        uint8_t *p = s->packets[i];
        const unsigned peer = s->order[i];
        fill(p, 8);
        memcpy(p + 8, SELF, 5);
        memcpy(p + 13, s->address[peer], 5);
        p[18] = 0;
        p[27] = 6;
        memcpy(p + 28, NWID, 8);
        p[36] = 8;
        p[37] = 0;
        memset(p + HEAD, 0x5a, n);
        check(zt_seal(s->key[peer], p, HEAD + n, 1) == 0, "not sealed");
    }
}

static double transmit(setup_t *s, size_t n) {
    static uint8_t frame[1500];
    mac_of(SELF, frame + 6);
    frame[12] = 8;
    frame[13] = 0;
    const zt_seg_t segment = {frame, ETHERNET + n};
    const uint64_t before = transmitted;
    const double start = now_s();
    for (unsigned i = 0; i < PACKETS; i++) {
        mac_of(s->address[s->order[i]], frame);
        zt_plane_tx(s->plane, 1, s->network, &segment, 1);
    }
    const double took = now_s() - start;
    check(transmitted - before == PACKETS, "frames were not sent");
    return took / PACKETS;
}

// Opening is in place, so a copy of each packet is part of the figure, as it is of a socket's. Four packets are
// one message, as UDP_GRO would bring them, though each is of another peer; the plane hears all from one place.
static double receive(setup_t *s, size_t n) {
    static uint8_t block[RUN * 1500];
    const zt_addr_t from = {.ip = {10, 0, 0, 0}, .port = 9993, .size = 4};
    const size_t size = HEAD + n;
    const uint64_t before = delivered;
    const double start = now_s();
    for (unsigned i = 0; i < PACKETS; i += RUN) {
        for (unsigned k = 0; k < RUN; k++) {
            memcpy(block + k * size, s->packets[i + k], size);
        }
        int result;
        zt_plane_rx_run(s->plane, 1, 0, &from, block, RUN * size, size, block, &result);
    }
    const double took = now_s() - start;
    check(delivered - before == PACKETS, "frames were not delivered");
    return took / PACKETS;
}

int main(void) {
    for (unsigned i = 0; i < SIZES; i++) {
        place(&setups[i], COUNTS[i]);
    }
    for (unsigned f = 0; f < sizeof FRAMES / sizeof *FRAMES; f++) {
        const size_t n = FRAMES[f] - ETHERNET;
        double best[2][SIZES];
        for (unsigned i = 0; i < SIZES; i++) {
            seal_all(&setups[i], n);
            best[0][i] = best[1][i] = 1;
        }
        for (unsigned turn = 0; turn < TURNS; turn++) {
            for (unsigned i = 0; i < SIZES; i++) {
                for (unsigned way = 0; way < 2; way++) {
                    // The first pass brings back what the others pushed out of the caches.
                    double (*run)(setup_t *, size_t) = way ? receive : transmit;
                    run(&setups[i], n);
                    const double t = run(&setups[i], n);
                    best[way][i] = t < best[way][i] ? t : best[way][i];
                }
            }
        }
        for (unsigned way = 0; way < 2; way++) {
            for (unsigned i = 0; i < SIZES; i++) {
                printf("%u %s %u %.0f %zu\n", COUNTS[i], way ? "rx" : "tx", FRAMES[f], 1 / best[way][i],
                       setups[i].bytes);
            }
        }
    }
    return 0;
}
