// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// What a program on the bare RV32 machine has: a console that is a store to the serial port, a C library of
// three functions, and the count of instructions. Included once.

#ifndef BARE_H
#define BARE_H

#include <stddef.h>
#include <stdint.h>

#define SERIAL ((volatile char *)0x10000000)

typedef uint32_t __attribute__((may_alias)) word_t;

// Whole words where both ends allow it, as the C libraries of boards do.
void *memcpy(void *to, const void *from, size_t n) {
    uint8_t *t = to;
    const uint8_t *f = from;
    if ((((uintptr_t)t | (uintptr_t)f) & 3) == 0) {
        for (; n >= 4; n -= 4, t += 4, f += 4) {
            *(word_t *)t = *(const word_t *)f;
        }
    }
    while (n--) {
        *t++ = *f++;
    }
    return to;
}

void *memset(void *to, int value, size_t n) {
    uint8_t *t = to;
    if (((uintptr_t)t & 3) == 0) {
        for (; n >= 4; n -= 4, t += 4) {
            *(word_t *)t = 0x01010101U * (uint8_t)value;
        }
    }
    while (n--) {
        *t++ = (uint8_t)value;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t n) {
    const uint8_t *x = a;
    const uint8_t *y = b;
    for (; n--; x++, y++) {
        if (*x != *y) {
            return *x - *y;
        }
    }
    return 0;
}

static void print(const char *text) {
    while (*text) {
        *SERIAL = *text++;
    }
}

static void print_number(const char *name, uint32_t value) {
    char digits[11];
    int at = 10;
    digits[at] = 0;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    print(name);
    print(" ");
    print(digits + at);
    print("\n");
}

__attribute__((unused)) // not by every program
static void print_hex(const char *name, const uint8_t *bytes, size_t n) {
    print(name);
    print(" ");
    for (size_t i = 0; i < n; i++) {
        *SERIAL = "0123456789abcdef"[bytes[i] >> 4];
        *SERIAL = "0123456789abcdef"[bytes[i] & 15];
    }
    print("\n");
}

static inline uint32_t instructions(void) {
    uint32_t n;
    __asm__ volatile(".option push\n.option arch, +zicsr\ncsrr %0, minstret\n.option pop" : "=r"(n) : : "memory");
    return n;
}

#endif
