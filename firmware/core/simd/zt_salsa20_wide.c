// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Salsa20, four blocks side by side in 128-bit registers and, where the processor has AVX2, eight in
// those of 256; both once more where it has AVX-512VL, whose rotations and registers save a third of the
// instructions. Constant time. What the compiler spills of the vectors is not wiped, as it is not of words.

#include "zt_simd.h"

#if ZT_SIMD_SALSA20

#include "../zt_bytes.h"
#include "../zt_salsa20_round.h"

#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (VECTOR){__VA_ARGS__})
#endif

static inline void count_blocks(zt_salsa20_t *s, uint32_t n) {
    s->word[8] += n;
    s->word[9] += s->word[8] < n;
}

#define LANES 4
#define NAME four_blocks
#define TARGET
#define VECTOR four_t
#include "zt_salsa20_lanes.h"

#if ZT_SIMD_AVX2
#define LANES 8
#define NAME eight_blocks
#define STREAMS four_streams
#define TARGET __attribute__((target("avx2")))
#define VECTOR eight_t
#include "zt_salsa20_lanes.h"
#endif

#if ZT_SIMD_AVX512
#define LANES 4
#define NAME four_blocks_vl
#define TARGET __attribute__((target("avx512vl")))
#define VECTOR four_vl_t
#include "zt_salsa20_lanes.h"

#define LANES 8
#define NAME eight_blocks_vl
#define STREAMS four_streams_vl
#define TARGET __attribute__((target("avx512vl")))
#define VECTOR eight_vl_t
#include "zt_salsa20_lanes.h"
#endif

typedef void blocks_t(zt_salsa20_t *, unsigned, uint8_t *);

// The last n bytes, up to 64 * LANES: the key stream is made aside.
static size_t xor_part(zt_salsa20_t *s, unsigned rounds, uint8_t *buf, size_t n,
    blocks_t *blocks) {
    uint8_t stream[512];
    const uint64_t block = (uint64_t)s->word[9] << 32 | s->word[8];
    memset(stream, 0, n > 256 ? 512 : 256);
    blocks(s, rounds, stream);
    zt_xor(buf, stream, n);
    zt_wipe(stream, n > 256 ? 512 : 256);
    const uint64_t next = block + (n + 63) / 64;
    s->word[8] = (uint32_t)next;
    s->word[9] = (uint32_t)(next >> 32);
    return n;
}

size_t zt_salsa20_xor_wide(zt_salsa20_t *s, unsigned rounds, uint8_t *buf, size_t n) {
    size_t done = 0;
    blocks_t *four = four_blocks;
#if ZT_SIMD_AVX2
    blocks_t *eight = zt_has_avx2() ? eight_blocks : NULL;
#if ZT_SIMD_AVX512
    if (zt_has_avx512vl()) {
        four = four_blocks_vl;
        eight = eight_blocks_vl;
    }
#endif
    if (eight && n > 256) {
        for (; n - done >= 512; done += 512) {
            eight(s, rounds, buf + done);
        }
        if (n - done > 256) {
            return done + xor_part(s, rounds, buf + done, n - done, eight);
        }
    }
#endif
    for (; n - done >= 256; done += 256) {
        four(s, rounds, buf + done);
    }
    if (n - done > 64) {
        done += xor_part(s, rounds, buf + done, n - done, four);
    }
    return done;
}

#if ZT_SIMD_AVX2
int zt_salsa20_streams(const zt_salsa20_t s[ZT_SALSA20_STREAMS], unsigned rounds,
                       uint8_t out[ZT_SALSA20_STREAMS][128]) {
#if ZT_SIMD_AVX512
    if (zt_has_avx512vl()) {
        four_streams_vl(s, rounds, out[0]);
        return 0;
    }
#endif
    if (zt_has_avx2()) {
        four_streams(s, rounds, out[0]);
        return 0;
    }
    return -1;
}
#endif

#endif
