// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// What the tests of the core use of the C library: files that are read from their beginning, and whole
// lines. ../bare.c has it.

#ifndef BARE_STDIO_H
#define BARE_STDIO_H

#include <stddef.h>

typedef struct bare_file FILE;

FILE *fopen(const char *path, const char *mode);
size_t fread(void *to, size_t size, size_t count, FILE *f);
int fclose(FILE *f);
int puts(const char *text);

#endif
