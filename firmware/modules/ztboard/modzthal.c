// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The module _zthal on boards: what zt.hal offers there, arguments in and out. The contract is in
// docs/internals.md; what needs no C is in lib/zt/_hal_board.py. Each call that touches the stack goes
// through zt_port_enter.

#include <string.h>

#include "py/mperrno.h"
#include "py/runtime.h"
#include "zt_hal_lwip.h"
#include "zt_netif.h"
#include "zt_nic_py.h"
#include "zt_plane_port.h"
#include "zt_pump.h"
#include "zt_pump_py.h"

#define META 20

typedef struct {
    int wire;
    const uint8_t *p;
    size_t n;
    uint8_t *buf;
    unsigned ttl;
    zt_addr_t address;
    zt_interface_t interface;
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
    int n = zt_port_enter(enter_recv, &c);
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

static int enter_interface(void *arg) {
    call_t *c = arg;
    return zt_wire_interface((unsigned)c->n, &c->interface);
}

static mp_obj_t interfaces(void) {
    mp_obj_t out = mp_obj_new_list(0, NULL);
    call_t c = { .n = 0 };
    while (zt_port_enter(enter_interface, &c)) {
        mp_obj_t tuple[] = {
            mp_obj_new_str_from_cstr(c.interface.name),
            mp_obj_new_bytes(c.interface.ip, c.interface.len),
            MP_OBJ_NEW_SMALL_INT(c.interface.bits),
        };
        mp_obj_list_append(out, mp_obj_new_tuple(3, tuple));
        c.n++;
    }
    return out;
}
static MP_DEFINE_CONST_FUN_OBJ_0(interfaces_obj, interfaces);

static int enter_drops(void *arg) {
    memcpy(arg, &zt_hal_drops, sizeof(zt_hal_drops));
    return 0;
}

// wire_drops(): what was lost on the wires, by cause.
static mp_obj_t wire_drops(void) {
    static const char *const names[] = {
        "rx_full", "rx_budget", "rx_memory", "rx_loop", "tx_slot", "tx_loop", "tx_route", "tx_stack",
    };
    uint32_t values[MP_ARRAY_SIZE(names)];
    MP_STATIC_ASSERT(sizeof(zt_hal_drops) == sizeof(values));
    zt_port_enter(enter_drops, values);
    mp_obj_t dict = mp_obj_new_dict(0);
    for (size_t i = 0; i < MP_ARRAY_SIZE(names); i++) {
        mp_obj_dict_store(dict, mp_obj_new_str_from_cstr(names[i]), mp_obj_new_int_from_uint(values[i]));
    }
    return dict;
}
static MP_DEFINE_CONST_FUN_OBJ_0(wire_drops_obj, wire_drops);

// interfaces_serial(): changes when interfaces() may have.
static mp_obj_t interfaces_serial(void) {
    return MP_OBJ_NEW_SMALL_INT(zt_wire_serial() & 0x3fffffff);
}
static MP_DEFINE_CONST_FUN_OBJ_0(interfaces_serial_obj, interfaces_serial);

static int enter_stack_left(void *arg) {
    (void)arg;
    return (int)zt_port_stack_left();
}

// stack_left(): bytes never used so far of the task in which lwIP and the plane run; 0 where it is Python's.
static mp_obj_t stack_left(void) {
    return MP_OBJ_NEW_SMALL_INT(zt_port_enter(enter_stack_left, NULL));
}
static MP_DEFINE_CONST_FUN_OBJ_0(stack_left_obj, stack_left);

static mp_obj_t random_bytes(mp_obj_t n_in) {
    mp_int_t n = mp_obj_get_int(n_in);
    if (n < 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("bad argument"));
    }
    vstr_t v;
    vstr_init_len(&v, (size_t)n);
    zt_port_random(v.buf, (size_t)n);
    return mp_obj_new_bytes_from_vstr(&v);
}
static MP_DEFINE_CONST_FUN_OBJ_1(random_obj, random_bytes);

// ---- resets ----

static int enter_reset(void *arg) {
    (void)arg;
    zt_netif_init();
    zt_wire_close_all();
    zt_netif_reset();
    return 0;
}

// What C kept of the interpreter's last run is let go, its Python objects are gone.
static void let_go(void) {
    zt_pump_reset();
    zt_plane_end();
    zt_port_enter(enter_reset, NULL);
}

// An object whose end is that of the interpreter's run: by its finaliser the wires fall silent and the
// networks go down at the reset itself. While it lives the module is not initialized again: every import of
// a built-in module calls its __init__.
typedef struct {
    mp_obj_base_t base;
} guard_t;

static bool guarded;

static mp_obj_t guard_del(mp_obj_t self) {
    (void)self;
    guarded = false;
    let_go();
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(guard_del_obj, guard_del);

static const mp_rom_map_elem_t guard_table[] = {
    { MP_ROM_QSTR(MP_QSTR___del__), MP_ROM_PTR(&guard_del_obj) },
};
static MP_DEFINE_CONST_DICT(guard_dict, guard_table);

static MP_DEFINE_CONST_OBJ_TYPE(guard_type, MP_QSTR_Guard, MP_TYPE_FLAG_NONE, locals_dict, &guard_dict);

static mp_obj_t module_init(void) {
    if (guarded) {
        return mp_const_none;
    }
    zt_port_begin();
    let_go();
    guard_t *guard = mp_obj_malloc_with_finaliser(guard_t, &guard_type);
    MP_STATE_VM(zt_hal_guard) = MP_OBJ_FROM_PTR(guard);
    guarded = true;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(module_init_obj, module_init);

MP_REGISTER_ROOT_POINTER(mp_obj_t zt_hal_guard);

static const mp_rom_map_elem_t globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__zthal) },
    { MP_ROM_QSTR(MP_QSTR___init__), MP_ROM_PTR(&module_init_obj) },
    { MP_ROM_QSTR(MP_QSTR_HAS_STACK), MP_ROM_TRUE },
    { MP_ROM_QSTR(MP_QSTR_HAS_PLANE), MP_ROM_TRUE },
    { MP_ROM_QSTR(MP_QSTR_wire_open), MP_ROM_PTR(&wire_open_obj) },
    { MP_ROM_QSTR(MP_QSTR_wire_close), MP_ROM_PTR(&wire_close_obj) },
    { MP_ROM_QSTR(MP_QSTR_wire_port), MP_ROM_PTR(&wire_port_obj) },
    { MP_ROM_QSTR(MP_QSTR_wire_recv), MP_ROM_PTR(&wire_recv_obj) },
    { MP_ROM_QSTR(MP_QSTR_wire_send), MP_ROM_PTR(&wire_send_obj) },
    { MP_ROM_QSTR(MP_QSTR_wire_drops), MP_ROM_PTR(&wire_drops_obj) },
    { MP_ROM_QSTR(MP_QSTR_interfaces), MP_ROM_PTR(&interfaces_obj) },
    { MP_ROM_QSTR(MP_QSTR_interfaces_serial), MP_ROM_PTR(&interfaces_serial_obj) },
    { MP_ROM_QSTR(MP_QSTR_wait), MP_ROM_PTR(&zt_wait_obj) },
    { MP_ROM_QSTR(MP_QSTR_kick), MP_ROM_PTR(&zt_kick_obj) },
    { MP_ROM_QSTR(MP_QSTR_set_pump), MP_ROM_PTR(&zt_set_pump_obj) },
    { MP_ROM_QSTR(MP_QSTR_random), MP_ROM_PTR(&random_obj) },
    { MP_ROM_QSTR(MP_QSTR_stack_left), MP_ROM_PTR(&stack_left_obj) },
    ZT_NIC_PY_TABLE,
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t zt_hal_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&globals,
};
MP_REGISTER_MODULE(MP_QSTR__zthal, zt_hal_module);
