// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// libFuzzer target: datagrams of equal size that come as one block. One plane gets the block, its twin each
// datagram alone; they must deliver, hand over and count the same. The input is a network with rules and
// credentials, then blocks.

#include "fuzz_plane.h"

#define BLOCKS 4
#define COUNT 12

typedef struct {
    shim_t *shim;
    uint8_t *memory;
    zt_plane_t *p;
} twin_t;

static void begin(twin_t *t, uint32_t now, input_t in, unsigned how) {
    const zt_plane_limits_t limits = {4, 1, 4, 1, 2, 2, 2000, 0, 262144, 4096};
    t->shim = shim_new();
    t->p = make_plane(&limits, A, t->shim, &t->memory);
    add_peer(t->p, now, B, 2);
    if (how & 1) {
        add_peer(t->p, now, C, 2);
    }
    add_network(t->p, now, &in, B);
    if (how & 2) {
        zt_plane_member_set(t->p, now, 0, C, ZT_PLANE_ADMITTED, ZT_PLANE_TTL_MS, NULL, 0);
    }
}

static void same(twin_t *one, twin_t *two) {
    static uint8_t x[ZT_PLANE_PACKET_MAX];
    static uint8_t y[ZT_PLANE_PACKET_MAX];
    zt_plane_event_t a;
    zt_plane_event_t b;
    int more;
    do {
        more = zt_plane_event_get(one->p, &a, x, sizeof x);
        CHECK(zt_plane_event_get(two->p, &b, y, sizeof y) == more && more >= 0);
        CHECK(!more || (memcmp(&a, &b, sizeof a) == 0 && memcmp(x, y, a.n) == 0));
    } while (more);
    CHECK(one->shim->count == two->shim->count);
    for (uint32_t i = 0; i < one->shim->count; i++) {
        const record_t *r = &one->shim->records[i];
        const record_t *s = &two->shim->records[i];
        CHECK(r->kind == s->kind && r->n == s->n && memcmp(r->bytes, s->bytes, r->n) == 0);
    }
    uint32_t c[ZT_PLANE_COUNTERS];
    uint32_t d[ZT_PLANE_COUNTERS];
    zt_plane_counters(one->p, c);
    zt_plane_counters(two->p, d);
    CHECK(memcmp(c, d, sizeof c) == 0);
    check_shim(one->shim);
    check_shim(two->shim);
    shim_clear(one->shim);
    shim_clear(two->shim);
}

static void datagram(input_t *in, uint8_t *pkt, size_t n) {
    const unsigned how = byte(in);
    memset(pkt, 0x41, n);
    for (size_t i = 0; i < n && i < 8; i++) {
        pkt[i] = (uint8_t)(how * 31 + i);
    }
    for (size_t i = 27; i < n && i < 48 && how & 1; i++) {
        pkt[i] = (uint8_t)byte(in);
    }
    if (n < 28) {
        return;
    }
    memcpy(pkt + 8, how & 2 && how & 4 ? B : A, 5);
    memcpy(pkt + 13, how & 8 ? C : B, 5);
    pkt[18] = how & 0x60 ? 0 : (uint8_t)byte(in);
    if (!(how & 1)) {
        pkt[27] = 6;
        memcpy(pkt + 28, NWID, n - 28 < 8 ? n - 28 : 8);
    }
    zt_seal(SESSION, pkt, n, (how & 0x70) != 0x10);
    if ((how & 0x30) == 0x30) {
        pkt[how * 7 % n] ^= (uint8_t)(1 << (how & 7));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input_t in = {data, size};
    const unsigned how = byte(&in);
    const uint32_t now = byte(&in) * 0x1000000U;
    size_t tables = byte(&in);
    uint8_t *config = block(&in, &tables);
    twin_t one;
    twin_t two;
    begin(&one, now, (input_t){config, tables}, how);
    begin(&two, now, (input_t){config, tables}, how);
    for (unsigned i = 0; i < BLOCKS && in.n; i++) {
        const size_t each = 1 + byte(&in) % 140;
        const unsigned count = 1 + byte(&in) % COUNT;
        const size_t last = 1 + byte(&in) % each;
        const size_t n = (count - 1) * each + last;
        const zt_addr_t from = address(2 + (how >> 2 & 1));
        uint8_t *whole = malloc(n);
        for (unsigned k = 0; k < count; k++) {
            datagram(&in, whole + k * each, k + 1 < count ? each : last);
        }
        for (unsigned k = 0; k < count; k++) {
            const size_t take = k + 1 < count ? each : last;
            uint8_t *alone = malloc(take);
            memcpy(alone, whole + k * each, take);
            zt_plane_rx(two.p, now, 1, &from, alone, take, NULL);
            free(alone);
        }
        for (size_t at = 0; at < n;) {
            int result;
            const size_t used = zt_plane_rx_run(one.p, now, 1, &from, whole + at, n - at, each, NULL, &result);
            CHECK(used > 0 && used <= n - at && (used == n - at || result == ZT_PLANE_EVENT));
            at += used;
        }
        free(whole);
        same(&one, &two);
    }
    free(config);
    shim_free(one.shim);
    shim_free(two.shim);
    free(one.memory);
    free(two.memory);
    return 0;
}
