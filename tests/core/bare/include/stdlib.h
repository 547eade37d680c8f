// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// What the tests of the core use of the C library (the core uses nothing of this); ../bare.c has it.

#ifndef BARE_STDLIB_H
#define BARE_STDLIB_H

#include <stddef.h>

void *malloc(size_t n);
void *calloc(size_t count, size_t n);
void *realloc(void *p, size_t n);
void free(void *p);
void abort(void) __attribute__((noreturn));

#endif
