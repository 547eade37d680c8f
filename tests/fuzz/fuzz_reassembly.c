// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// libFuzzer target: pieces of four packets in any order, doubled, contradicting each other, late. A second
// and simpler account of what was received says what must come out: whole packets go to Python unopened,
// because their sender is nobody here. With small slots pieces go to Python as they came.

#include "fuzz_plane.h"

#define IDS 4
#define PIECES 7

typedef struct {
    uint8_t *piece[PIECES];
    size_t n[PIECES];
    size_t size;
    unsigned have;
    unsigned total;
    uint32_t began;
    int passed;
} model_t;

static void forget(model_t *m) {
    for (int i = 0; i < PIECES; i++) {
        free(m->piece[i]);
    }
    memset(m, 0, sizeof *m);
}

// The only event is these bytes.
static void expect(zt_plane_t *p, unsigned flags, const uint8_t *bytes, size_t n) {
    static uint8_t buf[ZT_PLANE_PACKET_MAX];
    zt_plane_event_t ev;
    CHECK(zt_plane_event_get(p, &ev, buf, sizeof buf) == 1);
    CHECK(ev.kind == ZT_PLANE_EVENT_PACKET && ev.flags == flags && ev.n == n);
    CHECK(memcmp(buf, bytes, n) == 0);
    CHECK(zt_plane_event_get(p, &ev, buf, sizeof buf) == 0);
}

static void add_piece(zt_plane_t *p, model_t *m, uint32_t now, const uint8_t *pkt, size_t n, unsigned number,
                      unsigned total, size_t room, int result) {
    const size_t skip = number ? 16 : 0;
    if (m->passed) {
        CHECK(result == ZT_PLANE_EVENT);
        expect(p, 0, pkt, n);
        return;
    }
    if (m->have == 0 && m->total == 0) {
        m->began = now;
    }
    m->total = total ? total : m->total;
    if (!(m->have >> number & 1)) {
        if (m->size + n - skip > ZT_PLANE_PACKET_MAX) {
            CHECK(result == ZT_PLANE_DROPPED);
            forget(m);
            return;
        }
        if (m->size + n - skip > room) {
            unsigned held = 1;
            for (unsigned have = m->have; have; have >>= 1) {
                held += have & 1;
            }
            CHECK(result == ZT_PLANE_EVENT && drain(p) == held);
            m->passed = 1;
            return;
        }
        m->piece[number] = malloc(n);
        memcpy(m->piece[number], pkt + skip, n - skip);
        m->n[number] = n - skip;
        m->size += n - skip;
        m->have |= 1U << number;
    }
    if (m->total == 0 || m->have != (1U << m->total) - 1) {
        CHECK(result == ZT_PLANE_KEPT && drain(p) == 0);
        return;
    }
    uint8_t *whole = malloc(m->size);
    size_t at = 0;
    for (unsigned i = 0; i < m->total; i++) {
        memcpy(whole + at, m->piece[i], m->n[i]);
        at += m->n[i];
    }
    CHECK(result == ZT_PLANE_EVENT);
    expect(p, ZT_PLANE_WHOLE, whole, at);
    free(whole);
    forget(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input_t in = {data, size};
    const unsigned how = byte(&in);
    const size_t room = how & 1 ? ZT_PLANE_PACKET_MAX : 28 + (size_t)byte(&in) * 16;
    const zt_plane_limits_t limits = {1, 1, 1, 1, 1, IDS, (uint16_t)room, 0, 65536, 0};
    shim_t *shim = shim_new();
    uint8_t *memory;
    zt_plane_t *p = make_plane(&limits, A, shim, &memory);
    uint32_t now = 0U - byte(&in) * 100;
    model_t models[IDS];
    memset(models, 0, sizeof models);
    while (in.n) {
        const unsigned kind = byte(&in);
        const unsigned numbers = byte(&in);
        const unsigned head = (kind & 3) == 0;
        size_t n = (size_t)byte(&in) << (kind >> 5 & 7);
        n = (n > 9000 ? 9000 : n) + (head ? 28 : 17);
        const unsigned id = kind >> 2 & 3;
        uint8_t *pkt = malloc(n);
        const unsigned fill = byte(&in);
        for (size_t i = 0; i < n; i++) {
            pkt[i] = (uint8_t)(fill + i * 7);
        }
        memset(pkt, (int)id, 8);
        memcpy(pkt + 8, A, 5);
        if (head) {
            memcpy(pkt + 13, C, 5);
            pkt[18] = 0x48;
        } else {
            pkt[13] = 0xff;
            pkt[14] = (uint8_t)numbers;
            pkt[15] = (uint8_t)fill;
        }
        uint8_t *sent = malloc(n);
        memcpy(sent, pkt, n);
        const zt_addr_t from = address(2);
        const int result = zt_plane_rx(p, now, 1, &from, pkt, n, NULL);
        const unsigned total = head ? 0 : numbers >> 4;
        const unsigned number = head ? 0 : numbers & 15;
        if (!head && (total < 2 || total > 7 || number < 1 || number > 6)) {
            CHECK(result == ZT_PLANE_DROPPED && drain(p) == 0);
        } else {
            add_piece(p, &models[id], now, sent, n, number, total, room, result);
        }
        free(pkt);
        free(sent);
        if (kind & 16) {
            now += 1700;
            zt_plane_expire(p, now);
            for (unsigned i = 0; i < IDS; i++) {
                if (now - models[i].began >= 5000) {
                    forget(&models[i]);
                }
            }
        }
    }
    check_shim(shim);
    for (unsigned i = 0; i < IDS; i++) {
        forget(&models[i]);
    }
    shim_free(shim);
    free(memory);
    return 0;
}
