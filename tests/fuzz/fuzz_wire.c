// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// libFuzzer target: what a datagram meets in the core. The first byte says how the rest is used: as it
// came (it will fail at the MAC, and must then be untouched), or sealed first, so that whatever the
// fuzzer wrote gets past the MAC to what follows: decryption, HELLO unmasking, decompression.

#include <stdlib.h>
#include <string.h>

#include "zt_lz4.h"
#include "zt_wire.h"

#define MAX_PAYLOAD 9996

static const uint8_t SESSION[48] = "a session key of forty-eight bytes, for fuzzing.";

// Tags are 64 bits; without the key no input forges one in any number of runs.
static void raw(uint8_t *pkt, const uint8_t *sent, size_t n) {
    if (zt_open(SESSION, pkt, n) == 0 || memcmp(pkt, sent, n) != 0) {
        abort();
    }
}

static void sealed(uint8_t *pkt, const uint8_t *clear, size_t n, unsigned suite, unsigned hops) {
    if (zt_seal(SESSION, pkt, n, suite)) {
        if (n >= ZT_WIRE_HEADER && n <= ZT_WIRE_MAX) {
            abort();
        }
        return;
    }
    pkt[18] = (uint8_t)(pkt[18] | hops);
    // A flipped bit anywhere is refused, and the packet left alone.
    const size_t at = (size_t)(clear[n - 1] * 257 + clear[0]) % n;
    const uint8_t bit = (uint8_t)(at == 18 ? 0x80 : 1 << (clear[1] & 7));
    pkt[at] ^= bit;
    uint8_t before = pkt[n - 1];
    if (zt_open(SESSION, pkt, n) == 0 || pkt[n - 1] != before) {
        abort();
    }
    pkt[at] ^= bit;
    if (zt_open(SESSION, pkt, n) || memcmp(pkt + 27, clear + 27, n - 27) != 0) {
        abort();
    }
    if (pkt[27] & 0x80) {
        uint8_t *out = malloc(MAX_PAYLOAD);
        const int32_t length = zt_lz4_decompress(pkt + 28, n - 28, out, MAX_PAYLOAD);
        if (length < -1 || length > MAX_PAYLOAD) {
            abort();
        }
        free(out);
    }
    const size_t from = ZT_WIRE_HEADER + (size_t)clear[n - 1];
    if (zt_hello_mask(SESSION, pkt, from, n) == 0) {
        zt_hello_mask(SESSION, pkt, from, n);
    } else if (from <= n) {
        abort();
    }
    if (memcmp(pkt + 27, clear + 27, n - 27) != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    // A block of its own for the packet, so that a step outside it is seen.
    const size_t n = size - 1;
    uint8_t *pkt = malloc(n ? n : 1);
    memcpy(pkt, data + 1, n);
    if (data[0] & 1) {
        sealed(pkt, data + 1, n, (data[0] >> 1) & 1, (data[0] >> 2) & 7);
    } else {
        raw(pkt, data + 1, n);
    }
    free(pkt);
    return 0;
}
