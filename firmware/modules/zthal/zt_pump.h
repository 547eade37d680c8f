// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The node's turn in Python (set_pump): when it is due and how it is called. Who waits, and how, is the
// port's: in every wait on the unix port and the emulated board, a scheduled callback on the ESP32. Python's
// context only, but for zt_pump_running.

#ifndef ZT_PUMP_H
#define ZT_PUMP_H

#include <stdbool.h>
#include <stdint.h>

// Nothing of the interpreter's last run is left.
void zt_pump_reset(void);
// There is a pump.
bool zt_pump_set(void);
// Does something wait for Python: an event of the plane, a frame, an echo reply, or what the port has?
bool zt_pump_waiting(void);
// Is it Python's turn: asked for, something waits for it, or its own deadline has come?
bool zt_pump_due(void);
// ms until then; 0 now, -1 not by itself (no pump, or inside it).
int32_t zt_pump_next(void);
// Calls the pump, if there is one. Its exceptions are printed once and cost a pause; KeyboardInterrupt and
// SystemExit pass.
void zt_pump_run(void);
// The last turn ended in an exception: the next one is by its time, not by what waits.
bool zt_pump_failed(void);
// True inside zt_pump_run, which is not entered again from within. A signal handler may ask.
bool zt_pump_running(void);
// Makes the next turn due.
void zt_pump_ask(void);
// kick() was called since the last time: ends a wait.
bool zt_pump_kicked(void);

// From the port: ends a wait that sleeps, or will.
void zt_port_wake(void);

#endif
