// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Lines of output without printf: the compiler for Xtensa (LLVM 22) gets functions with "..." wrong.

#ifndef LINE_H
#define LINE_H

#include <stdint.h>
#include <stdio.h>

typedef struct {
    char text[128];
    unsigned n;
} line_t;

static inline void line_add(line_t *line, const char *text) {
    while (*text && line->n < sizeof line->text - 1) {
        line->text[line->n++] = *text++;
    }
}

static inline void line_number(line_t *line, uint64_t value, unsigned base, unsigned width) {
    char digits[24];
    unsigned at = sizeof digits - 1;
    digits[at] = 0;
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (at > 0 && (value || sizeof digits - 1 - at < width));
    line_add(line, digits + at);
}

static inline void line_end(line_t *line) {
    line->text[line->n] = 0;
    puts(line->text);
    line->n = 0;
}

// How many inputs, and the digest of what came of them.
static inline void line_digest(unsigned inputs, uint64_t digest) {
    line_t line = {{0}, 0};
    line_number(&line, inputs, 10, 0);
    line_add(&line, " ");
    line_number(&line, digest, 16, 16);
    line_end(&line);
}

#endif
