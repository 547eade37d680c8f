// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// What the data plane sends on the unix port. Packets are laid one after the other into one buffer, so that a
// run of equal pieces to one address is one message (UDP_SEGMENT). It is sent when full, at the end of each
// drain and of each turn of lwIP.

#define _GNU_SOURCE
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "zt_plane_port.h"
#include "zt_unix.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#define QUEUE 128 // packets
#define QUEUE_BYTES (96 * 1024)
#define RUN_BYTES 65000 // of one message with UDP_SEGMENT
#define RUN_PIECES 64
#define REFUSED 16 // destinations
#define REFUSED_MS 10000

bool zt_io_out_segments(int fd) {
    int none = 0; // 0 is off: each message says for itself
    return setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &none, sizeof(none)) == 0;
}

static struct {
    uint32_t at, n;
    uint16_t datagram;
    int16_t wire;
    zt_addr_t to;
} queue[QUEUE];
static unsigned queued;
static uint8_t out[QUEUE_BYTES];
static size_t out_used;

uint8_t *zt_io_out_get(void *ctx, int wire, size_t n) {
    (void)ctx;
    if (wire < 0 || wire >= ZT_WIRES || !zt_wires[wire].used || n > sizeof(out)) {
        return NULL;
    }
    if (queued == QUEUE || n > sizeof(out) - out_used) {
        zt_port_flush();
    }
    return out + out_used;
}

int zt_io_out_put(void *ctx, int wire, const zt_addr_t *to, uint8_t *slot, size_t n, size_t datagram) {
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

// ---- what UDP_SEGMENT was refused for ----

// A device without checksums, a smaller MTU on the way: it is one destination's matter, from some size of
// piece on, and may pass. It is remembered for a while, so that not every run costs a refusal; two destinations in
// one place forget each other.
static struct {
    zt_addr_t to;
    uint32_t until;
    int16_t wire;
    uint16_t size; // from this one on; 0: any
} refused[REFUSED];
static uint32_t refused_until; // the last of them
static bool refused_any;

static unsigned refused_place(const zt_addr_t *to) {
    unsigned sum = to->port;
    for (unsigned i = 0; i < sizeof(to->ip); i++) {
        sum = sum * 31 + to->ip[i];
    }
    return sum % REFUSED;
}

static bool same(const zt_addr_t *a, const zt_addr_t *b) {
    return a->port == b->port && a->size == b->size && memcmp(a->ip, b->ip, 16) == 0;
}

static void refuse(int wire, const zt_addr_t *to, uint16_t size) {
    const unsigned at = refused_place(to);
    refused[at].to = *to;
    refused[at].wire = (int16_t)wire;
    refused[at].size = size;
    refused[at].until = refused_until = zt_port_ms() + REFUSED_MS;
    refused_any = true;
}

static bool may_segment(int wire, const zt_addr_t *to, size_t size) {
    if (zt_wires[wire].no_gso || !refused_any) {
        return !zt_wires[wire].no_gso;
    }
    const uint32_t now = zt_port_ms();
    refused_any = (int32_t)(refused_until - now) > 0;
    const unsigned at = refused_place(to);
    return (int32_t)(refused[at].until - now) <= 0 || refused[at].wire != wire || size < refused[at].size
        || !same(&refused[at].to, to);
}

// ---- runs ----

// How many packets from queue[i] on make one message: pieces of one size, of which only the last may be
// shorter, to one address. *step is what one message may carry of it.
static unsigned run(unsigned i, size_t *n, size_t *size, size_t *step) {
    *size = queue[i].datagram;
    *n = queue[i].n;
    unsigned count = 1;
    const bool segment = may_segment(queue[i].wire, &queue[i].to, *size);
    while (segment && *n % *size == 0 && i + count < queued) {
        const unsigned k = i + count;
        bool fits = queue[k].datagram == *size || queue[k].n < *size;
        if (!fits || queue[k].wire != queue[i].wire || !same(&queue[k].to, &queue[i].to)
            || *n + queue[k].n > RUN_BYTES || (*n + queue[k].n + *size - 1) / *size > RUN_PIECES) {
            break;
        }
        *n += queue[k].n;
        count++;
    }
    *step = segment ? *n : *size;
    return count;
}

#define MESSAGES 64 // of one sendmmsg

static struct {
    struct mmsghdr head[MESSAGES];
    struct iovec iov[MESSAGES];
    zt_sockaddr_t to[MESSAGES];
    zt_control_t control[MESSAGES];
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

// Sends one message again, piece by piece, since the kernel or the way refused it as a whole.
static void send_pieces(int wire, unsigned at, int error) {
    struct msghdr *h = &sending.head[at].msg_hdr;
    uint16_t size;
    memcpy(&size, CMSG_DATA(CMSG_FIRSTHDR(h)), sizeof(size));
    zt_addr_t to;
    zt_wire_source(&to, &zt_wires[wire], &sending.to[at]);
    refuse(wire, &to, error == EINVAL || error == EMSGSIZE ? size : 0);
    struct iovec rest = sending.iov[at];
    struct iovec *one = &sending.iov[at];
    h->msg_control = NULL;
    h->msg_controllen = 0;
    while (rest.iov_len != 0) {
        one->iov_base = rest.iov_base;
        one->iov_len = rest.iov_len < size ? rest.iov_len : size;
        ssize_t sent;
        do {
            sent = sendmsg(zt_wires[wire].fd, h, MSG_NOSIGNAL);
        } while (sent < 0 && errno == EINTR);
        if (sent < 0) {
            zt_io_counters.tx_refused++;
        } else {
            zt_io_counters.tx_messages++;
        }
        rest.iov_base = (uint8_t *)rest.iov_base + one->iov_len;
        rest.iov_len -= one->iov_len;
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
        if (h->msg_control != NULL && (errno == EINVAL || errno == EMSGSIZE || errno == EIO || errno == EOPNOTSUPP)) {
            send_pieces(wire, at, errno);
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
        size_t n, size, step;
        const int wire = queue[i].wire;
        const unsigned count = run(i, &n, &size, &step);
        const uint8_t *p = out + queue[i].at;
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
