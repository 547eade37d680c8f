#!/usr/bin/env python3
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Measures the crypto core as CPython sees it (zt.crypto, ctypes unless ZT_CRYPTO says otherwise)
# and prints a JSON list of {name, value, unit}. `bench_crypto.py [GENERATIONS]`, default 50.

import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

from zt import crypto, identity  # noqa: E402

REPEATS = 5
SECONDS = 0.2  # of each repeat


def seconds_per_call(f):
    """The best of REPEATS: the least disturbed by whatever else the machine does."""
    f()
    count = 1
    while True:
        start = time.perf_counter()
        for _ in range(count):
            f()
        took = time.perf_counter() - start
        if took > SECONDS:
            break
        count = max(count * 2, int(count * SECONDS / max(took, 1e-6)))
    best = took / count
    for _ in range(REPEATS - 1):
        start = time.perf_counter()
        for _ in range(count):
            f()
        best = min(best, (time.perf_counter() - start) / count)
    return best


def main(generations):
    out = []

    def add(name, value, unit):
        out.append({"name": name, "value": round(value, 4), "unit": unit})

    key = bytes(range(48))
    large = bytearray(65536)
    add(
        "salsa20_12_mb_s",
        65536e-6 / seconds_per_call(lambda: crypto.salsa20_xor(key[:32], key[:8], large, 12)),
        "MB/s",
    )
    data = bytes(65536)
    add(
        "poly1305_mb_s",
        65536e-6 / seconds_per_call(lambda: crypto.poly1305(key[:32], data)),
        "MB/s",
    )

    pkt = bytearray(1400)
    add(
        "seal_1400_mb_s",
        1400e-6 / seconds_per_call(lambda: crypto.seal(key, pkt, 1400, 1)),
        "MB/s",
    )
    crypto.seal(key, pkt, 1400, 1)
    sealed = bytes(pkt)

    def open_fresh():
        pkt[:] = sealed  # opening is in place, so the copy is part of the figure
        if not crypto.open(key, pkt, 1400):
            raise AssertionError("a sealed packet does not open")

    add("open_1400_mb_s", 1400e-6 / seconds_per_call(open_fresh), "MB/s")

    private = crypto.sha512(b"bench")
    public = crypto.public_key(private)
    other = crypto.public_key(crypto.sha512(b"other"))
    msg = bytes(200)
    sig = crypto.sign(private, public, msg)
    add("agree_ms", 1e3 * seconds_per_call(lambda: crypto.agree(private, other)), "ms")
    add("sign_ms", 1e3 * seconds_per_call(lambda: crypto.sign(private, public, msg)), "ms")
    add("verify_ms", 1e3 * seconds_per_call(lambda: crypto.verify(public, msg, sig)), "ms")
    add("identity_hash_ms", 1e3 * seconds_per_call(lambda: crypto.idhash(public)), "ms")

    times = []
    for _ in range(generations):
        start = time.perf_counter()
        identity.generate(os.urandom)
        times.append(time.perf_counter() - start)
    times.sort()
    add("identity_generation_mean_s", sum(times) / len(times), "s")
    add("identity_generation_p90_s", times[(len(times) * 9 - 1) // 10], "s")
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
