// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// From a datagram to a frame for the local stack (VL1 4.9, VL2 6.1 to 6.7). Headers are looked at, then the
// MAC decides; what is parsed after that is authentic, and still checked against its end. Only what needs
// nothing but the tables is done here: a packet that asks for an answer, brings credentials, teaches a path
// or a route or is not well formed goes to Python, opened, before anything of it has had an effect.

#include "zt_bytes.h"
#include "zt_lz4.h"
#include "zt_plane_priv.h"
#include "zt_wire.h"

// A packet of ours on its way.
typedef struct {
    zt_plane_t *p;
    zt_peer_t *peer;
    const zt_addr_t *from;
    uint8_t *pkt;
    uint8_t *stream; // made ahead, with the peer known; or NULL
    void *owner;
    size_t n;
    uint32_t now;
    unsigned whole; // ZT_PLANE_WHOLE or 0
    int wire;
} rx_t;

static int hand_over(const rx_t *r) {
    return zt_event_packet(r->p, ZT_PLANE_OPENED | r->whole, r->wire, r->from, r->pkt, r->n);
}

static int net_drop(zt_network_t *net, unsigned cause) {
    net->stats.drops[cause]++;
    return ZT_PLANE_DROPPED;
}

static int no_mac(const uint8_t mac[6]) {
    return (mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]) == 0;
}

// `frame` begins with its Ethernet header. Last of all: the stack may answer at once.
static int deliver(const rx_t *r, zt_network_t *net, uint8_t *frame) {
    const size_t n = r->n - (size_t)(frame - r->pkt);
    net->stats.rx_frames++;
    net->stats.rx_bytes += n - ETHERNET;
    r->p->hal->nic_input(r->p->ctx, net->set.nic, r->owner, frame, n);
    return ZT_PLANE_DONE;
}

// It came from an admitted member and is well formed, whatever becomes of the frame.
static void trust(const rx_t *r, zt_member_t *m) {
    m->rx = r->now;
    m->seen |= SEEN_RX;
    r->peer->frame = r->now;
    r->peer->seen |= SEEN_FRAME;
}

static int frame(const rx_t *r, zt_network_t *net, zt_member_t *m) {
    const size_t at = PAYLOAD + 10;
    if (r->n <= at) {
        return hand_over(r);
    }
    trust(r, m);
    uint8_t *head = r->pkt + at - ETHERNET; // the EtherType is in its place
    memcpy(head, net->mac, 6);
    memcpy(head + 6, m->mac, 6);
    if (!zt_judge(r->p, net, m, JUDGE_IN, head, head + ETHERNET, r->n - at)) {
        return ZT_PLANE_DROPPED;
    }
    return deliver(r, net, head);
}

static int ext_frame(const rx_t *r, zt_network_t *net, zt_member_t *m) {
    const size_t at = PAYLOAD + 9 + ETHERNET;
    if (r->n <= at || r->pkt[PAYLOAD + 8] & 0x11) {
        return hand_over(r); // odd, with a certificate, or to be answered
    }
    trust(r, m);
    uint8_t *head = r->pkt + PAYLOAD + 9; // the fields are an Ethernet header as they stand
    const uint8_t *src = head + 6;
    if (no_mac(src) || memcmp(src, net->mac, 6) == 0) {
        return net_drop(net, ZT_PLANE_BAD_SOURCE);
    }
    if (memcmp(src, m->mac, 6) != 0) {
        return hand_over(r);
    }
    const int verdict = zt_judge(r->p, net, m, JUDGE_IN, head, head + ETHERNET, r->n - at);
    if (verdict == 0) {
        return ZT_PLANE_DROPPED;
    }
    if (verdict == 1 && memcmp(head, net->mac, 6) != 0) {
        if (head[0] & 1) {
            if (net->set.multicast_limit == 0) {
                return net_drop(net, ZT_PLANE_MULTICAST_OFF);
            }
        } else if (!(net->set.flags & ZT_PLANE_NET_BRIDGE)) {
            return net_drop(net, ZT_PLANE_BAD_DESTINATION);
        }
    }
    return deliver(r, net, head);
}

static int multicast_frame(const rx_t *r, zt_network_t *net, zt_member_t *m) {
    const size_t at = PAYLOAD + 9;
    if (r->n < at || r->pkt[PAYLOAD + 8] & 1) {
        return hand_over(r);
    }
    const unsigned flags = r->pkt[PAYLOAD + 8];
    const size_t source = at + (flags & 2 ? 4 : 0);
    const size_t group = source + (flags & 4 ? 6 : 0);
    const size_t payload = group + 12;
    if (r->n <= payload) {
        return hand_over(r);
    }
    trust(r, m);
    if (net->set.multicast_limit == 0) {
        return net_drop(net, ZT_PLANE_MULTICAST_OFF);
    }
    if (!(r->pkt[group] & 1)) {
        return net_drop(net, ZT_PLANE_BAD_DESTINATION);
    }
    if (flags & 4) {
        const uint8_t *src = r->pkt + source;
        if (no_mac(src) || src[0] & 1 || memcmp(src, net->mac, 6) == 0) {
            return net_drop(net, ZT_PLANE_BAD_SOURCE);
        }
        if (memcmp(src, m->mac, 6) != 0) {
            return hand_over(r);
        }
    }
    if ((flags & 2 && (r->pkt[at] | r->pkt[at + 1] | r->pkt[at + 2] | r->pkt[at + 3])) ||
        (flags & 8 && net->set.flags & ZT_PLANE_NET_REPLICATOR)) {
        return hand_over(r); // to be answered, or to be sent on
    }
    uint8_t *head = r->pkt + payload - ETHERNET; // the EtherType is in its place
    memmove(head, r->pkt + group, 6);
    memcpy(head + 6, m->mac, 6);
    if (!zt_judge(r->p, net, m, JUDGE_IN, head, head + ETHERNET, r->n - payload)) {
        return ZT_PLANE_DROPPED;
    }
    return deliver(r, net, head);
}

// Puts the clear packet into the plane's own buffer. 0; 1 if only Python can tell; -1 if it is malformed.
static int inflate(rx_t *r) {
    zt_plane_t *p = r->p;
    if (r->n == PAYLOAD || p->limits.packet_bytes <= PAYLOAD) {
        return 1;
    }
    const int32_t n = zt_lz4_decompress(r->pkt + PAYLOAD, r->n - PAYLOAD, p->inflated + PAYLOAD,
                                        (size_t)(p->limits.packet_bytes - PAYLOAD));
    if (n < 0 && p->limits.packet_bytes < ZT_PLANE_PACKET_MAX) {
        return 1;
    }
    if (n <= 0) {
        return -1;
    }
    memcpy(p->inflated, r->pkt, PAYLOAD);
    p->inflated[VERB] &= (uint8_t)~COMPRESSED;
    r->pkt = p->inflated;
    r->n = PAYLOAD + (size_t)n;
    r->owner = NULL;
    return 0;
}

static int opened(rx_t *r) {
    zt_peer_t *peer = r->peer;
    peer->rx_packets++;
    peer->rx_bytes += r->n;
    peer->rx = r->now;
    peer->seen |= SEEN_RX;
    if ((r->pkt[FLAGS] & 7) == 0) {
        unsigned i = 0;
        while (peer->way.sources[i].wire != r->wire ||
               !zt_same_address(&peer->way.sources[i].remote, r->from)) {
            if (++i == ZT_PLANE_SOURCES) {
                return hand_over(r);
            }
        }
        peer->source[i] = r->now;
        peer->seen |= SEEN_SOURCE << i;
    }
    const unsigned verb = r->pkt[VERB] & VERB_MASK;
    if (verb != VERB_FRAME && verb != VERB_EXT_FRAME && verb != VERB_MULTICAST_FRAME) {
        return hand_over(r);
    }
    if (r->pkt[VERB] & COMPRESSED) {
        const int result = inflate(r);
        if (result) {
            return result > 0 ? hand_over(r) : zt_drop(r->p, ZT_PLANE_COMPRESSION);
        }
    }
    if (r->n < PAYLOAD + 8) {
        return hand_over(r);
    }
    zt_network_t *net = zt_network_by_id(r->p, r->pkt + PAYLOAD);
    if (!net) {
        return hand_over(r);
    }
    zt_member_t *m =
        zt_member_at(r->p, r->now, zt_table_index(net), r->pkt + SOURCE);
    if (!m || !(m->flags & ZT_PLANE_ADMITTED)) {
        return hand_over(r);
    }
    if (verb == VERB_FRAME) {
        return frame(r, net, m);
    }
    return verb == VERB_EXT_FRAME ? ext_frame(r, net, m) : multicast_frame(r, net, m);
}

static int unseal(const rx_t *r) {
#ifdef ZT_WIRE_AHEAD
    if (r->stream) {
        return zt_open_ahead(r->stream, r->pkt, r->n);
    }
#endif
    return zt_open(r->peer->key, r->pkt, r->n);
}

static int packet(rx_t *r) {
    const unsigned suite = r->pkt[FLAGS] >> 3 & 7;
    if (!r->stream) {
        r->peer = suite == 1 ? zt_peer_at(r->p, r->now, r->pkt + SOURCE) : NULL;
    }
    if (!r->peer) {
        return zt_event_packet(r->p, r->whole, r->wire, r->from, r->pkt, r->n);
    }
    if (unseal(r)) {
        return zt_drop(r->p, ZT_PLANE_MAC);
    }
    ZT_DECLASSIFY(r->pkt, r->n); // what a peer says is no secret to us
    return opened(r);
}

static int datagram(zt_plane_t *p, uint32_t now, int wire, const zt_addr_t *from, uint8_t *pkt, size_t n,
                    void *owner, zt_peer_t *peer, uint8_t *stream) {
    p->counters[ZT_PLANE_RX]++;
    if (n <= FRAGMENT_HEADER) {
        return zt_drop(p, ZT_PLANE_SHORT);
    }
    const int piece = pkt[FRAGMENT_MARK] == 0xff;
    if (!piece && n < PAYLOAD) {
        return zt_drop(p, ZT_PLANE_SHORT);
    }
    if (n > ZT_PLANE_PACKET_MAX) {
        return zt_drop(p, ZT_PLANE_LONG);
    }
    if (!piece && memcmp(pkt + SOURCE, p->address, 5) == 0) {
        return zt_drop(p, ZT_PLANE_LOOPED);
    }
    if (memcmp(pkt + DEST, p->address, 5) != 0) {
        return zt_event_packet(p, 0, wire, from, pkt, n);
    }
    rx_t r = {.p = p, .peer = peer, .from = from, .pkt = pkt, .stream = stream, .owner = owner};
    r.n = n;
    r.now = now;
    r.wire = wire;
    if (!piece && !(pkt[FLAGS] & FRAGMENTED)) {
        return packet(&r);
    }
    unsigned slot;
    const int result = zt_pieces_add(p, now, wire, from, pkt, n, &slot);
    if (result != ZT_PLANE_DONE) {
        return result;
    }
    const zt_pieces_t *s = &p->pieces[slot];
    r.from = &s->from;
    r.wire = s->wire;
    r.pkt = zt_pieces_data(p, slot);
    r.n = s->size;
    r.owner = NULL;
    r.whole = ZT_PLANE_WHOLE;
    const int done = packet(&r);
    zt_pieces_release(p, slot);
    return done;
}

int zt_plane_rx(zt_plane_t *p, uint32_t now, int wire, const zt_addr_t *from, uint8_t *pkt, size_t n,
                void *owner) {
    return datagram(p, now, wire, from, pkt, n, owner, NULL, NULL);
}

#ifdef ZT_WIRE_AHEAD

// The key streams of the next packets, if all are whole ones for us from peers we know.
static unsigned make_ahead(const zt_plane_t *p, uint32_t now, const uint8_t *pkt, size_t n,
                           zt_peer_t *peer[ZT_WIRE_AHEAD], uint8_t stream[ZT_WIRE_AHEAD][128]) {
    const uint8_t *packets[ZT_WIRE_AHEAD];
    const uint8_t *keys[ZT_WIRE_AHEAD];
    for (unsigned i = 0; i < ZT_WIRE_AHEAD; i++, pkt += n) {
        if (pkt[FRAGMENT_MARK] == 0xff || (pkt[FLAGS] & (FRAGMENTED | 0x38)) != 0x08 ||
            memcmp(pkt + DEST, p->address, 5) != 0) {
            return 0;
        }
        peer[i] = zt_peer_at(p, now, pkt + SOURCE);
        if (!peer[i]) {
            return 0;
        }
        packets[i] = pkt;
        keys[i] = peer[i]->key;
    }
    return zt_ahead(keys, packets, n, stream) ? 0 : ZT_WIRE_AHEAD;
}

#endif

size_t zt_plane_rx_run(zt_plane_t *p, uint32_t now, int wire, const zt_addr_t *from, uint8_t *pkt, size_t n,
                       size_t size, void *owner, int *result) {
    size_t at = 0;
#ifdef ZT_WIRE_AHEAD
    uint8_t streams[ZT_WIRE_AHEAD][128];
    zt_peer_t *peers[ZT_WIRE_AHEAD]; // no entry changes before the return
    unsigned ready = 0; // the last ones of them
    unsigned made = 0;
#endif
    *result = ZT_PLANE_DROPPED;
    if (size == 0) {
        size = n;
    }
    while (at < n && *result != ZT_PLANE_EVENT) {
        const size_t take = n - at < size ? n - at : size;
        uint8_t *stream = NULL;
        zt_peer_t *peer = NULL;
#ifdef ZT_WIRE_AHEAD
        if (ready == 0 && size >= PAYLOAD && size <= ZT_WIRE_AHEAD_MAX && n - at >= ZT_WIRE_AHEAD * size) {
            ready = make_ahead(p, now, pkt + at, size, peers, streams);
            made |= ready;
        }
        if (ready) {
            peer = peers[ZT_WIRE_AHEAD - ready];
            stream = streams[ZT_WIRE_AHEAD - ready--];
        }
#endif
        *result = datagram(p, now, wire, from, pkt + at, take, owner, peer, stream);
        at += take;
    }
#ifdef ZT_WIRE_AHEAD
    if (made) {
        zt_wipe(streams, sizeof(streams));
    }
#endif
    return at;
}
