#!/usr/bin/env python3
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Writes the first inputs of the fuzzers of the data plane, in the forms that they read:
# `seeds_plane.py FOLDER` makes FOLDER/plane_rx, FOLDER/plane_tx and FOLDER/reassembly.

import os
import sys

ACCEPT = bytes((7, 2, 1, 0, 0, 0))  # a network that accepts all; no credentials
TAGS = b"\1\0\0\0\1\0\0\0\2"
RULES = b"\x2c\x08\0\0\0\1\0\0\0\1\1\0"  # a tag's difference, accept
TAGGED = bytes((15, len(RULES))) + RULES + bytes((9,)) + TAGS + bytes((9,)) + TAGS
MAC_A = bytes.fromhex("0211222fa697")
MAC_B = bytes.fromhex("026677947b68")
GROUP = bytes.fromhex("333300000001")
BODY = b"\x08\0" + b"\x45\0\0\x28" + bytes(36)
LZ4 = b"\x8f" + bytes(8) + b"\1\0\x0a\x60" + bytes(6)


def write(folder, items):
    os.makedirs(folder, exist_ok=True)
    for i, item in enumerate(items):
        with open(os.path.join(folder, "seed%03d" % i), "wb") as f:
            f.write(item)


def datagram(verb, payload, kind=1 | 16):
    # The verb's bits choose: FRAME, EXT_FRAME (1), MULTICAST_FRAME (0x20).
    p = bytes(27) + bytes((verb,)) + bytes(8) + payload
    return bytes((kind, len(p))) + p


def rx():
    packets = [
        datagram(0, BODY),
        datagram(1, b"\0" + MAC_A + MAC_B + BODY),
        datagram(1, b"\x10" + MAC_A + MAC_B + BODY),
        datagram(0x20, b"\0" + GROUP + bytes(4) + BODY),
        datagram(0x20, b"\6" + bytes(4) + MAC_B + GROUP + bytes(4) + BODY),
        datagram(0x80, LZ4, 1),
        datagram(0, BODY, 3 | 16),
    ]
    return [b"\xff\0" + net + p for net in (ACCEPT, TAGGED) for p in packets + [b"".join(packets)]]


def tx():
    frames = []
    for kind, dst in ((1, MAC_B), (2, GROUP), (4, MAC_A)):
        for shift in (0, 5):
            frame = dst + MAC_A + BODY
            frames.append(bytes((kind | shift << 5, len(BODY) - 2)) + frame + b"\x0a\x05\x11")
    return [b"\xff" + net + b"\1" + f for net in (ACCEPT, TAGGED) for f in frames]


def reassembly():
    def piece(packet, number, total, n=200, late=0):
        return bytes((packet << 2 | (number > 0) | late | 0x40, total << 4 | number, n, number))

    whole = [piece(1, i, 7) for i in range(7)]
    mixed = [piece(i % 2, i // 2, 3) for i in (5, 0, 3, 2, 1, 4)]
    late = [piece(0, 0, 3), piece(0, 1, 3, late=16), piece(0, 2, 3)]
    return [h + b"".join(x) for h in (b"\1", b"\0\x20") for x in (whole, whole[::-1], mixed, late)]


if __name__ == "__main__":
    for name, items in (("plane_rx", rx()), ("plane_tx", tx()), ("reassembly", reassembly())):
        write(os.path.join(sys.argv[1], name), items)
