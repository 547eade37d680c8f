// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The module _zthal: what zt.hal offers on the unix port. The contract is in docs/internals.md.

#include <stdlib.h>
#include <time.h>

#include "py/gc.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "zt_netif.h"
#include "zt_nic_py.h"
#include "zt_plane_port.h"
#include "zt_unix.h"

uint32_t sys_now(void) {
    return (uint32_t)mp_hal_ticks_ms();
}

// ---- zt_port.h: the one thread is the stack's context ----

int zt_port_enter(int (*fn)(void *arg), void *arg) {
    return fn(arg);
}

// The kernel's last tick, up to 4 ms behind: the plane needs no more, and asks with each frame.
uint32_t zt_port_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (uint32_t)t.tv_sec * 1000 + (uint32_t)(t.tv_nsec / 1000000);
}

void zt_port_kick(void) {
    // zt_wait.c looks after each turn of the wires.
}

void *zt_port_alloc(size_t n) {
    return malloc(n);
}

void zt_port_free(void *p) {
    free(p);
}

// tidy(): collect Python's garbage, and from now on also whenever half of what is in use has been allocated
// anew: the heap stays near what the process needs instead of being filled up first.
#define GARBAGE_MIN (128 * 1024)

static void bound_garbage(size_t used) {
    MP_STATE_MEM(gc_alloc_threshold) = MAX(used / 2, GARBAGE_MIN) / MICROPY_BYTES_PER_GC_BLOCK;
}

static mp_obj_t tidy(void) {
    gc_collect();
    gc_info_t info;
    gc_info(&info);
    bound_garbage(info.used);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(tidy_obj, tidy);

// Called at every import; the first one counts, as this port's interpreter is never started anew.
static mp_obj_t hal_init(void) {
    static bool done;
    if (done) {
        return mp_const_none;
    }
    done = true;
    MP_STATE_VM(zt_pump) = MP_OBJ_NULL;
    zt_plane_end();
    zt_wire_reset();
    zt_wait_init();
    zt_netif_init();
    zt_netif_reset();
    bound_garbage(0);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(hal_init_obj, hal_init);

static const mp_rom_map_elem_t globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__zthal) },
    { MP_ROM_QSTR(MP_QSTR___init__), MP_ROM_PTR(&hal_init_obj) },
    { MP_ROM_QSTR(MP_QSTR_HAS_STACK), MP_ROM_TRUE },
    { MP_ROM_QSTR(MP_QSTR_HAS_PLANE), MP_ROM_TRUE },
    { MP_ROM_QSTR(MP_QSTR_wire_open), MP_ROM_PTR(&zt_wire_open_obj) },
    { MP_ROM_QSTR(MP_QSTR_wire_close), MP_ROM_PTR(&zt_wire_close_obj) },
    { MP_ROM_QSTR(MP_QSTR_wire_port), MP_ROM_PTR(&zt_wire_port_obj) },
    { MP_ROM_QSTR(MP_QSTR_wire_recv), MP_ROM_PTR(&zt_wire_recv_obj) },
    { MP_ROM_QSTR(MP_QSTR_wire_send), MP_ROM_PTR(&zt_wire_send_obj) },
    { MP_ROM_QSTR(MP_QSTR_interfaces), MP_ROM_PTR(&zt_interfaces_obj) },
    { MP_ROM_QSTR(MP_QSTR_wait), MP_ROM_PTR(&zt_wait_obj) },
    { MP_ROM_QSTR(MP_QSTR_kick), MP_ROM_PTR(&zt_kick_obj) },
    { MP_ROM_QSTR(MP_QSTR_watch), MP_ROM_PTR(&zt_watch_obj) },
    { MP_ROM_QSTR(MP_QSTR_unwatch), MP_ROM_PTR(&zt_unwatch_obj) },
    { MP_ROM_QSTR(MP_QSTR_set_pump), MP_ROM_PTR(&zt_set_pump_obj) },
    { MP_ROM_QSTR(MP_QSTR_sigterm_as_interrupt), MP_ROM_PTR(&zt_sigterm_obj) },
    { MP_ROM_QSTR(MP_QSTR_tidy), MP_ROM_PTR(&tidy_obj) },
    { MP_ROM_QSTR(MP_QSTR_save), MP_ROM_PTR(&zt_save_obj) },
    { MP_ROM_QSTR(MP_QSTR_lock), MP_ROM_PTR(&zt_lock_obj) },
    { MP_ROM_QSTR(MP_QSTR_unlock), MP_ROM_PTR(&zt_unlock_obj) },
    { MP_ROM_QSTR(MP_QSTR_mkdir), MP_ROM_PTR(&zt_mkdir_obj) },
    { MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&zt_read_obj) },
    { MP_ROM_QSTR(MP_QSTR_random), MP_ROM_PTR(&zt_random_obj) },
    { MP_ROM_QSTR(MP_QSTR_Poller), MP_ROM_PTR(&zt_poller_obj) },
    ZT_NIC_PY_TABLE,
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t zt_hal_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&globals,
};
MP_REGISTER_MODULE(MP_QSTR__zthal, zt_hal_module);
