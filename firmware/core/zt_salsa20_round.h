// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The rounds of Salsa20 over sixteen variables x0 to x15, plain words or vectors of them. Sixteen
// variables and not an array: that is what makes compilers keep them in registers.

#ifndef ZT_SALSA20_ROUND_H
#define ZT_SALSA20_ROUND_H

#define ZT_ROTL(v, n) ((v) << (n) | (v) >> (32 - (n)))
#define ZT_QUARTER(a, b, c, d) \
    do { \
        b ^= ZT_ROTL(a + d, 7); \
        c ^= ZT_ROTL(b + a, 9); \
        d ^= ZT_ROTL(c + b, 13); \
        a ^= ZT_ROTL(d + c, 18); \
    } while (0)
#define ZT_DOUBLE_ROUND() \
    do { \
        ZT_QUARTER(x0, x4, x8, x12); \
        ZT_QUARTER(x5, x9, x13, x1); \
        ZT_QUARTER(x10, x14, x2, x6); \
        ZT_QUARTER(x15, x3, x7, x11); \
        ZT_QUARTER(x0, x1, x2, x3); \
        ZT_QUARTER(x5, x6, x7, x4); \
        ZT_QUARTER(x10, x11, x8, x9); \
        ZT_QUARTER(x15, x12, x13, x14); \
    } while (0)

// DO(i, xi) for each of the sixteen.
#define ZT_EACH_WORD(DO) \
    do { \
        DO(0, x0); \
        DO(1, x1); \
        DO(2, x2); \
        DO(3, x3); \
        DO(4, x4); \
        DO(5, x5); \
        DO(6, x6); \
        DO(7, x7); \
        DO(8, x8); \
        DO(9, x9); \
        DO(10, x10); \
        DO(11, x11); \
        DO(12, x12); \
        DO(13, x13); \
        DO(14, x14); \
        DO(15, x15); \
    } while (0)

#endif
