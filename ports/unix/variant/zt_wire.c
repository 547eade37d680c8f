// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The node's UDP sockets on the host (zt_wires.h). A wire carries one address family.
// Nothing here blocks, and neither receiving nor sending touches the interpreter's heap.

#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "zt_unix.h"

#define SEND_BUFFER (1024 * 1024)
#define RECEIVE_BUFFER (4 * 1024 * 1024) // what comes at 2 Gbit/s while others have the core for some ms

zt_wire_t zt_wires[ZT_WIRES];

static zt_wire_t *get_wire(int n) {
    return n >= 0 && n < ZT_WIRES && zt_wires[n].used ? &zt_wires[n] : NULL;
}

socklen_t zt_wire_address(zt_sockaddr_t *a, const zt_wire_t *w, const zt_addr_t *to) {
    memset(a, 0, sizeof(*a));
    if (to->size != (w->v6 ? 16 : 4)) {
        return 0;
    }
    if (!w->v6) {
        a->v4.sin_family = AF_INET;
        a->v4.sin_port = htons(to->port);
        memcpy(&a->v4.sin_addr, to->ip, 4);
        return sizeof(a->v4);
    }
    a->v6.sin6_family = AF_INET6;
    a->v6.sin6_port = htons(to->port);
    memcpy(&a->v6.sin6_addr, to->ip, 16);
    if (IN6_IS_ADDR_LINKLOCAL(&a->v6.sin6_addr)) {
        a->v6.sin6_scope_id = w->scope;
    }
    return sizeof(a->v6);
}

void zt_wire_source(zt_addr_t *from, const zt_wire_t *w, const zt_sockaddr_t *a) {
    memset(from, 0, sizeof(*from));
    if (w->v6) {
        from->size = 16;
        from->port = ntohs(a->v6.sin6_port);
        memcpy(from->ip, &a->v6.sin6_addr, 16);
    } else {
        from->size = 4;
        from->port = ntohs(a->v4.sin_port);
        memcpy(from->ip, &a->v4.sin_addr, 4);
    }
}

static void set_buffer(int fd, int size, int force, int plain) {
    if (setsockopt(fd, SOL_SOCKET, force, &size, sizeof(size)) != 0) {
        // Only root may exceed the system's limit; less is allowed and goes unnoticed.
        setsockopt(fd, SOL_SOCKET, plain, &size, sizeof(size));
    }
}

static int first_free(void) {
    int n = 0;
    while (n < ZT_WIRES && zt_wires[n].used) {
        n++;
    }
    return n;
}

int zt_wire_open(const uint8_t *ip, size_t len, uint16_t port) {
    int err = zt_watch_init();
    int n = first_free();
    if (err != 0 || n == ZT_WIRES) {
        return err != 0 ? -err : -ZT_WIRE_EMFILE;
    }
    zt_wire_t w = { .used = true, .v6 = len == 16 };
    w.fd = socket(w.v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (w.fd < 0) {
        return -errno;
    }
    if (w.v6) {
        int on = 1;
        setsockopt(w.fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
        if (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80) {
            w.scope = zt_interfaces_scope(ip);
        }
    }
    set_buffer(w.fd, RECEIVE_BUFFER, SO_RCVBUFFORCE, SO_RCVBUF);
    set_buffer(w.fd, SEND_BUFFER, SO_SNDBUFFORCE, SO_SNDBUF);
    zt_addr_t own = { .port = port, .size = (uint8_t)len };
    memcpy(own.ip, ip, len);
    zt_sockaddr_t a;
    socklen_t a_len = zt_wire_address(&a, &w, &own);
    err = bind(w.fd, &a.any, a_len) == 0 ? zt_watch_add(w.fd, n) : errno;
    if (err != 0) {
        close(w.fd);
        return -err;
    }
    a_len = sizeof(a);
    getsockname(w.fd, &a.any, &a_len);
    w.port = ntohs(w.v6 ? a.v6.sin6_port : a.v4.sin_port);
    memcpy(w.ip, ip, len);
    zt_wires[n] = w;
    zt_io_wire(n);
    return n;
}

int zt_wire_close(int wire) {
    zt_wire_t *w = get_wire(wire);
    if (w == NULL) {
        return -ZT_WIRE_EBADF;
    }
    zt_io_forget(wire);
    zt_watch_remove(w->fd);
    close(w->fd);
    w->used = false;
    return 0;
}

void zt_wire_close_all(void) {
    for (int n = 0; n < ZT_WIRES; n++) {
        zt_wire_close(n);
    }
}

int zt_wire_port(int wire) {
    const zt_wire_t *w = get_wire(wire);
    return w != NULL ? w->port : -ZT_WIRE_EBADF;
}

int zt_wire_recv(int wire, uint8_t *buf, size_t size, zt_addr_t *from) {
    const zt_wire_t *w = get_wire(wire);
    if (w == NULL) {
        return -ZT_WIRE_EBADF;
    }
    for (;;) {
        zt_sockaddr_t a;
        struct iovec iov = { .iov_base = buf, .iov_len = size };
        struct msghdr m = { .msg_name = &a, .msg_namelen = sizeof(a), .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n = recvmsg(w->fd, &m, 0);
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            // Besides "nothing there", an ICMP error about something sent earlier: the protocol's timers see to it.
            return 0;
        }
        if (n == 0 || (m.msg_flags & MSG_TRUNC) != 0) {
            continue; // empty, or larger than any packet of ours
        }
        zt_wire_source(from, w, &a);
        return (int)n;
    }
}

int zt_wire_send(int wire, const zt_addr_t *to, const uint8_t *p, size_t n, unsigned ttl) {
    const zt_wire_t *w = get_wire(wire);
    if (w == NULL) {
        return ZT_WIRE_EBADF;
    }
    zt_sockaddr_t a;
    socklen_t len = zt_wire_address(&a, w, to);
    if (len == 0) {
        return ZT_WIRE_EAFNOSUPPORT;
    }
    struct iovec iov = { .iov_base = (void *)(uintptr_t)p, .iov_len = n };
    struct msghdr m = { .msg_name = &a, .msg_namelen = len, .msg_iov = &iov, .msg_iovlen = 1 };
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    if (ttl != 0) {
        int hops = (int)ttl;
        memset(&control, 0, sizeof(control));
        m.msg_control = control.bytes;
        m.msg_controllen = sizeof(control.bytes);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = w->v6 ? IPPROTO_IPV6 : IPPROTO_IP;
        c->cmsg_type = w->v6 ? IPV6_HOPLIMIT : IP_TTL;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &hops, sizeof(int));
    }
    ssize_t sent;
    do {
        sent = sendmsg(w->fd, &m, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? errno : 0;
}
