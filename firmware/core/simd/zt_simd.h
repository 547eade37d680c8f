// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The one place that chooses between the portable code and that for wide registers. Each function does as
// much as pays and returns how much; the portable code, which is the reference and what boards run, does
// the rest. ZT_PORTABLE leaves all of it out, ZT_NO_AVX2 only what is chosen at run time, ZT_NO_AVX512 of
// that only the last step.

#ifndef ZT_SIMD_H
#define ZT_SIMD_H

#include "../zt_poly1305.h"
#include "../zt_salsa20.h"

#if defined(__GNUC__) && !defined(ZT_PORTABLE)
#if defined(__SSE2__) || (defined(__aarch64__) && !defined(__AARCH64EB__))
#define ZT_SIMD_SALSA20 1
#endif
#if defined(__SIZEOF_INT128__)
#define ZT_SIMD_POLY1305 1
#endif
#if defined(__x86_64__) && !defined(ZT_NO_AVX2)
#define ZT_SIMD_AVX2 1
#if !defined(ZT_NO_AVX512)
#define ZT_SIMD_AVX512 1
#endif
#endif
#endif

#if ZT_SIMD_AVX2
// The compiler's own record of the processor, filled in before main: a load and a test.
static inline int zt_has_avx2(void) {
    return __builtin_cpu_supports("avx2");
}
#endif

// Of AVX-512 only rotations and the upper 16 registers, on vectors of 128 and 256 bits: no processor clocks
// down for that.
#if ZT_SIMD_AVX512
static inline int zt_has_avx512vl(void) {
    return __builtin_cpu_supports("avx512vl");
}
#endif

// As zt_salsa20_xor, for the first bytes of the buffer; returns how many, all of them or a multiple of 64.
#if ZT_SIMD_SALSA20
#define ZT_SALSA20_WIDE 8 // blocks that are made at once
size_t zt_salsa20_xor_wide(zt_salsa20_t *s, unsigned rounds, uint8_t *buf, size_t n);
#else
#define ZT_SALSA20_WIDE 1
static inline size_t zt_salsa20_xor_wide(zt_salsa20_t *s, unsigned rounds, uint8_t *buf, size_t n) {
    (void)s;
    (void)rounds;
    (void)buf;
    (void)n;
    return 0;
}
#endif

// The first two blocks of key stream of so many ciphers at once, which are all at block 0: -1 where that does
// not pay.
#if ZT_SIMD_AVX2
#define ZT_SALSA20_STREAMS 4
int zt_salsa20_streams(const zt_salsa20_t s[ZT_SALSA20_STREAMS], unsigned rounds,
                       uint8_t out[ZT_SALSA20_STREAMS][128]);
#endif

// Takes all the blocks; `top` is 1, or 0 for a last one that is short.
#if ZT_SIMD_POLY1305
void zt_poly1305_blocks_wide(zt_poly1305_t *p, const uint8_t *data, size_t count, uint32_t top);
#endif

#endif
