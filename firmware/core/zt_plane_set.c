// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// How Python programs the tables. An entry goes whole or not at all; what could not be replaced is removed,
// so that nothing old stays in force. Whatever held a session key is wiped.

#include "zt_bytes.h"
#include "zt_plane_priv.h"

int zt_same_address(const zt_addr_t *a, const zt_addr_t *b) {
    return a->size && a->port == b->port && a->size == b->size && memcmp(a->ip, b->ip, b->size & 31) == 0;
}

static uint32_t deadline(uint32_t now, uint32_t ttl_ms) {
    return now + (ttl_ms < ZT_PLANE_TTL_MS ? ttl_ms : ZT_PLANE_TTL_MS);
}

static void key_of(uint8_t key[KEY], int network, const uint8_t *id, size_t n) {
    memset(key, 0, KEY);
    size_t at = 0;
    if (network >= 0) {
        zt_put16(key, (unsigned)network);
        at = 2;
    }
    memcpy(key + at, id, n);
}

// As zt_table_add; makes room by taking out what has expired.
static void *add(zt_plane_t *p, uint32_t now, zt_table_t *t, const uint8_t key[KEY]) {
    void *e = zt_table_add(t, key);
    if (!e) {
        zt_plane_expire(p, now);
        e = zt_table_add(t, key);
    }
    return e;
}

static int bad_path(const zt_plane_path_t *path) {
    const unsigned size = path->remote.size;
    return (size != 0 && size != 4 && size != 16) || path->wire < 0;
}

// ---- peers

static zt_peer_t *peer_find(const zt_plane_t *p, const uint8_t address[5]) {
    uint8_t key[KEY];
    key_of(key, -1, address, 5);
    return zt_table_find(&p->peers, key);
}

zt_peer_t *zt_peer_at(const zt_plane_t *p, uint32_t now, const uint8_t address[5]) {
    zt_peer_t *peer = peer_find(p, address);
    return peer && zt_valid(now, peer->until) ? peer : NULL;
}

int zt_plane_peer_set(zt_plane_t *p, uint32_t now, const uint8_t address[5], const uint8_t session[48],
                      const zt_plane_peer_t *way, uint32_t ttl_ms) {
    uint8_t key[KEY];
    key_of(key, -1, address, 5);
    zt_peer_t *peer = zt_table_find(&p->peers, key);
    int bad = bad_path(&way->path) || memcmp(address, p->address, 5) == 0;
    for (unsigned i = 0; i < ZT_PLANE_SOURCES; i++) {
        bad |= bad_path(&way->sources[i]);
    }
    if (bad) {
        if (peer) {
            zt_table_del(&p->peers, peer);
        }
        return -1;
    }
    if (!peer) {
        peer = add(p, now, &p->peers, key);
        if (!peer) {
            return -1;
        }
    }
    for (unsigned i = 0; i < ZT_PLANE_SOURCES; i++) {
        if (peer->way.sources[i].wire != way->sources[i].wire ||
            !zt_same_address(&peer->way.sources[i].remote, &way->sources[i].remote)) {
            peer->seen &= ~(SEEN_SOURCE << i);
        }
    }
    memcpy(peer->key, session, sizeof peer->key);
    peer->way = *way;
    peer->until = deadline(now, ttl_ms);
    return 0;
}

int zt_plane_peer_path(zt_plane_t *p, const uint8_t address[5], const zt_plane_path_t *path) {
    zt_peer_t *peer = peer_find(p, address);
    if (!peer) {
        return -1;
    }
    if (bad_path(path)) {
        memset(&peer->way.path, 0, sizeof peer->way.path);
        return -1;
    }
    peer->way.path = *path;
    return 0;
}

int zt_plane_peer_renew(zt_plane_t *p, uint32_t now, const uint8_t address[5], uint32_t ttl_ms) {
    zt_peer_t *peer = zt_peer_at(p, now, address);
    if (!peer) {
        return -1;
    }
    peer->until = deadline(now, ttl_ms);
    return 0;
}

int zt_plane_peer_del(zt_plane_t *p, const uint8_t address[5]) {
    zt_peer_t *peer = peer_find(p, address);
    if (!peer) {
        return -1;
    }
    zt_table_del(&p->peers, peer);
    return 0;
}

// ---- networks

void zt_mac_of(const uint8_t nwid[8], const uint8_t address[5], uint8_t mac[6]) {
    const uint8_t first = (uint8_t)((nwid[7] & 0xfe) | 0x02);
    mac[0] = first == 0x52 ? 0x32 : first;
    for (unsigned i = 0; i < 5; i++) {
        mac[1 + i] = address[i] ^ nwid[6 - i];
    }
}

zt_network_t *zt_network_by_id(const zt_plane_t *p, const uint8_t nwid[8]) {
    uint8_t key[KEY];
    key_of(key, -1, nwid, 8);
    return zt_table_find(&p->networks, key);
}

zt_network_t *zt_network_at(const zt_plane_t *p, int index) {
    return index < 0 ? NULL : zt_table_at(&p->networks, (uint32_t)index);
}

int zt_plane_network_find(const zt_plane_t *p, const uint8_t nwid[8]) {
    const zt_network_t *net = zt_network_by_id(p, nwid);
    return net ? (int)zt_table_index(net) : -1;
}

void zt_network_drop(zt_plane_t *p, zt_network_t *net) {
    const int index = zt_table_index(net);
    zt_members_flush(p, index);
    zt_groups_flush(p, index);
    zt_arena_put(&p->arena, net->block);
    zt_table_del(&p->networks, net);
}

int zt_plane_network_set(zt_plane_t *p, const zt_plane_network_t *set, const uint8_t *rules, size_t rules_n,
                         const uint8_t *credentials, size_t n) {
    uint8_t key[KEY];
    key_of(key, -1, set->nwid, 8);
    zt_network_t *net = zt_table_find(&p->networks, key);
    if (net) {
        const int index = zt_table_index(net);
        zt_members_flush(p, index);
        zt_groups_flush(p, index);
        zt_arena_put(&p->arena, net->block);
        net->block = NULL;
    } else {
        net = zt_table_add(&p->networks, key);
        if (!net) {
            return -1;
        }
    }
    zt_rules_network_t *r = &net->rules;
    memset(r, 0, sizeof *r);
    r->rules.raw = rules;
    r->rules.n = rules_n;
    if (zt_credentials(p, credentials, n, &r->own, &r->rules, &net->block)) {
        zt_table_del(&p->networks, net);
        return -1;
    }
    net->set = *set;
    net->accept_all = rules_n == 2 && rules[0] == 1 && rules[1] == 0;
    zt_mac_of(set->nwid, p->address, net->mac);
    r->flags = set->config_flags;
    memcpy(r->address, p->address, 5);
    r->has_sixplane = (set->flags & ZT_PLANE_NET_SIXPLANE) != 0;
    r->has_rfc4193 = (set->flags & ZT_PLANE_NET_RFC4193) != 0;
    r->sixplane[0] = 0xfc;
    for (unsigned i = 0; i < 4; i++) {
        r->sixplane[1 + i] = set->nwid[i] ^ set->nwid[4 + i];
    }
    r->rfc4193[0] = 0xfd;
    memcpy(r->rfc4193 + 1, set->nwid, 8);
    r->rfc4193[9] = 0x99;
    r->rfc4193[10] = 0x93;
    return zt_table_index(net);
}

int zt_plane_network_del(zt_plane_t *p, int network) {
    zt_network_t *net = zt_network_at(p, network);
    if (!net) {
        return -1;
    }
    zt_network_drop(p, net);
    return 0;
}

// ---- members

static zt_member_t *member_find(const zt_plane_t *p, int network, const uint8_t address[5]) {
    uint8_t key[KEY];
    if (network < 0) {
        return NULL;
    }
    key_of(key, network, address, 5);
    return zt_table_find(&p->members, key);
}

zt_member_t *zt_member_at(const zt_plane_t *p, uint32_t now, unsigned network, const uint8_t address[5]) {
    zt_member_t *m = member_find(p, (int)network, address);
    return m && zt_valid(now, m->until) ? m : NULL;
}

void zt_member_drop(zt_plane_t *p, zt_member_t *m) {
    zt_arena_put(&p->arena, m->block);
    zt_table_del(&p->members, m);
}

int zt_plane_member_set(zt_plane_t *p, uint32_t now, int network, const uint8_t address[5], unsigned flags,
                        uint32_t ttl_ms, const uint8_t *credentials, size_t n) {
    uint8_t key[KEY];
    const zt_network_t *net = zt_network_at(p, network);
    if (!net) {
        return -1;
    }
    key_of(key, network, address, 5);
    zt_member_t *m = zt_table_find(&p->members, key);
    if (m) {
        zt_arena_put(&p->arena, m->block);
        m->block = NULL;
    } else {
        m = add(p, now, &p->members, key);
        if (!m) {
            return -1;
        }
    }
    if (zt_credentials(p, credentials, n, &m->rules, NULL, &m->block)) {
        zt_member_drop(p, m);
        return -1;
    }
    m->flags = (uint8_t)(flags & (ZT_PLANE_ADMITTED | ZT_PLANE_SENDABLE));
    m->until = deadline(now, ttl_ms);
    zt_mac_of(net->set.nwid, address, m->mac);
    return 0;
}

int zt_plane_member_renew(zt_plane_t *p, uint32_t now, int network, const uint8_t address[5],
                          uint32_t ttl_ms) {
    zt_member_t *m = network < 0 ? NULL : zt_member_at(p, now, (unsigned)network, address);
    if (!m) {
        return -1;
    }
    m->until = deadline(now, ttl_ms);
    return 0;
}

int zt_plane_member_del(zt_plane_t *p, int network, const uint8_t address[5]) {
    zt_member_t *m = member_find(p, network, address);
    if (!m) {
        return -1;
    }
    zt_member_drop(p, m);
    return 0;
}

// ---- groups

static void group_key(uint8_t key[KEY], int network, const uint8_t mac[6], const uint8_t adi[4]) {
    key_of(key, network, mac, 6);
    memcpy(key + 8, adi, 4);
}

zt_group_t *zt_group_at(const zt_plane_t *p, uint32_t now, unsigned network, const uint8_t group[10]) {
    uint8_t key[KEY];
    group_key(key, (int)network, group, group + 6);
    zt_group_t *g = zt_table_find(&p->groups, key);
    return g && zt_valid(now, g->until) ? g : NULL;
}

int zt_plane_group_set(zt_plane_t *p, uint32_t now, int network, const uint8_t mac[6], const uint8_t adi[4],
                       uint32_t gather, uint32_t ttl_ms, const uint8_t *addresses, size_t count) {
    uint8_t key[KEY];
    if (!zt_network_at(p, network)) {
        return -1;
    }
    group_key(key, network, mac, adi);
    zt_group_t *g = zt_table_find(&p->groups, key);
    if (count > p->limits.group_members) {
        if (g) {
            zt_table_del(&p->groups, g);
        }
        return -1;
    }
    if (!g) {
        g = add(p, now, &p->groups, key);
        if (!g) {
            return -1;
        }
    }
    g->until = deadline(now, ttl_ms);
    g->gather = gather;
    g->count = (uint16_t)count;
    g->used = 0;
    if (count) {
        memcpy(g->addresses, addresses, count * 5);
    }
    return 0;
}

int zt_plane_group_renew(zt_plane_t *p, uint32_t now, int network, const uint8_t mac[6],
                         const uint8_t adi[4], uint32_t ttl_ms) {
    uint8_t key[KEY];
    if (network < 0) {
        return -1;
    }
    group_key(key, network, mac, adi);
    zt_group_t *g = zt_table_find(&p->groups, key);
    if (!g || !zt_valid(now, g->until)) {
        return -1;
    }
    if (!g->used) {
        return 1;
    }
    g->used = 0;
    g->until = deadline(now, ttl_ms);
    return 0;
}

int zt_plane_group_del(zt_plane_t *p, int network, const uint8_t mac[6], const uint8_t adi[4]) {
    uint8_t key[KEY];
    if (network < 0) {
        return -1;
    }
    group_key(key, network, mac, adi);
    zt_group_t *g = zt_table_find(&p->groups, key);
    if (!g) {
        return -1;
    }
    zt_table_del(&p->groups, g);
    return 0;
}
