// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The board below the interpreter: start, console, clock, waiting, arguments.
//
// Upstream's main program goes straight to the prompt and its console knows no background. Two of its files
// are compiled with calls renamed to those marked "for upstream", nothing else of them is changed.

#ifndef ZT_BOARD_H
#define ZT_BOARD_H

#include <stdbool.h>
#include <stdint.h>

// At each start of the interpreter.
void zt_board_init(void);
// One turn of the network card, lwIP's timers and the node; not entered again from within.
void zt_board_poll(void);
// Sleep until a device has something, the next deadline of lwIP or the node, or ms (-1: no limit).
void zt_board_sleep(int ms);
// Take in what was typed; Ctrl-C interrupts a program.
void zt_board_console(void);

// For upstream: the prompt, after boot.py and (outside the raw prompt) main.py.
int zt_board_friendly_repl(void);
int zt_board_raw_repl(void);
// For upstream: a typed character, or -1 after a turn and a sleep.
int zt_board_rx_chr(void);

// The text given to the machine by -append.
const char *zt_board_arguments(void);
// The decimal number behind "name=" in it, else `otherwise`.
uint32_t zt_board_argument(const char *name, uint32_t otherwise);
// Stop the machine; QEMU exits with this status.
void zt_board_halt(int status) __attribute__((noreturn));

// Ticks of 100 ns since the start; those spent asleep.
uint64_t zt_board_ticks(void);
extern uint64_t zt_board_idle;
// Bytes of the stack that were never used.
uint32_t zt_board_stack_free(void);
// Bytes of the C heap: never handed out by the allocator's end.
uint32_t zt_board_c_heap_free(void);

// ---- zt_guard.c ----
// The firmware is on trial for ms from now; 0: it is not.
void zt_board_guard_begin(uint32_t ms);
// Reset the machine if the deadline has passed.
void zt_board_guard(void);
// Until then, at most; -1 where there is none.
int32_t zt_board_guard_ms(void);

// ---- zt_protect.c ----
// Make the flash read-only until the machine is reset; a store to it then stops the machine with this status.
void zt_board_protect(void);
#define ZT_BOARD_FAULT 76

// ---- zt_lan.c ----
// Bring what the card received to the stack.
void zt_lan_poll(void);

#endif
