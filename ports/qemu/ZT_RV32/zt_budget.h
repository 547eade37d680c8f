// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// How much may be decrypted in a stretch of time (firmware/netif/zt_netif_limits.h). An emulator is faster
// than the board it stands for; the machine's argument budget=N sets other bytes. Every C file includes this.

#if !defined(ZT_BUDGET_H) && !defined(__ASSEMBLER__)
#define ZT_BUDGET_H

#include <stdint.h>

extern uint32_t zt_board_budget;

#define ZT_BOARD_BUDGET (1024 * 1024)
#define ZT_HAL_BUDGET zt_board_budget
#define ZT_HAL_BUDGET_MS 20

#endif
