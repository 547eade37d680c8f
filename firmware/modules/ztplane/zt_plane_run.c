// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The one plane of a process, and the way to it (zt_plane_run.h). No MicroPython header: the test of the
// threads is built from this file as the firmware is.
//
// Threads: everything but `pending` is read and written in the stack's context. zt_plane itself changes
// there too, while the caller waits, so the thread of Python, which alone starts and ends planes, may look
// at it.

#include <string.h>

#include "zt_atomic.h"
#include "zt_netif.h"
#include "zt_plane_run.h"

#define NICS ZT_PLANE_NICS

zt_plane_t *zt_plane;
static void *memory;
static zt_hal_t hal;
static int16_t network_of[NICS]; // by interface; -1: none
static uint8_t pending; // events wait; from any thread

// One call into the stack's context. What a member means is said by who uses it.
typedef struct {
    const uint8_t *address;
    const void *in, *more;
    size_t in_n, more_n;
    void *out, *out2;
    uint32_t ttl, number;
    int network;
    unsigned flags;
    int (*fn)(void *call);
} call_t;

// Another thread of Python's may have ended the plane since the caller looked.
static int with_plane(void *arg) {
    call_t *c = arg;
    return zt_plane != NULL ? c->fn(c) : -1;
}

#define ENTER(f, ...) zt_port_enter(with_plane, &(call_t) { .fn = (f), __VA_ARGS__ })

bool zt_plane_pending(void) {
    return ZT_LOAD(pending) != 0;
}

// Events wait where none did before.
static void kick(void *ctx) {
    (void)ctx;
    ZT_STORE(pending, 1);
    zt_port_kick();
}

bool zt_plane_knows(int nic) {
    return zt_plane != NULL && nic >= 0 && nic < NICS && network_of[nic] >= 0;
}

int zt_plane_from_nic(int nic, const zt_seg_t *segments, size_t count) {
    if (!zt_plane_knows(nic)) {
        return -1;
    }
    return zt_plane_tx(zt_plane, zt_port_ms(), network_of[nic], segments, count);
}

bool zt_plane_linkoutput(int nic, const zt_seg_t *segments, size_t count) {
    return zt_plane_from_nic(nic, segments, count) >= 0;
}

// ---- begin and end

static int end(void *arg) {
    (void)arg;
    if (zt_plane != NULL) {
        zt_port_flush();
        zt_plane_wipe(zt_plane);
        zt_plane = NULL;
        ZT_STORE(pending, 0);
        zt_netif_output = NULL;
        zt_port_plane();
    }
    for (int i = 0; i < NICS; i++) {
        network_of[i] = -1;
    }
    return 0;
}

void zt_plane_end(void) {
    zt_port_enter(end, NULL);
    zt_port_free(memory);
    memory = NULL;
}

static int start(void *arg) {
    const call_t *c = arg;
    hal = zt_port_hal;
    hal.kick = kick;
    zt_plane = zt_plane_init(memory, c->in_n, c->in, c->address, c->more, &hal, NULL);
    if (zt_plane == NULL) {
        return ZT_RUN_BAD_LIMITS;
    }
    zt_netif_output = zt_plane_linkoutput;
    zt_port_plane();
    return 0;
}

int zt_run_start(const zt_plane_limits_t *limits, const uint8_t address[5], const uint8_t random[16]) {
    zt_plane_end();
    size_t n = zt_plane_size(limits);
    if (n == 0) {
        return ZT_RUN_BAD_LIMITS;
    }
    memory = zt_port_alloc(n);
    if (memory == NULL) {
        return ZT_RUN_NO_MEMORY;
    }
    int result = zt_port_enter(start, &(call_t) { .in = limits, .in_n = n, .address = address, .more = random });
    if (result != 0) {
        zt_port_free(memory);
        memory = NULL;
    }
    return result;
}

// ---- peers

static int peer_set(void *arg) {
    const call_t *c = arg;
    return zt_plane_peer_set(zt_plane, zt_port_ms(), c->address, c->more, c->in, c->ttl);
}

int zt_run_peer_set(const uint8_t address[5], const uint8_t key[48], const zt_plane_peer_t *peer, uint32_t ttl_ms) {
    return ENTER(peer_set, .address = address, .more = key, .in = peer, .ttl = ttl_ms);
}

static int peer_renew(void *arg) {
    const call_t *c = arg;
    return zt_plane_peer_renew(zt_plane, zt_port_ms(), c->address, c->ttl);
}

int zt_run_peer_renew(const uint8_t address[5], uint32_t ttl_ms) {
    return ENTER(peer_renew, .address = address, .ttl = ttl_ms);
}

static int peer_del(void *arg) {
    const call_t *c = arg;
    return zt_plane_peer_del(zt_plane, c->address);
}

int zt_run_peer_del(const uint8_t address[5]) {
    return ENTER(peer_del, .address = address);
}

static int peer_stats(void *arg) {
    const call_t *c = arg;
    return zt_plane_peer_stats(zt_plane, zt_port_ms(), c->address, c->out);
}

int zt_run_peer_stats(const uint8_t address[5], zt_plane_peer_stats_t *out) {
    return ENTER(peer_stats, .address = address, .out = out);
}

// ---- networks

static int network_set(void *arg) {
    const call_t *c = arg;
    const zt_plane_network_t *network = c->out;
    int index = zt_plane_network_set(zt_plane, network, c->in, c->in_n, c->more, c->more_n);
    if (network->nic >= 0 && network->nic < NICS) {
        network_of[network->nic] = (int16_t)index;
    }
    return index;
}

int zt_run_network_set(const zt_plane_network_t *network, const uint8_t *rules, size_t rules_n,
    const uint8_t *credentials, size_t n) {
    zt_plane_network_t copy = *network;
    return ENTER(network_set, .out = &copy, .in = rules, .in_n = rules_n, .more = credentials, .more_n = n);
}

static int network_del(void *arg) {
    const call_t *c = arg;
    for (int i = 0; i < NICS; i++) {
        if (network_of[i] == c->network) {
            network_of[i] = -1;
        }
    }
    return zt_plane_network_del(zt_plane, c->network);
}

int zt_run_network_del(int network) {
    return ENTER(network_del, .network = network);
}

static int network_stats(void *arg) {
    const call_t *c = arg;
    return zt_plane_network_stats(zt_plane, c->network, c->out);
}

int zt_run_network_stats(int network, zt_plane_network_stats_t *out) {
    return ENTER(network_stats, .network = network, .out = out);
}

// ---- members and groups

static int member_set(void *arg) {
    const call_t *c = arg;
    return zt_plane_member_set(zt_plane, zt_port_ms(), c->network, c->address, c->flags, c->ttl, c->in, c->in_n);
}

int zt_run_member_set(int network, const uint8_t address[5], unsigned flags, uint32_t ttl_ms,
    const uint8_t *credentials, size_t n) {
    return ENTER(member_set, .network = network, .address = address, .flags = flags, .ttl = ttl_ms,
        .in = credentials, .in_n = n);
}

static int member_renew(void *arg) {
    const call_t *c = arg;
    return zt_plane_member_renew(zt_plane, zt_port_ms(), c->network, c->address, c->ttl);
}

int zt_run_member_renew(int network, const uint8_t address[5], uint32_t ttl_ms) {
    return ENTER(member_renew, .network = network, .address = address, .ttl = ttl_ms);
}

static int member_del(void *arg) {
    const call_t *c = arg;
    return zt_plane_member_del(zt_plane, c->network, c->address);
}

int zt_run_member_del(int network, const uint8_t address[5]) {
    return ENTER(member_del, .network = network, .address = address);
}

static int member_stats(void *arg) {
    const call_t *c = arg;
    return zt_plane_member_stats(zt_plane, zt_port_ms(), c->network, c->address, c->out);
}

int zt_run_member_stats(int network, const uint8_t address[5], zt_plane_member_stats_t *out) {
    return ENTER(member_stats, .network = network, .address = address, .out = out);
}

static int group_set(void *arg) {
    const call_t *c = arg;
    return zt_plane_group_set(zt_plane, zt_port_ms(), c->network, c->address, c->address + 6, c->number, c->ttl,
        c->in, c->in_n);
}

int zt_run_group_set(int network, const uint8_t group[10], uint32_t gather, uint32_t ttl_ms, const uint8_t *addresses,
    size_t count) {
    return ENTER(group_set, .network = network, .address = group, .number = gather, .ttl = ttl_ms, .in = addresses,
        .in_n = count);
}

static int group_del(void *arg) {
    const call_t *c = arg;
    return zt_plane_group_del(zt_plane, c->network, c->address, c->address + 6);
}

int zt_run_group_del(int network, const uint8_t group[10]) {
    return ENTER(group_del, .network = network, .address = group);
}

static int group_renew(void *arg) {
    const call_t *c = arg;
    return zt_plane_group_renew(zt_plane, zt_port_ms(), c->network, c->address, c->address + 6, c->ttl);
}

int zt_run_group_renew(int network, const uint8_t group[10], uint32_t ttl_ms) {
    return ENTER(group_renew, .network = network, .address = group, .ttl = ttl_ms);
}

static int flush(void *arg) {
    const call_t *c = arg;
    zt_plane_flush(zt_plane, c->flags, c->network);
    return 0;
}

void zt_run_flush(unsigned kinds, int network) {
    ENTER(flush, .flags = kinds, .network = network);
}

static int expire(void *arg) {
    (void)arg;
    zt_plane_expire(zt_plane, zt_port_ms());
    return 0;
}

void zt_run_expire(void) {
    ENTER(expire, .ttl = 0);
}

// ---- what comes back

static int drain(void *arg) {
    (void)arg;
    return zt_port_drain();
}

bool zt_run_drain(void) {
    return zt_port_enter(drain, NULL) != 0;
}

static int event(void *arg) {
    const call_t *c = arg;
    const int got = zt_plane_event_get(zt_plane, c->out, c->out2, c->number);
    zt_plane_event_t next;
    // None is empty, so the one after stays.
    ZT_STORE(pending, got != 0 && zt_plane_event_get(zt_plane, &next, NULL, 0) != 0);
    return got;
}

int zt_run_event(zt_plane_event_t *out, uint8_t *buf, size_t room) {
    return zt_plane_pending() ? ENTER(event, .out = out, .out2 = buf, .number = (uint32_t)room) : 0;
}

static int event_drop(void *arg) {
    (void)arg;
    zt_plane_event_drop(zt_plane);
    return 0;
}

void zt_run_event_drop(void) {
    ENTER(event_drop, .ttl = 0);
}

static int counters(void *arg) {
    const call_t *c = arg;
    zt_plane_counters(zt_plane, c->out);
    memcpy(c->out2, &zt_io_counters, sizeof(zt_io_counters));
    return 0;
}

void zt_run_counters(uint32_t out[ZT_PLANE_COUNTERS], zt_io_counters_t *io) {
    memset(out, 0, ZT_PLANE_COUNTERS * sizeof(*out));
    memset(io, 0, sizeof(*io));
    ENTER(counters, .out = out, .out2 = io);
}
