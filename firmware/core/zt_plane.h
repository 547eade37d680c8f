// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The data plane (docs/plane.md): moves frames between peers that Python has put into its tables, and hands
// everything else to Python through a ring of events. A cache, never an authority: what is missing, expired
// or refused for lack of room costs a trip through Python and nothing else.
//
// All state is in the caller's block, sized at zt_plane_init; nothing is allocated afterwards. One context:
// no two functions of one plane may run at the same time, but zt_plane_tx may be called out of nic_input.
// Times are ms of any counter of 32 bits that wraps. Entries live at most ZT_PLANE_TTL_MS after the call
// that made or renewed them.
//
// Bounds of the work for one packet: look-ups compare ZT_PLANE_CHAIN entries at most; a piece moves at most
// one packet's bytes; rules as in zt_rules.h; a multicast is at most group_members copies.
//
// Packet ids are a random 64-bit start and a counter, one for all peers, so the plane repeats none. The
// cipher's key is the session's mangled with id, addresses, flags and length, and the id is its nonce (VL1
// 4.3): two packets share a key stream only if all of these are equal, and the MAC key is of that stream.
// Python draws random ids for what it sends under the same session keys; m of its packets and n of ours
// meet with a chance of m n / 2^64, as two of its own would. HELLO is not sent here: its tail is masked with
// the session key as it is, which no other packet uses.

#ifndef ZT_PLANE_H
#define ZT_PLANE_H

#include <stddef.h>
#include <stdint.h>

#include "zt_hal.h"

#define ZT_PLANE_TTL_MS 6000
#define ZT_PLANE_CHAIN 8
#define ZT_PLANE_SOURCES 2
#define ZT_PLANE_PACKET_MAX 10024 // protocol
#define ZT_PLANE_NEVER 0xffffffffU // of ages: not in the last hour

typedef struct zt_plane zt_plane_t;

// At each bound: a set function returns -1 and Python goes on doing it; an event is dropped and counted; of
// half-received packets the oldest goes.
typedef struct {
    uint16_t peers;
    uint16_t networks;
    uint16_t members; // of all networks
    uint16_t groups; // of all networks
    uint16_t group_members; // per group
    uint16_t reassembly; // packets at a time; 0: Python puts pieces together
    uint16_t packet_bytes; // longest packet put together or inflated here; Python takes those above
    uint16_t unused; // zero
    uint32_t event_bytes; // of the ring, 3/8 for unopened packets and 3/8 for frames at most; a record
                          // takes ZT_PLANE_EVENT_BYTES more than it holds
    uint32_t rules_bytes; // for the rules and credentials of all networks and members
} zt_plane_limits_t;

// ---- making and ending

// Bytes that zt_plane_init needs, 0 for impossible limits.
size_t zt_plane_size(const zt_plane_limits_t *limits);

// Bytes of one entry or slot of each table, in this order: fixed part, peer, network, member, group,
// reassembly slot, event record without its bytes. Hash buckets are 2 bytes each, two to four per entry.
#define ZT_PLANE_SIZES 7
void zt_plane_sizes(const zt_plane_limits_t *limits, uint32_t out[ZT_PLANE_SIZES]);

// NULL if the limits are impossible or mem is too small. mem may have any alignment and content, and is the
// plane's until zt_plane_wipe. `random` is 16 random bytes, fresh at each start.
zt_plane_t *zt_plane_init(void *mem, size_t n, const zt_plane_limits_t *limits, const uint8_t address[5],
                          const uint8_t random[16], const zt_hal_t *hal, void *ctx);

// Zeroes the whole block, session keys and payloads included. The plane is gone.
void zt_plane_wipe(zt_plane_t *plane);

// ---- programming; all return 0, or -1 for no room, an unknown network or entry, or malformed arguments.
// After a -1 of a set function the entry it was to replace is gone.

typedef struct {
    zt_addr_t remote; // size 0: none
    int16_t wire;
    uint16_t unused; // zero
} zt_plane_path_t;

typedef struct {
    zt_plane_path_t path; // where to send: the peer's own, or that of a root; none: receive only
    zt_plane_path_t sources[ZT_PLANE_SOURCES]; // where unrelayed packets may come from
} zt_plane_peer_t;

// Replaces an entry but keeps its counters; an age of a source is kept if the source stays.
int zt_plane_peer_set(zt_plane_t *plane, uint32_t now, const uint8_t address[5], const uint8_t key[48],
                      const zt_plane_peer_t *peer, uint32_t ttl_ms);
int zt_plane_peer_path(zt_plane_t *plane, const uint8_t address[5], const zt_plane_path_t *path);
int zt_plane_peer_renew(zt_plane_t *plane, uint32_t now, const uint8_t address[5], uint32_t ttl_ms);
int zt_plane_peer_del(zt_plane_t *plane, const uint8_t address[5]);

#define ZT_PLANE_NET_BRIDGE 1 // we are one
#define ZT_PLANE_NET_REPLICATOR 2 // we are one
#define ZT_PLANE_NET_SIXPLANE 4 // our own address of that kind is among our static IPs
#define ZT_PLANE_NET_RFC4193 8

typedef struct {
    uint8_t nwid[8];
    uint32_t config_flags; // of the configuration: 2 broadcast, 4 NDP emulation, 8 unknown rules match
    uint32_t multicast_limit;
    int16_t nic;
    uint16_t flags; // ZT_PLANE_NET_...
} zt_plane_network_t;

// Returns the index of the network, which it keeps until zt_plane_network_del, or -1. Its members and
// groups go: a new configuration voids what was worked out from the old one. `credentials` are our own.
int zt_plane_network_set(zt_plane_t *plane, const zt_plane_network_t *network, const uint8_t *rules,
                         size_t rules_n, const uint8_t *credentials, size_t n);
int zt_plane_network_del(zt_plane_t *plane, int network);
int zt_plane_network_find(const zt_plane_t *plane, const uint8_t nwid[8]);

// Credentials that are valid now, as the rules see them, one after the other, integers big endian:
//   1, id (4), value (4)        a tag; ids ascend
//   2, length (2), rules        a capability, in the order they are tried
//   3, type (1), value (16)     an address owned: 1 MAC, 2 IPv4, 3 IPv6, filled up with zeros
// Capabilities of members matter for what they send, our own for what we send.
#define ZT_PLANE_ADMITTED 1 // may talk to us
#define ZT_PLANE_SENDABLE 2 // nothing needs to be told to it before a frame
int zt_plane_member_set(zt_plane_t *plane, uint32_t now, int network, const uint8_t address[5],
                        unsigned flags, uint32_t ttl_ms, const uint8_t *credentials, size_t n);
int zt_plane_member_renew(zt_plane_t *plane, uint32_t now, int network, const uint8_t address[5],
                          uint32_t ttl_ms);
int zt_plane_member_del(zt_plane_t *plane, int network, const uint8_t address[5]);

// `addresses` are all recipients of a multicast in their order, 5 bytes each; the first multicast_limit to
// which the rules let a copy go get one. A gather other than 0 is asked for with each copy.
int zt_plane_group_set(zt_plane_t *plane, uint32_t now, int network, const uint8_t mac[6],
                       const uint8_t adi[4], uint32_t gather, uint32_t ttl_ms, const uint8_t *addresses,
                       size_t count);
// 1 if no frame went to it since it was set or last renewed: then it may run out.
int zt_plane_group_renew(zt_plane_t *plane, uint32_t now, int network, const uint8_t mac[6],
                         const uint8_t adi[4], uint32_t ttl_ms);
int zt_plane_group_del(zt_plane_t *plane, int network, const uint8_t mac[6], const uint8_t adi[4]);

// Forgets what the bits say; members and groups of one network, or of all if it is -1.
#define ZT_PLANE_FLUSH_PEERS 1
#define ZT_PLANE_FLUSH_NETWORKS 2 // with their members and groups
#define ZT_PLANE_FLUSH_MEMBERS 4
#define ZT_PLANE_FLUSH_GROUPS 8
#define ZT_PLANE_FLUSH_REASSEMBLY 16
#define ZT_PLANE_FLUSH_EVENTS 32
#define ZT_PLANE_FLUSH_ALL 63
void zt_plane_flush(zt_plane_t *plane, unsigned kinds, int network);

// Takes out what has expired and keeps old times from wrapping. Call every few seconds, at the latest once
// in a day.
void zt_plane_expire(zt_plane_t *plane, uint32_t now);

// ---- moving

enum { ZT_PLANE_DROPPED, ZT_PLANE_DONE, ZT_PLANE_EVENT, ZT_PLANE_KEPT };

// A datagram; pkt is changed and may be used again after the return. Returns what became of it: dropped and
// counted, delivered, handed to Python, or kept until the rest of the packet comes.
int zt_plane_rx(zt_plane_t *plane, uint32_t now, int wire, const zt_addr_t *from, uint8_t *pkt, size_t n,
                void *owner);

// pkt[0..n) as datagrams of `size` bytes, the last one shorter (what UDP_GRO gives): as zt_plane_rx for each in
// turn, and faster for short ones. Stops behind the first that became an event: what follows is to be judged
// after it. A size of 0 means all of it is one. Returns the bytes used; *result is of the last datagram.
size_t zt_plane_rx_run(zt_plane_t *plane, uint32_t now, int wire, const zt_addr_t *from, uint8_t *pkt, size_t n,
                       size_t size, void *owner, int *result);

// A whole Ethernet frame from the interface of a network; the segments are only read. Returns as above; a
// multicast is DONE if at least one copy went. -1 for an unknown network.
int zt_plane_tx(zt_plane_t *plane, uint32_t now, int network, const zt_seg_t *segments, size_t count);

// ---- what is for Python

enum {
    ZT_PLANE_EVENT_PACKET = 1, // a datagram or packet: process it as if it had come in
    ZT_PLANE_EVENT_FRAME, // an Ethernet frame from the interface: process it as if it had come from there
    ZT_PLANE_EVENT_COPY // an Ethernet frame that rules want sent to `address` in an EXT_FRAME
};
#define ZT_PLANE_OPENED 1 // PACKET: authenticated and decrypted; LZ4 where the verb still says so
#define ZT_PLANE_WHOLE 2 // PACKET: put together from pieces, whatever its flags say

typedef struct {
    uint8_t kind;
    uint8_t flags;
    int16_t wire; // PACKET
    int16_t network; // FRAME, COPY; else -1
    int16_t nic; // FRAME, COPY
    zt_addr_t from; // PACKET; none for a piece that came before
    uint8_t address[5]; // PACKET opened: the sender; COPY: the recipient
    uint8_t copy_flags; // COPY: of the EXT_FRAME
    uint16_t n; // bytes
} zt_plane_event_t;

#define ZT_PLANE_EVENT_BYTES 36

// The oldest event: 1 with *event and its bytes in buf; 0 if there is none; -1 if it is longer than room:
// then *event is its head and the event stays. ZT_PLANE_PACKET_MAX bytes are room for each.
int zt_plane_event_get(zt_plane_t *plane, zt_plane_event_t *event, uint8_t *buf, size_t room);

// Gives the oldest event up, counted as lost: for who has no room for it.
void zt_plane_event_drop(zt_plane_t *plane);

// ---- counters; they wrap

enum {
    ZT_PLANE_RX, // datagrams
    ZT_PLANE_TX, // frames
    ZT_PLANE_EVENTS,
    // Drops of zt_plane_rx
    ZT_PLANE_SHORT,
    ZT_PLANE_LOOPED,
    ZT_PLANE_LONG,
    ZT_PLANE_FRAGMENT, // impossible numbers, or too long together
    ZT_PLANE_FRAGMENT_LOST, // pieces that did not become a packet in time, or gave way
    ZT_PLANE_MAC,
    ZT_PLANE_COMPRESSION,
    // Drops of zt_plane_tx
    ZT_PLANE_FRAME_SHORT,
    ZT_PLANE_FRAME_LONG,
    ZT_PLANE_NO_SLOT, // packets: wire_get had none
    ZT_PLANE_WIRE, // packets: wire_put refused
    // No room in the ring
    ZT_PLANE_EVENT_LOST, // for what is opened
    ZT_PLANE_STRANGER_LOST, // for what is not
    ZT_PLANE_FRAME_LOST, // for frames and copies from here
    ZT_PLANE_COUNTERS
};

void zt_plane_counters(const zt_plane_t *plane, uint32_t out[ZT_PLANE_COUNTERS]);
const char *zt_plane_counter_name(unsigned index); // NULL beyond the last

enum {
    ZT_PLANE_RULES_OUT,
    ZT_PLANE_RULES_IN,
    ZT_PLANE_BAD_SOURCE,
    ZT_PLANE_BAD_DESTINATION,
    ZT_PLANE_BROADCAST_OFF,
    ZT_PLANE_MULTICAST_OFF,
    ZT_PLANE_NET_DROPS
};

typedef struct {
    uint64_t rx_frames;
    uint64_t rx_bytes; // after the Ethernet header, as all four
    uint64_t tx_frames;
    uint64_t tx_bytes;
    uint32_t drops[ZT_PLANE_NET_DROPS];
} zt_plane_network_stats_t;

int zt_plane_network_stats(const zt_plane_t *plane, int network, zt_plane_network_stats_t *out);
const char *zt_plane_network_drop_name(unsigned index);

// Ages are ms since.
typedef struct {
    uint64_t rx_packets; // authentic ones, all verbs
    uint64_t rx_bytes;
    uint64_t tx_packets;
    uint64_t tx_bytes;
    uint32_t rx_age;
    uint32_t frame_age; // of a frame of a network where it is admitted: proof of common membership
    uint32_t source_age[ZT_PLANE_SOURCES]; // an unrelayed packet from there
    uint32_t tx_age;
} zt_plane_peer_stats_t;

int zt_plane_peer_stats(const zt_plane_t *plane, uint32_t now, const uint8_t address[5],
                        zt_plane_peer_stats_t *out);

typedef struct {
    uint32_t rx_age;
    uint32_t tx_age;
} zt_plane_member_stats_t;

int zt_plane_member_stats(const zt_plane_t *plane, uint32_t now, int network, const uint8_t address[5],
                          zt_plane_member_stats_t *out);

#endif
