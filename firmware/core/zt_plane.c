// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The plane as a whole: how its block of memory is divided, what ends entries, and what it counted.

#include "zt_plane_priv.h"

#include "zt_bytes.h"

// The parts of the block, in this order; sizes in bytes, starts from its aligned begin.
enum {
    AT_PEERS,
    AT_NETWORKS,
    AT_MEMBERS,
    AT_GROUPS,
    AT_PIECES,
    AT_ARENA,
    AT_BUCKETS,
    AT_PIECES_DATA,
    AT_INFLATED,
    AT_EVENTS,
    AT_END
};

#define ALIGN 8
#define EVENTS_MAX 0x40000000U
#define ARENA_MAX 0x40000000U

// An event record must have the size that Python is told.
typedef char event_size[sizeof(zt_plane_event_t) == ZT_PLANE_EVENT_BYTES ? 1 : -1];

static size_t group_size(const zt_plane_limits_t *l) {
    return (sizeof(zt_group_t) + (size_t)5 * l->group_members + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

// 0, or -1 if it does not fit in a size_t.
static int divide(const zt_plane_limits_t *l, size_t start[AT_END + 1]) {
    const uint64_t buckets = (uint64_t)zt_table_buckets(l->peers) + zt_table_buckets(l->networks) +
                             zt_table_buckets(l->members) + zt_table_buckets(l->groups);
    const uint64_t size[AT_END] = {
        (uint64_t)l->peers * sizeof(zt_peer_t),
        (uint64_t)l->networks * sizeof(zt_network_t),
        (uint64_t)l->members * sizeof(zt_member_t),
        (uint64_t)l->groups * group_size(l),
        (uint64_t)l->reassembly * sizeof(zt_pieces_t),
        l->rules_bytes,
        2 * buckets,
        (uint64_t)l->reassembly * l->packet_bytes,
        l->packet_bytes,
        l->event_bytes,
    };
    uint64_t at = sizeof(struct zt_plane);
    for (unsigned i = 0; i <= AT_END; i++) {
        at = (at + ALIGN - 1) & ~(uint64_t)(ALIGN - 1);
        if (at > SIZE_MAX / 2) {
            return -1;
        }
        start[i] = (size_t)at;
        at += i < AT_END ? size[i] : 0;
    }
    return 0;
}

static int possible(const zt_plane_limits_t *l) {
    return l->peers < 0x8000 && l->networks < 0x8000 && l->members < 0x8000 && l->groups < 0x8000 &&
           l->packet_bytes <= ZT_PLANE_PACKET_MAX && (l->reassembly == 0 || l->packet_bytes >= PAYLOAD) &&
           l->event_bytes <= EVENTS_MAX && l->rules_bytes <= ARENA_MAX;
}

size_t zt_plane_size(const zt_plane_limits_t *limits) {
    size_t start[AT_END + 1];
    if (!possible(limits) || divide(limits, start)) {
        return 0;
    }
    return start[AT_END] + ALIGN - 1;
}

void zt_plane_sizes(const zt_plane_limits_t *limits, uint32_t out[ZT_PLANE_SIZES]) {
    out[0] = (uint32_t)(sizeof(struct zt_plane) + limits->packet_bytes);
    out[1] = sizeof(zt_peer_t);
    out[2] = sizeof(zt_network_t);
    out[3] = sizeof(zt_member_t);
    out[4] = (uint32_t)group_size(limits);
    out[5] = (uint32_t)(sizeof(zt_pieces_t) + limits->packet_bytes);
    out[6] = sizeof(zt_plane_event_t);
}

zt_plane_t *zt_plane_init(void *mem, size_t n, const zt_plane_limits_t *limits, const uint8_t address[5],
                          const uint8_t random[16], const zt_hal_t *hal, void *ctx) {
    size_t at[AT_END + 1];
    const size_t skip = (size_t)(-(uintptr_t)mem & (ALIGN - 1));
    if (!possible(limits) || divide(limits, at) || n < skip || n - skip < at[AT_END]) {
        return NULL;
    }
    uint8_t *base = (uint8_t *)mem + skip;
    // Tables and buffers are written before they are read; only the head needs to be zero.
    zt_plane_t *p = (zt_plane_t *)(void *)base;
    memset(p, 0, sizeof *p);
    p->hal = hal;
    p->ctx = ctx;
    p->limits = *limits;
    p->block = at[AT_END];
    p->next_id = zt_load64_be(random);
    p->random_key = zt_load32_le(random + 8);
    const uint32_t seed = zt_load32_le(random + 12);
    memcpy(p->address, address, 5);
    p->pieces = (zt_pieces_t *)(void *)(base + at[AT_PIECES]);
    p->pieces_data = base + at[AT_PIECES_DATA];
    p->inflated = base + at[AT_INFLATED];
    p->events = base + at[AT_EVENTS];
    zt_arena_init(&p->arena, base + at[AT_ARENA], limits->rules_bytes);
    uint16_t *buckets = (uint16_t *)(void *)(base + at[AT_BUCKETS]);
    zt_table_init(&p->peers, base + at[AT_PEERS], sizeof(zt_peer_t), limits->peers, buckets, seed);
    buckets += zt_table_buckets(limits->peers);
    zt_table_init(&p->networks, base + at[AT_NETWORKS], sizeof(zt_network_t), limits->networks, buckets,
                  seed + 1);
    buckets += zt_table_buckets(limits->networks);
    zt_table_init(&p->members, base + at[AT_MEMBERS], sizeof(zt_member_t), limits->members, buckets,
                  seed + 2);
    buckets += zt_table_buckets(limits->members);
    zt_table_init(&p->groups, base + at[AT_GROUPS], group_size(limits), limits->groups, buckets, seed + 3);
    for (unsigned i = 0; i < limits->reassembly; i++) {
        p->pieces[i].state = PIECES_FREE;
    }
    return p;
}

void zt_plane_wipe(zt_plane_t *p) {
    zt_wipe(p, p->block);
}

// ---- what ends entries

// Members and groups begin with the index of their network.
static int of_network(const zt_entry_t *e, int network) {
    return network < 0 || (int)zt_be16(e->key) == network;
}

void zt_members_flush(zt_plane_t *p, int network) {
    for (unsigned i = 0; i < p->members.fresh; i++) {
        zt_member_t *m = zt_table_at(&p->members, i);
        if (m && of_network(&m->head, network)) {
            zt_member_drop(p, m);
        }
    }
}

void zt_groups_flush(zt_plane_t *p, int network) {
    for (unsigned i = 0; i < p->groups.fresh; i++) {
        zt_group_t *g = zt_table_at(&p->groups, i);
        if (g && of_network(&g->head, network)) {
            zt_table_del(&p->groups, g);
        }
    }
}

void zt_plane_flush(zt_plane_t *p, unsigned kinds, int network) {
    for (unsigned i = 0; kinds & ZT_PLANE_FLUSH_PEERS && i < p->peers.fresh; i++) {
        zt_peer_t *peer = zt_table_at(&p->peers, i);
        if (peer) {
            zt_table_del(&p->peers, peer);
        }
    }
    if (kinds & ZT_PLANE_FLUSH_MEMBERS) {
        zt_members_flush(p, network);
    }
    if (kinds & ZT_PLANE_FLUSH_GROUPS) {
        zt_groups_flush(p, network);
    }
    for (unsigned i = 0; kinds & ZT_PLANE_FLUSH_NETWORKS && i < p->networks.fresh; i++) {
        zt_network_t *net = zt_table_at(&p->networks, i);
        if (net && (network < 0 || (int)i == network)) {
            zt_network_drop(p, net);
        }
    }
    if (kinds & ZT_PLANE_FLUSH_REASSEMBLY) {
        zt_pieces_flush(p);
    }
    if (kinds & ZT_PLANE_FLUSH_EVENTS) {
        zt_event_flush(p);
    }
}

static int old(uint32_t now, uint32_t then) {
    return zt_age(now, then) == ZT_PLANE_NEVER;
}

static void age(uint32_t now, zt_peer_t *peer) {
    if (old(now, peer->rx)) {
        peer->seen &= ~SEEN_RX;
    }
    if (old(now, peer->frame)) {
        peer->seen &= ~SEEN_FRAME;
    }
    if (old(now, peer->tx)) {
        peer->seen &= ~SEEN_TX;
    }
    for (unsigned i = 0; i < ZT_PLANE_SOURCES; i++) {
        if (old(now, peer->source[i])) {
            peer->seen &= ~(SEEN_SOURCE << i);
        }
    }
}

void zt_plane_expire(zt_plane_t *p, uint32_t now) {
    for (unsigned i = 0; i < p->peers.fresh; i++) {
        zt_peer_t *peer = zt_table_at(&p->peers, i);
        if (peer && !zt_valid(now, peer->until)) {
            zt_table_del(&p->peers, peer);
        } else if (peer) {
            age(now, peer);
        }
    }
    for (unsigned i = 0; i < p->members.fresh; i++) {
        zt_member_t *m = zt_table_at(&p->members, i);
        if (m && !zt_valid(now, m->until)) {
            zt_member_drop(p, m);
        } else if (m) {
            m->seen &= (uint8_t)~(old(now, m->rx) ? SEEN_RX : 0);
            m->seen &= (uint8_t)~(old(now, m->tx) ? SEEN_TX : 0);
        }
    }
    for (unsigned i = 0; i < p->groups.fresh; i++) {
        zt_group_t *g = zt_table_at(&p->groups, i);
        if (g && !zt_valid(now, g->until)) {
            zt_table_del(&p->groups, g);
        }
    }
    zt_pieces_expire(p, now);
}
