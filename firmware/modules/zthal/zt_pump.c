// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// See zt_pump.h.

#include "py/mphal.h"
#include "py/runtime.h"
#include "zt_hal_py.h"
#include "zt_netif.h"
#include "zt_plane_port.h"
#include "zt_pump.h"

#define AFTER_ERROR_MS 250 // the pause after a pump that failed
#define MAX_MS 0x3fffffff

static bool running, failed, complained;
static bool forced; // a turn was asked for
static bool kicked;
static int32_t pump_ms; // what the pump said when it is due again; -1: not by itself
static mp_uint_t pumped_at;

void zt_pump_reset(void) {
    MP_STATE_VM(zt_pump) = MP_OBJ_NULL;
    running = failed = complained = forced = kicked = false;
    pump_ms = -1;
}

bool zt_pump_set(void) {
    return MP_STATE_VM(zt_pump) != MP_OBJ_NULL;
}

bool zt_pump_running(void) {
    return running;
}

bool zt_pump_failed(void) {
    return failed;
}

void zt_pump_ask(void) {
    forced = true;
}

bool zt_pump_kicked(void) {
    bool was = kicked;
    kicked = false;
    return was;
}

bool zt_pump_waiting(void) {
    return zt_plane_pending() || zt_netif_pending() || zt_netif_pongs() || zt_port_waiting();
}

int32_t zt_pump_next(void) {
    if (!zt_pump_set() || running) {
        return -1;
    }
    if (forced || (!failed && zt_pump_waiting())) {
        return 0;
    }
    if (pump_ms < 0) {
        return -1;
    }
    mp_uint_t gone = mp_hal_ticks_ms() - pumped_at;
    return gone >= (mp_uint_t)pump_ms ? 0 : pump_ms - (int32_t)gone;
}

bool zt_pump_due(void) {
    return zt_pump_next() == 0;
}

void zt_pump_run(void) {
    mp_obj_t f = MP_STATE_VM(zt_pump);
    if (running || f == MP_OBJ_NULL) {
        return;
    }
    int32_t ms = -1;
    forced = failed = false;
    running = true;
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        mp_obj_t r = mp_call_function_0(f);
        if (r != mp_const_none) {
            mp_int_t n = mp_obj_get_int(r);
            ms = n < 0 ? -1 : (int32_t)MIN(n, MAX_MS);
        }
        nlr_pop();
        running = false;
    } else {
        running = false;
        pump_ms = 0;
        mp_obj_t type = MP_OBJ_FROM_PTR(((mp_obj_base_t *)nlr.ret_val)->type);
        if (mp_obj_is_subclass_fast(type, MP_OBJ_FROM_PTR(&mp_type_SystemExit))
            || mp_obj_is_subclass_fast(type, MP_OBJ_FROM_PTR(&mp_type_KeyboardInterrupt))) {
            nlr_jump(nlr.ret_val);
        }
        failed = true;
        if (!complained) {
            complained = true;
            mp_print_str(MICROPY_ERROR_PRINTER, "error pump: internal error, please report it:\n");
            mp_obj_print_exception(MICROPY_ERROR_PRINTER, MP_OBJ_FROM_PTR(nlr.ret_val));
        }
        ms = AFTER_ERROR_MS;
    }
    pump_ms = ms;
    pumped_at = mp_hal_ticks_ms();
}

// set_pump(f): the function of a turn; it returns ms to its next deadline. None takes it away.
static mp_obj_t set_pump(mp_obj_t f) {
    if (f != mp_const_none && !mp_obj_is_callable(f)) {
        mp_raise_TypeError(MP_ERROR_TEXT("pump must be callable"));
    }
    MP_STATE_VM(zt_pump) = f == mp_const_none ? MP_OBJ_NULL : f;
    forced = true;
    complained = failed = false;
    zt_port_kick(); // a turn is due, but the next wait is not to end for that
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_1(zt_set_pump_obj, set_pump);

static mp_obj_t kick(void) {
    forced = kicked = true;
    zt_port_wake();
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_0(zt_kick_obj, kick);

MP_REGISTER_ROOT_POINTER(mp_obj_t zt_pump);
