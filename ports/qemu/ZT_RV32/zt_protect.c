// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The flash cannot be written to by storing to it, as on a chip: the processor's memory protection (PMP) makes
// the region of the linker script read-only, machine mode included, until the machine is reset. And what is
// said when the processor stops at that, or at any other fault.

#include "py/mphal.h"
#include "py/mpprint.h"
#include "zt_board.h"

extern char _rom_start[], _rom_size[]; // of the linker script: a power of two, aligned to it

#define LOCKED_NAPOT_RX 0x9d // L, A = NAPOT, X, R

void zt_board_protect(void) {
    uintptr_t region = (uintptr_t)_rom_start >> 2 | (((uintptr_t)_rom_size >> 3) - 1);
    __asm volatile (
        "csrw pmpaddr0, %0\n"
        "csrw pmpcfg0, %1\n"
        : : "r" (region), "r" (LOCKED_NAPOT_RX) : "memory");
}

// In place of upstream's, whose registers go to a stdio that this firmware has not. Stops the machine with
// ZT_BOARD_FAULT; uses 200 bytes of the stack it finds.
void mtvec_exception(void) __attribute__((interrupt("machine"), aligned(4)));

void mtvec_exception(void) {
    uint32_t cause, at, address;
    __asm volatile (
        "csrr %0, mcause\n"
        "csrr %1, mepc\n"
        "csrr %2, mtval\n"
        : "=r" (cause), "=r" (at), "=r" (address));
    const char *what = cause == 7 ? "a write to the flash or to nowhere" : "a fault of the processor";
    mp_printf(&mp_plat_print, "board: %s: cause %u, at %08x, address %08x\r\n", what, (unsigned)cause,
        (unsigned)at, (unsigned)address);
    zt_board_halt(ZT_BOARD_FAULT);
}
