// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Byte-wise loads and stores (no alignment assumed), wiping, and comparing without telling where.
// Everything here is constant time in the bytes; only lengths are public.

#ifndef ZT_BYTES_H
#define ZT_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Machines that store the low byte first but load words only from multiples of four: there, loading
// bytes costs ten instructions a word, and the hot loops load aligned words and shift. 1 or 0 may be
// given to the compiler, for tests.
#ifndef ZT_ALIGNED_WORDS
#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && (defined(__riscv) || defined(__XTENSA__))
#define ZT_ALIGNED_WORDS 1
#else
#define ZT_ALIGNED_WORDS 0
#endif
#endif
#if ZT_ALIGNED_WORDS
typedef uint32_t __attribute__((may_alias)) zt_word_t;
#endif

// Marks a value that depends on a secret but is meant to be seen (a verdict, a public key), for the
// run under valgrind in tests/core that takes every other branch on a secret for a bug.
#ifdef ZT_CTGRIND
#include <valgrind/memcheck.h>
#define ZT_DECLASSIFY(p, n) ((void)VALGRIND_MAKE_MEM_DEFINED((p), (n)))
#elif defined(ZT_NOTICE) // a test counts instructions up to these places
void zt_notice(void);
#define ZT_DECLASSIFY(p, n) zt_notice()
#else
#define ZT_DECLASSIFY(p, n) ((void)0)
#endif

static inline uint32_t zt_load32_le(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline void zt_store32_le(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
}

static inline uint64_t zt_load64_le(const uint8_t *p) {
    return (uint64_t)zt_load32_le(p) | (uint64_t)zt_load32_le(p + 4) << 32;
}

static inline void zt_store64_le(uint8_t *p, uint64_t v) {
    zt_store32_le(p, (uint32_t)v);
    zt_store32_le(p + 4, (uint32_t)(v >> 32));
}

static inline uint64_t zt_load64_be(const uint8_t *p) {
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

static inline void zt_store64_be(uint8_t *p, uint64_t v) {
    for (int i = 7; i >= 0; i--) {
        p[i] = (uint8_t)v;
        v >>= 8;
    }
}

// to ^= from. They may be the same, else they must not overlap.
static inline void zt_xor(uint8_t *to, const uint8_t *from, size_t n) {
    for (; n >= 8; n -= 8, to += 8, from += 8) {
        zt_store64_le(to, zt_load64_le(to) ^ zt_load64_le(from));
    }
    for (size_t i = 0; i < n; i++) {
        to[i] ^= from[i];
    }
}

// Zero n bytes in a way the compiler may not remove: it must suppose that the empty assembly reads them.
static inline void zt_wipe(void *p, size_t n) {
#ifdef __GNUC__
    memset(p, 0, n);
    __asm__ volatile("" : : "r"(p) : "memory");
#else
    volatile uint8_t *b = (volatile uint8_t *)p;
    for (size_t i = 0; i < n; i++) {
        b[i] = 0;
    }
#endif
}

// Returns 0 if equal, -1 otherwise.
static inline int zt_compare(const uint8_t *a, const uint8_t *b, size_t n) {
    uint32_t diff = 0;
    for (size_t i = 0; i < n; i++) {
        diff |= (uint32_t)(a[i] ^ b[i]);
    }
    return (int)(1 & ((diff - 1) >> 8)) - 1;
}

// All ones for bit 1, zero for bit 0. The empty assembly keeps the compiler from learning that only
// two values are possible, and so from turning the mask back into a branch.
static inline uint32_t zt_mask(uint32_t bit) {
    uint32_t mask = (uint32_t)0 - bit;
#ifdef __GNUC__
    __asm__ volatile("" : "+r"(mask));
#endif
    return mask;
}

#endif
