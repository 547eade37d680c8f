// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// libFuzzer target: frames from the local stack, cut into segments of sizes the fuzzer chooses. The input is
// a network with rules and credentials, then frames. Whatever is sent must come out at a second plane, the
// peer's, as the same frame.

#include "fuzz_plane.h"

#define SEGMENTS 4

static const uint8_t GROUP[6] = {0x33, 0x33, 0, 0, 0, 1};
static const uint8_t ALL[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t NO_ADI[4] = {0, 0, 0, 0};
static const uint8_t ADI[4] = {10, 0, 0, 9};
// Of ARP a request for ADI, of neighbour discovery a solicitation; type first.
static const uint8_t REQUEST[30] = {8, 6, 0, 1, 8, 0, 6, 4, 0, 1, [26] = 10, [29] = 9};
static const uint8_t SOLICIT[43] = {0x86, 0xdd, 0x60, [6] = 0, 32, 58, 255, [42] = 0x87};

// Everything that A sent, delivered to B. Returns the frames that came out.
static unsigned arrive(shim_t *sent, zt_plane_t *b, shim_t *got, uint32_t now, const uint8_t *frame, size_t n) {
    const record_t *r;
    while ((r = shim_take(sent)) != NULL) {
        CHECK(r->kind == SENT && r->n >= 17 && r->n <= 1432 && r->to.size == 4);
        if (memcmp(r->bytes + 8, B, 5) == 0) {
            const zt_addr_t from = address(1);
            const int result = zt_plane_rx(b, now, 1, &from, r->bytes, r->n, NULL);
            // An empty frame and one that asks for a gather are Python's there.
            CHECK(result != ZT_PLANE_DROPPED);
        }
    }
    unsigned count = 0;
    while ((r = shim_take(got)) != NULL) {
        count++;
        CHECK(r->n == n && memcmp(r->bytes, frame, n) == 0);
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input_t in = {data, size};
    const unsigned how = byte(&in);
    const zt_plane_limits_t limits = {4, 1, 4, 3, 4, 2, 10024, 0, how & 1 ? 65536 : 500, 4096};
    const zt_plane_limits_t limits_b = {4, 1, 4, 2, 4, 2, 10024, 0, 65536, 4096};
    shim_t *sent = shim_new();
    shim_t *got = shim_new();
    uint8_t *memory_a;
    uint8_t *memory_b;
    zt_plane_t *a = make_plane(&limits, A, sent, &memory_a);
    zt_plane_t *b = make_plane(&limits_b, B, got, &memory_b);
    const uint32_t now = byte(&in) * 0x1000000U;
    add_peer(a, now, B, 2);
    add_peer(a, now, C, 3);
    add_peer(b, now, A, 1);
    add_network(a, now, &in, B);
    zt_plane_member_set(a, now, 0, C, ZT_PLANE_SENDABLE, ZT_PLANE_TTL_MS, NULL, 0);
    static const uint8_t ACCEPT_ALL[4] = {3, 0, 0, 0}; // and no rules, no credentials
    input_t none = {ACCEPT_ALL, sizeof ACCEPT_ALL};
    add_network(b, now, &none, A);
    zt_plane_network_t net = {.config_flags = 2, .multicast_limit = 32};
    memcpy(net.nwid, NWID, 8);
    static const uint8_t ACCEPT[2] = {1, 0};
    CHECK(zt_plane_network_set(b, &net, ACCEPT, 2, NULL, 0) == 0);
    CHECK(zt_plane_member_set(b, now, 0, A, 3, ZT_PLANE_TTL_MS, NULL, 0) == 0);
    uint8_t both[10];
    memcpy(both, B, 5);
    memcpy(both + 5, C, 5);
    const uint32_t gather = how & 2 ? 0x01020304 : 0;
    const size_t count = how & 4 ? 2 : 1;
    CHECK(zt_plane_group_set(a, now, 0, GROUP, NO_ADI, gather, ZT_PLANE_TTL_MS, both, count) == 0);
    CHECK(zt_plane_group_set(a, now, 0, ALL, NO_ADI, 0, ZT_PLANE_TTL_MS, both, 2) == 0);
    CHECK(zt_plane_group_set(a, now, 0, ALL, ADI, gather, ZT_PLANE_TTL_MS, both, count) == 0);
    if (how & 8) {
        // One of them can no longer be sent to: all of it is Python's.
        zt_plane_member_set(a, now, 0, how & 16 ? B : C, ZT_PLANE_ADMITTED, ZT_PLANE_TTL_MS, NULL, 0);
    }
    for (unsigned i = 0; i < 8 && in.n; i++) {
        const unsigned kind = byte(&in);
        size_t n = (size_t)byte(&in) << (kind >> 5);
        if (kind & 16) {
            shim_slots(sent, (int32_t)byte(&in) % 3 - 1, kind & 8 ? 11 : 0);
        } else {
            shim_slots(sent, -1, 0);
        }
        const unsigned known = byte(&in);
        n += known & 64 ? 9856 : 0; // about the longest
        uint8_t *frame = malloc(n + 14);
        memset(frame, 0x41, n + 14);
        if (known & 1) {
            memcpy(frame + 12, known & 2 ? SOLICIT : REQUEST, n < 28 ? n : known & 2 && n > 41 ? 43 : 30);
        }
        for (size_t at = known & 1 ? 57 : 0; at < n + 14 && in.n; at++) {
            frame[at] = (uint8_t)byte(&in);
        }
        if (kind & 7) {
            mac(A, frame + 6);
        }
        if ((kind & 3) == 1) {
            mac(B, frame);
        } else if ((kind & 3) == 2) {
            memcpy(frame, GROUP, 6);
        } else if ((kind & 3) == 3) {
            memcpy(frame, ALL, 6);
        }
        n += 14;
        if (known & 128) {
            n = n % 20; // too short for an Ethernet header
        }
        zt_seg_t segments[SEGMENTS];
        uint8_t *pieces[SEGMENTS];
        size_t at = 0;
        for (unsigned s = 0; s < SEGMENTS; s++) {
            size_t take = s + 1 == SEGMENTS ? n - at : byte(&in);
            take = take > n - at ? n - at : take;
            pieces[s] = malloc(take ? take : 1);
            memcpy(pieces[s], frame + at, take);
            segments[s].p = pieces[s];
            segments[s].n = take;
            at += take;
        }
        const int result = zt_plane_tx(a, now, 0, segments, SEGMENTS);
        CHECK(zt_plane_tx(a, now, 1, segments, SEGMENTS) == -1);
        CHECK(result >= ZT_PLANE_DROPPED && result <= ZT_PLANE_EVENT);
        CHECK((result == ZT_PLANE_DONE) == (sent->count != 0));
        const unsigned frames = arrive(sent, b, got, now, frame, n);
        CHECK(frames <= (result == ZT_PLANE_DONE));
        for (unsigned s = 0; s < SEGMENTS; s++) {
            free(pieces[s]);
        }
        free(frame);
        if (known & 32) {
            drain(a);
        }
    }
    drain(a);
    drain(b);
    check_shim(sent);
    check_shim(got);
    shim_free(sent);
    shim_free(got);
    free(memory_a);
    free(memory_b);
    return 0;
}
