// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// LANES blocks of Salsa20 side by side, block k in lane k: the rounds of zt_salsa20_round.h on vectors, then
// a transposition that brings each block's words together. Included once for each number of lanes, with
// LANES, NAME and TARGET defined; vectors are the compiler's own, without intrinsics.

typedef uint32_t VECTOR __attribute__((vector_size(4 * LANES)));

#if LANES == 8
#define IOTA {0, 1, 2, 3, 4, 5, 6, 7}
#define LOW32(a, b) SHUFFLE(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define HIGH32(a, b) SHUFFLE(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define LOW64(a, b) SHUFFLE(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define HIGH64(a, b) SHUFFLE(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#define LOW128(a, b) SHUFFLE(a, b, 0, 1, 2, 3, 8, 9, 10, 11)
#define HIGH128(a, b) SHUFFLE(a, b, 4, 5, 6, 7, 12, 13, 14, 15)
#else
#define IOTA {0, 1, 2, 3}
#define LOW32(a, b) SHUFFLE(a, b, 0, 4, 1, 5)
#define HIGH32(a, b) SHUFFLE(a, b, 2, 6, 3, 7)
#define LOW64(a, b) SHUFFLE(a, b, 0, 1, 4, 5)
#define HIGH64(a, b) SHUFFLE(a, b, 2, 3, 6, 7)
#endif

// Four vectors of one word of LANES blocks become four words of each block.
#define TRANSPOSE(a, b, c, d) \
    do { \
        const VECTOR low_ab = LOW32(a, b), low_cd = LOW32(c, d); \
        const VECTOR high_ab = HIGH32(a, b), high_cd = HIGH32(c, d); \
        a = LOW64(low_ab, low_cd); \
        b = HIGH64(low_ab, low_cd); \
        c = LOW64(high_ab, high_cd); \
        d = HIGH64(high_ab, high_cd); \
    } while (0)

#define XOR_INTO(at, v) \
    do { \
        VECTOR text; \
        memcpy(&text, buf + (at), sizeof(text)); \
        text ^= v; \
        memcpy(buf + (at), &text, sizeof(text)); \
    } while (0)

// XORs the next LANES blocks of key stream into 64 * LANES bytes.
TARGET static void NAME(zt_salsa20_t *s, unsigned rounds, uint8_t *buf) {
    const uint32_t *w = s->word;
    const VECTOR zero = {0};
    const VECTOR low = (zero + w[8]) + (VECTOR)IOTA;
    const VECTOR high = (zero + w[9]) - (VECTOR)(low < w[8]); // true is -1
    VECTOR x0 = zero + w[0], x1 = zero + w[1], x2 = zero + w[2], x3 = zero + w[3], x4 = zero + w[4],
           x5 = zero + w[5], x6 = zero + w[6], x7 = zero + w[7], x8 = low, x9 = high,
           x10 = zero + w[10], x11 = zero + w[11], x12 = zero + w[12], x13 = zero + w[13],
           x14 = zero + w[14], x15 = zero + w[15];
    for (unsigned i = rounds; i; i -= 2) {
        ZT_DOUBLE_ROUND();
    }
#define ADD(i, xi) xi += (i) == 8 ? low : (i) == 9 ? high : zero + w[i]
    ZT_EACH_WORD(ADD);
#undef ADD
    TRANSPOSE(x0, x1, x2, x3);
    TRANSPOSE(x4, x5, x6, x7);
    TRANSPOSE(x8, x9, x10, x11);
    TRANSPOSE(x12, x13, x14, x15);
#if LANES == 8
    XOR_INTO(0, LOW128(x0, x4));
    XOR_INTO(32, LOW128(x8, x12));
    XOR_INTO(64, LOW128(x1, x5));
    XOR_INTO(96, LOW128(x9, x13));
    XOR_INTO(128, LOW128(x2, x6));
    XOR_INTO(160, LOW128(x10, x14));
    XOR_INTO(192, LOW128(x3, x7));
    XOR_INTO(224, LOW128(x11, x15));
    XOR_INTO(256, HIGH128(x0, x4));
    XOR_INTO(288, HIGH128(x8, x12));
    XOR_INTO(320, HIGH128(x1, x5));
    XOR_INTO(352, HIGH128(x9, x13));
    XOR_INTO(384, HIGH128(x2, x6));
    XOR_INTO(416, HIGH128(x10, x14));
    XOR_INTO(448, HIGH128(x3, x7));
    XOR_INTO(480, HIGH128(x11, x15));
#else
    XOR_INTO(0, x0);
    XOR_INTO(16, x4);
    XOR_INTO(32, x8);
    XOR_INTO(48, x12);
    XOR_INTO(64, x1);
    XOR_INTO(80, x5);
    XOR_INTO(96, x9);
    XOR_INTO(112, x13);
    XOR_INTO(128, x2);
    XOR_INTO(144, x6);
    XOR_INTO(160, x10);
    XOR_INTO(176, x14);
    XOR_INTO(192, x3);
    XOR_INTO(208, x7);
    XOR_INTO(224, x11);
    XOR_INTO(240, x15);
#endif
    count_blocks(s, LANES);
}

#undef IOTA
#undef LOW32
#undef HIGH32
#undef LOW64
#undef HIGH64
#undef LOW128
#undef HIGH128
#undef TRANSPOSE
#undef XOR_INTO
#undef VECTOR
#undef LANES
#undef NAME
#undef TARGET
