// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Arguments in and out for zt_netif.h; no logic of its own. The contract is in docs/internals.md. Every
// function of zt_netif.h but the ones that say otherwise is called in the stack's context.

#include <string.h>

#include "py/mperrno.h"
#include "py/runtime.h"
#include "zt_netif.h"
#include "zt_nic_py.h"
#include "zt_port.h"

#define GROUPS_MAX 128

static int check(int result) {
    switch (result) {
        case ZT_NETIF_ERR_INDEX:
            mp_raise_OSError(MP_ENODEV);
        case ZT_NETIF_ERR_FULL:
            mp_raise_OSError(MP_ENOBUFS);
        case ZT_NETIF_ERR_ARG:
            mp_raise_ValueError(MP_ERROR_TEXT("bad argument"));
        case ZT_NETIF_ERR_NONE:
            mp_raise_OSError(MP_ENOENT);
        case ZT_NETIF_ERR_ROUTE:
            mp_raise_OSError(MP_EHOSTUNREACH);
        case ZT_NETIF_ERR_MEM:
            mp_raise_OSError(MP_ENOMEM);
        case ZT_NETIF_ERR_SMALL:
            mp_raise_ValueError(MP_ERROR_TEXT("buffer too small"));
        default:
            return result;
    }
}

// One call into the stack's context; not every member has a meaning for each.
typedef struct {
    int n;
    const uint8_t *ip, *via;
    size_t ip_n, via_n;
    unsigned bits;
    bool add;
    uint16_t number, other;
    uint8_t *out;
    size_t out_n;
} call_t;

#define ENTER(fn, ...) zt_port_enter(fn, &(call_t) { __VA_ARGS__ })

static int add_nic(void *arg) {
    const call_t *c = arg;
    zt_netif_init();
    return zt_netif_add(c->ip, c->number);
}

static mp_obj_t nic_add(mp_obj_t mac_in, mp_obj_t mtu_in) {
    mp_buffer_info_t mac;
    mp_get_buffer_raise(mac_in, &mac, MP_BUFFER_READ);
    mp_int_t mtu = mp_obj_get_int(mtu_in);
    if (mac.len != 6 || mtu < 0 || mtu > 0xffff) {
        mp_raise_ValueError(MP_ERROR_TEXT("bad argument"));
    }
    return MP_OBJ_NEW_SMALL_INT(check(ENTER(add_nic, .ip = mac.buf, .number = (uint16_t)mtu)));
}
MP_DEFINE_CONST_FUN_OBJ_2(zt_nic_add_obj, nic_add);

static int remove_nic(void *arg) {
    return zt_netif_remove(((const call_t *)arg)->n);
}

static mp_obj_t nic_remove(mp_obj_t n) {
    check(ENTER(remove_nic, .n = (int)mp_obj_get_int(n)));
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_1(zt_nic_remove_obj, nic_remove);

static int set_mtu(void *arg) {
    const call_t *c = arg;
    return zt_netif_set_mtu(c->n, c->number);
}

static mp_obj_t nic_mtu(mp_obj_t n, mp_obj_t mtu_in) {
    mp_int_t mtu = mp_obj_get_int(mtu_in);
    check(ENTER(set_mtu, .n = (int)mp_obj_get_int(n), .number = mtu < 0 || mtu > 0xffff ? 0 : (uint16_t)mtu));
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_2(zt_nic_mtu_obj, nic_mtu);

static unsigned get_bits(mp_obj_t in) {
    mp_int_t bits = mp_obj_get_int(in);
    return bits < 0 || bits > 128 ? 255 : (unsigned)bits;
}

static int set_addr(void *arg) {
    const call_t *c = arg;
    return zt_netif_addr(c->n, c->ip, c->ip_n, c->bits, c->add);
}

static mp_obj_t nic_addr(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    mp_buffer_info_t ip;
    mp_get_buffer_raise(args[1], &ip, MP_BUFFER_READ);
    check(ENTER(set_addr, .n = (int)mp_obj_get_int(args[0]), .ip = ip.buf, .ip_n = ip.len, .bits = get_bits(args[2]),
        .add = mp_obj_is_true(args[3])));
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(zt_nic_addr_obj, 4, 4, nic_addr);

static int set_route(void *arg) {
    const call_t *c = arg;
    return zt_netif_route(c->n, c->ip, c->ip_n, c->bits, c->via, c->via_n, c->add);
}

static mp_obj_t nic_route(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    mp_buffer_info_t ip, via = { .buf = NULL, .len = 0 };
    mp_get_buffer_raise(args[1], &ip, MP_BUFFER_READ);
    if (args[3] != mp_const_none) {
        mp_get_buffer_raise(args[3], &via, MP_BUFFER_READ);
    }
    check(ENTER(set_route, .n = (int)mp_obj_get_int(args[0]), .ip = ip.buf, .ip_n = ip.len, .bits = get_bits(args[2]),
        .via = via.buf, .via_n = via.len, .add = mp_obj_is_true(args[4])));
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(zt_nic_route_obj, 5, 5, nic_route);

static int set_dns(void *arg) {
    const call_t *c = arg;
    zt_netif_init();
    return zt_netif_dns((unsigned)c->n, c->ip, c->ip_n);
}

// The domain is for whoever completes short names; lwIP has no use for it. Servers beyond lwIP's
// table are left out, and the rest of the table is cleared.
static mp_obj_t nic_dns(mp_obj_t domain, mp_obj_t servers_in) {
    (void)domain;
    size_t n;
    mp_obj_t *servers;
    mp_obj_get_array(servers_in, &n, &servers);
    for (size_t i = 0;; i++) {
        mp_buffer_info_t ip = { .buf = NULL, .len = 0 };
        if (i < n) {
            mp_get_buffer_raise(servers[i], &ip, MP_BUFFER_READ);
        }
        int result = ENTER(set_dns, .n = (int)i, .ip = ip.buf, .ip_n = ip.len);
        if (result == ZT_NETIF_ERR_FULL) {
            return mp_const_none;
        }
        check(result);
    }
}
MP_DEFINE_CONST_FUN_OBJ_2(zt_nic_dns_obj, nic_dns);

static int give_frame(void *arg) {
    const call_t *c = arg;
    return zt_netif_input(c->n, c->ip, c->ip_n);
}

// A frame the stack has no memory for is dropped, as a wire would.
static mp_obj_t nic_input(mp_obj_t n, mp_obj_t frame_in) {
    mp_buffer_info_t frame;
    mp_get_buffer_raise(frame_in, &frame, MP_BUFFER_READ);
    int result = ENTER(give_frame, .n = (int)mp_obj_get_int(n), .ip = frame.buf, .ip_n = frame.len);
    if (result != ZT_NETIF_ERR_MEM) {
        check(result);
    }
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_2(zt_nic_input_obj, nic_input);

static int take_frame(void *arg) {
    call_t *c = arg;
    return zt_netif_recv(c->out, c->out_n, &c->n);
}

static mp_obj_t nic_recv(mp_obj_t buf_in, mp_obj_t meta_in) {
    mp_buffer_info_t buf, meta;
    mp_get_buffer_raise(buf_in, &buf, MP_BUFFER_WRITE);
    mp_get_buffer_raise(meta_in, &meta, MP_BUFFER_WRITE);
    if (meta.len < 1) {
        mp_raise_ValueError(MP_ERROR_TEXT("bad argument"));
    }
    if (!zt_netif_pending()) {
        return MP_OBJ_NEW_SMALL_INT(0);
    }
    call_t c = { .out = buf.buf, .out_n = buf.len };
    int len = check(zt_port_enter(take_frame, &c));
    ((uint8_t *)meta.buf)[0] = (uint8_t)c.n;
    return MP_OBJ_NEW_SMALL_INT(len);
}
MP_DEFINE_CONST_FUN_OBJ_2(zt_nic_recv_obj, nic_recv);

static int get_groups(void *arg) {
    const call_t *c = arg;
    return zt_netif_groups(c->n, c->out, GROUPS_MAX);
}

static mp_obj_t nic_groups(mp_obj_t n) {
    uint8_t macs[6 * GROUPS_MAX];
    int count = check(ENTER(get_groups, .n = (int)mp_obj_get_int(n), .out = macs));
    mp_obj_t list = mp_obj_new_list(0, NULL);
    for (int i = 0; i < count; i++) {
        mp_obj_list_append(list, mp_obj_new_bytes(macs + 6 * i, 6));
    }
    return list;
}
MP_DEFINE_CONST_FUN_OBJ_1(zt_nic_groups_obj, nic_groups);

static mp_obj_t nic_serial(void) {
    return MP_OBJ_NEW_SMALL_INT(zt_netif_groups_serial() & 0x3fffffff);
}
MP_DEFINE_CONST_FUN_OBJ_0(zt_nic_serial_obj, nic_serial);

static mp_obj_t nic_drops(void) {
    return mp_obj_new_int_from_uint(zt_netif_drops());
}
MP_DEFINE_CONST_FUN_OBJ_0(zt_nic_drops_obj, nic_drops);

static int get_mac(void *arg) {
    const call_t *c = arg;
    return zt_netif_mac(c->n, c->ip, c->ip_n, c->out);
}

// nic_mac(n, ip): the MAC the stack has learned for it, or None.
static mp_obj_t nic_mac(mp_obj_t n, mp_obj_t ip_in) {
    mp_buffer_info_t ip;
    mp_get_buffer_raise(ip_in, &ip, MP_BUFFER_READ);
    uint8_t mac[6];
    if ((ip.len != 4 && ip.len != 16)
        || !ENTER(get_mac, .n = (int)mp_obj_get_int(n), .ip = ip.buf, .ip_n = ip.len, .out = mac)) {
        return mp_const_none;
    }
    return mp_obj_new_bytes(mac, 6);
}
MP_DEFINE_CONST_FUN_OBJ_2(zt_nic_mac_obj, nic_mac);

#ifdef ZT_LWIP_HEAP
static int memory(void *arg) {
    size_t *used_peak = arg;
    zt_netif_memory(&used_peak[0], &used_peak[1]);
    return 0;
}

// stack_memory(): bytes of packets that the stack holds now, and at most so far.
static mp_obj_t stack_memory(void) {
    size_t used_peak[2];
    zt_port_enter(memory, used_peak);
    mp_obj_t items[2] = { mp_obj_new_int_from_uint(used_peak[0]), mp_obj_new_int_from_uint(used_peak[1]) };
    return mp_obj_new_tuple(2, items);
}
MP_DEFINE_CONST_FUN_OBJ_0(zt_stack_memory_obj, stack_memory);
#endif

static int run_timers(void *arg) {
    (void)arg;
    zt_netif_init();
    return (int)zt_netif_poll();
}

static mp_obj_t stack_poll(void) {
    return MP_OBJ_NEW_SMALL_INT(zt_port_enter(run_timers, NULL));
}
MP_DEFINE_CONST_FUN_OBJ_0(zt_stack_poll_obj, stack_poll);

static int ping(void *arg) {
    const call_t *c = arg;
    zt_netif_init();
    return zt_netif_ping(c->ip, c->ip_n, c->number, c->other, c->via, c->via_n);
}

static mp_obj_t ping_send(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    mp_buffer_info_t ip, payload;
    mp_get_buffer_raise(args[0], &ip, MP_BUFFER_READ);
    mp_get_buffer_raise(args[3], &payload, MP_BUFFER_READ);
    check(ENTER(ping, .ip = ip.buf, .ip_n = ip.len, .number = (uint16_t)mp_obj_get_int(args[1]),
        .other = (uint16_t)mp_obj_get_int(args[2]), .via = payload.buf, .via_n = payload.len));
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(zt_ping_send_obj, 4, 4, ping_send);

typedef struct {
    uint8_t ip[16];
    size_t ip_n;
    uint16_t ident, seq;
    uint8_t *buf;
    size_t n;
} pong_t;

static int pong(void *arg) {
    pong_t *p = arg;
    return zt_netif_pong(p->ip, &p->ip_n, &p->ident, &p->seq, p->buf, p->n);
}

static mp_obj_t ping_recv(mp_obj_t buf_in) {
    mp_buffer_info_t buf;
    mp_get_buffer_raise(buf_in, &buf, MP_BUFFER_WRITE);
    pong_t p = { .buf = buf.buf, .n = buf.len };
    int n = zt_netif_pongs() ? zt_port_enter(pong, &p) : -1;
    if (n < 0) {
        return mp_const_none;
    }
    mp_obj_t tuple[] = {
        mp_obj_new_bytes(p.ip, p.ip_n),
        MP_OBJ_NEW_SMALL_INT(p.ident),
        MP_OBJ_NEW_SMALL_INT(p.seq),
        MP_OBJ_NEW_SMALL_INT(n),
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(tuple), tuple);
}
MP_DEFINE_CONST_FUN_OBJ_1(zt_ping_recv_obj, ping_recv);
