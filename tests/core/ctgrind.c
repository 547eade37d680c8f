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
