// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The objects that modzthal.c lists and does not define: the pump's, the port's, and of those some that only
// boards have and some that only the unix port has.

#ifndef ZT_HAL_PY_H
#define ZT_HAL_PY_H

#include "py/obj.h"

// ---- zt_pump.c ----
MP_DECLARE_CONST_FUN_OBJ_1(zt_set_pump_obj);
MP_DECLARE_CONST_FUN_OBJ_0(zt_kick_obj);

// ---- every port's own ----
// __init__(), called at each import: the first one after a reset of the interpreter forgets the run before.
MP_DECLARE_CONST_FUN_OBJ_0(zt_hal_init_obj);
// wait(ms): until a wire is readable, a kick or ms have passed (negative: no limit).
MP_DECLARE_CONST_FUN_OBJ_1(zt_wait_obj);
MP_DECLARE_CONST_FUN_OBJ_0(zt_interfaces_obj);
MP_DECLARE_CONST_FUN_OBJ_1(zt_random_obj);

#if ZT_BOARD
// ---- zt_hal_board.c ----
MP_DECLARE_CONST_FUN_OBJ_0(zt_wire_drops_obj);
MP_DECLARE_CONST_FUN_OBJ_0(zt_interfaces_serial_obj);
MP_DECLARE_CONST_FUN_OBJ_0(zt_stack_left_obj);
MP_DECLARE_CONST_FUN_OBJ_1(zt_guard_obj);

// The port's. Before the first call of zt_port_enter after a reset of the interpreter; may raise.
void zt_port_begin(void);
#else
// ---- ports/unix/variant ----
MP_DECLARE_CONST_FUN_OBJ_1(zt_watch_obj);
MP_DECLARE_CONST_FUN_OBJ_1(zt_unwatch_obj);
MP_DECLARE_CONST_FUN_OBJ_0(zt_sigterm_obj);
MP_DECLARE_CONST_FUN_OBJ_0(zt_tidy_obj);
MP_DECLARE_CONST_FUN_OBJ_3(zt_save_obj);
MP_DECLARE_CONST_FUN_OBJ_1(zt_lock_obj);
MP_DECLARE_CONST_FUN_OBJ_1(zt_unlock_obj);
MP_DECLARE_CONST_FUN_OBJ_2(zt_mkdir_obj);
MP_DECLARE_CONST_FUN_OBJ_2(zt_read_obj);
MP_DECLARE_CONST_FUN_OBJ_0(zt_poller_obj);
#endif

#endif
