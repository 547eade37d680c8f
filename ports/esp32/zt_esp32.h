// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Between the two halves of the ESP32's port: zt_hal_esp32.c, which lives in lwIP's thread and knows nothing
// of MicroPython, and zt_pump_esp32.c, which lives in Python's.

#ifndef ZT_ESP32_H
#define ZT_ESP32_H

// From zt_pump_esp32.c. The interpreter's lock is let go and taken again, by a thread that holds it.
void zt_esp32_release(void);
void zt_esp32_acquire(void);
// Python shall have a turn; from any thread.
void zt_esp32_wake(void);

#endif
