// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

#ifndef MICROPY_HW_BOARD_NAME // a variant has its own
#define MICROPY_HW_BOARD_NAME "microzt ESP32-S3"
#endif
#define MICROPY_HW_MCU_NAME "ESP32S3"

// The REPL is on the UART as well, for modules with a USB-UART chip.
#define MICROPY_HW_ENABLE_UART_REPL (1)

#include "../../zt_board.h"
