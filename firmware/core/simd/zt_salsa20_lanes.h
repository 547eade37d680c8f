// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// LANES blocks of Salsa20 side by side, block k in lane k: the rounds of zt_salsa20_round.h on vectors, then
// a transposition that brings each block's words together. Included once for each number of lanes, with
// LANES, NAME, VECTOR and TARGET (and, with eight, STREAMS) defined; vectors are the compiler's own, without intrinsics.

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

// DO(place, vector) for all that the blocks are made of, once the words are transposed.
#if LANES == 8
#define EACH_PIECE(DO) \
    do { \
        DO(0, LOW128(x0, x4)); \
        DO(32, LOW128(x8, x12)); \
        DO(64, LOW128(x1, x5)); \
        DO(96, LOW128(x9, x13)); \
        DO(128, LOW128(x2, x6)); \
        DO(160, LOW128(x10, x14)); \
        DO(192, LOW128(x3, x7)); \
        DO(224, LOW128(x11, x15)); \
        DO(256, HIGH128(x0, x4)); \
        DO(288, HIGH128(x8, x12)); \
        DO(320, HIGH128(x1, x5)); \
        DO(352, HIGH128(x9, x13)); \
        DO(384, HIGH128(x2, x6)); \
        DO(416, HIGH128(x10, x14)); \
        DO(448, HIGH128(x3, x7)); \
        DO(480, HIGH128(x11, x15)); \
    } while (0)
#else
#define EACH_PIECE(DO) \
    do { \
        DO(0, x0); \
        DO(16, x4); \
        DO(32, x8); \
        DO(48, x12); \
        DO(64, x1); \
        DO(80, x5); \
        DO(96, x9); \
        DO(112, x13); \
        DO(128, x2); \
        DO(144, x6); \
        DO(160, x10); \
        DO(176, x14); \
        DO(192, x3); \
        DO(208, x7); \
        DO(224, x11); \
        DO(240, x15); \
    } while (0)
#endif

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
    EACH_PIECE(XOR_INTO);
    count_blocks(s, LANES);
}

#ifdef STREAMS
#define PUT(at, v) \
    do { \
        const VECTOR piece = v; \
        memcpy(buf + (at), &piece, sizeof(piece)); \
    } while (0)

// The first two blocks of LANES / 2 ciphers that all begin at block 0, one cipher's after the other's.
TARGET static void STREAMS(const zt_salsa20_t *s, unsigned rounds, uint8_t *buf) {
#define LOAD(i, xi) \
    VECTOR xi = {s[0].word[i], s[0].word[i], s[1].word[i], s[1].word[i], \
                 s[2].word[i], s[2].word[i], s[3].word[i], s[3].word[i]}; \
    xi += (i) == 8 ? (VECTOR){0, 1, 0, 1, 0, 1, 0, 1} : (VECTOR){0}; \
    const VECTOR in##xi = xi
    LOAD(0, x0);
    LOAD(1, x1);
    LOAD(2, x2);
    LOAD(3, x3);
    LOAD(4, x4);
    LOAD(5, x5);
    LOAD(6, x6);
    LOAD(7, x7);
    LOAD(8, x8);
    LOAD(9, x9);
    LOAD(10, x10);
    LOAD(11, x11);
    LOAD(12, x12);
    LOAD(13, x13);
    LOAD(14, x14);
    LOAD(15, x15);
#undef LOAD
    for (unsigned i = rounds; i; i -= 2) {
        ZT_DOUBLE_ROUND();
    }
#define ADD(i, xi) xi += in##xi
    ZT_EACH_WORD(ADD);
#undef ADD
    TRANSPOSE(x0, x1, x2, x3);
    TRANSPOSE(x4, x5, x6, x7);
    TRANSPOSE(x8, x9, x10, x11);
    TRANSPOSE(x12, x13, x14, x15);
    EACH_PIECE(PUT);
}

#undef PUT
#undef STREAMS
#endif

#undef IOTA
#undef LOW32
#undef HIGH32
#undef LOW64
#undef HIGH64
#undef LOW128
#undef HIGH128
#undef TRANSPOSE
#undef XOR_INTO
#undef EACH_PIECE
#undef VECTOR
#undef LANES
#undef NAME
#undef TARGET
