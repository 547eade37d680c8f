// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The unix port's HAL header, with its sleeps replaced by ours.

#ifndef ZT_MPHALPORT_H
#define ZT_MPHALPORT_H

#include "ports/unix/mphalport.h"
#include "zt_wait.h"

#undef MICROPY_INTERNAL_WFE
#define MICROPY_INTERNAL_WFE(ms) zt_wait_once((mp_int_t)(ms) < 0 ? -1 : (int32_t)(ms))

#define mp_hal_delay_ms(ms) zt_wait_delay(ms)

#endif
