// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

#define MICROPY_HW_BOARD_NAME "microzt ESP32-C3"
#define MICROPY_HW_MCU_NAME "ESP32C3"

// The REPL is on the UART as well, for modules with a USB-UART chip.
#define MICROPY_HW_ENABLE_UART_REPL (1)

#include "../../zt_board.h"
