// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// What a port gives to the parts that are the same on every board: the module _ztplane, the HAL over lwIP
// (zt_hal_lwip.c) and the network interfaces. The stack and the plane live in one context: the one thread
// of the unix port and the emulated board, lwIP's own thread on the ESP32. Whoever is elsewhere gets there
// by zt_port_enter and in no other way.

#ifndef ZT_PORT_H
#define ZT_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Runs fn(arg) in the stack's context, waits for it and returns its value. A plain call where Python is in
// that context already; else the interpreter's lock is released meanwhile, so fn must touch neither Python
// objects nor memory that a collection may move or free (arg may point into objects the caller holds).
// Does not nest: fn does not call it.
int zt_port_enter(int (*fn)(void *arg), void *arg);

// Milliseconds that never go back and wrap at 32 bits, from any context.
uint32_t zt_port_ms(void);

// n random bytes fit for keys. There is no second best: the port resets the board rather than return
// without them.
void zt_port_random(void *p, size_t n);

// Something waits for Python: an event of the plane, a frame, an echo reply. From the stack's context;
// many calls before Python's turn are one. Empty where the one who brings in traffic looks himself.
void zt_port_kick(void);

// Bytes never used so far of the stack that the stack's context has of its own, asked in that context; 0 if it
// has none.
uint32_t zt_port_stack_left(void);

// Firmware that is on trial is taken back in `ms` milliseconds from now, whatever Python does until then; 0: it
// is not. From Python's context. False where the firmware that runs is not on trial, and nothing happens.
bool zt_port_guard(uint32_t ms);

// Long-lived memory for tables, outside Python's heap; NULL if there is none.
void *zt_port_alloc(size_t n);
void zt_port_free(void *p);

#endif
