// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// libFuzzer target: what comes in, between calls that program the tables. The input is a network with rules
// and credentials, then steps. A datagram is taken as it is, or made into a packet of a peer: sealed, so that
// what the fuzzer wrote gets past the MAC, perhaps compressed before, perhaps cut into pieces after, perhaps
// damaged. What is delivered must be what was sealed, and what was damaged must not be.

#include "fuzz_plane.h"

#define STEPS 24

static const uint8_t GROUP[6] = {0x33, 0x33, 0, 0, 0, 1};
static const uint8_t MAC_ALL[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t NWID2[8] = {0x80, 0x56, 0xc2, 0xe2, 0x1c, 0, 0, 2};

enum { COMPRESS = 1, CUT = 2, DAMAGE = 4, STRANGE = 8, CLEAR = 16, STRUCTURED = 32, FROM_C = 64, RELAYED = 128 };

typedef struct {
    zt_plane_t *p;
    shim_t *shim;
    input_t in;
    uint32_t now;
} fuzz_t;

static unsigned counter(const zt_plane_t *p, unsigned which) {
    uint32_t all[ZT_PLANE_COUNTERS];
    zt_plane_counters(p, all);
    return all[which];
}

static int feed(fuzz_t *f, const uint8_t *bytes, size_t n, unsigned last) {
    // A block of its own, so that a step outside it is seen.
    uint8_t *pkt = malloc(n ? n : 1);
    memcpy(pkt, bytes, n);
    const zt_addr_t from = address(last);
    const uint32_t before = f->shim->count;
    const int result = zt_plane_rx(f->p, f->now, 1, &from, pkt, n, pkt);
    CHECK(result >= ZT_PLANE_DROPPED && result <= ZT_PLANE_KEPT);
    // The stack's answer, if there is one, goes out behind what it answers.
    CHECK((result == ZT_PLANE_DONE) == (f->shim->count > before && f->shim->records[before].kind == DELIVERED));
    if (result == ZT_PLANE_DONE) {
        const record_t *r = &f->shim->records[before];
        CHECK(r->n > 14 && r->n <= ZT_PLANE_PACKET_MAX);
    }
    free(pkt);
    return result;
}

static void raw(fuzz_t *f, unsigned how) {
    const size_t n = (size_t)byte(&f->in) << (how >> 5);
    uint8_t *pkt = malloc(n ? n : 1);
    memset(pkt, 0x41, n);
    for (size_t i = 0; i < n && i < 64; i++) {
        pkt[i] = (uint8_t)byte(&f->in);
    }
    if (how & 1 && n >= 16) {
        memcpy(pkt + 8, A, 5);
    }
    if (how & 2 && n >= 18) {
        memcpy(pkt + 13, B, 5);
    }
    feed(f, pkt, n, 2);
    free(pkt);
}

// Fields of the three verbs with the MACs that matter, and others.
static size_t structured(fuzz_t *f, uint8_t *p) {
    static const uint8_t OTHERS[3][6] = {{0}, {0x33, 0x33, 0, 0, 0, 1}, {2, 1, 1, 1, 1, 1}};
    const unsigned how = byte(&f->in);
    const unsigned flags = byte(&f->in);
    uint8_t ours[6];
    uint8_t theirs[6];
    mac(A, ours);
    mac(B, theirs);
    const uint8_t *choice[5] = {ours, theirs, OTHERS[0], OTHERS[1], OTHERS[2]};
    size_t n = 28;
    memcpy(p + n, how & 8 ? NWID2 : NWID, 8);
    n += 8;
    p[27] = (uint8_t)(6 + (how & 7) % 3);
    if (p[27] == 8) {
        p[27] = 14;
    }
    if (p[27] == 7) {
        p[n++] = (uint8_t)flags;
        memcpy(p + n, choice[(how >> 4) % 5], 6);
        memcpy(p + n + 6, choice[how >> 4 & 8 ? 2 + (how >> 4 & 1) : 1], 6);
        n += 12;
    } else if (p[27] == 14) {
        p[n++] = (uint8_t)flags;
        if (flags & 2) {
            memset(p + n, (int)(flags >> 4 & 1), 4);
            n += 4;
        }
        if (flags & 4) {
            memcpy(p + n, choice[(how >> 4) % 5], 6);
            n += 6;
        }
        memcpy(p + n, OTHERS[how >> 7 ? 2 : 1], 6);
        memset(p + n + 6, 0, 4);
        n += 10;
    }
    static const uint8_t KINDS[4][2] = {{8, 0}, {0x86, 0xdd}, {8, 6}, {0x88, 0xb5}};
    memcpy(p + n, KINDS[flags >> 5 & 3], 2);
    return n + 2;
}

// One sequence of literals: what any block may be.
static size_t literals(const uint8_t *from, size_t n, uint8_t *to) {
    size_t at = 0;
    to[at++] = (uint8_t)(n < 15 ? n << 4 : 0xf0);
    if (n >= 15) {
        size_t rest = n - 15;
        for (; rest >= 255; rest -= 255) {
            to[at++] = 255;
        }
        to[at++] = (uint8_t)rest;
    }
    memcpy(to + at, from, n);
    return at + n;
}

// The sealed packet in pieces, in an order and with gaps and doubles as the input says. The last result.
static int cut(fuzz_t *f, const uint8_t *pkt, size_t n, unsigned last) {
    const unsigned total = 2 + byte(&f->in) % 6;
    const unsigned order = byte(&f->in);
    const unsigned odd = byte(&f->in);
    const size_t head = n / total < 28 ? 28 : n / total;
    const size_t each = (n - head) / (total - 1) + 1;
    static uint8_t piece[ZT_PLANE_PACKET_MAX + 16];
    int result = ZT_PLANE_KEPT;
    for (unsigned i = 0; i < total + (odd & 1); i++) {
        const unsigned which = (i * (order | 1) + (order >> 4)) % total;
        if (odd & 2 && i == (odd >> 4) % total) {
            continue;
        }
        size_t length = head;
        if (which == 0) {
            memcpy(piece, pkt, head);
        } else {
            const size_t from = head + (which - 1) * each;
            length = from >= n ? 1 : n - from < each ? n - from : each;
            memcpy(piece, pkt, 8);
            memcpy(piece + 8, A, 5);
            piece[13] = 0xff;
            piece[14] = (uint8_t)(total << 4 | which);
            piece[15] = (uint8_t)odd;
            memcpy(piece + 16, pkt + (from >= n ? n - 1 : from), length);
            length += 16;
        }
        const int now = feed(f, piece, length, last);
        result = now == ZT_PLANE_KEPT ? result : now;
    }
    return result;
}

static void packet(fuzz_t *f, unsigned step) {
    static uint8_t clear[ZT_PLANE_PACKET_MAX];
    static uint8_t pkt[ZT_PLANE_PACKET_MAX + 64];
    const unsigned form = byte(&f->in);
    const unsigned size = byte(&f->in);
    const unsigned at = form & DAMAGE ? byte(&f->in) : 0;
    memset(clear, 0x41, sizeof clear);
    for (unsigned i = 0; i < 8; i++) {
        clear[i] = (uint8_t)byte(&f->in);
    }
    size_t n = 28;
    if (form & STRUCTURED) {
        n = structured(f, clear);
    } else {
        clear[27] = (uint8_t)byte(&f->in);
    }
    const size_t begun = n;
    n += (size_t)(size & 63) << 2 * (size >> 6);
    n = n > 9900 ? 9900 : n;
    for (size_t i = begun; i < n && f->in.n; i++) {
        clear[i] = (uint8_t)byte(&f->in);
    }
    // Pieces of two packets would make a third; fuzz_reassembly.c is about that.
    clear[0] = form & CUT ? (uint8_t)step : clear[0];
    memcpy(clear + 8, A, 5);
    memcpy(clear + 13, form & FROM_C ? C : B, 5);
    clear[18] = form & CUT ? 0x40 : 0;
    const unsigned last = form & STRANGE ? 3 : 2;
    size_t length = n;
    memcpy(pkt, clear, n);
    if (form & COMPRESS && n > 28) {
        pkt[27] |= 0x80;
        length = 28 + literals(clear + 28, n - 28, pkt + 28);
    }
    CHECK(zt_seal(SESSION, pkt, length, form & CLEAR ? 0 : 1) == 0);
    if (form & RELAYED) {
        pkt[18] |= 3;
    }
    size_t wrong = 0;
    if (form & DAMAGE) {
        // In the id, the MAC or the body: the header's other fields have meanings of their own.
        wrong = at < 8 ? at : 19 + (size_t)at * 37 % (length - 19);
        pkt[wrong] ^= (uint8_t)(1 << (at & 7));
    }
    const uint32_t before = f->shim->count;
    const unsigned macs = counter(f->p, ZT_PLANE_MAC);
    const int result = form & CUT && length > 64 ? cut(f, pkt, length, last) : feed(f, pkt, length, last);
    if (form & DAMAGE && !(form & CUT)) {
        // Without its key it is not opened: then it is Python's.
        CHECK(result == ZT_PLANE_EVENT || result == ZT_PLANE_DROPPED);
        CHECK(result == ZT_PLANE_EVENT || counter(f->p, ZT_PLANE_MAC) == macs + 1 || form & CLEAR ||
              counter(f->p, ZT_PLANE_STRANGER_LOST));
    }
    if (result == ZT_PLANE_DONE) {
        CHECK(!(form & CLEAR));
        const record_t *r = &f->shim->records[before];
        const uint8_t *tail = clear + n - (r->n - 14);
        // What the fuzzer itself called compressed is longer than it was.
        CHECK(!(form & DAMAGE));
        CHECK(clear[27] & 0x80 || (r->n - 14 <= n - 38 && memcmp(r->bytes + 14, tail, r->n - 14) == 0));
    }
}

static void set_network(fuzz_t *f) {
    zt_plane_network_t net;
    memset(&net, 0, sizeof net);
    const unsigned how = byte(&f->in);
    memcpy(net.nwid, how & 128 ? NWID2 : NWID, 8);
    net.config_flags = how & 14;
    net.flags = (uint16_t)(how >> 4 & 7);
    net.multicast_limit = how & 1;
    size_t rules_n = byte(&f->in);
    uint8_t *rules = block(&f->in, &rules_n);
    size_t n = byte(&f->in);
    uint8_t *own = block(&f->in, &n);
    zt_plane_network_set(f->p, &net, rules, rules_n, own, n);
    free(rules);
    free(own);
}

static void program(fuzz_t *f) {
    static const uint8_t ADI[4] = {0};
    const unsigned what = byte(&f->in);
    const unsigned arg = byte(&f->in);
    static const uint8_t PEOPLE[4][5] = {{0}, {0}, {1, 2, 3, 4, 5}, {2, 4, 6, 8, 10}};
    const unsigned person = (arg & 1) | (what / 14 & 2);
    const uint8_t *who = person == 0 ? B : person == 1 ? C : PEOPLE[person];
    const int net = (int)(arg >> 1 & 3) - 1;
    const uint32_t ttl = arg << 5;
    zt_plane_peer_t way;
    zt_plane_peer_stats_t peer;
    zt_plane_member_stats_t member;
    zt_plane_network_stats_t network;
    memset(&way, 0, sizeof way);
    way.path.remote = way.sources[0].remote = address(2 + (arg >> 6 & 1));
    way.path.wire = way.sources[0].wire = 1;
    size_t n;
    uint8_t *bytes;
    switch (what % 14) {
    case 0:
        way.path.remote.size = arg & 8 ? 5 : 4;
        zt_plane_peer_set(f->p, f->now, who, SESSION, &way, ttl);
        break;
    case 1:
        zt_plane_peer_del(f->p, who);
        break;
    case 2:
        n = byte(&f->in);
        bytes = block(&f->in, &n);
        zt_plane_member_set(f->p, f->now, net, who, arg >> 3, ttl, bytes, n);
        free(bytes);
        break;
    case 3:
        zt_plane_member_del(f->p, net, who);
        break;
    case 4:
    case 5:
        set_network(f);
        break;
    case 6:
        zt_plane_network_del(f->p, net);
        break;
    case 7:
        zt_plane_flush(f->p, arg >> 2, (int)(arg & 3) - 1);
        break;
    case 8:
        n = (size_t)(arg >> 3 & 3) * 5;
        bytes = block(&f->in, &n);
        if (arg & 32) {
            memcpy(bytes, B, n < 5 ? n : 5);
        }
        zt_plane_group_set(f->p, f->now, net, arg & 128 ? MAC_ALL : GROUP, ADI, arg & 1, ttl, bytes, n / 5);
        free(bytes);
        break;
    case 9:
        zt_plane_peer_renew(f->p, f->now, who, ttl);
        zt_plane_member_renew(f->p, f->now, net, who, ttl);
        zt_plane_group_renew(f->p, f->now, net, GROUP, ADI, ttl);
        break;
    case 10:
        zt_plane_group_del(f->p, net, GROUP, ADI);
        break;
    case 11:
        way.path.remote.size = (uint8_t)(arg >> 2);
        zt_plane_peer_path(f->p, who, &way.path);
        break;
    case 12:
        zt_plane_peer_stats(f->p, f->now, who, &peer);
        zt_plane_member_stats(f->p, f->now, net, who, &member);
        zt_plane_network_stats(f->p, net, &network);
        CHECK(zt_plane_network_find(f->p, NWID) < 2);
        break;
    default: {
        // The stack answers what comes in, from inside.
        n = arg & 63;
        bytes = block(&f->in, &n);
        uint8_t frame[80];
        mac(B, frame);
        mac(A, frame + 6);
        memcpy(frame + 12, bytes, n);
        shim_answer(f->shim, f->p, f->now, 0, frame, arg & 64 ? 0 : (uint32_t)n + 12);
        free(bytes);
    }
    }
}

static void transmit(fuzz_t *f, unsigned how) {
    size_t n = (size_t)byte(&f->in) << 3;
    uint8_t *frame = malloc(n + 14);
    memset(frame, 0x41, n + 14);
    mac(B, frame);
    if (how & 8) {
        memcpy(frame, how & 16 ? MAC_ALL : GROUP, 6);
    }
    mac(A, frame + 6);
    shim_slots(f->shim, how & 32 ? (int32_t)(how >> 6 & 1) : -1, 0);
    for (size_t i = 12; i < n + 14 && i < 40; i++) {
        frame[i] = (uint8_t)byte(&f->in);
    }
    const zt_seg_t segments[2] = {{frame, 14}, {frame + 14, n}};
    zt_plane_tx(f->p, f->now, (int)(n >> 3 & 1), segments, 2);
    free(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_t f = {.in = {data, size}};
    const unsigned how = byte(&f.in);
    const zt_plane_limits_t limits = {how & 32 ? 4 : 2, 2, how & 64 ? 4 : 2, 1, 2, (uint16_t)(how & 3), how & 4 ? 10024 : 200, 0,
                                      how & 8 ? 65536 : 300, how & 16 ? 4096 : 80};
    f.shim = shim_new();
    uint8_t *memory;
    f.p = make_plane(&limits, A, f.shim, &memory);
    f.now = byte(&f.in) * 0x1000000U;
    add_peer(f.p, f.now, B, 2);
    add_peer(f.p, f.now, C, 3);
    add_network(f.p, f.now, &f.in, B);
    CHECK(f.shim->count == 0);
    for (unsigned i = 0; i < STEPS && f.in.n; i++) {
        const unsigned kind = byte(&f.in);
        switch (kind & 7) {
        case 0:
            raw(&f, kind);
            break;
        case 5:
            program(&f);
            break;
        case 6:
            f.now += (kind >> 3) * 300;
            zt_plane_expire(f.p, f.now);
            break;
        case 7:
            transmit(&f, kind);
            break;
        default:
            packet(&f, i);
        }
        if (kind & 128) {
            drain(f.p);
        }
    }
    drain(f.p);
    check_shim(f.shim);
    zt_plane_wipe(f.p);
    shim_free(f.shim);
    free(memory);
    return 0;
}
