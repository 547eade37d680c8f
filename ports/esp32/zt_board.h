// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// What our boards change of MicroPython's configuration for this port.

// The node's turn is scheduled from the stack's thread by a static node: it cannot overflow a queue, and
// scheduling it again while it waits changes nothing.
#define MICROPY_SCHEDULER_STATIC_NODES (1)

// At the chip's start, before Python's (zt_guard_esp32.c).
#define MICROPY_BOARD_STARTUP zt_esp32_startup
void zt_esp32_startup(void);

// A name's hash has one byte: no dictionary is long enough for a second one to matter.
#define MICROPY_QSTR_BYTES_IN_HASH (1)

// The node's turn runs on the program's stack. On the emulated board (rv32imc) it and a page served by microdot
// take 11 KB together; Xtensa's frames are larger, and upstream's 16 KB leave no room for that.
#define MICROPY_TASK_STACK_SIZE (24 * 1024)

// Bluetooth is not in our sdkconfig; ESP-NOW keeps a copy of Wi-Fi frames nobody reads.
#define MICROPY_PY_BLUETOOTH (0)
#define MICROPY_PY_ESPNOW (0)
