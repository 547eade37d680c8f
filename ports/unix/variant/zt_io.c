// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The data plane's traffic on the unix port (zt_hal.h over sockets and lwIP), in batches: recvmmsg and
// UDP_GRO in, here; sendmmsg and UDP_SEGMENT out, in zt_io_out.c; plain datagrams where the kernel has
// neither. Nothing in either allocates, blocks or enters the interpreter.
//
// A message of up to 64 KB lies in a block. A frame in it goes to lwIP as a pbuf that points into the
// block, which is free again when lwIP has let go of all of them; when few blocks are left, frames are
// copied out. Blocks are touched only as far as messages reach.

#define _GNU_SOURCE
#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "zt_netif.h"
#include "zt_plane_port.h"
#include "zt_unix.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define BLOCK 65536 // the longest message there can be
#define BLOCKS 12
#define BLOCKS_SPARE 6 // below so many free ones frames are copied
#define BATCH 4 // messages of one recvmmsg
#define ROUNDS 8 // recvmmsg of one wire before others get their turn

zt_io_counters_t zt_io_counters;

// ---- in ----

static uint8_t blocks[BLOCKS][BLOCK];
static zt_owner_t owners[BLOCKS];
static uint8_t free_blocks[BLOCKS];
static unsigned free_count;
static bool ready;
static bool more; // may be left by the last drain

// Messages read and not yet brought to the plane.
static struct {
    struct mmsghdr head[BATCH];
    struct iovec iov[BATCH];
    zt_sockaddr_t from[BATCH];
    zt_control_t control[BATCH];
    uint8_t block[BATCH];
    int wire;
    unsigned count, at;
    size_t offset;
} batch;

static void block_done(zt_owner_t *owner) {
    if (--owner->refs == 0) {
        free_blocks[free_count++] = (uint8_t)(owner - owners);
    }
}

static void init(void) {
    if (!ready) {
        ready = true;
        for (unsigned i = 0; i < BLOCKS; i++) {
            owners[i].done = block_done;
            free_blocks[free_count++] = (uint8_t)(BLOCKS - 1 - i);
        }
    }
}

// ZT_UDP_OFFLOAD=0 in the environment does without UDP_GRO and UDP_SEGMENT, as a kernel that has neither.
static bool offload(void) {
    const char *word = getenv("ZT_UDP_OFFLOAD");
    return word == NULL || strcmp(word, "0") != 0;
}

void zt_io_wire(int wire) {
    int on = zt_plane != NULL && offload();
    zt_wires[wire].no_gso = !on || !zt_io_out_segments(zt_wires[wire].fd);
    setsockopt(zt_wires[wire].fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on));
}

static void drop_batch(void) {
    while (batch.at < batch.count) {
        block_done(&owners[batch.block[batch.at++]]);
    }
    batch.count = 0;
}

void zt_io_forget(int wire) {
    if (batch.count != 0 && batch.wire == wire) {
        drop_batch();
    }
    zt_port_flush();
}

void zt_port_plane(void) {
    init();
    drop_batch();
    for (int i = 0; i < ZT_WIRES; i++) {
        if (zt_wires[i].used) {
            zt_io_wire(i);
        }
    }
}

static bool receive(int wire) {
    unsigned n = 0;
    while (n < BATCH && free_count != 0) {
        unsigned b = free_blocks[--free_count];
        batch.block[n] = (uint8_t)b;
        owners[b].refs = 1;
        batch.iov[n].iov_base = blocks[b];
        batch.iov[n].iov_len = BLOCK;
        batch.head[n].msg_hdr = (struct msghdr) {
            .msg_name = &batch.from[n],
            .msg_namelen = sizeof(batch.from[n]),
            .msg_iov = &batch.iov[n],
            .msg_iovlen = 1,
            .msg_control = batch.control[n].bytes,
            .msg_controllen = sizeof(batch.control[n].bytes),
        };
        n++;
    }
    int got;
    do {
        got = n == 0 ? 0 : recvmmsg(zt_wires[wire].fd, batch.head, n, MSG_DONTWAIT, NULL);
    } while (got < 0 && errno == EINTR);
    // Besides "nothing there", an ICMP error about something sent earlier: the protocol sees to it.
    batch.wire = wire;
    batch.count = got < 0 ? 0 : (unsigned)got;
    batch.at = 0;
    batch.offset = 0;
    for (unsigned i = batch.count; i < n; i++) {
        block_done(&owners[batch.block[i]]);
    }
    return batch.count == BATCH;
}

static size_t piece_size(struct msghdr *m, size_t n) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        int size;
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            memcpy(&size, CMSG_DATA(c), sizeof(size));
            return size > 0 ? (size_t)size : n;
        }
    }
    return n;
}

// Brings the batch to the plane; false if it stopped for Python. What Python is to decide on comes before
// what follows it: a member may be cut off by it.
static bool process(void) {
    uint32_t now = zt_port_ms();
    while (batch.at < batch.count) {
        unsigned i = batch.at;
        struct msghdr *m = &batch.head[i].msg_hdr;
        zt_owner_t *owner = &owners[batch.block[i]];
        size_t n = (m->msg_flags & MSG_TRUNC) != 0 ? 0 : batch.head[i].msg_len;
        size_t size = piece_size(m, n);
        zt_addr_t from;
        zt_wire_source(&from, &zt_wires[batch.wire], &batch.from[i]);
        while (batch.offset < n) {
            uint8_t *p = blocks[batch.block[i]] + batch.offset;
            int result;
            size_t used = zt_plane_rx_run(zt_plane, now, batch.wire, &from, p, n - batch.offset, size, owner, &result);
            batch.offset += used;
            zt_io_counters.rx_datagrams += (uint32_t)((used + size - 1) / size);
            if (result == ZT_PLANE_EVENT) {
                return false;
            }
        }
        batch.at++;
        batch.offset = 0;
        block_done(owner);
        zt_io_counters.rx_messages++;
    }
    batch.count = 0;
    return true;
}

bool zt_port_drain(void) {
    if (zt_plane == NULL) {
        return false;
    }
    more = false;
    bool go = batch.count == 0 || process();
    if (go) {
        int found[ZT_WIRES + ZT_TAPS];
        int n = zt_watch_ready(found, ZT_WIRES + ZT_TAPS);
        for (int i = 0; i < n && go; i++) {
            if (found[i] >= ZT_WIRES) {
                continue;
            }
            bool full = true;
            for (unsigned round = 0; round < ROUNDS && full && go; round++) {
                full = receive(found[i]);
                go = process();
            }
            more = more || full;
        }
        uint64_t nics = zt_tap_written();
        for (int i = 0; i < n; i++) {
            if (found[i] >= ZT_WIRES) {
                nics |= (uint64_t)1 << (found[i] - ZT_WIRES);
            }
        }
        zt_tap_none_pending();
        for (int nic = 0; go && nics >> nic != 0; nic++) {
            if ((nics >> nic & 1) != 0) {
                more = zt_tap_drain(nic) || more;
            }
        }
    }
    zt_port_flush();
    more = more || !go;
    return more;
}

bool zt_port_more(void) {
    return more;
}

// ---- frames for the host's devices, or for lwIP ----

static void nic_input(void *ctx, int nic, void *owner, uint8_t *frame, size_t n) {
    (void)ctx;
    if (zt_tap_write(nic, frame, n)) {
        return;
    }
    zt_netif_input_owned(nic, frame, n, free_count >= BLOCKS_SPARE ? owner : NULL);
}

const zt_hal_t zt_port_hal = { zt_io_out_get, zt_io_out_put, nic_input, NULL };
