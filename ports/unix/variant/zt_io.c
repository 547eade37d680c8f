// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The data plane's traffic on the unix port (zt_hal.h over sockets and lwIP), in batches: recvmmsg and
// UDP_GRO in, sendmmsg and UDP_SEGMENT out, plain datagrams where the kernel has neither. Nothing here
// allocates, blocks or enters the interpreter.
//
// In: a message of up to 64 KB lies in a block. A frame in it goes to lwIP as a pbuf that points into the
// block, which is free again when lwIP has let go of all of them; when few blocks are left, frames are
// copied out. Blocks are touched only as far as messages reach.
//
// Out: packets are laid one after the other into one buffer, so that a run of equal pieces to one address
// is one message. It is sent when full, at the end of each drain and of each turn of lwIP.

#define _GNU_SOURCE
#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "zt_netif.h"
#include "zt_plane_port.h"
#include "zt_unix.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define BLOCK 65536 // the longest message there can be
#define BLOCKS 12
#define BLOCKS_SPARE 6 // below so many free ones frames are copied
#define BATCH 4 // messages of one recvmmsg
#define ROUNDS 8 // recvmmsg of one wire before others get their turn
#define QUEUE 128 // packets
#define QUEUE_BYTES (96 * 1024)
#define RUN_BYTES 65000 // of one message with UDP_SEGMENT
#define RUN_PIECES 64

typedef union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
} control_t;

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
    control_t control[BATCH];
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
    zt_wires[wire].no_gso = !on;
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

// ---- out ----

static struct {
    uint32_t at, n;
    uint16_t datagram;
    int16_t wire;
    zt_addr_t to;
} queue[QUEUE];
static unsigned queued;
static uint8_t out[QUEUE_BYTES];
static size_t out_used;

static uint8_t *wire_get(void *ctx, int wire, size_t n) {
    (void)ctx;
    if (wire < 0 || wire >= ZT_WIRES || !zt_wires[wire].used || n > sizeof(out)) {
        return NULL;
    }
    if (queued == QUEUE || n > sizeof(out) - out_used) {
        zt_port_flush();
    }
    return out + out_used;
}

static int wire_put(void *ctx, int wire, const zt_addr_t *to, uint8_t *slot, size_t n, size_t datagram) {
    (void)ctx;
    if (n == 0) {
        return 0;
    }
    queue[queued].at = (uint32_t)(slot - out);
    queue[queued].n = (uint32_t)n;
    queue[queued].datagram = (uint16_t)(n < datagram ? n : datagram);
    queue[queued].wire = (int16_t)wire;
    queue[queued].to = *to;
    queued++;
    out_used += n;
    return 0;
}

const zt_hal_t zt_port_hal = { wire_get, wire_put, nic_input, NULL };

static bool same(const zt_addr_t *a, const zt_addr_t *b) {
    return a->port == b->port && a->size == b->size && memcmp(a->ip, b->ip, 16) == 0;
}

// How many packets from queue[i] on make one message: pieces of one size, of which only the last may be
// shorter, to one address.
static unsigned run(unsigned i, size_t *n, size_t *size) {
    *size = queue[i].datagram;
    *n = queue[i].n;
    unsigned count = 1;
    while (!zt_wires[queue[i].wire].no_gso && *n % *size == 0 && i + count < queued) {
        const unsigned k = i + count;
        bool fits = queue[k].datagram == *size || queue[k].n < *size;
        if (!fits || queue[k].wire != queue[i].wire || !same(&queue[k].to, &queue[i].to)
            || *n + queue[k].n > RUN_BYTES || (*n + queue[k].n + *size - 1) / *size > RUN_PIECES) {
            break;
        }
        *n += queue[k].n;
        count++;
    }
    return count;
}

#define MESSAGES 64 // of one sendmmsg

static struct {
    struct mmsghdr head[MESSAGES];
    struct iovec iov[MESSAGES];
    zt_sockaddr_t to[MESSAGES];
    control_t control[MESSAGES];
} sending;

static void message(unsigned m, unsigned i, const uint8_t *p, size_t n, size_t size) {
    struct msghdr *h = &sending.head[m].msg_hdr;
    memset(h, 0, sizeof(*h));
    h->msg_name = &sending.to[m];
    h->msg_namelen = zt_wire_address(&sending.to[m], &zt_wires[queue[i].wire], &queue[i].to);
    sending.iov[m].iov_base = (void *)(uintptr_t)p;
    sending.iov[m].iov_len = n;
    h->msg_iov = &sending.iov[m];
    h->msg_iovlen = 1;
    if (n > size) {
        uint16_t segment = (uint16_t)size;
        memset(&sending.control[m], 0, sizeof(sending.control[m]));
        h->msg_control = sending.control[m].bytes;
        h->msg_controllen = CMSG_SPACE(sizeof(segment));
        struct cmsghdr *c = CMSG_FIRSTHDR(h);
        c->cmsg_level = IPPROTO_UDP;
        c->cmsg_type = UDP_SEGMENT;
        c->cmsg_len = CMSG_LEN(sizeof(segment));
        memcpy(CMSG_DATA(c), &segment, sizeof(segment));
    }
}

// Sends messages 0..n of one wire. What a wire refuses is lost and counted, as on any wire; a run it
// refuses goes out piece by piece.
static void transmit(int wire, unsigned n) {
    unsigned at = 0;
    while (at < n) {
        int done = sendmmsg(zt_wires[wire].fd, sending.head + at, n - at, MSG_NOSIGNAL);
        if (done > 0) {
            at += (unsigned)done;
            zt_io_counters.tx_messages += (unsigned)done;
            continue;
        }
        if (errno == EINTR) {
            continue;
        }
        struct msghdr *h = &sending.head[at].msg_hdr;
        if (h->msg_control != NULL && (errno == EINVAL || errno == EIO || errno == EMSGSIZE || errno == EOPNOTSUPP)) {
            zt_wires[wire].no_gso = true;
            uint16_t size;
            memcpy(&size, CMSG_DATA(CMSG_FIRSTHDR(h)), sizeof(size));
            struct iovec rest = sending.iov[at];
            h->msg_control = NULL;
            h->msg_controllen = 0;
            while (rest.iov_len != 0) {
                struct iovec *one = &sending.iov[at];
                one->iov_base = rest.iov_base;
                one->iov_len = rest.iov_len < size ? rest.iov_len : size;
                if (sendmsg(zt_wires[wire].fd, h, MSG_NOSIGNAL) < 0) {
                    zt_io_counters.tx_refused++;
                }
                rest.iov_base = (uint8_t *)rest.iov_base + one->iov_len;
                rest.iov_len -= one->iov_len;
            }
        } else {
            zt_io_counters.tx_refused++;
        }
        at++;
    }
}

void zt_port_flush(void) {
    unsigned m = 0;
    unsigned i = 0;
    while (i < queued) {
        size_t n, size;
        const int wire = queue[i].wire;
        const unsigned count = run(i, &n, &size);
        const uint8_t *p = out + queue[i].at;
        size_t step = zt_wires[wire].no_gso ? size : n;
        while (n != 0) {
            size_t take = n < step ? n : step;
            message(m++, i, p, take, size);
            p += take;
            n -= take;
            if (m == MESSAGES) {
                transmit(wire, m);
                m = 0;
            }
        }
        i += count;
        if (m != 0 && (i == queued || queue[i].wire != wire)) {
            transmit(wire, m);
            m = 0;
        }
    }
    queued = 0;
    out_used = 0;
}
