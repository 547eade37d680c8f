// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Entry of the bare RV32 image on the emulator's "virt" machine: a stack, cleared variables, main, and
// main's result to the device that ends the emulator.

    .section .entry, "ax"
    .globl _start
_start:
    .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    la sp, _stack
    la t0, _bss
    la t1, _end
1:  bgeu t0, t1, 2f
    sw zero, 0(t0)
    addi t0, t0, 4
    j 1b
2:  call main
    li t0, 0x100000 // "test finisher": 0x5555 is success, 0x3333 and an exit code is failure
    li t1, 0x5555
    beqz a0, 3f
    slli a0, a0, 16
    li t1, 0x3333
    or t1, t1, a0
3:  sw t1, 0(t0)
4:  j 4b
