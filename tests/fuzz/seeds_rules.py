#!/usr/bin/env python3
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Writes the first inputs of the fuzzer of the rules from the vectors, as fuzz_rules.c reads them:
# `seeds_rules.py FOLDER` makes FOLDER/rules. Tags of both sides get the ids 1, 2, 3.

import json
import os
import sys

VECTORS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vectors", "vl2.json")
KINDS = (0x0800, 0x86DD, 0x0806, 0x88B5)
MEMBER = b"\x03" + b"\0\1" * 3  # three tags, nothing else


def seed(v):
    kind = KINDS.index(v["ethertype"]) if v["ethertype"] in KINDS else 3
    how = kind << 4 | 0x43 | (v["direction"] == "inbound") << 2
    head = bytes((how, int(v["flags"], 16) & 0xFF, 0x80))
    for name in ("local_node", "zt_source", "zt_dest"):
        head += bytes.fromhex(v[name])
    for name in ("mac_source", "mac_dest"):
        head += bytes.fromhex(v[name].replace(":", ""))
    rules = bytes.fromhex(v["rules"])
    return head + MEMBER + MEMBER + bytes((len(rules),)) + rules + bytes.fromhex(v["frame"])


def main(folder):
    with open(VECTORS) as f:
        cases = json.load(f)["rule_eval"]
    folder = os.path.join(folder, "rules")
    os.makedirs(folder, exist_ok=True)
    for i, v in enumerate(cases):
        if len(v["rules"]) <= 510:
            with open(os.path.join(folder, "seed%03d" % i), "wb") as f:
                f.write(seed(v))


if __name__ == "__main__":
    main(sys.argv[1])
