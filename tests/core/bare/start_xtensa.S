// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The first thing that runs on Xtensa (the compiler cannot have it as text in a C file).

    .text
    .globl _start
    .align 4
_start:
    movi a0, 0 // the caller of nobody
    mov a10, a1
    movi a8, bare_main
    callx8 a8
