// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// LZ4 block decompression. Every count is checked against what is left before it is used, on both sides.

#include "zt_lz4.h"

#include <string.h>

// The rest of a count whose nibble was 15: bytes are added until one is not 255. The sum is at
// most 255 times the length of the input, which no buffer in memory makes overflow. -1 at its end.
static int more(const uint8_t *src, size_t n, size_t *at, size_t *count) {
    uint8_t byte = 255;
    while (byte == 255) {
        if (*at == n) {
            return -1;
        }
        byte = src[(*at)++];
        *count += byte;
    }
    return 0;
}

int32_t zt_lz4_decompress(const uint8_t *src, size_t n, uint8_t *dst, size_t room) {
    size_t in = 0;
    size_t out = 0;
    if (room > INT32_MAX) {
        return -1;
    }
    while (in < n) {
        const uint8_t token = src[in++];
        size_t count = token >> 4;
        if (count == 15 && more(src, n, &in, &count)) {
            return -1;
        }
        if (count > n - in || count > room - out) {
            return -1;
        }
        if (count) {
            memcpy(dst + out, src + in, count);
        }
        in += count;
        out += count;
        if (in == n) {
            // A block ends in literals, at least five of them where a match came before.
            return out == count || count >= 5 ? (int32_t)out : -1;
        }
        if (n - in < 2) {
            return -1;
        }
        const size_t back = (size_t)(src[in] | src[in + 1] << 8);
        in += 2;
        if (back == 0 || back > out) {
            return -1;
        }
        count = (token & 15) + (size_t)4;
        if (count == 19 && more(src, n, &in, &count)) {
            return -1;
        }
        if (count > room - out) {
            return -1;
        }
        // Byte by byte: a match may run into what it writes.
        for (; count; count--, out++) {
            dst[out] = dst[out - back];
        }
    }
    return -1;
}
