// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Upstream's configuration of ports/qemu, with what a board on a network has and that one leaves off.

#include "ports/qemu/mpconfigport.h"

#undef MICROPY_PY_SYS_PLATFORM
#define MICROPY_PY_SYS_PLATFORM "microzt-rv32"
#undef MICROPY_PY_SYS_STDIO_BUFFER
#define MICROPY_PY_SYS_STDIO_BUFFER (1)
#undef MICROPY_PY_SELECT
#define MICROPY_PY_SELECT (1)
#undef MICROPY_PY_ASYNCIO
#define MICROPY_PY_ASYNCIO (1)

#undef MICROPY_PY_TIME
#define MICROPY_PY_TIME (1)
#define MICROPY_PY_TIME_GMTIME_LOCALTIME_MKTIME (1)
#define MICROPY_PY_TIME_TIME_TIME_NS (1)
#define MICROPY_PY_TIME_INCLUDEFILE "zt_modtime.h"
#define MICROPY_EPOCH_IS_1970 (1)

#define MICROPY_PY_OS_INCLUDEFILE "zt_modos.h"
#define MICROPY_PY_OS_UNAME (1)
#define MICROPY_PY_OS_URANDOM (1)

// Every wait of the interpreter gives the stack and the node a turn and sleeps until there is work.
#define MICROPY_ENABLE_SCHEDULER (1)
extern void zt_board_poll(void);
extern void zt_board_sleep(int ms);
#define MICROPY_INTERNAL_EVENT_HOOK zt_board_poll()
#define MICROPY_INTERNAL_WFE(ms) zt_board_sleep((int)(ms))

// Ctrl-C reaches a program that never waits.
extern void zt_board_console(void);
#define MICROPY_VM_HOOK_COUNT (1000)
#define MICROPY_VM_HOOK_INIT static unsigned vm_hook_left = MICROPY_VM_HOOK_COUNT;
#define MICROPY_VM_HOOK_POLL \
    if (--vm_hook_left == 0) { \
        vm_hook_left = MICROPY_VM_HOOK_COUNT; \
        zt_board_console(); \
    }
#define MICROPY_VM_HOOK_LOOP MICROPY_VM_HOOK_POLL
#define MICROPY_VM_HOOK_RETURN MICROPY_VM_HOOK_POLL

// Called at each start of the interpreter, the soft reset included.
extern void zt_board_init(void);
#define MICROPY_PORT_INIT_FUNC zt_board_init()
