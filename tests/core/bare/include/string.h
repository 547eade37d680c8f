// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// What the core and its tests use of the C library; ../bare.c has it.

#ifndef BARE_STRING_H
#define BARE_STRING_H

#include <stddef.h>

void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *text);

#endif
