// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// What a 32-bit compiler calls for 64-bit numbers; compilers bring it along for programs, but not for a native
// .mpy. __muldi3 is called only where the processor has no instruction for the upper half of a product. (The
// tests of the core use this on Xtensa, too.)

#include <stdint.h>

uint64_t __muldi3(uint64_t a, uint64_t b);
uint64_t __ashldi3(uint64_t v, int n);
uint64_t __lshrdi3(uint64_t v, int n);
int64_t __ashrdi3(int64_t v, int n);

uint64_t __muldi3(uint64_t a, uint64_t b) {
    const uint32_t al = (uint32_t)a, ah = (uint32_t)(a >> 32), bl = (uint32_t)b, bh = (uint32_t)(b >> 32);
    const uint32_t a0 = al & 0xffff, a1 = al >> 16, b0 = bl & 0xffff, b1 = bl >> 16;
    const uint32_t p00 = a0 * b0, p01 = a0 * b1, p10 = a1 * b0, p11 = a1 * b1;
    const uint32_t mid = (p00 >> 16) + (p01 & 0xffff) + (p10 & 0xffff);
    const uint32_t low = mid << 16 | (p00 & 0xffff);
    const uint32_t high = p11 + (p01 >> 16) + (p10 >> 16) + (mid >> 16) + al * bh + ah * bl;
    return (uint64_t)high << 32 | low;
}

uint64_t __ashldi3(uint64_t v, int n) {
    uint32_t low = (uint32_t)v, high = (uint32_t)(v >> 32);
    if (n >= 32) {
        high = low << (n - 32);
        low = 0;
    } else if (n) {
        high = high << n | low >> (32 - n);
        low <<= n;
    }
    return (uint64_t)high << 32 | low;
}

uint64_t __lshrdi3(uint64_t v, int n) {
    uint32_t low = (uint32_t)v, high = (uint32_t)(v >> 32);
    if (n >= 32) {
        low = high >> (n - 32);
        high = 0;
    } else if (n) {
        low = low >> n | high << (32 - n);
        high >>= n;
    }
    return (uint64_t)high << 32 | low;
}

int64_t __ashrdi3(int64_t v, int n) {
    // Of a negative number the complement is shifted: ones come in.
    const uint64_t sign = v < 0 ? ~(uint64_t)0 : 0;
    return (int64_t)(__lshrdi3((uint64_t)v ^ sign, n) ^ sign);
}
