// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Arguments in and out for zt_netif.h; no logic of its own. The contract is in docs/internals.md.

#include <string.h>

#include "py/mperrno.h"
#include "py/runtime.h"
#include "zt_netif.h"
#include "zt_nic_py.h"

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

static mp_obj_t nic_add(mp_obj_t mac_in, mp_obj_t mtu_in) {
    mp_buffer_info_t mac;
    mp_get_buffer_raise(mac_in, &mac, MP_BUFFER_READ);
    mp_int_t mtu = mp_obj_get_int(mtu_in);
    if (mac.len != 6 || mtu < 0 || mtu > 0xffff) {
        mp_raise_ValueError(MP_ERROR_TEXT("bad argument"));
    }
    zt_netif_init();
    return MP_OBJ_NEW_SMALL_INT(check(zt_netif_add(mac.buf, (uint16_t)mtu)));
}
MP_DEFINE_CONST_FUN_OBJ_2(zt_nic_add_obj, nic_add);

static mp_obj_t nic_remove(mp_obj_t n) {
    check(zt_netif_remove((int)mp_obj_get_int(n)));
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_1(zt_nic_remove_obj, nic_remove);

static mp_obj_t nic_mtu(mp_obj_t n, mp_obj_t mtu_in) {
    mp_int_t mtu = mp_obj_get_int(mtu_in);
    check(zt_netif_set_mtu((int)mp_obj_get_int(n), mtu < 0 || mtu > 0xffff ? 0 : (uint16_t)mtu));
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_2(zt_nic_mtu_obj, nic_mtu);

static unsigned get_bits(mp_obj_t in) {
    mp_int_t bits = mp_obj_get_int(in);
    return bits < 0 || bits > 128 ? 255 : (unsigned)bits;
}

static mp_obj_t nic_addr(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    mp_buffer_info_t ip;
    mp_get_buffer_raise(args[1], &ip, MP_BUFFER_READ);
    check(zt_netif_addr((int)mp_obj_get_int(args[0]), ip.buf, ip.len, get_bits(args[2]), mp_obj_is_true(args[3])));
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(zt_nic_addr_obj, 4, 4, nic_addr);

static mp_obj_t nic_route(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    mp_buffer_info_t ip, via = { .buf = NULL, .len = 0 };
    mp_get_buffer_raise(args[1], &ip, MP_BUFFER_READ);
    if (args[3] != mp_const_none) {
        mp_get_buffer_raise(args[3], &via, MP_BUFFER_READ);
    }
    check(zt_netif_route((int)mp_obj_get_int(args[0]), ip.buf, ip.len, get_bits(args[2]), via.buf, via.len,
        mp_obj_is_true(args[4])));
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(zt_nic_route_obj, 5, 5, nic_route);

// The domain is for whoever completes short names; lwIP has no use for it. Servers beyond lwIP's
// table are left out, and the rest of the table is cleared.
static mp_obj_t nic_dns(mp_obj_t domain, mp_obj_t servers_in) {
    (void)domain;
    size_t n;
    mp_obj_t *servers;
    mp_obj_get_array(servers_in, &n, &servers);
    zt_netif_init();
    for (size_t i = 0;; i++) {
        mp_buffer_info_t ip = { .buf = NULL, .len = 0 };
        if (i < n) {
            mp_get_buffer_raise(servers[i], &ip, MP_BUFFER_READ);
        }
        int result = zt_netif_dns((unsigned)i, ip.buf, ip.len);
        if (result == ZT_NETIF_ERR_FULL) {
            return mp_const_none;
        }
        check(result);
    }
}
MP_DEFINE_CONST_FUN_OBJ_2(zt_nic_dns_obj, nic_dns);

// A frame the stack has no memory for is dropped, as a wire would.
static mp_obj_t nic_input(mp_obj_t n, mp_obj_t frame_in) {
    mp_buffer_info_t frame;
    mp_get_buffer_raise(frame_in, &frame, MP_BUFFER_READ);
    int result = zt_netif_input((int)mp_obj_get_int(n), frame.buf, frame.len);
    if (result != ZT_NETIF_ERR_MEM) {
        check(result);
    }
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_2(zt_nic_input_obj, nic_input);

static mp_obj_t nic_recv(mp_obj_t buf_in, mp_obj_t meta_in) {
    mp_buffer_info_t buf, meta;
    mp_get_buffer_raise(buf_in, &buf, MP_BUFFER_WRITE);
    mp_get_buffer_raise(meta_in, &meta, MP_BUFFER_WRITE);
    if (meta.len < 1) {
        mp_raise_ValueError(MP_ERROR_TEXT("bad argument"));
    }
    int n = 0;
    int len = check(zt_netif_recv(buf.buf, buf.len, &n));
    ((uint8_t *)meta.buf)[0] = (uint8_t)n;
    return MP_OBJ_NEW_SMALL_INT(len);
}
MP_DEFINE_CONST_FUN_OBJ_2(zt_nic_recv_obj, nic_recv);

static mp_obj_t nic_groups(mp_obj_t n) {
    uint8_t macs[6 * GROUPS_MAX];
    int count = check(zt_netif_groups((int)mp_obj_get_int(n), macs, GROUPS_MAX));
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

// nic_mac(n, ip): the MAC the stack has learned for it, or None.
static mp_obj_t nic_mac(mp_obj_t n, mp_obj_t ip_in) {
    mp_buffer_info_t ip;
    mp_get_buffer_raise(ip_in, &ip, MP_BUFFER_READ);
    uint8_t mac[6];
    if ((ip.len != 4 && ip.len != 16) || !zt_netif_mac((int)mp_obj_get_int(n), ip.buf, ip.len, mac)) {
        return mp_const_none;
    }
    return mp_obj_new_bytes(mac, 6);
}
MP_DEFINE_CONST_FUN_OBJ_2(zt_nic_mac_obj, nic_mac);

static mp_obj_t stack_poll(void) {
    zt_netif_init();
    return MP_OBJ_NEW_SMALL_INT(zt_netif_poll());
}
MP_DEFINE_CONST_FUN_OBJ_0(zt_stack_poll_obj, stack_poll);

static mp_obj_t ping_send(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    mp_buffer_info_t ip, payload;
    mp_get_buffer_raise(args[0], &ip, MP_BUFFER_READ);
    mp_get_buffer_raise(args[3], &payload, MP_BUFFER_READ);
    zt_netif_init();
    check(zt_netif_ping(ip.buf, ip.len, (uint16_t)mp_obj_get_int(args[1]), (uint16_t)mp_obj_get_int(args[2]),
        payload.buf, payload.len));
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(zt_ping_send_obj, 4, 4, ping_send);

static mp_obj_t ping_recv(mp_obj_t buf_in) {
    mp_buffer_info_t buf;
    mp_get_buffer_raise(buf_in, &buf, MP_BUFFER_WRITE);
    uint8_t ip[16];
    size_t ip_len;
    uint16_t ident, seq;
    int n = zt_netif_pong(ip, &ip_len, &ident, &seq, buf.buf, buf.len);
    if (n < 0) {
        return mp_const_none;
    }
    mp_obj_t tuple[] = {
        mp_obj_new_bytes(ip, ip_len),
        MP_OBJ_NEW_SMALL_INT(ident),
        MP_OBJ_NEW_SMALL_INT(seq),
        MP_OBJ_NEW_SMALL_INT(n),
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(tuple), tuple);
}
MP_DEFINE_CONST_FUN_OBJ_1(zt_ping_recv_obj, ping_recv);
