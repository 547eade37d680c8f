// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// How a thread waits in this port. Every wait first gives the node its turn (the pump), then sleeps
// until the node's next deadline at the latest. The port implements it; may raise KeyboardInterrupt.

#ifndef ZT_WAIT_H
#define ZT_WAIT_H

#include <stdint.h>

// One turn of the pump, then one sleep of at most ms (-1: no limit of the caller's).
void zt_wait_once(int32_t ms);
// The same for one who waits for a socket: no sleep if the pump's turn may have made it ready.
void zt_wait_socket(int32_t ms);
// Pump and sleep until ms have passed.
void zt_wait_delay(uint32_t ms);

#endif
