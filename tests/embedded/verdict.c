// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Counts, on the bare RV32 machine, the instructions of zt_plane_rx from its call to the place where the MAC
// has been judged (ZT_NOTICE), and to its return, for packets that are good and packets with a flipped bit:
// in each byte of the MAC, in each byte of the body, in each byte of the id. Prints "up_to_verdict SIZE
// CASE COUNT" for each, "to_return" for those refused.

#include <string.h>

#include "zt_plane.h"
#include "zt_wire.h"

#include "bare.h"

void *memmove(void *to, const void *from, size_t n) {
    uint8_t *t = to;
    const uint8_t *f = from;
    if (t <= f) {
        return memcpy(to, from, n);
    }
    while (n--) {
        t[n] = f[n];
    }
    return to;
}

static const uint8_t OWN[5] = {0x11, 0x22, 0x33, 0x44, 0x55};
static const uint8_t PEER[5] = {0x66, 0x77, 0x88, 0x99, 0xaa};
static const uint8_t NWID[8] = {0x80, 0x56, 0xc2, 0xe2, 0x1c, 0, 0, 1};
static const uint8_t ACCEPT[2] = {1, 0};
static const zt_plane_limits_t LIMITS = {2, 1, 2, 1, 2, 1, 2880, 0, 4096, 256};

static uint8_t memory[24576] __attribute__((aligned(8)));
static uint8_t session[48], sealed[2880], pkt[2880];
static uint32_t noticed, notices, delivered;

void zt_notice(void) {
    if (notices++ == 0) {
        noticed = instructions();
    }
}

static uint8_t *wire_get(void *ctx, int wire, size_t n) {
    (void)ctx;
    (void)wire;
    (void)n;
    return NULL;
}

static int wire_put(void *ctx, int wire, const zt_addr_t *to, uint8_t *slot, size_t n, size_t datagram) {
    (void)ctx;
    (void)wire;
    (void)to;
    (void)slot;
    (void)n;
    (void)datagram;
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

static void kick(void *ctx) {
    (void)ctx;
}

static const zt_hal_t HAL = {wire_get, wire_put, nic_input, kick};

static void result(const char *what, const char *size, const char *name, uint32_t count) {
    print(what);
    print(" ");
    print(size);
    print(" ");
    print_number(name, count);
}

// The sealed packet with one bit changed at `at`; 0: none. In one datagram, or as head and two pieces.
static void receive(zt_plane_t *plane, const char *size, const char *name, size_t n, size_t at, int cut) {
    static uint8_t piece[1500];
    const zt_addr_t from = {{10, 0, 0, 2}, 9993, 4, 0};
    const uint32_t before = delivered;
    memcpy(pkt, sealed, n);
    if (at) {
        pkt[at == n ? 0 : at] ^= (uint8_t)(1U << at % 8); // n: the first byte
    }
    const size_t part = n / 3;
    uint32_t since = 0;
    notices = 0;
    int verdict = ZT_PLANE_KEPT;
    if (cut) {
        for (unsigned i = 1; i < 3; i++) {
            const size_t length = i == 2 ? n - 2 * part : part;
            memcpy(piece, pkt, 8);
            memcpy(piece + 8, OWN, 5);
            piece[13] = 0xff;
            piece[14] = (uint8_t)(0x30 | i);
            memcpy(piece + 16, pkt + i * part, length);
            zt_plane_rx(plane, 0, 1, &from, piece, length + 16, NULL);
        }
    }
    since = instructions();
    verdict = zt_plane_rx(plane, 0, 1, &from, pkt, cut ? part : n, NULL);
    const uint32_t all = instructions() - since;
    result("up_to_verdict", size, name, notices ? noticed - since : 0);
    if (at) {
        result(verdict == ZT_PLANE_DROPPED ? "to_return" : "taken", size, name, all);
    } else {
        print(delivered == before + 1 && verdict == ZT_PLANE_DONE ? "delivered " : "lost ");
        print(size);
        print(" good 1\n");
    }
}

static void one_size(zt_plane_t *plane, const char *size, size_t n, int cut) {
    for (size_t i = 0; i < n; i++) {
        sealed[i] = (uint8_t)(i * 11 + 5);
    }
    memcpy(sealed + 8, OWN, 5);
    memcpy(sealed + 13, PEER, 5);
    sealed[18] = cut ? 0x40 : 0;
    sealed[27] = 0x06;
    memcpy(sealed + 28, NWID, 8);
    zt_seal(session, sealed, n, 1);
    receive(plane, size, "good", n, 0, cut);
    receive(plane, size, "id", n, n, cut);
    for (size_t at = 1; at < 8; at++) {
        receive(plane, size, "id", n, at, cut);
    }
    for (size_t at = 19; at < 27; at++) {
        receive(plane, size, "mac", n, at, cut);
    }
    for (size_t at = 27; at < n; at += n < 200 ? 1 : 41) {
        receive(plane, size, "body", n, at, cut);
    }
    receive(plane, size, "good", n, 0, cut);
}

int main(void) {
    static const uint8_t random[16] = {1, 2, 3};
    for (unsigned i = 0; i < sizeof session; i++) {
        session[i] = (uint8_t)(3 + 7 * i);
    }
    zt_plane_t *plane = zt_plane_init(memory, sizeof memory, &LIMITS, OWN, random, &HAL, NULL);
    if (!plane) {
        return 1;
    }
    zt_plane_peer_t way;
    memset(&way, 0, sizeof way);
    const zt_addr_t from = {{10, 0, 0, 2}, 9993, 4, 0};
    way.path.remote = way.sources[0].remote = from;
    way.path.wire = way.sources[0].wire = 1;
    zt_plane_network_t net;
    memset(&net, 0, sizeof net);
    memcpy(net.nwid, NWID, 8);
    if (zt_plane_peer_set(plane, 0, PEER, session, &way, ZT_PLANE_TTL_MS) ||
        zt_plane_network_set(plane, &net, ACCEPT, 2, NULL, 0) != 0 ||
        zt_plane_member_set(plane, 0, 0, PEER, ZT_PLANE_ADMITTED, ZT_PLANE_TTL_MS, NULL, 0)) {
        return 2;
    }
    one_size(plane, "60", 60, 0);
    one_size(plane, "1400", 1400, 0);
    one_size(plane, "2700_in_pieces", 2700, 1);
    return 0;
}
