// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// MicroPython's own lwIP socket module, compiled as it is (included as text) under the name `lwip`,
// beside the host's `socket`. What differs from upstream is done by renaming before the include:
//
// - Waiting sleeps until something can have changed, instead of polling every millisecond. Upstream
//   waits in poll_sockets(), which takes no argument; the macros below hand it the caller's locals
//   `socket` and `start`/`ticks_start`, with file-scope stand-ins for the callers that lack one.
// - New pcbs take both address families, so the same sockets do IPv4 and IPv6.
// - A UDP socket queues datagrams; upstream keeps one and drops the rest.
// - What a TCP socket takes is what lwIP has room for. Upstream asks for the bytes only, not for the
//   segments, and where those are used up it holds even a non-blocking caller for 10 s.
// - lwip.reset() must not re-initialize the stack under our interfaces.
//
// Pinned to MicroPython 1.25.0: look here again at every change of version.

#include "py/runtime.h"
#include "py/mphal.h"

#include "lwip/init.h"
#include "lwip/mem.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/raw.h"
#include "lwip/tcp.h"
#include "lwip/udp.h"
#include "zt_netif.h"
#include "zt_nic_py.h"
#include "zt_wait.h"

// A host's own module keeps the name `socket`; MP_REGISTER_MODULE still registers `lwip`.
#ifndef ZT_BOARD
#undef MP_REGISTER_EXTENSIBLE_MODULE
#define MP_REGISTER_EXTENSIBLE_MODULE(name, module)
#endif

#ifndef SOMAXCONN
#define SOMAXCONN (8)
#endif
#undef MICROPY_PY_LWIP
#define MICROPY_PY_LWIP (1)
#define MICROPY_PY_LWIP_SOCK_RAW (1)
int mp_mod_network_prefer_dns_use_ip_version = 4;

// On a 64-bit host upstream compares its timeout with -1.
#pragma GCC diagnostic ignored "-Wsign-compare"

// ---- waiting ----

static void *const socket = NULL;
static mp_uint_t start, ticks_start;

static void socket_wait(const void *socket, const mp_uint_t *start, const mp_uint_t *ticks_start);
static void socket_refill(void *socket);

#define ZT_POLL_SOCKETS_void unused_poll_sockets(void)
#define ZT_POLL_SOCKETS_ socket_wait(socket, &start, &ticks_start)
#define poll_sockets(x) ZT_POLL_SOCKETS_##x

#undef mp_hal_delay_ms
#define mp_hal_delay_ms(ms) zt_wait_delay(ms)
#define sys_check_timeouts() zt_netif_poll()
#define lwip_init() zt_netif_init()

// ---- both address families ----

// An address for lwIP: the domain given by the application does not matter, the address decides.
static void any_for_both(ip_addr_t *local, const ip_addr_t *addr) {
    if (IP_IS_V6(addr) && ip6_addr_isany(ip_2_ip6(addr))) {
        IP_SET_TYPE_VAL(*local, IPADDR_TYPE_ANY);
    }
}

static err_t bind_udp(struct udp_pcb *pcb, const ip_addr_t *addr, u16_t port) {
    ip_addr_t copy = *addr;
    any_for_both(&copy, addr);
    return udp_bind(pcb, &copy, port);
}

#define tcp_new() (zt_netif_init(), tcp_new_ip_type(IPADDR_TYPE_ANY))
#define raw_new(proto) (zt_netif_init(), raw_new_ip_type(IPADDR_TYPE_ANY, proto))
#define udp_bind(pcb, addr, port) bind_udp(pcb, addr, port)

// ---- closing a listener ----

// Upstream clears these callbacks of any TCP pcb; a listening one has none, and lwIP asserts it.
static void tcp_err_if_any(struct tcp_pcb *pcb, tcp_err_fn fn) {
    if (pcb->state != LISTEN) {
        tcp_err(pcb, fn);
    }
}

static void tcp_recv_if_any(struct tcp_pcb *pcb, tcp_recv_fn fn) {
    if (pcb->state != LISTEN) {
        tcp_recv(pcb, fn);
    }
}

// lwIP tells of a connection's end when its pcb is gone already; upstream's functions for that look into
// it all the same.
static void connection_gone(void *arg, err_t err);
static void unaccepted_gone(void *arg, err_t err);

#define ZT_ERR_NULL NULL
#define ZT_ERR__lwip_tcp_error connection_gone
#define ZT_ERR__lwip_tcp_err_unaccepted unaccepted_gone
#define tcp_err(pcb, fn) tcp_err_if_any(pcb, ZT_ERR_##fn)
#define tcp_recv(pcb, fn) tcp_recv_if_any(pcb, fn)

// Upstream aborts a closed connection that has not been acknowledged after 10 s, data and all. On a
// slow path that is too soon; 60 s is Linux's patience.
#define CLOSE_TICKS (60000 / TCP_SLOW_INTERVAL)

static void tcp_poll_longer(struct tcp_pcb *pcb, tcp_poll_fn fn, u8_t interval) {
    if (fn == NULL) {
        // It is about to be aborted. Being told of that, the queue of its listener would move up under
        // upstream's loop over it, which then misses every second one.
        tcp_err(pcb, NULL);
    }
    tcp_poll(pcb, fn, fn != NULL ? CLOSE_TICKS : interval);
}

#define tcp_poll(pcb, fn, interval) tcp_poll_longer(pcb, fn, interval)

// A listener that is closed takes with it who has not been accepted. Upstream forgets that where its
// backlog is one: the connection would stay, and tell of its end a socket that is gone.
static void set_arg(struct tcp_pcb *pcb, void *arg);

#define tcp_arg(pcb, arg) set_arg(pcb, arg)

// ---- sending ----

// How many bytes tcp_write() takes: each piece of a segment's size needs a place in the queue, and a peer
// that tells of small windows makes the pieces small.
static u16_t room_to_send(const struct tcp_pcb *pcb) {
    tcpwnd_size_t half = pcb->snd_wnd_max / 2;
    size_t piece = half != 0 && half < pcb->mss ? half : pcb->mss;
    size_t used = pcb->snd_queuelen + 2u; // one for what is half full, one for the FIN
    size_t room = used < TCP_SND_QUEUELEN ? (TCP_SND_QUEUELEN - used) * piece : 0;
    return (u16_t)LWIP_MIN(room, pcb->snd_buf);
}

// The segments of all connections are one pool, the packets' memory another. Where one is used up a
// non-blocking caller comes again; a short pause keeps it from spinning.
static err_t write_or_later(struct tcp_pcb *pcb, const void *data, u16_t len, u8_t flags, bool later) {
    err_t err = tcp_write(pcb, data, len, flags);
    if (err == ERR_MEM && later) {
        tcp_output(pcb);
        zt_wait_once(5);
        return ERR_WOULDBLOCK;
    }
    return err;
}

#undef tcp_sndbuf
#define tcp_sndbuf(pcb) room_to_send(pcb)
#define tcp_write(pcb, data, len, flags) write_or_later(pcb, data, len, flags, socket->timeout == 0)

// ---- a queue of datagrams for each UDP socket ----

// Of all sockets in the order they came, in the stack's memory.
typedef struct waiting {
    struct waiting *next;
    struct udp_pcb *pcb;
    struct pbuf *p;
    ip_addr_t from;
    u16_t port;
} waiting_t;

static waiting_t *udp_queue;

static void queue_udp(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from, u16_t port);
static void drop_udp(struct udp_pcb *pcb);

static void attach_udp(struct udp_pcb *pcb, udp_recv_fn fn, void *arg) {
    if (fn == NULL) {
        drop_udp(pcb);
    }
    udp_recv(pcb, fn == NULL ? NULL : queue_udp, arg);
}

#define udp_new() (zt_netif_init(), udp_new_ip_type(IPADDR_TYPE_ANY))
#define udp_recv(pcb, fn, arg) attach_udp(pcb, fn, arg)

// Upstream ends every critical section with this one; after a receive it is where room appears.
#define MICROPY_PY_LWIP_ENTER
#define MICROPY_PY_LWIP_REENTER
#define MICROPY_PY_LWIP_EXIT socket_refill((void *)socket);

#include "extmod/modlwip.c"

#undef tcp_arg
#undef udp_recv
#undef MICROPY_PY_LWIP_EXIT

static void set_arg(struct tcp_pcb *pcb, void *arg) {
    lwip_socket_obj_t *s = pcb->callback_arg;
    if (pcb->state == LISTEN && arg == NULL && s != NULL && s->incoming.connection.alloc == 0) {
        struct tcp_pcb *waiting = s->incoming.connection.tcp.item;
        s->incoming.connection.tcp.item = NULL;
        if (waiting != NULL) {
            tcp_poll(waiting, NULL, 0);
            tcp_abort(waiting);
        }
    }
    tcp_arg(pcb, arg);
}

// What upstream asks of the pcb is whether it listens; one that listens never has errors to tell of.
static void connection_gone(void *arg, err_t err) {
    static struct tcp_pcb_listen gone; // CLOSED, which is in what all pcbs have in common
    ((lwip_socket_obj_t *)arg)->pcb.tcp = (struct tcp_pcb *)&gone;
    _lwip_tcp_error(arg, err);
}

// Takes a connection that ended before it was accepted out of its listener's queue: those behind it move
// up. `arg` is where its pcb was.
static void unaccepted_gone(void *arg, err_t err) {
    (void)err;
    (void)_lwip_tcp_err_unaccepted;
    for (struct tcp_pcb_listen *l = tcp_listen_pcbs.listen_pcbs; l != NULL; l = l->next) {
        lwip_socket_obj_t *s = l->callback_arg;
        if (s == NULL) {
            continue;
        }
        struct tcp_pcb *volatile *queue = lwip_socket_incoming_array(s);
        unsigned size = MAX(s->incoming.connection.alloc, 1);
        unsigned at = s->incoming.connection.iget;
        unsigned left = size;
        while (left != 0 && queue[at] != arg) {
            at = (at + 1) % size;
            left--;
        }
        if (left == 0) {
            continue;
        }
        for (unsigned next; next = (at + 1) % size, next != s->incoming.connection.iput; at = next) {
            queue[at] = queue[next];
        }
        queue[at] = NULL;
        s->incoming.connection.iput = (uint8_t)at;
        return;
    }
}

// Deliver at once if the socket is empty and nothing is ahead, else queue; a full queue drops, as UDP may.
static void queue_udp(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from, u16_t port) {
    lwip_socket_obj_t *s = arg;
    if (s->incoming.pbuf == NULL) {
        _lwip_udp_incoming(arg, pcb, p, from, port);
        return;
    }
    unsigned all = 0;
    unsigned mine = 0;
    waiting_t **end = &udp_queue;
    while (*end != NULL) {
        all++;
        mine += (*end)->pcb == pcb;
        end = &(*end)->next;
    }
    waiting_t *w = all < ZT_UDP_QUEUE && mine < ZT_UDP_QUEUE_SOCKET ? mem_malloc(sizeof(*w)) : NULL;
    if (w == NULL) {
        pbuf_free(p);
        return;
    }
    *w = (waiting_t) { NULL, pcb, p, *from, port };
    *end = w;
}

// Takes the one at `link` out of the queue; its packet stays the caller's.
static waiting_t take_udp(waiting_t **link) {
    waiting_t *w = *link;
    waiting_t taken = *w;
    *link = w->next;
    mem_free(w);
    return taken;
}

static void drop_udp(struct udp_pcb *pcb) {
    waiting_t **link = &udp_queue;
    while (*link != NULL) {
        if ((*link)->pcb == pcb) {
            pbuf_free(take_udp(link).p);
        } else {
            link = &(*link)->next;
        }
    }
}

static void socket_refill(void *socket_in) {
    lwip_socket_obj_t *s = socket_in;
    if (udp_queue == NULL || s == NULL || s->type != MOD_NETWORK_SOCK_DGRAM || s->pcb.udp == NULL
        || s->incoming.pbuf != NULL) {
        return;
    }
    waiting_t **link = &udp_queue;
    while (*link != NULL && (*link)->pcb != s->pcb.udp) {
        link = &(*link)->next;
    }
    if (*link != NULL) {
        waiting_t w = take_udp(link);
        _lwip_udp_incoming(s, w.pcb, w.p, &w.from, w.port);
    }
}

// Sleep until the network, a signal or the socket's own timeout can have changed what the caller waits
// for. A non-blocking caller gets one turn of the pump and no sleep.
static void socket_wait(const void *socket_in, const mp_uint_t *start_in, const mp_uint_t *ticks_start_in) {
    const lwip_socket_obj_t *s = socket_in;
    int32_t ms = -1;
    if (s != NULL && s->timeout != (mp_uint_t)-1) {
        mp_uint_t since = ticks_start_in != &ticks_start ? *ticks_start_in : *start_in;
        mp_uint_t gone = mp_hal_ticks_ms() - since;
        mp_uint_t left = gone > s->timeout ? 0 : s->timeout - gone + 1;
        ms = s->timeout == 0 ? 0 : (int32_t)MIN(left, 0x3fffffff);
    }
    zt_wait_socket(ms);
}

// ---- what upstream's socket lacks ----

// shutdown(socket): no more will be sent; what the peer sends can still be read. Where the peer has
// closed already it is left to close(): lwIP would free the pcb with the data not yet read.
static mp_obj_t shutdown(mp_obj_t socket_in) {
    if (!mp_obj_is_type(socket_in, &lwip_socket_type)) {
        mp_raise_TypeError(NULL);
    }
    lwip_socket_obj_t *s = MP_OBJ_TO_PTR(socket_in);
    if (s->type != MOD_NETWORK_SOCK_STREAM || s->pcb.tcp == NULL || s->state < STATE_CONNECTED) {
        mp_raise_OSError(MP_ENOTCONN);
    }
    if (s->state == STATE_CONNECTED) {
        err_t err = tcp_shutdown(s->pcb.tcp, 0, 1);
        if (err != ERR_OK) {
            mp_raise_OSError(error_lookup_table[-err]);
        }
    }
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_1(zt_shutdown_obj, shutdown);
