// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Known answers of the crypto core, on any machine: `vectors FILE` runs each case of the file and says which
// come out wrong. A case is a byte that says what is called (the table at the end), a byte that counts the
// fields, and the fields: a length of four bytes, low byte first, and so many bytes. The last field is the
// answer. Packets are tried at four alignments. tools/core_targets.py writes the file.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "line.h"

#include "zt_bytes.h"
#include "zt_c25519.h"
#include "zt_idhash.h"
#include "zt_identity.h"
#include "zt_lz4.h"
#include "zt_poly1305.h"
#include "zt_salsa20.h"
#include "zt_sha512.h"
#include "zt_wire.h"

#define FILE_MAX (2u << 20)
#define OUT_MAX 65536
#define FIELDS 6

typedef struct {
    const uint8_t *p;
    size_t n;
} field_t;

static uint8_t out[OUT_MAX + 8];

// The answer of a case at out + shift; returns its length.
typedef size_t call_t(const field_t *in, uint8_t *to);

static size_t copy(uint8_t *to, const field_t *from) {
    memcpy(to, from->p, from->n);
    return from->n;
}

static size_t sha512(const field_t *in, uint8_t *to) {
    zt_sha512(in[0].p, in[0].n, to);
    return 64;
}

static size_t sha384(const field_t *in, uint8_t *to) {
    zt_sha384(in[0].p, in[0].n, to);
    return 48;
}

// key, iv, rounds, block (8 bytes, low byte first), data
static size_t salsa20(const field_t *in, uint8_t *to) {
    zt_salsa20_t s;
    zt_salsa20_init(&s, in[0].p, in[1].p, zt_load64_le(in[3].p));
    copy(to, &in[4]);
    zt_salsa20_xor(&s, in[2].p[0], to, in[4].n);
    return in[4].n;
}

static size_t poly1305(const field_t *in, uint8_t *to) {
    zt_poly1305(in[0].p, in[1].p, in[1].n, to);
    return 16;
}

static size_t x25519(const field_t *in, uint8_t *to) {
    zt_x25519(in[0].p, in[1].p, to);
    return 32;
}

static size_t x25519_base(const field_t *in, uint8_t *to) {
    zt_x25519_base(in[0].p, to);
    return 32;
}

static size_t ed25519_sign(const field_t *in, uint8_t *to) {
    zt_ed25519_sign(in[0].p, in[1].p, in[2].p, in[2].n, to);
    return 64;
}

static size_t ed25519_verify(const field_t *in, uint8_t *to) {
    to[0] = zt_ed25519_verify_vartime(in[0].p, in[1].p, in[1].n, in[2].p) == 0;
    return 1;
}

static size_t identity_public(const field_t *in, uint8_t *to) {
    zt_identity_public(in[0].p, to);
    return 64;
}

static size_t identity_agree(const field_t *in, uint8_t *to) {
    zt_identity_agree(in[0].p, in[1].p, to);
    return 48;
}

static size_t identity_sign(const field_t *in, uint8_t *to) {
    zt_identity_sign(in[0].p, in[1].p, in[2].p, in[2].n, to);
    return 96;
}

static size_t identity_verify(const field_t *in, uint8_t *to) {
    to[0] = zt_identity_verify_vartime(in[0].p, in[1].p, in[1].n, in[2].p) == 0;
    return 1;
}

static size_t idhash(const field_t *in, uint8_t *to) {
    uint8_t *memory = malloc(ZT_IDHASH_MEMORY);
    zt_idhash_t h;
    zt_idhash_init(&h, in[0].p, memory);
    while (!zt_idhash_step(&h, 4096)) {
    }
    memcpy(to, h.digest, 64);
    free(memory);
    return 64;
}

// session key, packet, suite
static size_t seal(const field_t *in, uint8_t *to) {
    copy(to, &in[1]);
    return zt_seal(in[0].p, to, in[1].n, in[2].p[0]) ? 0 : in[1].n;
}

// The packet, and behind it 1 if it was accepted.
static size_t open_packet(const field_t *in, uint8_t *to) {
    copy(to, &in[1]);
    to[in[1].n] = zt_open(in[0].p, to, in[1].n) == 0;
    return in[1].n + 1;
}

// session key, packet, where the tail begins (4 bytes, low byte first)
static size_t hello_mask(const field_t *in, uint8_t *to) {
    copy(to, &in[1]);
    return zt_hello_mask(in[0].p, to, zt_load32_le(in[2].p), in[1].n) ? 0 : in[1].n;
}

// block, room (4 bytes, low byte first); what was written, nothing if it was refused
static size_t lz4(const field_t *in, uint8_t *to) {
    const int32_t n = zt_lz4_decompress(in[0].p, in[0].n, to, zt_load32_le(in[1].p));
    return n < 0 ? 0 : (size_t)n;
}

static const struct {
    const char *name;
    call_t *call;
    size_t fields; // without the answer
    int shifted; // tried at each alignment
} CALLS[] = {
    {"sha512", sha512, 1, 0},
    {"sha384", sha384, 1, 0},
    {"salsa20_xor", salsa20, 5, 1},
    {"poly1305", poly1305, 2, 0},
    {"x25519", x25519, 2, 0},
    {"public_key_dh", x25519_base, 1, 0},
    {"ed25519_sign", ed25519_sign, 3, 0},
    {"ed25519_verify", ed25519_verify, 3, 0},
    {"public_key", identity_public, 1, 0},
    {"agree", identity_agree, 2, 0},
    {"sign", identity_sign, 3, 0},
    {"verify", identity_verify, 3, 0},
    {"idhash", idhash, 1, 0},
    {"seal", seal, 3, 1},
    {"open", open_packet, 2, 1},
    {"hello_mask", hello_mask, 3, 1},
    {"lz4_decompress", lz4, 2, 0},
};

#define COUNT (sizeof(CALLS) / sizeof(CALLS[0]))

static void broken(void) {
    puts("the file is not what it should be");
    abort();
}

int main(int argc, char **argv) {
    static unsigned right[COUNT], wrong[COUNT];
    FILE *f = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (f == NULL) {
        puts("usage: vectors FILE");
        return 2;
    }
    uint8_t *const file = malloc(FILE_MAX);
    const size_t n = fread(file, 1, FILE_MAX, f);
    fclose(f);
    int failed = 0;
    for (size_t at = 0; at < n;) {
        field_t in[FIELDS];
        if (n - at < 2 || file[at] >= COUNT || file[at + 1] != CALLS[file[at]].fields + 1) {
            broken();
        }
        const unsigned what = file[at];
        const size_t last = CALLS[what].fields;
        at += 2;
        for (size_t i = 0; i <= last; i++) {
            if (n - at < 4 || zt_load32_le(file + at) > n - at - 4) {
                broken();
            }
            in[i].n = zt_load32_le(file + at);
            in[i].p = file + at + 4;
            at += 4 + in[i].n;
        }
        int good = 1;
        for (size_t shift = 0; shift < (CALLS[what].shifted ? 4 : 1); shift++) {
            const size_t length = CALLS[what].call(in, out + shift);
            good &= length == in[last].n && memcmp(out + shift, in[last].p, length) == 0;
        }
        right[what] += (unsigned)good;
        wrong[what] += (unsigned)!good;
        failed |= !good;
    }
    for (unsigned i = 0; i < COUNT; i++) {
        line_t line = {{0}, 0};
        line_add(&line, CALLS[i].name);
        line_add(&line, " ");
        line_number(&line, right[i], 10, 0);
        line_add(&line, " ");
        line_number(&line, wrong[i], 10, 0);
        line_end(&line);
    }
    free(file);
    return failed;
}
