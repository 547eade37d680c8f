# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The Internet checksum (RFC 1071), for packets that tests make by hand.


def checksum(data):
    """Of data in which the checksum itself is zero: what belongs there; of whole data 0."""
    total = 0
    for i in range(0, len(data) - 1, 2):
        total += data[i] << 8 | data[i + 1]
    if len(data) & 1:
        total += data[-1] << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF
