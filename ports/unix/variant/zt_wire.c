// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The node's UDP sockets on the host. A wire carries one address family.
// Nothing here blocks, and neither receiving nor sending touches the interpreter's heap.

#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "py/mperrno.h"
#include "py/runtime.h"
#include "zt_unix.h"

#define META 20
#define SEND_BUFFER (1024 * 1024)
#define RECEIVE_BUFFER (4 * 1024 * 1024) // what comes at 2 Gbit/s while others have the core for some ms

typedef zt_wire_t wire_t;
typedef zt_sockaddr_t address_t;

#define WIRES ZT_WIRES
#define wires zt_wires

zt_wire_t zt_wires[ZT_WIRES];

static wire_t *get_wire(mp_obj_t handle) {
    mp_int_t n = mp_obj_get_int(handle);
    if (n < 0 || n >= WIRES || !wires[n].used) {
        mp_raise_OSError(MP_EBADF);
    }
    return &wires[n];
}

// Fills *a; its length, or 0 when ip is not of the wire's family.
static socklen_t set_address(address_t *a, const wire_t *w, const mp_buffer_info_t *ip, unsigned port) {
    memset(a, 0, sizeof(*a));
    if (ip->len != (w->v6 ? 16 : 4)) {
        return 0;
    }
    if (!w->v6) {
        a->v4.sin_family = AF_INET;
        a->v4.sin_port = htons((uint16_t)port);
        memcpy(&a->v4.sin_addr, ip->buf, 4);
        return sizeof(a->v4);
    }
    a->v6.sin6_family = AF_INET6;
    a->v6.sin6_port = htons((uint16_t)port);
    memcpy(&a->v6.sin6_addr, ip->buf, 16);
    if (IN6_IS_ADDR_LINKLOCAL(&a->v6.sin6_addr)) {
        a->v6.sin6_scope_id = w->scope;
    }
    return sizeof(a->v6);
}

static void set_buffer(int fd, int size, int force, int plain) {
    if (setsockopt(fd, SOL_SOCKET, force, &size, sizeof(size)) != 0) {
        // Only root may exceed the system's limit; less is allowed and goes unnoticed.
        setsockopt(fd, SOL_SOCKET, plain, &size, sizeof(size));
    }
}

static mp_obj_t wire_open(mp_obj_t ip_in, mp_obj_t port_in) {
    mp_buffer_info_t ip;
    mp_get_buffer_raise(ip_in, &ip, MP_BUFFER_READ);
    mp_int_t port = mp_obj_get_int(port_in);
    if ((ip.len != 4 && ip.len != 16) || port < 0 || port > 0xffff) {
        mp_raise_ValueError(MP_ERROR_TEXT("bad address"));
    }
    zt_wait_init();
    int n = 0;
    while (n < WIRES && wires[n].used) {
        n++;
    }
    if (n == WIRES) {
        mp_raise_OSError(MP_EMFILE);
    }
    wire_t w = { .used = true, .v6 = ip.len == 16 };
    w.fd = socket(w.v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (w.fd < 0) {
        mp_raise_OSError(errno);
    }
    int on = 1;
    if (w.v6) {
        setsockopt(w.fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
        if (((const uint8_t *)ip.buf)[0] == 0xfe && (((const uint8_t *)ip.buf)[1] & 0xc0) == 0x80) {
            w.scope = zt_interfaces_scope(ip.buf);
        }
    }
    set_buffer(w.fd, RECEIVE_BUFFER, SO_RCVBUFFORCE, SO_RCVBUF);
    set_buffer(w.fd, SEND_BUFFER, SO_SNDBUFFORCE, SO_SNDBUF);
    address_t a;
    socklen_t len = set_address(&a, &w, &ip, (unsigned)port);
    int err = bind(w.fd, &a.any, len) == 0 ? zt_wait_add(w.fd, n) : errno;
    if (err != 0) {
        close(w.fd);
        mp_raise_OSError(err);
    }
    len = sizeof(a);
    getsockname(w.fd, &a.any, &len);
    w.port = ntohs(w.v6 ? a.v6.sin6_port : a.v4.sin_port);
    memcpy(w.ip, ip.buf, ip.len);
    wires[n] = w;
    zt_io_wire(n);
    return MP_OBJ_NEW_SMALL_INT(n);
}
MP_DEFINE_CONST_FUN_OBJ_2(zt_wire_open_obj, wire_open);

static mp_obj_t wire_close(mp_obj_t handle) {
    wire_t *w = get_wire(handle);
    zt_io_forget((int)(w - wires));
    zt_wait_remove(w->fd);
    close(w->fd);
    w->used = false;
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_1(zt_wire_close_obj, wire_close);

void zt_wire_reset(void) {
    for (int n = 0; n < WIRES; n++) {
        if (wires[n].used) {
            zt_io_forget(n);
            zt_wait_remove(wires[n].fd);
            close(wires[n].fd);
            wires[n].used = false;
        }
    }
}

static mp_obj_t wire_port(mp_obj_t handle) {
    return MP_OBJ_NEW_SMALL_INT(get_wire(handle)->port);
}
MP_DEFINE_CONST_FUN_OBJ_1(zt_wire_port_obj, wire_port);

static mp_obj_t wire_recv(mp_obj_t handle, mp_obj_t buf_in, mp_obj_t meta_in) {
    wire_t *w = get_wire(handle);
    mp_buffer_info_t buf, meta;
    mp_get_buffer_raise(buf_in, &buf, MP_BUFFER_WRITE);
    mp_get_buffer_raise(meta_in, &meta, MP_BUFFER_WRITE);
    if (meta.len < META) {
        mp_raise_ValueError(MP_ERROR_TEXT("meta needs 20 bytes"));
    }
    for (;;) {
        address_t from;
        struct iovec iov = { .iov_base = buf.buf, .iov_len = buf.len };
        struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n = recvmsg(w->fd, &m, 0);
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            // Besides "nothing there", an ICMP error about something sent earlier: the protocol's timers see to it.
            return MP_OBJ_NEW_SMALL_INT(0);
        }
        if (n == 0 || (m.msg_flags & MSG_TRUNC) != 0) {
            continue; // empty, or larger than any packet of ours
        }
        uint8_t *out = meta.buf;
        memset(out, 0, META);
        uint16_t port;
        if (w->v6) {
            out[0] = 16;
            memcpy(out + 1, &from.v6.sin6_addr, 16);
            port = ntohs(from.v6.sin6_port);
        } else {
            out[0] = 4;
            memcpy(out + 1, &from.v4.sin_addr, 4);
            port = ntohs(from.v4.sin_port);
        }
        out[17] = (uint8_t)(port >> 8);
        out[18] = (uint8_t)port;
        return MP_OBJ_NEW_SMALL_INT(n);
    }
}
MP_DEFINE_CONST_FUN_OBJ_3(zt_wire_recv_obj, wire_recv);

// wire_send(handle, ip, port, buf, n, ttl)
static mp_obj_t wire_send(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    wire_t *w = get_wire(args[0]);
    mp_buffer_info_t ip, buf;
    mp_get_buffer_raise(args[1], &ip, MP_BUFFER_READ);
    mp_get_buffer_raise(args[3], &buf, MP_BUFFER_READ);
    mp_int_t port = mp_obj_get_int(args[2]);
    mp_int_t n = mp_obj_get_int(args[4]);
    int ttl = (int)mp_obj_get_int(args[5]);
    if (n < 0 || (size_t)n > buf.len || port < 0 || port > 0xffff || ttl < 0 || ttl > 255) {
        mp_raise_ValueError(MP_ERROR_TEXT("bad argument"));
    }
    address_t to;
    socklen_t len = set_address(&to, w, &ip, (unsigned)port);
    if (len == 0) {
        return MP_OBJ_NEW_SMALL_INT(EAFNOSUPPORT);
    }
    struct iovec iov = { .iov_base = buf.buf, .iov_len = (size_t)n };
    struct msghdr m = { .msg_name = &to, .msg_namelen = len, .msg_iov = &iov, .msg_iovlen = 1 };
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    if (ttl != 0) {
        memset(&control, 0, sizeof(control));
        m.msg_control = control.bytes;
        m.msg_controllen = sizeof(control.bytes);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = w->v6 ? IPPROTO_IPV6 : IPPROTO_IP;
        c->cmsg_type = w->v6 ? IPV6_HOPLIMIT : IP_TTL;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &ttl, sizeof(int));
    }
    ssize_t sent;
    do {
        sent = sendmsg(w->fd, &m, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return MP_OBJ_NEW_SMALL_INT(sent < 0 ? errno : 0);
}
MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(zt_wire_send_obj, 6, 6, wire_send);
