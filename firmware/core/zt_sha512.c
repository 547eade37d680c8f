// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// SHA-512 with a rolling schedule of sixteen words: 128 bytes of stack instead of 640.

#include "zt_sha512.h"

#include <string.h>

#include "zt_bytes.h"
#include "zt_sha512_table.h"

static uint64_t ror(uint64_t v, unsigned n) {
    return v >> n | v << (64 - n);
}

static void compress(uint64_t h[8], const uint8_t block[128]) {
    uint64_t w[16];
    uint64_t v[8];
    for (int i = 0; i < 16; i++) {
        w[i] = zt_load64_be(block + 8 * i);
    }
    memcpy(v, h, sizeof(v));
    for (unsigned i = 0; i < 80; i++) {
        if (i >= 16) {
            uint64_t p = w[(i + 1) % 16];
            uint64_t q = w[(i + 14) % 16];
            w[i % 16] += (ror(p, 1) ^ ror(p, 8) ^ p >> 7) + w[(i + 9) % 16]
                + (ror(q, 19) ^ ror(q, 61) ^ q >> 6);
        }
        uint64_t e = v[4];
        uint64_t a = v[0];
        uint64_t t1 = v[7] + (ror(e, 14) ^ ror(e, 18) ^ ror(e, 41)) + (v[6] ^ (e & (v[5] ^ v[6])))
            + ZT_SHA512_K[i] + w[i % 16];
        uint64_t t2 = (ror(a, 28) ^ ror(a, 34) ^ ror(a, 39)) + ((a & v[1]) | (v[2] & (a | v[1])));
        v[7] = v[6];
        v[6] = v[5];
        v[5] = e;
        v[4] = v[3] + t1;
        v[3] = v[2];
        v[2] = v[1];
        v[1] = a;
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) {
        h[i] += v[i];
    }
    zt_wipe(w, sizeof(w));
    zt_wipe(v, sizeof(v));
}

void zt_sha512_init(zt_sha512_t *s) {
    memcpy(s->h, ZT_SHA512_START, sizeof(s->h));
    s->length = 0;
}

void zt_sha384_init(zt_sha512_t *s) {
    memcpy(s->h, ZT_SHA384_START, sizeof(s->h));
    s->length = 0;
}

void zt_sha512_update(zt_sha512_t *s, const uint8_t *data, size_t n) {
    size_t used = (size_t)(s->length % 128);
    s->length += n;
    while (n) {
        if (used == 0 && n >= 128) {
            compress(s->h, data);
            data += 128;
            n -= 128;
            continue;
        }
        size_t part = 128 - used < n ? 128 - used : n;
        memcpy(s->block + used, data, part);
        data += part;
        n -= part;
        used += part;
        if (used == 128) {
            compress(s->h, s->block);
            used = 0;
        }
    }
}

void zt_sha512_finish(zt_sha512_t *s, uint8_t *out, size_t n) {
    size_t used = (size_t)(s->length % 128);
    s->block[used++] = 0x80;
    if (used > 112) {
        memset(s->block + used, 0, 128 - used);
        compress(s->h, s->block);
        used = 0;
    }
    // The length is 128 bits on the wire; a buffer of this machine needs 67 of them at most.
    memset(s->block + used, 0, 128 - used);
    s->block[119] = (uint8_t)(s->length >> 61);
    zt_store64_be(s->block + 120, s->length << 3);
    compress(s->h, s->block);
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)(s->h[i / 8] >> (56 - 8 * (i % 8)));
    }
    zt_wipe(s, sizeof(*s));
}

void zt_sha512(const uint8_t *data, size_t n, uint8_t out[64]) {
    zt_sha512_t s;
    zt_sha512_init(&s);
    zt_sha512_update(&s, data, n);
    zt_sha512_finish(&s, out, 64);
}

void zt_sha384(const uint8_t *data, size_t n, uint8_t out[48]) {
    zt_sha512_t s;
    zt_sha384_init(&s);
    zt_sha512_update(&s, data, n);
    zt_sha512_finish(&s, out, 48);
}
