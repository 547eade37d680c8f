// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// What the fuzzers of the data plane share: reading an input, and a plane for node A with peers B and C on
// the port of tests/core/plane_shim.c. Included once by each.

#ifndef FUZZ_PLANE_H
#define FUZZ_PLANE_H

#include "../core/plane_shim.c"
#include "zt_wire.h"

static const uint8_t A[5] = {0x11, 0x22, 0x33, 0x44, 0x55};
static const uint8_t B[5] = {0x66, 0x77, 0x88, 0x99, 0xaa};
static const uint8_t C[5] = {0xc4, 0xaa, 0xa2, 0x6c, 0x6a};
static const uint8_t NWID[8] = {0x80, 0x56, 0xc2, 0xe2, 0x1c, 0, 0, 1};
static const uint8_t SESSION[48] = "a session key of forty-eight bytes, for fuzzing.";
static const uint8_t RANDOM[16] = "sixteen of these";

#define CHECK(x) \
    do { \
        if (!(x)) { \
            abort(); \
        } \
    } while (0)

typedef struct {
    const uint8_t *p;
    size_t n;
} input_t;

static inline unsigned byte(input_t *in) {
    if (in->n == 0) {
        return 0;
    }
    in->n--;
    return *in->p++;
}

// n bytes in a block of their own, fewer at the end of the input.
static inline uint8_t *block(input_t *in, size_t *n) {
    if (*n > in->n) {
        *n = in->n;
    }
    uint8_t *out = malloc(*n ? *n : 1);
    memcpy(out, in->p, *n);
    in->p += *n;
    in->n -= *n;
    return out;
}

static inline zt_addr_t address(unsigned last) {
    zt_addr_t a = {{10, 0, 0, (uint8_t)last}, 9993, 4, 0};
    return a;
}

static inline void mac(const uint8_t of[5], uint8_t out[6]) {
    out[0] = 0x02;
    for (int i = 0; i < 5; i++) {
        out[1 + i] = of[i] ^ NWID[6 - i];
    }
}

static inline zt_plane_t *make_plane(const zt_plane_limits_t *limits, const uint8_t of[5], shim_t *shim,
                                     uint8_t **memory) {
    const size_t n = zt_plane_size(limits);
    CHECK(n != 0);
    *memory = malloc(n);
    memset(*memory, 0xe7, n);
    zt_plane_t *p = zt_plane_init(*memory, n, limits, of, RANDOM, shim_hal(), shim);
    CHECK(p != NULL);
    return p;
}

static inline void add_peer(zt_plane_t *p, uint32_t now, const uint8_t of[5], unsigned last) {
    zt_plane_peer_t way;
    memset(&way, 0, sizeof way);
    way.path.remote = way.sources[0].remote = address(last);
    way.path.wire = way.sources[0].wire = 1;
    CHECK(zt_plane_peer_set(p, now, of, SESSION, &way, ZT_PLANE_TTL_MS) == 0);
}

// The network, with rules and credentials from the input; if they are refused, without.
static inline void add_network(zt_plane_t *p, uint32_t now, input_t *in, const uint8_t other[5]) {
    zt_plane_network_t net;
    memset(&net, 0, sizeof net);
    memcpy(net.nwid, NWID, 8);
    const unsigned how = byte(in);
    net.config_flags = how & 14;
    net.flags = (uint16_t)(how >> 4);
    net.multicast_limit = how & 1 ? 32 : byte(in) & 3;
    size_t rules_n = byte(in);
    uint8_t *rules = block(in, &rules_n);
    size_t own_n = byte(in);
    uint8_t *own = block(in, &own_n);
    static const uint8_t ACCEPT[2] = {1, 0};
    int index = zt_plane_network_set(p, &net, rules, rules_n, own, own_n);
    if (index < 0) {
        index = zt_plane_network_set(p, &net, ACCEPT, 2, NULL, 0);
    }
    CHECK(index == 0);
    size_t n = byte(in);
    uint8_t *theirs = block(in, &n);
    const unsigned both = ZT_PLANE_ADMITTED | ZT_PLANE_SENDABLE;
    if (zt_plane_member_set(p, now, 0, other, both, ZT_PLANE_TTL_MS, theirs, n)) {
        CHECK(zt_plane_member_set(p, now, 0, other, both, ZT_PLANE_TTL_MS, NULL, 0) == 0);
    }
    free(rules);
    free(own);
    free(theirs);
}

// Reads all events; each must be well formed.
static inline unsigned drain(zt_plane_t *p) {
    static uint8_t buf[ZT_PLANE_PACKET_MAX];
    zt_plane_event_t ev;
    unsigned count = 0;
    int got;
    while ((got = zt_plane_event_get(p, &ev, buf, sizeof buf)) == 1) {
        count++;
        CHECK(ev.kind >= ZT_PLANE_EVENT_PACKET && ev.kind <= ZT_PLANE_EVENT_COPY);
        CHECK(ev.flags <= 3 && (ev.kind == ZT_PLANE_EVENT_PACKET || ev.network >> 1 == 0));
        CHECK(ev.kind == ZT_PLANE_EVENT_PACKET ? ev.n > 16 : ev.n >= 14);
        CHECK(!(ev.flags & ZT_PLANE_OPENED) || ev.n >= 28);
    }
    CHECK(got == 0);
    return count;
}

static inline void check_shim(const shim_t *s) {
    CHECK(s->wrong == 0 && s->out == 0);
}

#endif
