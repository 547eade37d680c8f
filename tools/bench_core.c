// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Times the core's ciphers and whole packets, beside libsodium's where the machine has it, and prints
// "name value" in MiB/s. Built and read by bench_crypto.py. Turns are taken in short pieces and the best
// of each counts, so that both sides meet the same quiet moments of a shared machine.

#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "zt_bytes.h"
#include "zt_poly1305.h"
#include "zt_salsa20.h"
#include "zt_wire.h"

enum {
    ROUNDS = 60, // turns of each
    LARGE = 16384,
    PACKET = 1400,
    SMALL = 92 // a 64-byte frame's order of size
};

static uint8_t buffer[LARGE + 64];
static uint8_t copy[LARGE + 64];
static uint8_t session[48];
static uint8_t tag[16];

// Signatures of libsodium's functions, looked up when it is there.
static int (*sodium_xor)(unsigned char *, const unsigned char *, unsigned long long,
    const unsigned char *, const unsigned char *);
static int (*sodium_auth)(unsigned char *, const unsigned char *, unsigned long long,
    const unsigned char *);

static void our_salsa(size_t n) {
    zt_salsa20_t s;
    zt_salsa20_init(&s, session, session + 32, 0);
    zt_salsa20_xor(&s, 12, buffer, n);
}

static void our_poly(size_t n) {
    zt_poly1305(session, buffer, n, tag);
}

static void our_seal(size_t n) {
    zt_seal(session, buffer, n, 1);
}

// Opening is in place, so the copy of the sealed packet is part of the figure.
static void our_open(size_t n) {
    memcpy(buffer, copy, n);
    if (zt_open(session, buffer, n)) {
        puts("refused 1");
    }
}

static void their_salsa(size_t n) {
    sodium_xor(buffer, buffer, n, session + 32, session);
}

static void their_poly(size_t n) {
    sodium_auth(tag, buffer, n, session);
}

// The same work on the same bytes: a MAC key from block 0, the payload enciphered, the tag taken.
static void their_seal(size_t n) {
    unsigned char key[64] = {0};
    sodium_xor(key, key, 64, session + 32, session);
    sodium_xor(buffer + 27, buffer + 27, n - 27, session + 32, session);
    sodium_auth(tag, buffer + 27, n - 27, key);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct {
    const char *name;
    void (*run)(size_t);
    size_t n;
    double best; // seconds of one call
} work[] = {
    {"salsa20_12", our_salsa, LARGE, 0},
    {"poly1305", our_poly, LARGE, 0},
    {"salsa20_12_1400", our_salsa, PACKET, 0},
    {"poly1305_1400", our_poly, PACKET, 0},
    {"seal_1400", our_seal, PACKET, 0},
    {"open_1400", our_open, PACKET, 0},
    {"seal_92", our_seal, SMALL, 0},
    {"open_92", our_open, SMALL, 0},
    {"libsodium_salsa20_12", their_salsa, LARGE, 0},
    {"libsodium_poly1305", their_poly, LARGE, 0},
    {"libsodium_salsa20_12_1400", their_salsa, PACKET, 0},
    {"libsodium_poly1305_1400", their_poly, PACKET, 0},
    {"libsodium_seal_1400", their_seal, PACKET, 0},
    {"libsodium_seal_92", their_seal, SMALL, 0},
};

static void find_libsodium(void) {
    static const char *const NAMES[] = {"libsodium.so.26", "libsodium.so.23", "libsodium.so"};
    void *library = NULL;
    for (unsigned i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]) && !library; i++) {
        library = dlopen(NAMES[i], RTLD_NOW);
    }
    if (!library) {
        return;
    }
    int (*start)(void);
    const char *(*version)(void);
    *(void **)&start = dlsym(library, "sodium_init"); // which is when it looks at the processor
    *(void **)&sodium_xor = dlsym(library, "crypto_stream_salsa2012_xor");
    *(void **)&sodium_auth = dlsym(library, "crypto_onetimeauth_poly1305");
    *(void **)&version = dlsym(library, "sodium_version_string");
    if (!start || !version || !sodium_xor || !sodium_auth || start() < 0) {
        sodium_xor = NULL;
        return;
    }
    printf("libsodium %s\n", version());
}

int main(void) {
    const unsigned count = sizeof(work) / sizeof(work[0]);
    find_libsodium();
    for (unsigned i = 0; i < sizeof(session); i++) {
        session[i] = (uint8_t)(7 * i + 1);
    }
    for (int turn = 0; turn < ROUNDS; turn++) {
        for (unsigned i = 0; i < count; i++) {
            if (!sodium_xor && strncmp(work[i].name, "libsodium", 9) == 0) {
                continue;
            }
            const unsigned calls = (unsigned)(1000000 / work[i].n);
            memset(buffer, 0, sizeof(buffer));
            zt_seal(session, buffer, work[i].n, 1);
            memcpy(copy, buffer, sizeof(copy));
            double took = now();
            for (unsigned k = 0; k < calls; k++) {
                work[i].run(work[i].n);
            }
            took = (now() - took) / calls;
            if (turn == 0 || took < work[i].best) {
                work[i].best = took;
            }
        }
    }
    for (unsigned i = 0; i < count; i++) {
        if (work[i].best > 0) {
            printf("%s %.1f\n", work[i].name, (double)work[i].n / work[i].best / 1048576);
        }
    }
    return 0;
}
