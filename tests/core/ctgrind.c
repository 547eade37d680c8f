// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Runs the core on secrets that valgrind believes to be uninitialised: every branch and every address
// that depends on one is then reported. `ctgrind NAME` runs one case, so that each is judged alone;
// `ctgrind list` names them, `ctgrind wide` says which code runs here. The cases leak_... are leaky on purpose: valgrind must object to them, or
// the others prove nothing.

#include <stdio.h>
#include <string.h>

#include <valgrind/memcheck.h>

#include "simd/zt_simd.h"
#include "zt_bytes.h"
#include "zt_c25519.h"
#include "zt_idhash.h"
#include "zt_identity.h"
#include "zt_plane.h"
#include "zt_poly1305.h"
#include "zt_salsa20.h"
#include "zt_sha512.h"
#include "zt_wire.h"

#define POISON(p, n) ((void)VALGRIND_MAKE_MEM_UNDEFINED((p), (n)))

static uint8_t secret[64];
static uint8_t public_key[64]; // of the secret
static uint8_t session[48];
static uint8_t data[1500];
static uint8_t out[128];

// What these tests know before anything is poisoned.
static void setup(void) {
    for (unsigned i = 0; i < sizeof(secret); i++) {
        secret[i] = (uint8_t)(7 * i + 1);
    }
    for (unsigned i = 0; i < sizeof(session); i++) {
        session[i] = (uint8_t)(5 * i + 3);
    }
    for (unsigned i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(3 * i + 2);
    }
    zt_identity_public(secret, public_key);
    POISON(secret, sizeof(secret));
    POISON(session, sizeof(session));
}

static void x25519(void) {
    POISON(public_key, sizeof(public_key));
    zt_x25519(secret, public_key, out);
}

static void x25519_base(void) {
    zt_x25519_base(secret, out);
}

static void ed25519_public(void) {
    zt_ed25519_public(secret, out);
}

static void ed25519_sign(void) {
    POISON(data, sizeof(data));
    zt_ed25519_sign(secret, public_key, data, 300, out);
}

static void identity_public(void) {
    zt_identity_public(secret, out);
}

static void agree(void) {
    zt_identity_agree(secret, public_key, out);
}

static void sign(void) {
    POISON(data, sizeof(data));
    zt_identity_sign(secret, public_key, data, 300, out);
}

static void salsa20_12(void) {
    zt_salsa20_t s;
    POISON(data, sizeof(data));
    zt_salsa20_init(&s, secret, secret + 32, 1);
    zt_salsa20_xor(&s, 12, data, sizeof(data));
}

static void salsa20_20(void) {
    zt_salsa20_t s;
    zt_salsa20_init(&s, secret, secret + 32, 1);
    zt_salsa20_xor(&s, 20, data, 333);
    zt_salsa20_xor(&s, 20, out, 64);
}

static void poly1305(void) {
    POISON(data, sizeof(data));
    zt_poly1305(secret, data, 777, out);
}

static void sha512(void) {
    POISON(data, sizeof(data));
    zt_sha512(data, 777, out);
    zt_sha384(data, 100, out);
}

static void seal(void) {
    POISON(data + ZT_WIRE_HEADER, sizeof(data) - ZT_WIRE_HEADER);
    zt_seal(session, data, 1432, 1);
}

static void seal_clear(void) {
    POISON(data + ZT_WIRE_HEADER, sizeof(data) - ZT_WIRE_HEADER);
    zt_seal(session, data, 100, 0);
}

static void open_good(void) {
    zt_seal(session, data, 1432, 1);
    VALGRIND_MAKE_MEM_DEFINED(data, sizeof(data)); // it came over the wire
    if (zt_open(session, data, 1432)) {
        puts("a good packet was refused");
    }
}

static void open_bad(void) {
    data[18] = 0x88;
    if (zt_open(session, data, 1432) == 0) {
        puts("a bad packet was accepted");
    }
}

// ---- the data plane, whose table holds the secret session key: all of its way in up to the verdict and,
// what a peer says being no secret, beyond; all of its way out

static uint8_t wire[1500];
static unsigned frames, datagrams;

static uint8_t *wire_get(void *ctx, int number, size_t n) {
    (void)ctx;
    (void)number;
    return n <= sizeof(wire) ? wire : NULL;
}

static int wire_put(void *ctx, int number, const zt_addr_t *to, uint8_t *slot, size_t n, size_t datagram) {
    (void)ctx;
    (void)number;
    (void)to;
    (void)slot;
    (void)datagram;
    datagrams += n != 0;
    return 0;
}

static void nic_input(void *ctx, int nic, void *owner, uint8_t *frame, size_t n) {
    (void)ctx;
    (void)nic;
    (void)owner;
    (void)frame;
    frames += n > 14;
}

static void kick(void *ctx) {
    (void)ctx;
}

static const uint8_t OWN[5] = {0x11, 0x22, 0x33, 0x44, 0x55};
static const uint8_t PEER[5] = {0x66, 0x77, 0x88, 0x99, 0xaa};
static const uint8_t NWID[8] = {0x80, 0x56, 0xc2, 0xe2, 0x1c, 0, 0, 1};
static const zt_addr_t FROM = {{10, 0, 0, 2}, 9993, 4, 0};

static zt_plane_t *make_plane(void) {
    static const zt_hal_t HAL = {wire_get, wire_put, nic_input, kick};
    static const zt_plane_limits_t LIMITS = {2, 1, 2, 1, 2, 1, 2880, 0, 4096, 256};
    static const uint8_t RANDOM[16] = {1, 2, 3};
    // Drop UDP to port 9, accept the rest: the rules look into the frame.
    static const uint8_t RULES[] = {0x25, 4, 0, 9, 0, 9, 0, 0, 1, 0};
    static uint8_t memory[32768];
    VALGRIND_MAKE_MEM_DEFINED(memory, sizeof(memory));
    zt_plane_t *p = zt_plane_init(memory, sizeof(memory), &LIMITS, OWN, RANDOM, &HAL, NULL);
    zt_plane_peer_t way;
    zt_plane_network_t net;
    memset(&way, 0, sizeof(way));
    memset(&net, 0, sizeof(net));
    way.path.remote = way.sources[0].remote = FROM;
    way.path.wire = way.sources[0].wire = 1;
    memcpy(net.nwid, NWID, 8);
    frames = datagrams = 0;
    if (!p || zt_plane_peer_set(p, 0, PEER, session, &way, ZT_PLANE_TTL_MS) ||
        zt_plane_network_set(p, &net, RULES, sizeof(RULES), NULL, 0) != 0 ||
        zt_plane_member_set(p, 0, 0, PEER, 3, ZT_PLANE_TTL_MS, NULL, 0)) {
        puts("the plane refused its tables");
    }
    return p;
}

// A frame of the peer, sealed, as it comes over the wire.
static void from_peer(size_t n, unsigned flags) {
    memcpy(data + 8, OWN, 5);
    memcpy(data + 13, PEER, 5);
    data[18] = (uint8_t)flags;
    data[27] = 0x06;
    memcpy(data + 28, NWID, 8);
    zt_seal(session, data, n, 1);
    VALGRIND_MAKE_MEM_DEFINED(data, sizeof(data));
}

static void plane_rx_good(void) {
    zt_plane_t *p = make_plane();
    from_peer(1400, 0);
    if (zt_plane_rx(p, 0, 1, &FROM, data, 1400, NULL) != ZT_PLANE_DONE || frames != 1) {
        puts("a good packet did not get through the plane");
    }
}

static void plane_rx_bad(void) {
    zt_plane_t *p = make_plane();
    from_peer(1400, 0);
    data[700] ^= 4;
    if (zt_plane_rx(p, 0, 1, &FROM, data, 1400, NULL) != ZT_PLANE_DROPPED) {
        puts("a bad packet got through the plane");
    }
}

// Short packets, whose key streams are made side by side; the third is damaged.
static void plane_rx_run(void) {
    enum { N = 88, COUNT = 5 };
    static uint8_t run[N * COUNT];
    zt_plane_t *p = make_plane();
    int result = -1;
    for (unsigned i = 0; i < COUNT; i++) {
        data[7] = (uint8_t)i;
        from_peer(N, 0);
        data[80] ^= i == 2;
        memcpy(run + i * N, data, N);
    }
    if (zt_plane_rx_run(p, 0, 1, &FROM, run, sizeof(run), N, NULL, &result) != sizeof(run) ||
        result != ZT_PLANE_DONE || frames != COUNT - 1) {
        puts("short packets did not get through the plane");
    }
}

static void plane_rx_pieces(void) {
    zt_plane_t *p = make_plane();
    from_peer(1400, 0x40);
    uint8_t piece[16 + 700];
    memcpy(piece, data, 13);
    piece[13] = 0xff;
    piece[14] = 0x21;
    piece[15] = 0;
    memcpy(piece + 16, data + 700, 700);
    if (zt_plane_rx(p, 0, 1, &FROM, piece, sizeof(piece), NULL) != ZT_PLANE_KEPT ||
        zt_plane_rx(p, 0, 1, &FROM, data, 700, NULL) != ZT_PLANE_DONE || frames != 1) {
        puts("a packet in pieces did not get through the plane");
    }
}

static void plane_tx(void) {
    zt_plane_t *p = make_plane();
    uint8_t head[14] = {0x02, 0x66 ^ 0, 0x77 ^ 0, 0x88 ^ 0x1c, 0x99 ^ 0xe2, 0xaa ^ 0xc2,
                        0x02, 0x11 ^ 0, 0x22 ^ 0, 0x33 ^ 0x1c, 0x44 ^ 0xe2, 0x55 ^ 0xc2,
                        0x08, 0x00};
    const zt_seg_t segments[2] = {{head, sizeof(head)}, {data, 1300}};
    if (zt_plane_tx(p, 0, 0, segments, 2) != ZT_PLANE_DONE || datagrams != 1) {
        puts("a frame was not sent by the plane");
    }
}

static void hello_mask(void) {
    zt_hello_mask(session, data, 100, 300);
}

static void compare(void) {
    int verdict = zt_compare(secret, data, 64);
    ZT_DECLASSIFY(&verdict, sizeof(verdict));
    if (verdict == 0) {
        puts("equal");
    }
}

// One step of a search: the key pair, and the first blocks of the hash of its public half.
static void search(void) {
    static uint8_t memory[ZT_IDHASH_MEMORY];
    static zt_search_t s;
    zt_search_init(&s, secret, memory);
    zt_search_step(&s, 40000);
}

static void wipe(void) {
    zt_wipe(secret, sizeof(secret));
}

// ---- leaky on purpose ----

static void leak_compare(void) {
    volatile int where = 0;
    for (int i = 0; i < 48 && session[i] == data[i]; i++) {
        where = i;
    }
    (void)where;
}

static void leak_table(void) {
    volatile uint8_t sink = data[secret[0]];
    (void)sink;
}

// The library's own verification, which may branch, given what it must not be given.
static void leak_vartime(void) {
    POISON(data, 64);
    zt_ed25519_verify_vartime(public_key, secret, 64, data);
}

static const struct {
    const char *name;
    void (*run)(void);
} CASES[] = {
    {"x25519", x25519},
    {"x25519_base", x25519_base},
    {"ed25519_public", ed25519_public},
    {"ed25519_sign", ed25519_sign},
    {"identity_public", identity_public},
    {"agree", agree},
    {"sign", sign},
    {"salsa20_12", salsa20_12},
    {"salsa20_20", salsa20_20},
    {"poly1305", poly1305},
    {"sha512", sha512},
    {"seal", seal},
    {"seal_clear", seal_clear},
    {"open_good", open_good},
    {"open_bad", open_bad},
    {"plane_rx_good", plane_rx_good},
    {"plane_rx_bad", plane_rx_bad},
    {"plane_rx_run", plane_rx_run},
    {"plane_rx_pieces", plane_rx_pieces},
    {"plane_tx", plane_tx},
    {"hello_mask", hello_mask},
    {"compare", compare},
    {"search", search},
    {"wipe", wipe},
    {"leak_compare", leak_compare},
    {"leak_table", leak_table},
    {"leak_vartime", leak_vartime},
};

static const char *wide(void) {
#if ZT_SIMD_AVX2
    if (zt_has_avx2()) {
        return "avx2";
    }
#endif
    return ZT_SALSA20_WIDE > 1 ? "four lanes" : "portable";
}

// Runs every case whose name is given, and counts after each what valgrind found in it.
int main(int argc, char **argv) {
    const unsigned count = sizeof(CASES) / sizeof(CASES[0]);
    if (argc == 2 && strcmp(argv[1], "list") == 0) {
        for (unsigned i = 0; i < count; i++) {
            puts(CASES[i].name);
        }
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "wide") == 0) {
        puts(wide());
        return 0;
    }
    if (!RUNNING_ON_VALGRIND) {
        puts("not under valgrind");
        return 2;
    }
    for (unsigned i = 0; i < count; i++) {
        if (argc == 2 && strcmp(argv[1], CASES[i].name) != 0) {
            continue;
        }
        VALGRIND_MAKE_MEM_DEFINED(secret, sizeof(secret));
        VALGRIND_MAKE_MEM_DEFINED(session, sizeof(session));
        VALGRIND_MAKE_MEM_DEFINED(data, sizeof(data));
        VALGRIND_MAKE_MEM_DEFINED(out, sizeof(out));
        setup();
        VALGRIND_MAKE_MEM_DEFINED(public_key, sizeof(public_key));
        const unsigned before = VALGRIND_COUNT_ERRORS;
        CASES[i].run();
        const unsigned found = VALGRIND_COUNT_ERRORS - before;
        printf("%s %u\n", CASES[i].name, found);
    }
    return 0;
}
