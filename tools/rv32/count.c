// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Counts the instructions of the core's calls on a bare RV32 machine and prints "name value", the results
// of the calls as "name hex": who counts wrong answers counts nothing.

#include <string.h>

#include "zt_c25519.h"
#include "zt_plane.h"
#include "zt_poly1305.h"
#include "zt_salsa20.h"
#include "zt_sha512.h"
#include "zt_wire.h"

#include "bare.h"

static uint32_t nothing; // what the counting itself costs

#define COUNT(name, code) \
    do { \
        uint32_t since = instructions(); \
        code; \
        print_number(name, instructions() - since - nothing); \
    } while (0)

static uint8_t memory[1500] __attribute__((aligned(16)));
static uint8_t session[48], private_key[32], public_key[32], msg[1400], out[64];

static void fill(uint8_t *p, size_t n, unsigned start) {
    for (size_t i = 0; i < n; i++) {
        p[i] = (uint8_t)(start + 7 * i);
    }
}

// Seal and open at every alignment of the packet; the name says what the address is modulo 4.
static void packets(void) {
    static const char *const SEAL[4] = {"seal_1400_0", "seal_1400_1", "seal_1400_2", "seal_1400_3"};
    static const char *const OPEN[4] = {"open_1400_0", "open_1400_1", "open_1400_2", "open_1400_3"};
    for (unsigned shift = 0; shift < 4; shift++) {
        uint8_t *pkt = memory + shift;
        fill(pkt, 1400, 1);
        COUNT(SEAL[shift], zt_seal(session, pkt, 1400, 1));
        print_hex("sealed", pkt, 1400);
        int verdict = 0;
        COUNT(OPEN[shift], verdict = zt_open(session, pkt, 1400));
        print_hex(verdict ? "refused" : "opened", pkt, 1400);
    }
    fill(memory, 92, 1);
    COUNT("seal_92", zt_seal(session, memory, 92, 1));
    COUNT("open_92", zt_open(session, memory, 92));
}

static void streams(void) {
    zt_salsa20_t cipher;
    zt_salsa20_init(&cipher, session, session + 32, 0);
    COUNT("salsa20_12_1400", zt_salsa20_xor(&cipher, 12, memory, 1400));
    COUNT("poly1305_1400", zt_poly1305(session, memory, 1400, out));
    COUNT("sha512_1400", zt_sha512(msg, 1400, out));
}

static void curves(void) {
    static const uint8_t nine[32] = {9};
    COUNT("x25519", zt_x25519(private_key, nine, out));
    print_hex("dh", out, 32);
    COUNT("x25519_base", zt_x25519_base(private_key, out));
    print_hex("dh", out, 32);
    zt_ed25519_public(private_key, public_key);
    COUNT("sign", zt_ed25519_sign(private_key, public_key, msg, 32, out));
    print_hex("signature", out, 64);
    int verdict = -1;
    COUNT("verify", verdict = zt_ed25519_verify_vartime(public_key, msg, 32, out));
    print_hex(verdict ? "forged" : "verified", public_key, 32);
}

// The same calls on other secrets: these counts must not differ at all.
static void other_secrets(void) {
    static const uint8_t nine[32] = {9};
    for (unsigned i = 0; i < 6; i++) {
        // Zero, all ones, and four without a pattern.
        memset(private_key, i ? 255 : 0, sizeof(private_key));
        if (i > 1) {
            zt_sha512(out, 64, out);
            memcpy(private_key, out, 32);
        }
        memcpy(session, private_key, 32);
        zt_ed25519_public(private_key, public_key);
        COUNT("other_x25519", zt_x25519(private_key, nine, out));
        COUNT("other_x25519_base", zt_x25519_base(private_key, out));
        COUNT("other_sign", zt_ed25519_sign(private_key, public_key, msg, 32, out));
        fill(memory, 92, i);
        COUNT("other_seal_92", zt_seal(session, memory, 92, 1));
        COUNT("other_open_92", zt_open(session, memory, 92));
    }
}

// What the data plane's tables take on a 32-bit machine, all together as on a board ("small" in lib/zt/plane.py,
// which a test compares).
static void plane(void) {
    static const char *const NAMES[ZT_PLANE_SIZES] = {
        "plane_fixed_bytes", "plane_peer_bytes",  "plane_network_bytes", "plane_member_bytes",
        "plane_group_bytes", "plane_slot_bytes", "plane_event_bytes"};
    static const zt_plane_limits_t LIMITS = {
        .peers = 8,
        .networks = 4,
        .members = 16,
        .groups = 4,
        .group_members = 8,
        .reassembly = 0,
        .packet_bytes = 1448,
        .event_bytes = 4096,
        .rules_bytes = 1536,
    };
    uint32_t sizes[ZT_PLANE_SIZES];
    zt_plane_sizes(&LIMITS, sizes);
    for (unsigned i = 0; i < ZT_PLANE_SIZES; i++) {
        print_number(NAMES[i], sizes[i]);
    }
    print_number("plane_8_peers_bytes", (uint32_t)zt_plane_size(&LIMITS));
}

int main(void) {
    uint32_t since = instructions();
    nothing = instructions() - since;
    fill(session, sizeof(session), 3);
    fill(private_key, sizeof(private_key), 5);
    fill(msg, sizeof(msg), 9);
    packets();
    streams();
    curves();
    other_secrets();
    plane();
    return 0;
}
