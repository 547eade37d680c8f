// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The node's turn in Python (set_pump): when it is due and how it is called. Who waits, and how, is the
// port's: a hook in every wait on the emulated board, a scheduled callback on the ESP32. Python's context
// only.

#ifndef ZT_PUMP_H
#define ZT_PUMP_H

#include <stdbool.h>
#include <stdint.h>

// Nothing of the interpreter's last run is left.
void zt_pump_reset(void);
// Is it Python's turn: asked for by kick(), something waits for it, or its own deadline has come?
bool zt_pump_due(void);
// Calls the pump, if there is one. Its exceptions are printed once; KeyboardInterrupt and SystemExit pass.
void zt_pump_run(void);
// True inside zt_pump_run: it is not entered again from within.
bool zt_pump_running(void);
// There is a pump.
bool zt_pump_set(void);
// ms until the pump is due by its own deadline; -1 none, 0 something waits for it already.
int32_t zt_pump_next(void);
// kick() was called since the last time: ends a wait.
bool zt_pump_kicked(void);

#endif
