// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// libFuzzer target: LZ4 decompression of anything into blocks of exactly the announced size. What fits
// must also fit exactly, and give the same bytes; one byte less must be refused.

#include <stdlib.h>
#include <string.h>

#include "zt_lz4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) {
        return 0;
    }
    const size_t room = (size_t)(data[0] << 8 | data[1]) % 10025;
    const size_t n = size - 2;
    uint8_t *src = malloc(n ? n : 1);
    uint8_t *dst = malloc(room ? room : 1);
    memcpy(src, data + 2, n);
    const int32_t length = zt_lz4_decompress(src, n, dst, room);
    if (length < -1 || length > (int32_t)room) {
        abort();
    }
    if (length > 0) {
        const size_t exact = (size_t)length;
        uint8_t *again = malloc(exact);
        if (zt_lz4_decompress(src, n, again, exact) != length || memcmp(dst, again, exact) != 0) {
            abort();
        }
        if (zt_lz4_decompress(src, n, again, exact - 1) != -1) {
            abort();
        }
        free(again);
    }
    free(src);
    free(dst);
    return 0;
}
