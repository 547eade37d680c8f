// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The one plane of a process, for who is not in the stack's context: each function goes there
// (zt_port_enter), does what the one of the same name in zt_plane.h does, and returns its result. Buffers
// are read and written there, so they must stay where they are until the return. All need a running plane.

#ifndef ZT_PLANE_RUN_H
#define ZT_PLANE_RUN_H

#include "zt_plane_port.h"

#define ZT_RUN_NO_MEMORY (-1)
#define ZT_RUN_BAD_LIMITS (-2)

// Ends a running plane and begins another: 0, or one of the above.
int zt_run_start(const zt_plane_limits_t *limits, const uint8_t address[5], const uint8_t random[16]);

int zt_run_peer_set(const uint8_t address[5], const uint8_t key[48], const zt_plane_peer_t *peer, uint32_t ttl_ms);
int zt_run_peer_renew(const uint8_t address[5], uint32_t ttl_ms);
int zt_run_peer_del(const uint8_t address[5]);
int zt_run_peer_stats(const uint8_t address[5], zt_plane_peer_stats_t *out);

int zt_run_network_set(const zt_plane_network_t *network, const uint8_t *rules, size_t rules_n,
    const uint8_t *credentials, size_t n);
int zt_run_network_del(int network);
int zt_run_network_stats(int network, zt_plane_network_stats_t *out);

int zt_run_member_set(int network, const uint8_t address[5], unsigned flags, uint32_t ttl_ms,
    const uint8_t *credentials, size_t n);
int zt_run_member_renew(int network, const uint8_t address[5], uint32_t ttl_ms);
int zt_run_member_del(int network, const uint8_t address[5]);
int zt_run_member_stats(int network, const uint8_t address[5], zt_plane_member_stats_t *out);

// `group` is MAC and ADI, 10 bytes.
int zt_run_group_set(int network, const uint8_t group[10], uint32_t gather, uint32_t ttl_ms, const uint8_t *addresses,
    size_t count);
int zt_run_group_renew(int network, const uint8_t group[10], uint32_t ttl_ms);
int zt_run_group_del(int network, const uint8_t group[10]);

void zt_run_flush(unsigned kinds, int network);
void zt_run_expire(void);

// zt_port_drain().
bool zt_run_drain(void);
// The oldest event: 1 with *event and its bytes in buf, 0 for none, -1 when it needs event->n bytes: then it
// stays the oldest.
int zt_run_event(zt_plane_event_t *event, uint8_t *buf, size_t room);
// Gives up the oldest event.
void zt_run_event_drop(void);
void zt_run_counters(uint32_t out[ZT_PLANE_COUNTERS], zt_io_counters_t *io);

#endif
