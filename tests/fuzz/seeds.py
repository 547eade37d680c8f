#!/usr/bin/env python3
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Writes the first inputs of the C fuzzers from the vectors: `seeds.py FOLDER` makes FOLDER/wire
# and FOLDER/lz4.

import json
import os
import sys

VECTORS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vectors", "vl1.json")


def write(folder, items):
    os.makedirs(folder, exist_ok=True)
    for i, item in enumerate(items):
        with open(os.path.join(folder, "seed%03d" % i), "wb") as f:
            f.write(item)


def main(folder):
    with open(VECTORS) as f:
        vectors = json.load(f)
    wire = []
    for v in vectors["packets"]:
        packet = bytes.fromhex(v["armored"])
        wire.append(b"\x00" + packet)
        clear = packet[:27] + bytes.fromhex(v["plain_verb_and_payload"])
        wire.append(b"\x01" + clear)
        wire.append(b"\x0f" + clear)
    for v in vectors["hello"]:
        wire.append(b"\x01" + bytes.fromhex(v["clear_packet_before_mac"]))
    write(os.path.join(folder, "wire"), wire)
    write(
        os.path.join(folder, "lz4"),
        [b"\x27\x28" + bytes.fromhex(v["lz4_block"]) for v in vectors["lz4"]],
    )


if __name__ == "__main__":
    main(sys.argv[1])
