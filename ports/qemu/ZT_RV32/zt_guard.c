// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The deadline of firmware on trial (zt_port.h). There is no boot loader here: the machine's argument trial=MS
// says at each start that the firmware is on trial. No interrupt is ever taken, so the deadline is looked for
// where Ctrl-C is: every 1,000 branches of a program, in every wait, at the prompt.

#include "zt_board.h"
#include "zt_port.h"

#define TICKS_PER_MS 10000
#define TEST_DEVICE (*(volatile uint32_t *)0x00100000u)
#define RESET 0x7777

static bool trial;
static uint64_t deadline; // in ticks; 0: none

bool zt_port_guard(uint32_t ms) {
    if (trial) {
        deadline = ms == 0 ? 0 : zt_board_ticks() + (uint64_t)ms * TICKS_PER_MS;
    }
    return trial;
}

void zt_board_guard_begin(uint32_t ms) {
    trial = ms != 0;
    zt_port_guard(ms);
}

int32_t zt_board_guard_ms(void) {
    if (deadline == 0) {
        return -1;
    }
    uint64_t now = zt_board_ticks();
    uint64_t left = now < deadline ? (deadline - now) / TICKS_PER_MS + 1 : 0;
    return left < 0x3fffffff ? (int32_t)left : 0x3fffffff;
}

void zt_board_guard(void) {
    if (deadline != 0 && zt_board_ticks() >= deadline) {
        for (;;) {
            TEST_DEVICE = RESET;
        }
    }
}
