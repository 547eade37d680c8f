// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// What zt_guard_esp32.c needs of MicroPython's: of its port, and of our zt_board.h.

#ifndef MPCONFIG_H
#define MPCONFIG_H

void boardctrl_startup(void);
void zt_esp32_startup(void);

#endif
