// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Seal and open: one cipher state per packet; its block 0 is the one-time MAC key, the payload starts at
// block 1.

#include "zt_wire.h"

#include "zt_bytes.h"
#include "zt_poly1305.h"
#include "zt_salsa20.h"

enum {
    FLAGS = 18,
    MAC = 19,
    VERB = 27,
    ROUNDS = 12
};

// The cipher for this packet, keyed as VL1 4.3 says, at block 1; `mac_key` is from block 0.
static void start(zt_salsa20_t *cipher, uint8_t mac_key[64], const uint8_t session[48], const uint8_t *pkt,
    size_t n) {
    uint8_t key[32];
    for (int i = 0; i < 32; i++) {
        key[i] = session[i];
    }
    for (int i = 0; i < FLAGS; i++) {
        key[i] ^= pkt[i];
    }
    key[18] ^= pkt[FLAGS] & 0xf8;
    key[19] ^= (uint8_t)n;
    key[20] ^= (uint8_t)(n >> 8);
    zt_salsa20_init(cipher, key, pkt, 0);
    zt_salsa20_block(cipher, ROUNDS, mac_key);
    zt_wipe(key, sizeof(key));
}

int zt_seal(const uint8_t session[48], uint8_t *pkt, size_t n, unsigned suite) {
    zt_salsa20_t cipher;
    uint8_t mac_key[64];
    uint8_t tag[16];
    if (suite > 1 || n < ZT_WIRE_HEADER || n > ZT_WIRE_MAX) {
        return -1;
    }
    pkt[FLAGS] = (uint8_t)((pkt[FLAGS] & 0x40) | (suite ? 0x88 : 0));
    start(&cipher, mac_key, session, pkt, n);
    if (suite) {
        zt_salsa20_xor(&cipher, ROUNDS, pkt + VERB, n - VERB);
    }
    zt_poly1305(mac_key, pkt + VERB, n - VERB, tag);
    for (int i = 0; i < 8; i++) {
        pkt[MAC + i] = tag[i];
    }
    zt_wipe(&cipher, sizeof(cipher));
    zt_wipe(mac_key, sizeof(mac_key));
    zt_wipe(tag, sizeof(tag));
    return 0;
}

int zt_open(const uint8_t session[48], uint8_t *pkt, size_t n) {
    zt_salsa20_t cipher;
    uint8_t mac_key[64];
    uint8_t tag[16];
    if (n < ZT_WIRE_HEADER || n > ZT_WIRE_MAX || pkt[FLAGS] & 0x30) {
        return -1;
    }
    start(&cipher, mac_key, session, pkt, n);
    zt_poly1305(mac_key, pkt + VERB, n - VERB, tag);
    int verdict = zt_compare(tag, pkt + MAC, 8);
    ZT_DECLASSIFY(&verdict, sizeof(verdict));
    if (verdict == 0 && pkt[FLAGS] & 0x08) {
        zt_salsa20_xor(&cipher, ROUNDS, pkt + VERB, n - VERB);
    }
    zt_wipe(&cipher, sizeof(cipher));
    zt_wipe(mac_key, sizeof(mac_key));
    zt_wipe(tag, sizeof(tag));
    return verdict;
}

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
