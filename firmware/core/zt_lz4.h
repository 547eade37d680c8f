// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// LZ4 block decompression (VL1 4.7; the LZ4 block format description). Not constant time: what is
// decompressed decides what is done. Buffers stay the caller's and must not overlap. Stack: none to
// speak of.

#ifndef ZT_LZ4_H
#define ZT_LZ4_H

#include <stddef.h>
#include <stdint.h>

// Returns the length written to dst, or -1 if the block is malformed or dst too small; then dst holds
// rubbish. Reads exactly src[0..n), writes only dst[0..room), and never reads dst before writing it.
// room must be below 2^31.
int32_t zt_lz4_decompress(const uint8_t *src, size_t n, uint8_t *dst, size_t room);

#endif
