// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// From a frame of the local stack to datagrams (VL2 6.1, 6.6). The frame is copied once, from its segments
// into a slot of the wire, where the rules see it in one piece and it is sealed. Of a packet longer than a
// datagram the pieces behind the first then move up in the slot to let their headers in.

#include "zt_bytes.h"
#include "zt_plane_priv.h"
#include "zt_wire.h"

typedef struct {
    zt_plane_t *p;
    zt_network_t *net;
    const zt_seg_t *segments;
    size_t count;
    size_t n; // of the frame after its Ethernet header
    uint32_t now;
    uint8_t head[ETHERNET];
} tx_t;

static int hand_over(const tx_t *t) {
    zt_plane_event_t ev;
    memset(&ev, 0, sizeof ev);
    ev.kind = ZT_PLANE_EVENT_FRAME;
    ev.wire = -1;
    ev.network = (int16_t)zt_table_index(t->net);
    ev.nic = t->net->set.nic;
    return zt_event_put(t->p, &ev, t->segments, t->count);
}

static int net_drop(zt_network_t *net, unsigned cause) {
    net->stats.drops[cause]++;
    return ZT_PLANE_DROPPED;
}

// Copies n bytes of the frame from `skip` on.
static void gather(const tx_t *t, size_t skip, uint8_t *out, size_t n) {
    for (size_t i = 0; i < t->count && n; i++) {
        const zt_seg_t *s = &t->segments[i];
        if (skip >= s->n) {
            skip -= s->n;
            continue;
        }
        const size_t rest = s->n - skip;
        const size_t take = rest < n ? rest : n;
        memcpy(out, s->p + skip, take);
        out += take;
        n -= take;
        skip = 0;
    }
}

static size_t pieces(size_t n) {
    return n <= DATAGRAM ? 1 : 1 + (n - DATAGRAM + PIECE - 1) / PIECE;
}

// Lays the sealed packet out as datagrams, one after the other.
static void cut(uint8_t *slot, size_t n, size_t total) {
    for (size_t i = total - 1; i > 0; i--) {
        const size_t from = DATAGRAM + (i - 1) * PIECE;
        uint8_t *to = slot + i * DATAGRAM;
        memmove(to + FRAGMENT_HEADER, slot + from, n - from < PIECE ? n - from : PIECE);
    }
    for (size_t i = 1; i < total; i++) {
        uint8_t *to = slot + i * DATAGRAM;
        memcpy(to, slot, SOURCE);
        to[FRAGMENT_MARK] = 0xff;
        to[FRAGMENT_NUMBERS] = (uint8_t)(total << 4 | i);
        to[15] = 0;
    }
}

// A slot for a packet of n bytes to this peer, NULL and counted if there is none.
static uint8_t *begin(const tx_t *t, const zt_peer_t *peer, size_t n) {
    zt_plane_t *p = t->p;
    const size_t size = n + (pieces(n) - 1) * FRAGMENT_HEADER;
    uint8_t *slot = p->hal->wire_get(p->ctx, peer->way.path.wire, size);
    if (!slot) {
        p->counters[ZT_PLANE_NO_SLOT]++;
    }
    return slot;
}

static void give_back(const tx_t *t, const zt_peer_t *peer, uint8_t *slot) {
    t->p->hal->wire_put(t->p->ctx, peer->way.path.wire, &peer->way.path.remote, slot, 0, DATAGRAM);
}

// Seals and sends the slot, in which all after the verb is written.
static int finish(const tx_t *t, zt_peer_t *peer, zt_member_t *m, uint8_t *slot, size_t n, unsigned verb) {
    zt_plane_t *p = t->p;
    const size_t total = pieces(n);
    zt_store64_be(slot, p->next_id++);
    memcpy(slot + DEST, peer->head.key, 5);
    memcpy(slot + SOURCE, p->address, 5);
    slot[FLAGS] = total > 1 ? FRAGMENTED : 0;
    slot[VERB] = (uint8_t)verb;
    zt_seal(peer->key, slot, n, 1);
    if (total > 1) {
        cut(slot, n, total);
    }
    peer->tx_packets++;
    peer->tx_bytes += n;
    peer->tx = m->tx = t->now;
    peer->seen |= SEEN_TX;
    m->seen |= SEEN_TX;
    if (p->hal->wire_put(p->ctx, peer->way.path.wire, &peer->way.path.remote, slot,
                         n + (total - 1) * FRAGMENT_HEADER, DATAGRAM)) {
        return zt_drop(p, ZT_PLANE_WIRE);
    }
    return ZT_PLANE_DONE;
}

static void count(const tx_t *t) {
    t->net->stats.tx_frames++;
    t->net->stats.tx_bytes += t->n;
}

// The member to whom a frame can go now, and its peer; NULL if there is something for Python to do first.
static zt_member_t *sendable(const tx_t *t, const uint8_t address[5], zt_peer_t **peer) {
    zt_member_t *m =
        zt_member_at(t->p, t->now, zt_table_index(t->net), address);
    if (!m || !(m->flags & ZT_PLANE_SENDABLE)) {
        return NULL;
    }
    *peer = zt_peer_at(t->p, t->now, address);
    return *peer && (*peer)->way.path.remote.size ? m : NULL;
}

static int unicast(const tx_t *t) {
    const size_t at = PAYLOAD + 10;
    const uint8_t *nwid = t->net->set.nwid;
    uint8_t address[5];
    for (unsigned i = 0; i < 5; i++) {
        address[i] = t->head[1 + i] ^ nwid[6 - i];
    }
    zt_peer_t *peer;
    zt_member_t *m = t->head[0] == t->net->mac[0] ? sendable(t, address, &peer) : NULL;
    if (!m) {
        return hand_over(t);
    }
    if (t->n > SEND_MAX - at) {
        return zt_drop(t->p, ZT_PLANE_FRAME_LONG);
    }
    uint8_t *slot = begin(t, peer, at + t->n);
    if (!slot) {
        return ZT_PLANE_DROPPED;
    }
    memcpy(slot + PAYLOAD, nwid, 8);
    memcpy(slot + PAYLOAD + 8, t->head + 12, 2);
    gather(t, ETHERNET, slot + at, t->n);
    if (!zt_judge(t->p, t->net, m, JUDGE_OUT, t->head, slot + at, t->n)) {
        give_back(t, peer, slot);
        return ZT_PLANE_DROPPED;
    }
    count(t);
    return finish(t, peer, m, slot, at + t->n, VERB_FRAME);
}

static int copies(const tx_t *t, zt_group_t *g, const uint8_t group[10]) {
    zt_plane_t *p = t->p;
    zt_network_t *net = t->net;
    const size_t fields = g->gather ? 13 : 9;
    const size_t at = PAYLOAD + fields + 12;
    zt_peer_t *peer;
    // All or nothing: what goes to Python goes to all members from there.
    for (unsigned i = 0; i < g->count; i++) {
        if (!sendable(t, g->addresses + i * 5, &peer)) {
            return hand_over(t);
        }
    }
    if (t->n > SEND_MAX - at) {
        return zt_drop(p, ZT_PLANE_FRAME_LONG);
    }
    g->used = 1;
    uint32_t sent = 0;
    int judged = 0;
    int result = ZT_PLANE_DROPPED;
    for (unsigned i = 0; i < g->count && sent < net->set.multicast_limit; i++) {
        zt_member_t *m = sendable(t, g->addresses + i * 5, &peer);
        uint8_t *slot = begin(t, peer, at + t->n);
        if (!slot) {
            sent++;
            continue;
        }
        uint8_t *payload = slot + at;
        gather(t, ETHERNET, payload, t->n);
        if (!judged) {
            // First as a frame to nobody in particular, then for each recipient.
            if (!zt_judge(p, net, NULL, JUDGE_OUT, t->head, payload, t->n)) {
                give_back(t, peer, slot);
                return ZT_PLANE_DROPPED;
            }
            judged = 1;
            count(t);
        }
        if (!zt_judge(p, net, m, JUDGE_OUT_NO_TEE, t->head, payload, t->n)) {
            give_back(t, peer, slot);
            continue;
        }
        memcpy(slot + PAYLOAD, net->set.nwid, 8);
        slot[PAYLOAD + 8] = g->gather ? 2 : 0;
        if (g->gather) {
            zt_put16(slot + PAYLOAD + 9, (unsigned)(g->gather >> 16));
            zt_put16(slot + PAYLOAD + 11, (unsigned)(g->gather & 0xffff));
        }
        memcpy(slot + PAYLOAD + fields, group, 10);
        memcpy(slot + PAYLOAD + fields + 10, t->head + 12, 2);
        if (finish(t, peer, m, slot, at + t->n, VERB_MULTICAST_FRAME) == ZT_PLANE_DONE) {
            result = ZT_PLANE_DONE;
        }
        sent++;
    }
    return result;
}

static int multicast(const tx_t *t) {
    zt_network_t *net = t->net;
    const unsigned ethertype = zt_be16(t->head + 12);
    uint8_t start[48]; // what ARP and neighbour discovery are recognized by
    uint8_t group[10];
    const size_t known = t->n < sizeof start ? t->n : sizeof start;
    memcpy(group, t->head, 6);
    memset(group + 6, 0, 4);
    memset(start, 0, sizeof start);
    gather(t, ETHERNET, start, known);
    if ((group[0] & group[1] & group[2] & group[3] & group[4] & group[5]) == 0xff) {
        static const uint8_t IPV4_OVER_ETHERNET[4] = {8, 0, 6, 4};
        if (ethertype == ARP && t->n >= 28 && memcmp(start + 2, IPV4_OVER_ETHERNET, 4) == 0 &&
            start[6] == 0 && start[7] == 1) {
            memcpy(group + 6, start + 24, 4); // each address asked for is a group
        } else if (!(net->set.config_flags & CONFIG_BROADCAST)) {
            return net_drop(net, ZT_PLANE_BROADCAST_OFF);
        }
    } else if (ethertype == IPV6 && net->set.config_flags & CONFIG_NDP && t->n >= 64 &&
               start[6] == 58 && start[40] == 0x87) {
        return hand_over(t); // may be answered at once
    }
    if (net->set.multicast_limit == 0) {
        return net_drop(net, ZT_PLANE_MULTICAST_OFF);
    }
    zt_group_t *g = zt_group_at(t->p, t->now, zt_table_index(net), group);
    return g && g->count ? copies(t, g, group) : hand_over(t);
}

int zt_plane_tx(zt_plane_t *p, uint32_t now, int network, const zt_seg_t *segments, size_t count_of) {
    tx_t t = {.p = p, .segments = segments, .count = count_of, .now = now};
    t.net = zt_network_at(p, network);
    if (!t.net) {
        return -1;
    }
    p->counters[ZT_PLANE_TX]++;
    size_t n = 0;
    for (size_t i = 0; i < count_of; i++) {
        n += segments[i].n;
    }
    if (n < ETHERNET) {
        return zt_drop(p, ZT_PLANE_FRAME_SHORT);
    }
    if (n > ZT_PLANE_PACKET_MAX) {
        return zt_drop(p, ZT_PLANE_FRAME_LONG); // Python could not send it either
    }
    gather(&t, 0, t.head, ETHERNET);
    t.n = n - ETHERNET;
    if (memcmp(t.head + 6, t.net->mac, 6) != 0) {
        return hand_over(&t);
    }
    return t.head[0] & 1 ? multicast(&t) : unicast(&t);
}
