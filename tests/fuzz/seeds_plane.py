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


def write(folder, items):
    os.makedirs(folder, exist_ok=True)
    for i, item in enumerate(items):
        with open(os.path.join(folder, "seed%03d" % i), "wb") as f:
            f.write(item)


def rx():
    compress, cut, damage, strange, _, structured, _, relayed = (1 << i for i in range(8))

    def packet(verb, form, flags=0):
        # The verb: FRAME, EXT_FRAME, MULTICAST_FRAME.
        at = b"\x21" if form & damage else b""
        fields = bytes((verb, flags)) + BODY
        pieces = b"\1\0\0" if form & cut else b""
        return bytes((0x81, form | structured, len(BODY))) + at + bytes(8) + fields + pieces

    steps = [packet(verb, 0) for verb in range(3)]
    for form in (compress, cut, cut | compress, damage, strange, relayed):
        steps += [packet(verb, form) for verb in range(3)]
    steps += [packet(1, 0, 0x10), packet(2, 0, 6)]
    steps += [b"\x05" + bytes((what, 0x42)) + bytes(12) + packet(0, 0) for what in range(14)]
    steps += [bytes((7 | how, 5)) + BODY[:28] for how in (0, 8, 24, 32)]
    steps += [b"\x86" + packet(0, 0), b"\x03\x28" + BODY]
    some = b"".join(steps[:12])
    return [b"\xff\0" + net + step for net in (ACCEPT, TAGGED) for step in [*steps, some]]


def tx():
    frames = []
    for kind, dst in ((1, MAC_B), (2, GROUP), (3, bytes(6)), (4, MAC_A)):
        for shift in (0, 5):
            frame = dst + MAC_A + BODY + b"\x0a\x05\x11"
            for known in (0, 1, 3, 64, 128):
                head = bytes((kind | shift << 5, len(BODY) - 2, known))
                frames.append(head + (frame if not known & 1 else frame[57:]))
    out = []
    for how in (0x05, 0x07, 0x0D, 0x04):
        out += [bytes((how, 0xFF)) + net + f for net in (ACCEPT, TAGGED) for f in frames]
        out.append(bytes((how, 0xFF)) + ACCEPT + b"".join(frames[:8]))
    return out


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
