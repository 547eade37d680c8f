// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// What the plane counted, copied out while it goes on.

#include "zt_plane_priv.h"

void zt_plane_counters(const zt_plane_t *p, uint32_t out[ZT_PLANE_COUNTERS]) {
    memcpy(out, p->counters, sizeof p->counters);
}

// The name at `index` of names that each end with a zero. (No table of pointers: it would need relocation.)
static const char *name_at(const char *names, unsigned index) {
    for (; index; index--) {
        names += strlen(names) + 1;
    }
    return names;
}

const char *zt_plane_counter_name(unsigned index) {
    static const char NAMES[] =
        "rx\0tx\0events\0short\0looped\0long\0fragment\0fragment_lost\0mac\0compression\0"
        "frame_short\0frame_long\0no_slot\0wire\0event_lost\0stranger_lost";
    return index < ZT_PLANE_COUNTERS ? name_at(NAMES, index) : NULL;
}

int zt_plane_network_stats(const zt_plane_t *p, int network, zt_plane_network_stats_t *out) {
    const zt_network_t *net = zt_network_at(p, network);
    if (!net) {
        return -1;
    }
    *out = net->stats;
    return 0;
}

const char *zt_plane_network_drop_name(unsigned index) {
    static const char NAMES[] = "rules_out\0rules_in\0bad_source\0bad_destination\0broadcast_off\0"
                                "multicast_off";
    return index < ZT_PLANE_NET_DROPS ? name_at(NAMES, index) : NULL;
}

static uint32_t age(uint32_t now, uint32_t then, unsigned seen) {
    return seen ? zt_age(now, then) : ZT_PLANE_NEVER;
}

int zt_plane_peer_stats(const zt_plane_t *p, uint32_t now, const uint8_t address[5],
                        zt_plane_peer_stats_t *out) {
    const zt_peer_t *peer = zt_peer_at(p, now, address);
    if (!peer) {
        return -1;
    }
    out->rx_packets = peer->rx_packets;
    out->rx_bytes = peer->rx_bytes;
    out->tx_packets = peer->tx_packets;
    out->tx_bytes = peer->tx_bytes;
    out->rx_age = age(now, peer->rx, peer->seen & SEEN_RX);
    out->frame_age = age(now, peer->frame, peer->seen & SEEN_FRAME);
    out->tx_age = age(now, peer->tx, peer->seen & SEEN_TX);
    for (unsigned i = 0; i < ZT_PLANE_SOURCES; i++) {
        out->source_age[i] = age(now, peer->source[i], peer->seen & (SEEN_SOURCE << i));
    }
    return 0;
}

int zt_plane_member_stats(const zt_plane_t *p, uint32_t now, int network, const uint8_t address[5],
                          zt_plane_member_stats_t *out) {
    const zt_member_t *m = network < 0 ? NULL : zt_member_at(p, now, (unsigned)network, address);
    if (!m) {
        return -1;
    }
    out->rx_age = age(now, m->rx, m->seen & SEEN_RX);
    out->tx_age = age(now, m->tx, m->seen & SEEN_TX);
    return 0;
}
