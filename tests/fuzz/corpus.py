#!/usr/bin/env python3
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The inputs that are kept of long runs of the C fuzzers, the fewest and shortest that reach all
# the code which those runs reached: corpus/TARGET.hex, an input a line.
#
#   corpus.py unpack FOLDER           write them as FOLDER/TARGET/keptNNN
#   corpus.py pack TARGET FOLDER      make TARGET's file of the files in FOLDER (of `run.sh keep`)

import os
import sys

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
SUFFIX = ".hex"


def targets():
    return sorted(x[: -len(SUFFIX)] for x in os.listdir(HERE) if x.endswith(SUFFIX))


def inputs(target):
    with open(os.path.join(HERE, target + SUFFIX)) as f:
        return [bytes.fromhex(line) for line in f]


def unpack(folder):
    for target in targets():
        out = os.path.join(folder, target)
        os.makedirs(out, exist_ok=True)
        for i, data in enumerate(inputs(target)):
            with open(os.path.join(out, "kept%03d" % i), "wb") as f:
                f.write(data)


def pack(target, folder):
    found = set()
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as f:
            found.add(f.read())
    with open(os.path.join(HERE, target + SUFFIX), "w") as f:
        for data in sorted(found, key=lambda x: (len(x), x)):
            f.write(data.hex() + "\n")
    print("%s: %d inputs, %d bytes" % (target, len(found), sum(len(x) for x in found)))


if __name__ == "__main__":
    {"unpack": unpack, "pack": pack}[sys.argv[1]](*sys.argv[2:])
