// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Poly1305 in full 32-bit words. Clamping leaves the upper words of r divisible by four, so the wrap at
// 2^130 = 5 is a multiplication by r + r/4 instead of a sixth word: 16 wide products a block and five
// narrow ones, where five limbs of 26 bits need 25.

#include "zt_poly1305.h"

#include "simd/zt_simd.h"
#include "zt_bytes.h"

void zt_poly1305_init(zt_poly1305_t *p, const uint8_t key[32]) {
    for (int i = 0; i < 4; i++) {
        p->r[i] = zt_load32_le(key + 4 * i) & (i ? 0x0ffffffc : 0x0fffffff);
        p->pad[i] = zt_load32_le(key + 16 + 4 * i);
        p->h[i] = 0;
    }
    p->h[4] = 0;
    p->used = 0;
}

#if ZT_SIMD_POLY1305

static void blocks(zt_poly1305_t *p, const uint8_t *data, size_t count, uint32_t top) {
    zt_poly1305_blocks_wide(p, data, count, top);
}

#else

// The four words of a block. Unless it is the first or the last one, its neighbours may be read too.
static inline void load(uint32_t d[4], const uint8_t *p, int at_end) {
#if ZT_ALIGNED_WORDS
    const unsigned off = (unsigned)((uintptr_t)p & 3);
    const zt_word_t *w = (const zt_word_t *)(p - off);
    if (off == 0) {
        d[0] = w[0];
        d[1] = w[1];
        d[2] = w[2];
        d[3] = w[3];
        return;
    }
    if (!at_end) {
        const unsigned down = 8 * off;
        const unsigned up = 32 - down;
        d[0] = w[0] >> down | w[1] << up;
        d[1] = w[1] >> down | w[2] << up;
        d[2] = w[2] >> down | w[3] << up;
        d[3] = w[3] >> down | w[4] << up;
        return;
    }
#endif
    (void)at_end;
    for (int i = 0; i < 4; i++) {
        d[i] = zt_load32_le(p + 4 * i);
    }
}

// h = (h + block + top * 2^128) * r for each block. In: h4 <= 4, so the sum has s4 <= 6. A product is
// below 2^32 * 2^28.4, four of them and the small one below 2^63.
static void blocks(zt_poly1305_t *p, const uint8_t *data, size_t count, uint32_t top) {
    const uint32_t r0 = p->r[0], r1 = p->r[1], r2 = p->r[2], r3 = p->r[3];
    const uint32_t v0 = (r0 >> 2) * 5; // the two low bits of r0 do not wrap
    const uint32_t v1 = r1 + (r1 >> 2);
    const uint32_t v2 = r2 + (r2 >> 2);
    const uint32_t v3 = r3 + (r3 >> 2);
    uint32_t h0 = p->h[0], h1 = p->h[1], h2 = p->h[2], h3 = p->h[3], h4 = p->h[4];
    uint32_t d[4];
    for (const uint8_t *last = data + 16 * count - 16, *first = data; data <= last; data += 16) {
        load(d, data, data == first || data == last);
        uint64_t t = (uint64_t)h0 + d[0];
        const uint32_t s0 = (uint32_t)t;
        t = (t >> 32) + h1 + d[1];
        const uint32_t s1 = (uint32_t)t;
        t = (t >> 32) + h2 + d[2];
        const uint32_t s2 = (uint32_t)t;
        t = (t >> 32) + h3 + d[3];
        const uint32_t s3 = (uint32_t)t;
        const uint32_t s4 = (uint32_t)(t >> 32) + h4 + top;

        uint64_t x0 = (uint64_t)s0 * r0 + (uint64_t)s1 * v3 + (uint64_t)s2 * v2 + (uint64_t)s3 * v1;
        uint64_t x1 = (uint64_t)s0 * r1 + (uint64_t)s1 * r0 + (uint64_t)s2 * v3 + (uint64_t)s3 * v2;
        uint64_t x2 = (uint64_t)s0 * r2 + (uint64_t)s1 * r1 + (uint64_t)s2 * r0 + (uint64_t)s3 * v3;
        uint64_t x3 = (uint64_t)s0 * r3 + (uint64_t)s1 * r2 + (uint64_t)s2 * r1 + (uint64_t)s3 * r0;
        x0 += s4 * v0;
        x1 += s4 * v1;
        x2 += s4 * v2;
        x3 += s4 * v3;
        x1 += x0 >> 32;
        x2 += x1 >> 32;
        x3 += x2 >> 32;
        const uint32_t over = s4 * (r0 & 3) + (uint32_t)(x3 >> 32);

        t = (uint64_t)(over >> 2) * 5 + (uint32_t)x0;
        h0 = (uint32_t)t;
        t = (t >> 32) + (uint32_t)x1;
        h1 = (uint32_t)t;
        t = (t >> 32) + (uint32_t)x2;
        h2 = (uint32_t)t;
        t = (t >> 32) + (uint32_t)x3;
        h3 = (uint32_t)t;
        h4 = (over & 3) + (uint32_t)(t >> 32);
    }
    p->h[0] = h0;
    p->h[1] = h1;
    p->h[2] = h2;
    p->h[3] = h3;
    p->h[4] = h4;
}

#endif

void zt_poly1305_update(zt_poly1305_t *p, const uint8_t *data, size_t n) {
    while (n && p->used) {
        p->tail[p->used++] = *data++;
        n--;
        if (p->used == 16) {
            blocks(p, p->tail, 1, 1);
            p->used = 0;
        }
    }
    if (n >= 16) {
        blocks(p, data, n / 16, 1);
    }
    data += n & ~(size_t)15;
    for (n &= 15; n; n--) {
        p->tail[p->used++] = *data++;
    }
}

void zt_poly1305_finish(zt_poly1305_t *p, uint8_t tag[16]) {
    if (p->used) {
        p->tail[p->used++] = 1;
        while (p->used < 16) {
            p->tail[p->used++] = 0;
        }
        blocks(p, p->tail, 1, 0);
    }
    // h < 1.25 * 2^130 here, so at most one 2^130 - 5 is left in it: there is if h + 5 reaches 2^130.
    // Taking it away is adding 5 and dropping that bit, which the tag's 128 bits do by themselves.
    uint64_t t = 5;
    for (int i = 0; i < 4; i++) {
        t = (t + p->h[i]) >> 32;
    }
    t = (t + p->h[4]) >> 2;
    t *= 5;
    uint64_t carry = 0;
    for (int i = 0; i < 4; i++) {
        t += p->h[i];
        carry += (t & 0xffffffff) + p->pad[i];
        zt_store32_le(tag + 4 * i, (uint32_t)carry);
        t >>= 32;
        carry >>= 32;
    }
    zt_wipe(p, sizeof(*p));
}

void zt_poly1305(const uint8_t key[32], const uint8_t *data, size_t n, uint8_t tag[16]) {
    zt_poly1305_t p;
    zt_poly1305_init(&p, key);
    zt_poly1305_update(&p, data, n);
    zt_poly1305_finish(&p, tag);
}
