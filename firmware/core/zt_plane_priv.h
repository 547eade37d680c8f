// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The inside of the plane, for zt_plane*.c only: one block of memory that begins with the struct, followed
// by the tables it points to.

#ifndef ZT_PLANE_PRIV_H
#define ZT_PLANE_PRIV_H

#include <string.h>

#include "zt_plane.h"
#include "zt_rules.h"

#define NONE 0xffffU
#define KEY 12

enum {
    // Places in a packet (VL1 4.1, 4.8).
    DEST = 8,
    SOURCE = 13,
    FLAGS = 18,
    VERB = 27,
    PAYLOAD = 28,
    FRAGMENT_MARK = 13,
    FRAGMENT_NUMBERS = 14,
    FRAGMENT_HEADER = 16,

    FRAGMENTED = 0x40,
    COMPRESSED = 0x80,
    VERB_MASK = 0x1f,
    VERB_FRAME = 0x06,
    VERB_EXT_FRAME = 0x07,
    VERB_MULTICAST_FRAME = 0x0e,

    DATAGRAM = 1432, // the longest that is sent
    PIECES = 7,
    PIECE = DATAGRAM - FRAGMENT_HEADER,
    SEND_MAX = DATAGRAM + (PIECES - 1) * PIECE,

    ETHERNET = 14,
    IPV6 = 0x86dd,
    ARP = 0x0806,
    CONFIG_BROADCAST = 2,
    CONFIG_NDP = 4
};

// ---- tables: chained hashing in arrays

// The head of every entry.
typedef struct {
    uint16_t next; // in its bucket, or of the free
    uint16_t used; // 0, or its index and 1
    uint8_t key[KEY]; // filled up with zeros
} zt_entry_t;

typedef struct {
    uint8_t *entries;
    uint16_t *buckets;
    uint32_t seed;
    uint32_t stride;
    uint16_t limit;
    uint16_t fresh; // from here on none was ever used, or written to
    uint16_t mask;
    uint16_t free; // the first of those that were
    uint16_t used;
} zt_table_t;

// Buckets for so many entries: a power of two.
uint32_t zt_table_buckets(uint16_t limit);
void zt_table_init(zt_table_t *t, uint8_t *entries, size_t stride, uint16_t limit, uint16_t *buckets,
                   uint32_t seed);
void *zt_table_find(const zt_table_t *t, const uint8_t key[KEY]);
// A new entry, zero but for its head; NULL if there is no room. The key must not be there.
void *zt_table_add(zt_table_t *t, const uint8_t key[KEY]);
// Wipes the entry.
void zt_table_del(zt_table_t *t, void *entry);
void *zt_table_at(const zt_table_t *t, uint32_t index); // NULL if not in use
uint16_t zt_table_index(const void *entry); // of one in use

// ---- blocks of different sizes, for rules and credentials

typedef struct {
    uint8_t *base;
    uint32_t size;
} zt_arena_t;

void zt_arena_init(zt_arena_t *a, uint8_t *base, uint32_t size);
void *zt_arena_get(zt_arena_t *a, size_t n); // NULL if there is no room
void zt_arena_put(zt_arena_t *a, void *block); // NULL is nothing

// ---- entries

#define SEEN_RX 1U
#define SEEN_FRAME 2U
#define SEEN_TX 4U
#define SEEN_SOURCE 8U // and the bits above, one a source

typedef struct {
    zt_entry_t head; // address
    uint64_t rx_packets;
    uint64_t rx_bytes;
    uint64_t tx_packets;
    uint64_t tx_bytes;
    uint32_t until;
    uint32_t rx;
    uint32_t frame;
    uint32_t tx;
    uint32_t source[ZT_PLANE_SOURCES];
    uint32_t seen; // which of the times are meant
    zt_plane_peer_t way;
    uint8_t key[48];
} zt_peer_t;

typedef struct {
    zt_entry_t head; // nwid
    zt_plane_network_stats_t stats;
    zt_rules_network_t rules;
    void *block; // of the arena
    zt_plane_network_t set;
    uint8_t mac[6];
    uint8_t accept_all;
    uint8_t unused;
} zt_network_t;

typedef struct {
    zt_entry_t head; // index of the network, address
    zt_rules_member_t rules;
    void *block;
    uint32_t until;
    uint32_t rx;
    uint32_t tx;
    uint8_t seen;
    uint8_t flags;
    uint8_t mac[6];
} zt_member_t;

typedef struct {
    zt_entry_t head; // index of the network, MAC, ADI
    uint32_t until;
    uint32_t gather;
    uint16_t count;
    uint8_t used; // since it was set or renewed
    uint8_t addresses[]; // 5 bytes each
} zt_group_t;

enum { PIECES_FREE, PIECES_KEPT, PIECES_PASSED };

typedef struct {
    uint8_t id[8];
    zt_addr_t from; // of the head
    uint32_t began;
    uint16_t lengths[PIECES];
    uint16_t size;
    int16_t wire;
    uint8_t have; // a bit per piece
    uint8_t total; // 0: not known yet
    uint8_t state;
    uint8_t unused;
} zt_pieces_t;

// In the order of the counters of those lost.
enum { EVENTS_OPENED, EVENTS_STRANGERS, EVENTS_FRAMES, EVENTS_CLASSES };

struct zt_plane {
    const zt_hal_t *hal;
    void *ctx;
    uint64_t next_id;
    zt_table_t peers;
    zt_table_t networks;
    zt_table_t members;
    zt_table_t groups;
    zt_arena_t arena;
    zt_pieces_t *pieces;
    uint8_t *pieces_data; // packet_bytes each
    uint8_t *inflated; // packet_bytes
    uint8_t *events;
    size_t block; // bytes of all
    uint32_t event_head; // of the oldest
    uint32_t event_used;
    uint32_t event_class[EVENTS_CLASSES]; // of it
    uint32_t random;
    uint32_t random_key;
    uint32_t counters[ZT_PLANE_COUNTERS];
    zt_plane_limits_t limits;
    uint8_t address[5];
};

// ---- shared by the parts

static inline int zt_valid(uint32_t now, uint32_t until) {
    return (uint32_t)(until - now - 1) < (uint32_t)1 << 31;
}

#define OLD_MS 3600000U

// How long ago: 0 for a time that is still to come (callers' clocks may differ a little).
static inline uint32_t zt_age(uint32_t now, uint32_t then) {
    const uint32_t age = now - then;
    return age >> 31 ? 0 : age > OLD_MS ? ZT_PLANE_NEVER : age;
}

static inline unsigned zt_be16(const uint8_t *p) {
    return (unsigned)p[0] << 8 | p[1];
}

static inline void zt_put16(uint8_t *p, unsigned v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline int zt_drop(zt_plane_t *p, unsigned counter) {
    p->counters[counter]++;
    return ZT_PLANE_DROPPED;
}

// No address is the same as none.
int zt_same_address(const zt_addr_t *a, const zt_addr_t *b);

// The entry, if it has not expired.
zt_peer_t *zt_peer_at(const zt_plane_t *p, uint32_t now, const uint8_t address[5]);
zt_member_t *zt_member_at(const zt_plane_t *p, uint32_t now, unsigned network, const uint8_t address[5]);
zt_group_t *zt_group_at(const zt_plane_t *p, uint32_t now, unsigned network, const uint8_t group[10]);
zt_network_t *zt_network_at(const zt_plane_t *p, int index);
zt_network_t *zt_network_by_id(const zt_plane_t *p, const uint8_t nwid[8]);
void zt_network_drop(zt_plane_t *p, zt_network_t *net);
void zt_member_drop(zt_plane_t *p, zt_member_t *m);
// Those of one network, or of all if it is negative.
void zt_members_flush(zt_plane_t *p, int network);
void zt_groups_flush(zt_plane_t *p, int network);
void zt_mac_of(const uint8_t nwid[8], const uint8_t address[5], uint8_t mac[6]);

// Lays credentials out in a block of the arena, with `rules` behind if it is not NULL: 0, or -1 for no room
// or malformed ones. *block may be NULL if there is nothing.
int zt_credentials(zt_plane_t *p, const uint8_t *raw, size_t n, zt_rules_member_t *out, zt_rules_list_t *rules,
                   void **block);

// Queues a record of the bytes in the segments after the first `skip` of them; ev->n is set here. Returns
// ZT_PLANE_EVENT, or ZT_PLANE_DROPPED and counts.
int zt_event_put(zt_plane_t *p, zt_plane_event_t *ev, const zt_seg_t *segments, size_t count);
int zt_event_packet(zt_plane_t *p, unsigned flags, int wire, const zt_addr_t *from, const uint8_t *pkt,
                    size_t n);
void zt_event_flush(zt_plane_t *p);

// The rules for one frame whose Ethernet header is `head`; NULL for the member means it is not known. Queues
// the copies, counts a drop. 0, 1 or 2 as zt_rules_eval.
enum { JUDGE_OUT, JUDGE_IN, JUDGE_OUT_NO_TEE };
int zt_judge(zt_plane_t *p, zt_network_t *net, const zt_member_t *m, unsigned how,
             const uint8_t head[ETHERNET], const uint8_t *payload, size_t n);

// A datagram with a piece of a packet for us. ZT_PLANE_DONE when *slot is the whole packet, which
// zt_pieces_release gives back; otherwise what became of the piece.
int zt_pieces_add(zt_plane_t *p, uint32_t now, int wire, const zt_addr_t *from, const uint8_t *pkt, size_t n,
                  unsigned *slot);
uint8_t *zt_pieces_data(const zt_plane_t *p, unsigned slot);
void zt_pieces_release(zt_plane_t *p, unsigned slot);
void zt_pieces_expire(zt_plane_t *p, uint32_t now);
void zt_pieces_flush(zt_plane_t *p);

#endif
