// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Seal and open: one cipher state per packet; its block 0 is the one-time MAC key, the payload starts at
// block 1.

#include "zt_wire.h"

#include "simd/zt_simd.h"
#include "zt_bytes.h"
#include "zt_poly1305.h"
#include "zt_salsa20.h"

enum {
    FLAGS = 18,
    MAC = 19,
    VERB = 27,
    ROUNDS = 12
};

typedef struct {
    zt_salsa20_t cipher; // at the first block that is not in `stream`
    uint32_t stream[16 * ZT_SALSA20_WIDE]; // key stream from block 0; as bytes
    size_t ready; // bytes of it that are for the payload
} packet_t;

static void end(packet_t *p) {
    zt_wipe(&p->cipher, sizeof(p->cipher));
    zt_wipe(p->stream, 64 + p->ready);
}

// Keys the cipher for this packet as VL1 4.3 says.
static inline void set_key(zt_salsa20_t *cipher, const uint8_t session[48], const uint8_t *pkt, size_t n) {
    uint8_t key[32];
    memcpy(key, session, 32);
    for (int i = 0; i < FLAGS; i++) {
        key[i] ^= pkt[i];
    }
    key[18] ^= pkt[FLAGS] & 0xf8;
    key[19] ^= (uint8_t)n;
    key[20] ^= (uint8_t)(n >> 8);
    zt_salsa20_init(cipher, key, pkt, 0);
    zt_wipe(key, sizeof(key));
}

// Makes block 0 and what comes with it at little cost.
static void start(packet_t *p, const uint8_t session[48], const uint8_t *pkt, size_t n) {
    set_key(&p->cipher, session, pkt, n);
    size_t blocks = 1;
    if (ZT_SALSA20_WIDE > 1 && pkt[FLAGS] & 0x08) {
        // Four or eight: what the payload of a short packet leaves over costs nothing.
        blocks = n - VERB > 3 * 64 ? ZT_SALSA20_WIDE : 4;
    }
    memset(p->stream, 0, ZT_SALSA20_WIDE > 1 ? 64 * blocks : 64);
    zt_salsa20_xor(&p->cipher, ROUNDS, (uint8_t *)p->stream, 64 * blocks);
    p->ready = 64 * (blocks - 1);
}

static void crypt(packet_t *p, uint8_t *data, size_t n) {
    if (ZT_SALSA20_WIDE > 1) {
        const size_t now = n < p->ready ? n : p->ready;
        zt_xor(data, (const uint8_t *)p->stream + 64, now);
        data += now;
        n -= now;
    }
    zt_salsa20_xor(&p->cipher, ROUNDS, data, n);
}

int zt_seal(const uint8_t session[48], uint8_t *pkt, size_t n, unsigned suite) {
    packet_t p;
    uint8_t tag[16];
    if (suite > 1 || n < ZT_WIRE_HEADER || n > ZT_WIRE_MAX) {
        return -1;
    }
    pkt[FLAGS] = (uint8_t)((pkt[FLAGS] & 0x40) | (suite ? 0x88 : 0));
    start(&p, session, pkt, n);
    if (suite) {
        crypt(&p, pkt + VERB, n - VERB);
    }
    zt_poly1305((const uint8_t *)p.stream, pkt + VERB, n - VERB, tag);
    memcpy(pkt + MAC, tag, 8);
    end(&p);
    zt_wipe(tag, sizeof(tag));
    return 0;
}

int zt_open(const uint8_t session[48], uint8_t *pkt, size_t n) {
    packet_t p;
    uint8_t tag[16];
    if (n < ZT_WIRE_HEADER || n > ZT_WIRE_MAX || pkt[FLAGS] & 0x30) {
        return -1;
    }
    start(&p, session, pkt, n);
    zt_poly1305((const uint8_t *)p.stream, pkt + VERB, n - VERB, tag);
    int verdict = zt_compare(tag, pkt + MAC, 8);
    ZT_DECLASSIFY(&verdict, sizeof(verdict));
    if (verdict == 0 && pkt[FLAGS] & 0x08) {
        crypt(&p, pkt + VERB, n - VERB);
    }
    end(&p);
    zt_wipe(tag, sizeof(tag));
    return verdict;
}

#ifdef ZT_WIRE_AHEAD

int zt_ahead(const uint8_t *const session[ZT_WIRE_AHEAD], const uint8_t *const pkt[ZT_WIRE_AHEAD], size_t n,
             uint8_t stream[ZT_WIRE_AHEAD][128]) {
    zt_salsa20_t cipher[ZT_WIRE_AHEAD];
    for (unsigned i = 0; i < ZT_WIRE_AHEAD; i++) {
        set_key(&cipher[i], session[i], pkt[i], n);
    }
    const int result = zt_salsa20_streams(cipher, ROUNDS, stream);
    zt_wipe(cipher, sizeof(cipher));
    return result;
}

int zt_open_ahead(uint8_t stream[128], uint8_t *pkt, size_t n) {
    uint8_t tag[16];
    zt_poly1305(stream, pkt + VERB, n - VERB, tag);
    int verdict = zt_compare(tag, pkt + MAC, 8);
    ZT_DECLASSIFY(&verdict, sizeof(verdict));
    if (verdict == 0) {
        zt_xor(pkt + VERB, stream + 64, n - VERB);
    }
    zt_wipe(stream, 128);
    zt_wipe(tag, sizeof(tag));
    return verdict;
}

#endif

int zt_hello_mask(const uint8_t session[48], uint8_t *pkt, size_t from, size_t n) {
    zt_salsa20_t cipher;
    uint8_t iv[8];
    if (from < ZT_WIRE_HEADER || from > n) {
        return -1;
    }
    for (int i = 0; i < 8; i++) {
        iv[i] = pkt[i];
    }
    iv[7] &= 0xf8;
    zt_salsa20_init(&cipher, session, iv, 0);
    zt_salsa20_xor(&cipher, ROUNDS, pkt + from, n - from);
    zt_wipe(&cipher, sizeof(cipher));
    return 0;
}
