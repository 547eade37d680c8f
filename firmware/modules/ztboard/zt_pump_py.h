// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// What the files of this module show to each other, and what a port adds to _zthal.

#ifndef ZT_PUMP_PY_H
#define ZT_PUMP_PY_H

#include "py/obj.h"

MP_DECLARE_CONST_FUN_OBJ_1(zt_set_pump_obj);
MP_DECLARE_CONST_FUN_OBJ_0(zt_kick_obj);

// The port's. Before the first call of zt_port_enter after a reset of the interpreter; may raise.
void zt_port_begin(void);
// Until a wire is readable, a kick or ms have passed (negative: no limit).
MP_DECLARE_CONST_FUN_OBJ_1(zt_wait_obj);

#endif
