// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

#ifndef MICROPY_HW_BOARD_NAME // a variant has its own
#define MICROPY_HW_BOARD_NAME "microzt ESP32"
#endif
#define MICROPY_HW_MCU_NAME "ESP32"

#include "../../zt_board.h"
