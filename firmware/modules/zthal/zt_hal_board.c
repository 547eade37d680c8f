// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// What of _zthal is the same on every board: its addresses, losses and random numbers, and the end of a run
// of the interpreter. What needs no C is in lib/zt/_hal_board.py.

#include <string.h>

#include "py/runtime.h"
#include "zt_hal_lwip.h"
#include "zt_hal_py.h"
#include "zt_netif.h"
#include "zt_plane_port.h"
#include "zt_pump.h"

typedef struct {
    unsigned index;
    zt_interface_t interface;
} interface_call_t;

static int enter_interface(void *arg) {
    interface_call_t *c = arg;
    return zt_wire_interface(c->index, &c->interface);
}

static mp_obj_t interfaces(void) {
    mp_obj_t out = mp_obj_new_list(0, NULL);
    interface_call_t c = { .index = 0 };
    while (zt_port_enter(enter_interface, &c)) {
        mp_obj_t tuple[] = {
            mp_obj_new_str_from_cstr(c.interface.name),
            mp_obj_new_bytes(c.interface.ip, c.interface.len),
            MP_OBJ_NEW_SMALL_INT(c.interface.bits),
        };
        mp_obj_list_append(out, mp_obj_new_tuple(3, tuple));
        c.index++;
    }
    return out;
}
MP_DEFINE_CONST_FUN_OBJ_0(zt_interfaces_obj, interfaces);

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
MP_DEFINE_CONST_FUN_OBJ_0(zt_wire_drops_obj, wire_drops);

// interfaces_serial(): changes when interfaces() may have.
static mp_obj_t interfaces_serial(void) {
    return MP_OBJ_NEW_SMALL_INT(zt_wire_serial() & 0x3fffffff);
}
MP_DEFINE_CONST_FUN_OBJ_0(zt_interfaces_serial_obj, interfaces_serial);

static int enter_stack_left(void *arg) {
    (void)arg;
    return (int)zt_port_stack_left();
}

// stack_left(): bytes never used so far of the task in which lwIP and the plane run; 0 where it is Python's.
static mp_obj_t stack_left(void) {
    return MP_OBJ_NEW_SMALL_INT(zt_port_enter(enter_stack_left, NULL));
}
MP_DEFINE_CONST_FUN_OBJ_0(zt_stack_left_obj, stack_left);

// guard(ms): firmware on trial is taken back in ms; 0: not any more. True if it is on trial.
static mp_obj_t guard(mp_obj_t ms_in) {
    mp_int_t ms = mp_obj_get_int(ms_in);
    if (ms < 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("bad argument"));
    }
    return mp_obj_new_bool(zt_port_guard((uint32_t)ms));
}
MP_DEFINE_CONST_FUN_OBJ_1(zt_guard_obj, guard);

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
MP_DEFINE_CONST_FUN_OBJ_1(zt_random_obj, random_bytes);

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
MP_DEFINE_CONST_FUN_OBJ_0(zt_hal_init_obj, module_init);

MP_REGISTER_ROOT_POINTER(mp_obj_t zt_hal_guard);
