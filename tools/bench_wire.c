// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The bare pair that a node's packet rate is compared with: datagrams of one size from one socket to
// another, in batches, and nothing else done to them. Prints one JSON line.
//
// usage: bench_wire send IP PORT SIZE RATE MS [segment]   RATE 0: as many as go
//        bench_wire recv PORT [gro]                       until a line comes on stdin, for each line
//
// With `segment` and `gro` the kernel's own batches (UDP_SEGMENT, UDP_GRO) are used too.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum {
    BATCH = 64,
    BLOCK = 65536,
    BUFFER = 1024 * 1024 // of the socket, as a node's wire has it
};

static uint8_t blocks[BATCH][BLOCK];

static uint64_t micros(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int fail(const char *what) {
    perror(what);
    return 1;
}

static int open_socket(uint16_t port) {
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    int size = BUFFER;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size)) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    }
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size)) {
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    }
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    return bind(fd, (struct sockaddr *)&a, sizeof a) ? -1 : fd;
}

static int send_all(char **argv, int segment) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))};
    if (inet_pton(AF_INET, argv[0], &to.sin_addr) != 1) {
        return fail(argv[0]);
    }
    const size_t size = (size_t)atoi(argv[2]);
    const uint64_t rate = (uint64_t)atoll(argv[3]);
    const uint64_t until = (uint64_t)atoll(argv[4]) * 1000;
    const int fd = open_socket(0);
    if (fd < 0 || size == 0 || size * BATCH > BLOCK) {
        return fail("socket");
    }
    int one = (int)size;
    if (segment && setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &one, sizeof one)) {
        return fail("UDP_SEGMENT");
    }
    struct mmsghdr head[BATCH];
    struct iovec iov[BATCH];
    memset(head, 0, sizeof head);
    for (unsigned i = 0; i < BATCH; i++) {
        iov[i] = (struct iovec){blocks[i], size};
        head[i].msg_hdr.msg_name = &to;
        head[i].msg_hdr.msg_namelen = sizeof to;
        head[i].msg_hdr.msg_iov = &iov[i];
        head[i].msg_hdr.msg_iovlen = 1;
    }
    uint64_t sent = 0, refused = 0, gone = 0;
    const uint64_t start = micros();
    while (gone < until) {
        const uint64_t due = rate ? gone * rate / 1000000 : UINT64_MAX;
        const unsigned n = sent + BATCH <= due ? BATCH : 0; // full batches only
        int done = 0;
        if (n && segment) {
            iov[0].iov_len = n * size;
            done = sendmmsg(fd, head, 1, 0) == 1 ? (int)n : -1;
        } else if (n) {
            done = sendmmsg(fd, head, n, 0);
        }
        if (done > 0) {
            sent += (unsigned)done;
        }
        refused += done < 0;
        gone = micros() - start;
    }
    printf("{\"sent\": %llu, \"refused\": %llu, \"us\": %llu}\n", (unsigned long long)sent,
           (unsigned long long)refused, (unsigned long long)gone);
    return 0;
}

static unsigned pieces(struct msghdr *m, size_t n) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        int size;
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            memcpy(&size, CMSG_DATA(c), sizeof size);
            return size > 0 ? (unsigned)((n + (size_t)size - 1) / (size_t)size) : 1;
        }
    }
    return 1;
}

static int receive_all(uint16_t port, int gro) {
    const int fd = open_socket(port);
    if (fd < 0) {
        return fail("bind");
    }
    if (gro && setsockopt(fd, IPPROTO_UDP, UDP_GRO, &gro, sizeof gro)) {
        return fail("UDP_GRO");
    }
    static union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control[BATCH];
    struct mmsghdr head[BATCH];
    struct iovec iov[BATCH];
    struct sockaddr_in from[BATCH];
    uint64_t count = 0, bytes = 0;
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    for (;;) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR) {
            return fail("poll");
        }
        for (unsigned i = 0; i < BATCH; i++) {
            iov[i] = (struct iovec){blocks[i], BLOCK};
            head[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                              .msg_namelen = sizeof from[i],
                                              .msg_iov = &iov[i],
                                              .msg_iovlen = 1,
                                              .msg_control = control[i].bytes,
                                              .msg_controllen = sizeof control[i]};
        }
        const int got = recvmmsg(fd, head, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < got; i++) {
            count += pieces(&head[i].msg_hdr, head[i].msg_len);
            bytes += head[i].msg_len;
        }
        if (fds[1].revents && got <= 0) {
            char line[64];
            if (read(0, line, sizeof line) <= 0) {
                return 0;
            }
            printf("{\"received\": %llu, \"bytes\": %llu}\n", (unsigned long long)count,
                   (unsigned long long)bytes);
            fflush(stdout);
            count = bytes = 0;
        }
    }
}

int main(int argc, char **argv) {
    if (argc >= 7 && strcmp(argv[1], "send") == 0) {
        return send_all(argv + 2, argc > 7);
    }
    if (argc >= 3 && strcmp(argv[1], "recv") == 0) {
        return receive_all((uint16_t)atoi(argv[2]), argc > 3);
    }
    fprintf(stderr, "usage: bench_wire send IP PORT SIZE RATE MS [segment] | recv PORT [gro]\n");
    return 2;
}
