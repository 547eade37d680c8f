// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// See zt_board.h.

#include <stdlib.h>
#include <string.h>

#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stackctrl.h"
#include "shared/runtime/interrupt_char.h"
#include "shared/runtime/pyexec.h"
#include "uart.h"
#include "zt_board.h"
#include "zt_flash.h"
#include "zt_netif.h"
#include "zt_port.h"
#include "zt_virtio.h"
#include "zt_wait.h"
#ifndef ZT_PLAIN
#include "zt_hal_py.h"
#include "zt_plane_port.h"
#include "zt_pump.h"
#endif

// Of the 24 KB; the rest is for C below the last check.
#define STACK_LIMIT (18 * 1024)

// ---- clock ----

#define MTIME ((volatile uint32_t *)0x0200bff8)
#define RTC ((volatile uint32_t *)0x00101000)
#define TICKS_PER_MS 10000

uint64_t zt_board_ticks(void) {
    uint32_t high, low;
    do {
        high = MTIME[1];
        low = MTIME[0];
    } while (high != MTIME[1]);
    return (uint64_t)high << 32 | low;
}

mp_uint_t mp_hal_ticks_ms(void) {
    return (mp_uint_t)(zt_board_ticks() / TICKS_PER_MS);
}

mp_uint_t mp_hal_ticks_us(void) {
    return (mp_uint_t)(zt_board_ticks() / 10);
}

mp_uint_t mp_hal_ticks_cpu(void) {
    return (mp_uint_t)zt_board_ticks();
}

uint64_t mp_hal_time_ns(void) {
    uint32_t low = RTC[0]; // latches the upper half
    return (uint64_t)RTC[1] << 32 | low;
}

uint32_t sys_now(void) {
    return (uint32_t)mp_hal_ticks_ms();
}

// ---- zt_port.h: one thread, and it is the stack's ----

int zt_port_enter(int (*fn)(void *arg), void *arg) {
    return fn(arg);
}

uint32_t zt_port_ms(void) {
    return sys_now();
}

void zt_port_begin(void) {
    // The board began before the interpreter did.
}

uint32_t zt_port_stack_left(void) {
    return 0;
}

void zt_port_kick(void) {
    // zt_board_poll looks after each turn of the card.
}

#ifndef ZT_PLAIN
void zt_port_wake(void) {
    // There is one thread: who kicks does not sleep.
}
#endif

void *zt_port_alloc(size_t n) {
    return malloc(n);
}

void zt_port_free(void *p) {
    free(p);
}

void zt_port_random(void *p, size_t n) {
    if (!zt_virtio_random(p, n)) {
        mp_hal_stdout_tx_str("board: no virtio-rng device; a node without randomness must not run\r\n");
        zt_board_halt(1);
    }
}

uint32_t zt_netif_random(void) {
    uint32_t r;
    zt_port_random(&r, sizeof(r));
    return r;
}

void zt_netif_assert(const char *what, const char *file, int line) {
    mp_printf(&mp_plat_print, "lwip: %s (%s:%d)\n", what, file, line);
    zt_board_halt(1);
}

// ---- the machine ----

static int semihost(int operation, void *block) {
    register int a0 __asm("a0") = operation;
    register void *a1 __asm("a1") = block;
    __asm volatile (
        ".option push\n"
        ".option norvc\n"
        ".balign 16\n"
        "slli zero, zero, 0x1f\n"
        "ebreak\n"
        "srai zero, zero, 7\n"
        ".option pop\n"
        : "+r" (a0) : "r" (a1) : "memory");
    return a0;
}

void zt_board_halt(int status) {
    uint32_t block[2] = { 0x20026, (uint32_t)status };
    for (;;) {
        semihost(0x20, block);
    }
}

const char *zt_board_arguments(void) {
    static char text[256];
    static bool known;
    if (!known) {
        known = true;
        uint32_t block[2] = { (uint32_t)(uintptr_t)text, sizeof(text) - 1 };
        if (semihost(0x15, block) != 0) {
            text[0] = 0;
        }
    }
    return text;
}

uint32_t zt_board_argument(const char *name, uint32_t otherwise) {
    size_t n = strlen(name);
    const char *p = zt_board_arguments();
    while ((p = strchr(p, ' ')) != NULL) {
        p++;
        if (strncmp(p, name, n) == 0 && p[n] == '=') {
            return (uint32_t)strtoul(p + n + 1, NULL, 10);
        }
    }
    return otherwise;
}

extern uint32_t _sstack[], _estack[]; // of the linker script
extern char __heap_end[];

uint32_t zt_board_stack_free(void) {
    size_t n = 0;
    while (n < ((uintptr_t)_estack - (uintptr_t)_sstack) / 4 && _sstack[n] == 0xbbbbbbbb) {
        n++; // upstream's start-up code wrote it
    }
    return (uint32_t)n * 4;
}

extern void *sbrk(ptrdiff_t n);

uint32_t zt_board_c_heap_free(void) {
    return (uint32_t)((uintptr_t)__heap_end - (uintptr_t)sbrk(0));
}

// ---- start ----

#ifndef ZT_PLAIN
uint32_t zt_board_budget;
#endif

static bool boot_due; // boot.py has not run since the last reset

void zt_board_init(void) {
    static bool once;
    mp_stack_set_limit(STACK_LIMIT);
    boot_due = true;
    #ifndef ZT_PLAIN
    zt_pump_reset();
    #endif
    if (!once) {
        once = true;
        zt_board_protect();
        zt_virtio_wake_init();
        #ifndef ZT_PLAIN
        zt_board_budget = zt_board_argument("budget", ZT_BOARD_BUDGET);
        zt_board_guard_begin(zt_board_argument("trial", 0));
        #endif
        zt_flash_cut(zt_board_argument("cut", 0), zt_board_argument("seed", 0));
    }
}

static int boot(void) {
    if (!boot_due) {
        return 0;
    }
    boot_due = false;
    pyexec_frozen_module("_boot.py", false);
    int result = pyexec_file_if_exists("boot.py");
    if ((result & PYEXEC_FORCED_EXIT) == 0 && pyexec_mode_kind == PYEXEC_MODE_FRIENDLY_REPL) {
        result = pyexec_file_if_exists("main.py");
    }
    return result & PYEXEC_FORCED_EXIT;
}

int zt_board_friendly_repl(void) {
    int exit = boot();
    return exit != 0 ? exit : pyexec_friendly_repl();
}

int zt_board_raw_repl(void) {
    int exit = boot();
    return exit != 0 ? exit : pyexec_raw_repl();
}

// ---- console ----

static uint8_t typed[128];
static unsigned typed_first, typed_count;
#define UART_IER (*(volatile uint8_t *)0x10000001u)

void zt_board_console(void) {
    #ifndef ZT_PLAIN
    zt_board_guard();
    #endif
    while (typed_count < sizeof(typed)) {
        int c = uart_rx_chr();
        if (c < 0) {
            UART_IER = 1; // the next one ends a wait
            return;
        }
        if (c == mp_interrupt_char) {
            typed_count = 0;
            mp_sched_keyboard_interrupt();
        } else {
            typed[(typed_first + typed_count++) % sizeof(typed)] = (uint8_t)c;
        }
    }
    UART_IER = 0; // nobody reads: do not let it keep us awake
}

int zt_board_rx_chr(void) {
    zt_board_console();
    if (typed_count == 0) {
        mp_event_wait_indefinite();
        zt_board_console();
    }
    if (typed_count == 0) {
        return -1;
    }
    int c = typed[typed_first];
    typed_first = (typed_first + 1) % sizeof(typed);
    typed_count--;
    return c;
}

// ---- waiting ----

static bool in_poll;
static int32_t lwip_ms = -1;
uint64_t zt_board_idle;

static int32_t sooner(int32_t a, int32_t b) {
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

static void stack_turn(void) {
    zt_lan_poll();
    #ifndef ZT_PLAIN
    zt_port_drain();
    #endif
    lwip_ms = zt_netif_poll();
}

void zt_board_poll(void) {
    zt_board_console();
    if (in_poll) {
        return;
    }
    in_poll = true;
    stack_turn();
    #ifndef ZT_PLAIN
    if (zt_pump_due()) {
        nlr_buf_t nlr;
        if (nlr_push(&nlr) == 0) {
            zt_pump_run();
            nlr_pop();
        } else {
            in_poll = false;
            nlr_jump(nlr.ret_val);
        }
        stack_turn();
    }
    #endif
    in_poll = false;
}

void zt_board_sleep(int ms) {
    #ifndef ZT_PLAIN
    ms = sooner(ms, zt_board_guard_ms());
    #endif
    if (!in_poll) {
        ms = sooner(ms, lwip_ms);
        #ifndef ZT_PLAIN
        ms = sooner(ms, zt_pump_next());
        #endif
    }
    uint8_t *frame;
    if (ms == 0 || typed_count != 0 || zt_virtio_net_receive(&frame) != 0) {
        return;
    }
    uint64_t before = zt_board_ticks();
    uint64_t end = ms < 0 ? UINT64_MAX : before + (uint64_t)ms * TICKS_PER_MS;
    zt_virtio_sleep(end);
    zt_board_idle += zt_board_ticks() - before;
}

void mp_hal_delay_us(mp_uint_t us) {
    uint64_t end = zt_board_ticks() + (uint64_t)us * 10;
    while (zt_board_ticks() < end) {
    }
}

void mp_hal_delay_ms(mp_uint_t ms) {
    zt_wait_delay(ms);
}

// ---- zt_wait.h ----

void zt_wait_once(int32_t ms) {
    zt_board_poll();
    mp_handle_pending(true);
    zt_board_sleep(ms);
}

void zt_wait_socket(int32_t ms) {
    uint32_t before = zt_netif_activity();
    zt_board_poll();
    mp_handle_pending(true);
    if (zt_netif_activity() == before) {
        zt_board_sleep(ms);
    }
}

void zt_wait_delay(uint32_t ms) {
    mp_uint_t start = mp_hal_ticks_ms();
    for (;;) {
        mp_uint_t gone = mp_hal_ticks_ms() - start;
        zt_board_poll();
        mp_handle_pending(true);
        if (gone >= ms) {
            return;
        }
        zt_board_sleep((int)MIN(ms - gone, 0x3fffffff));
    }
}

#ifndef ZT_PLAIN
// wait(ms): until there is something for the caller, a kick, or ms have passed.
static mp_obj_t wait(mp_obj_t ms_in) {
    mp_int_t ms = mp_obj_get_int(ms_in);
    mp_uint_t start = mp_hal_ticks_ms();
    for (;;) {
        zt_board_poll();
        mp_handle_pending(true);
        int32_t left = -1;
        if (ms >= 0) {
            mp_uint_t gone = mp_hal_ticks_ms() - start;
            left = gone >= (mp_uint_t)ms ? 0 : (int32_t)MIN((mp_uint_t)ms - gone, 0x3fffffff);
        }
        // Without a pump the caller is who processes what has come.
        bool work = !zt_pump_set() && zt_pump_waiting();
        if (zt_pump_kicked() || left == 0 || work) {
            return mp_const_none;
        }
        zt_board_sleep(left);
    }
}
MP_DEFINE_CONST_FUN_OBJ_1(zt_wait_obj, wait);
#endif
