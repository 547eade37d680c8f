// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The checksum of IP, TCP, UDP and ICMP, four bytes at a time.

#include <string.h>

#include "zt_netif_priv.h"

// The ones' complement sum of RFC 1071, not inverted, as lwIP's lwip_standard_chksum. The data may lie
// anywhere.
uint16_t zt_netif_chksum(const void *data, int n) {
    const uint8_t *p = data;
    uint64_t even = 0, odd = 0;
    while (n >= 16) {
        uint32_t w[4];
        memcpy(w, p, 16);
        even += (uint64_t)w[0] + w[2];
        odd += (uint64_t)w[1] + w[3];
        p += 16;
        n -= 16;
    }
    uint64_t sum = (even & 0xffffffff) + (even >> 32) + (odd & 0xffffffff) + (odd >> 32);
    while (n > 0) {
        uint8_t last[2] = { p[0], n > 1 ? p[1] : 0 };
        uint16_t w;
        memcpy(&w, last, 2);
        sum += w;
        p += 2;
        n -= 2;
    }
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)sum;
}
