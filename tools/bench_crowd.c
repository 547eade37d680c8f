// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The other end of many peers at once, for the curve of cost against size (bench_crowd.py): peers with made-up
// addresses and keys, that the node under test was given too (ztbench/agent.py), each with a socket of its
// own. Their frames are sealed beforehand, so that the node is what limits the rate, and sent in bursts, a
// burst a peer in turn. Obeys lines on stdin, answers each with one of JSON:
//
//   frames SIZE                  seal bursts of Ethernet frames of SIZE bytes for UDP port 7000
//   send RATE MS                 {sent, refused, us}: frames in all; RATE 0: as many as go
//   counted                      {received, bad}: datagrams from the node since the last time
//   check                        from now on each datagram is opened, else only counted
//
// Between lines each peer says something once a second, so that its path stays good.
//
// usage: bench_crowd PEERS BIND_IP FIRST_PORT NODE_IP NODE_PORT NODE_ADDRESS NWID INNER_IP

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "zt_wire.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum {
    MOST = 1000,
    BURST = 32,
    PACKET = 1432,
    HEAD = 38, // of a packet with a FRAME, before the payload
    ETHERNET = 14,
    EVENTS = 64,
    BLOCK = 65536
};

typedef struct {
    int fd;
    uint8_t address[5];
    uint8_t key[48];
    uint8_t *burst; // packets one after the other
} peer_t;

static peer_t peers[MOST];
static unsigned count;
static size_t packet_n;
static struct sockaddr_in node;
static uint8_t node_address[5], nwid[8], inner[4];
static uint64_t received, bad;
static int checking;
static int poller;

static uint64_t micros(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void check(int good, const char *what) {
    if (!good) {
        perror(what);
        exit(1);
    }
}

static void hex(const char *text, uint8_t *out, size_t n) {
    for (size_t i = 0; i < n; i++) {
        unsigned v = 0;
        check(sscanf(text + 2 * i, "%2x", &v) == 1, text);
        out[i] = (uint8_t)v;
    }
}

// Address and key of peer i: ztbench/agent.py makes the same.
static void name_peer(peer_t *p, unsigned i) {
    const uint32_t x = (i + 1) * 2654435761U; // spread as real ones are, which come of a hash
    const uint8_t address[5] = {0x40, (uint8_t)(x >> 24), (uint8_t)(x >> 16), (uint8_t)(x >> 8), (uint8_t)x};
    memcpy(p->address, address, 5);
    for (unsigned k = 0; k < 48; k++) {
        p->key[k] = (uint8_t)(i * 7 + (i >> 8) * 11 + k * 31);
    }
}

static void open_peer(peer_t *p, unsigned i, const char *ip, uint16_t port) {
    int on = 1;
    int size = 4 * 1024 * 1024;
    name_peer(p, i);
    p->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    check(p->fd >= 0, "socket");
    setsockopt(p->fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
    setsockopt(p->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(port + i))};
    check(inet_pton(AF_INET, ip, &a.sin_addr) == 1 && bind(p->fd, (struct sockaddr *)&a, sizeof a) == 0, "bind");
    check(connect(p->fd, (struct sockaddr *)&node, sizeof node) == 0, "connect");
    struct epoll_event ev = {.events = EPOLLIN, .data.u32 = i};
    check(epoll_ctl(poller, EPOLL_CTL_ADD, p->fd, &ev) == 0, "epoll");
}

static uint16_t checksum(const uint8_t *p, size_t n) {
    uint32_t sum = 0;
    for (size_t i = 0; i < n; i += 2) {
        sum += (uint32_t)p[i] << 8 | p[i + 1];
    }
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

// FRAME with an IPv4 UDP datagram to port 7000 (no UDP checksum), sealed.
static void seal(const peer_t *p, unsigned number, uint8_t *pkt) {
    const size_t n = packet_n - HEAD;
    memset(pkt, 0, packet_n);
    memcpy(pkt, p->address, 5);
    pkt[6] = (uint8_t)(number >> 8);
    pkt[7] = (uint8_t)number;
    memcpy(pkt + 8, node_address, 5);
    memcpy(pkt + 13, p->address, 5);
    pkt[27] = 0x06;
    memcpy(pkt + 28, nwid, 8);
    pkt[36] = 8;
    uint8_t *ip = pkt + HEAD;
    ip[0] = 0x45;
    ip[2] = (uint8_t)(n >> 8);
    ip[3] = (uint8_t)n;
    ip[8] = 64;
    ip[9] = 17;
    memcpy(ip + 12, (const uint8_t[]){10, 50, 1, 1}, 4);
    memcpy(ip + 16, inner, 4);
    const uint16_t sum = checksum(ip, 20);
    ip[10] = (uint8_t)(sum >> 8);
    ip[11] = (uint8_t)sum;
    uint8_t *udp = ip + 20;
    udp[0] = 7000 >> 8;
    udp[1] = 7000 & 0xff;
    udp[2] = 7000 >> 8;
    udp[3] = 7000 & 0xff;
    udp[4] = (uint8_t)((n - 20) >> 8);
    udp[5] = (uint8_t)(n - 20);
    check(zt_seal(p->key, pkt, packet_n, 1) == 0, "seal");
}

static void prepare(size_t frame) {
    packet_n = HEAD + frame - ETHERNET;
    check(frame >= 60 && packet_n <= PACKET, "frame size");
    for (unsigned i = 0; i < count; i++) {
        peers[i].burst = realloc(peers[i].burst, BURST * packet_n);
        for (unsigned k = 0; k < BURST; k++) {
            seal(&peers[i], k, peers[i].burst + k * packet_n);
        }
    }
}

// The first n packets of the burst as one message; how many were sent.
static unsigned say(const peer_t *p, unsigned n) {
    union {
        char bytes[CMSG_SPACE(sizeof(uint16_t))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {p->burst, n * packet_n};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (n > 1) {
        const uint16_t size = (uint16_t)packet_n;
        memset(&control, 0, sizeof control);
        m.msg_control = control.bytes;
        m.msg_controllen = CMSG_SPACE(sizeof size);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = IPPROTO_UDP;
        c->cmsg_type = UDP_SEGMENT;
        c->cmsg_len = CMSG_LEN(sizeof size);
        memcpy(CMSG_DATA(c), &size, sizeof size);
    }
    return sendmsg(p->fd, &m, 0) < 0 ? 0 : n;
}

static void keep_alive(void) {
    static uint64_t last;
    const uint64_t now = micros();
    if (now - last >= 1000000 && packet_n) {
        last = now;
        for (unsigned i = 0; i < count; i++) {
            say(&peers[i], 1);
        }
    }
}

static void take(const peer_t *p, uint8_t *pkt, size_t n) {
    received++;
    if (checking && (pkt[18] & 0x40 || pkt[13] == 0xff || zt_open(p->key, pkt, n))) {
        bad++; // none of what is sent here is in pieces
    }
}

static void read_peer(const peer_t *p) {
    static uint8_t block[BLOCK];
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    for (;;) {
        struct iovec iov = {block, BLOCK};
        struct msghdr m = {
            .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control};
        const ssize_t n = recvmsg(p->fd, &m, 0);
        if (n <= 0) {
            return;
        }
        size_t size = (size_t)n;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
            int piece;
            if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
                memcpy(&piece, CMSG_DATA(c), sizeof piece);
                size = (size_t)piece;
            }
        }
        for (size_t at = 0; at < (size_t)n; at += size) {
            take(p, block + at, (size_t)n - at < size ? (size_t)n - at : size);
        }
    }
}

static void drain(int ms, int *line) {
    struct epoll_event ev[EVENTS];
    const int n = epoll_wait(poller, ev, EVENTS, ms);
    for (int i = 0; i < n; i++) {
        if (ev[i].data.u32 == MOST) {
            *line = 1;
        } else {
            read_peer(&peers[ev[i].data.u32]);
        }
    }
}

static void send_for(uint64_t rate, uint64_t until) {
    uint64_t sent = 0, refused = 0, gone = 0;
    unsigned turn = 0;
    int line = 0;
    const uint64_t start = micros();
    while (gone < until) {
        if (rate == 0 || sent + BURST <= gone * rate / 1000000) {
            const unsigned n = say(&peers[turn], BURST);
            turn = (turn + 1) % count;
            sent += n;
            refused += n == 0;
        } else {
            drain(0, &line);
        }
        gone = micros() - start;
    }
    printf("{\"sent\": %llu, \"refused\": %llu, \"us\": %llu}\n", (unsigned long long)sent,
           (unsigned long long)refused, (unsigned long long)gone);
}

static int obey(void) {
    char text[128];
    if (!fgets(text, sizeof text, stdin)) {
        return 0;
    }
    unsigned long a = 0, b = 0;
    if (sscanf(text, "frames %lu", &a) == 1) {
        prepare(a);
        puts("{}");
    } else if (sscanf(text, "send %lu %lu", &a, &b) == 2) {
        send_for(a, b * 1000);
    } else if (strncmp(text, "check", 5) == 0) {
        checking = 1;
        puts("{}");
    } else {
        printf("{\"received\": %llu, \"bad\": %llu}\n", (unsigned long long)received, (unsigned long long)bad);
        received = bad = 0;
    }
    fflush(stdout);
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 9) {
        fprintf(stderr, "usage: bench_crowd PEERS BIND_IP FIRST_PORT NODE_IP NODE_PORT ADDRESS NWID INNER_IP\n");
        return 2;
    }
    count = (unsigned)atoi(argv[1]);
    check(count > 0 && count <= MOST, "peers");
    struct rlimit files = {4096, 4096};
    setrlimit(RLIMIT_NOFILE, &files);
    node = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[5]))};
    check(inet_pton(AF_INET, argv[4], &node.sin_addr) == 1, argv[4]);
    hex(argv[6], node_address, 5);
    hex(argv[7], nwid, 8);
    check(inet_pton(AF_INET, argv[8], inner) == 1, argv[8]);
    poller = epoll_create1(0);
    struct epoll_event ev = {.events = EPOLLIN, .data.u32 = MOST};
    check(epoll_ctl(poller, EPOLL_CTL_ADD, 0, &ev) == 0, "stdin");
    for (unsigned i = 0; i < count; i++) {
        open_peer(&peers[i], i, argv[2], (uint16_t)atoi(argv[3]));
    }
    for (;;) {
        int line = 0;
        drain(100, &line);
        keep_alive();
        if (line && !obey()) {
            return 0;
        }
    }
}
