// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The module _zthal: what zt.hal offers, arguments in and out. The contract is in docs/internals.md. The
// wires are here, the same for every port (zt_wires.h); the rest is the pump's, the interfaces' and the port's.
// Each call that touches the stack goes through zt_port_enter.

#include <string.h>

#include "py/runtime.h"
#include "zt_hal_py.h"
#include "zt_netif.h"
#include "zt_nic_py.h"
#include "zt_port.h"
#include "zt_wires.h"

#define META 20

typedef struct {
    int wire;
    const uint8_t *p;
    size_t n;
    uint8_t *buf;
    unsigned ttl;
    zt_addr_t address;
} call_t;

static int check(int result) {
    if (result < 0) {
        mp_raise_OSError(-result);
    }
    return result;
}

// ---- wires ----

static int enter_open(void *arg) {
    const call_t *c = arg;
    zt_netif_init();
    return zt_wire_open(c->p, c->n, c->address.port);
}

static mp_obj_t wire_open(mp_obj_t ip_in, mp_obj_t port_in) {
    mp_buffer_info_t ip;
    mp_get_buffer_raise(ip_in, &ip, MP_BUFFER_READ);
    mp_int_t port = mp_obj_get_int(port_in);
    if ((ip.len != 4 && ip.len != 16) || port < 0 || port > 0xffff) {
        mp_raise_ValueError(MP_ERROR_TEXT("bad address"));
    }
    call_t c = { .p = ip.buf, .n = ip.len, .address = { .port = (uint16_t)port } };
    return MP_OBJ_NEW_SMALL_INT(check(zt_port_enter(enter_open, &c)));
}
static MP_DEFINE_CONST_FUN_OBJ_2(wire_open_obj, wire_open);

static int enter_close(void *arg) {
    return zt_wire_close(*(int *)arg);
}

static mp_obj_t wire_close(mp_obj_t handle) {
    int wire = (int)mp_obj_get_int(handle);
    check(zt_port_enter(enter_close, &wire));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(wire_close_obj, wire_close);

static int enter_port(void *arg) {
    return zt_wire_port(*(int *)arg);
}

static mp_obj_t wire_port(mp_obj_t handle) {
    int wire = (int)mp_obj_get_int(handle);
    return MP_OBJ_NEW_SMALL_INT(check(zt_port_enter(enter_port, &wire)));
}
static MP_DEFINE_CONST_FUN_OBJ_1(wire_port_obj, wire_port);

static int enter_recv(void *arg) {
    call_t *c = arg;
    return zt_wire_recv(c->wire, c->buf, c->n, &c->address);
}

static mp_obj_t wire_recv(mp_obj_t handle, mp_obj_t buf_in, mp_obj_t meta_in) {
    mp_buffer_info_t buf, meta;
    mp_get_buffer_raise(buf_in, &buf, MP_BUFFER_WRITE);
    mp_get_buffer_raise(meta_in, &meta, MP_BUFFER_WRITE);
    if (meta.len < META) {
        mp_raise_ValueError(MP_ERROR_TEXT("meta needs 20 bytes"));
    }
    call_t c = { .wire = (int)mp_obj_get_int(handle), .buf = buf.buf, .n = buf.len };
    int n = check(zt_port_enter(enter_recv, &c));
    if (n > 0) {
        uint8_t *out = meta.buf;
        memset(out, 0, META);
        out[0] = c.address.size;
        memcpy(out + 1, c.address.ip, 16);
        out[17] = (uint8_t)(c.address.port >> 8);
        out[18] = (uint8_t)c.address.port;
    }
    return MP_OBJ_NEW_SMALL_INT(n);
}
static MP_DEFINE_CONST_FUN_OBJ_3(wire_recv_obj, wire_recv);

static int enter_send(void *arg) {
    const call_t *c = arg;
    return zt_wire_send(c->wire, &c->address, c->p, c->n, c->ttl);
}

// wire_send(handle, ip, port, buf, n, ttl)
static mp_obj_t wire_send(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    mp_buffer_info_t ip, buf;
    mp_get_buffer_raise(args[1], &ip, MP_BUFFER_READ);
    mp_get_buffer_raise(args[3], &buf, MP_BUFFER_READ);
    mp_int_t port = mp_obj_get_int(args[2]);
    mp_int_t n = mp_obj_get_int(args[4]);
    mp_int_t ttl = mp_obj_get_int(args[5]);
    if (n < 0 || (size_t)n > buf.len || port < 0 || port > 0xffff || ttl < 0 || ttl > 255
        || (ip.len != 4 && ip.len != 16)) {
        mp_raise_ValueError(MP_ERROR_TEXT("bad argument"));
    }
    call_t c = { .wire = (int)mp_obj_get_int(args[0]), .p = buf.buf, .n = (size_t)n, .ttl = (unsigned)ttl };
    c.address.size = (uint8_t)ip.len;
    c.address.port = (uint16_t)port;
    memcpy(c.address.ip, ip.buf, ip.len);
    int error = zt_port_enter(enter_send, &c);
    if (error == ZT_WIRE_EBADF) {
        mp_raise_OSError(error);
    }
    return MP_OBJ_NEW_SMALL_INT(error);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(wire_send_obj, 6, 6, wire_send);

static const mp_rom_map_elem_t globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__zthal) },
    { MP_ROM_QSTR(MP_QSTR___init__), MP_ROM_PTR(&zt_hal_init_obj) },
    { MP_ROM_QSTR(MP_QSTR_HAS_STACK), MP_ROM_TRUE },
    { MP_ROM_QSTR(MP_QSTR_HAS_PLANE), MP_ROM_TRUE },
    { MP_ROM_QSTR(MP_QSTR_wire_open), MP_ROM_PTR(&wire_open_obj) },
    { MP_ROM_QSTR(MP_QSTR_wire_close), MP_ROM_PTR(&wire_close_obj) },
    { MP_ROM_QSTR(MP_QSTR_wire_port), MP_ROM_PTR(&wire_port_obj) },
    { MP_ROM_QSTR(MP_QSTR_wire_recv), MP_ROM_PTR(&wire_recv_obj) },
    { MP_ROM_QSTR(MP_QSTR_wire_send), MP_ROM_PTR(&wire_send_obj) },
    { MP_ROM_QSTR(MP_QSTR_interfaces), MP_ROM_PTR(&zt_interfaces_obj) },
    { MP_ROM_QSTR(MP_QSTR_wait), MP_ROM_PTR(&zt_wait_obj) },
    { MP_ROM_QSTR(MP_QSTR_kick), MP_ROM_PTR(&zt_kick_obj) },
    { MP_ROM_QSTR(MP_QSTR_set_pump), MP_ROM_PTR(&zt_set_pump_obj) },
    { MP_ROM_QSTR(MP_QSTR_random), MP_ROM_PTR(&zt_random_obj) },
    ZT_NIC_PY_TABLE,
    #if ZT_BOARD
    { MP_ROM_QSTR(MP_QSTR_wire_drops), MP_ROM_PTR(&zt_wire_drops_obj) },
    { MP_ROM_QSTR(MP_QSTR_interfaces_serial), MP_ROM_PTR(&zt_interfaces_serial_obj) },
    { MP_ROM_QSTR(MP_QSTR_stack_left), MP_ROM_PTR(&zt_stack_left_obj) },
    { MP_ROM_QSTR(MP_QSTR_guard), MP_ROM_PTR(&zt_guard_obj) },
    #else // files and the rest of the process, which lib/zt/_hal_board.py does for boards
    { MP_ROM_QSTR(MP_QSTR_watch), MP_ROM_PTR(&zt_watch_obj) },
    { MP_ROM_QSTR(MP_QSTR_unwatch), MP_ROM_PTR(&zt_unwatch_obj) },
    { MP_ROM_QSTR(MP_QSTR_sigterm_as_interrupt), MP_ROM_PTR(&zt_sigterm_obj) },
    { MP_ROM_QSTR(MP_QSTR_tidy), MP_ROM_PTR(&zt_tidy_obj) },
    { MP_ROM_QSTR(MP_QSTR_save), MP_ROM_PTR(&zt_save_obj) },
    { MP_ROM_QSTR(MP_QSTR_lock), MP_ROM_PTR(&zt_lock_obj) },
    { MP_ROM_QSTR(MP_QSTR_unlock), MP_ROM_PTR(&zt_unlock_obj) },
    { MP_ROM_QSTR(MP_QSTR_mkdir), MP_ROM_PTR(&zt_mkdir_obj) },
    { MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&zt_read_obj) },
    { MP_ROM_QSTR(MP_QSTR_Poller), MP_ROM_PTR(&zt_poller_obj) },
    #endif
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t zt_hal_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&globals,
};
MP_REGISTER_MODULE(MP_QSTR__zthal, zt_hal_module);
