#!/usr/bin/env python3
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Measures the crypto core in C (bench_core.c, beside libsodium where it is installed) and as
# CPython sees it (zt.crypto, ctypes unless ZT_CRYPTO says otherwise); prints a JSON list of {name,
# value, unit, target, peer, peer_value}. `bench_crypto.py [GENERATIONS]`, default 50.

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
CORE = os.path.join(TOP, "firmware", "core")
sys.path.insert(0, os.path.join(TOP, "lib"))

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


def core_figures(flags=()):
    """Name -> text of every line that bench_core prints."""
    cc = shutil.which("cc") or shutil.which("gcc")
    if not cc:
        print("the core is not measured in C: no C compiler", file=sys.stderr)
        return {}
    with open(os.path.join(CORE, "sources.mk")) as f:
        names = [x.split()[-1] for x in f if x.startswith("CORE_SRC")]
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "bench_core")
        command = [cc, "-std=gnu99", "-O2", "-Wall", "-Wextra", "-Werror", *flags]
        command += ["-I", CORE, "-o", program, os.path.join(TOP, "tools", "bench_core.c")]
        command += [os.path.join(CORE, x) for x in names]
        subprocess.run(command + ["-ldl"], check=True)
        done = subprocess.run([program], capture_output=True, text=True, check=True)
    return dict(x.split() for x in done.stdout.splitlines())


def core_rows():
    found = core_figures()
    if found and "libsodium" not in found:
        print("no libsodium to compare with (Debian package libsodium23)", file=sys.stderr)
    peer = "libsodium " + found.get("libsodium", "")
    out = []
    for name, target, theirs in (
        # Targets: what the original's assembly and C do on this kind of machine.
        ("salsa20_12", 1418, "salsa20_12"),
        ("poly1305", 1095, "poly1305"),
        ("salsa20_12_1400", None, "salsa20_12_1400"),
        ("poly1305_1400", None, "poly1305_1400"),
        ("seal_1400", 0, "seal_1400"),
        ("open_1400", 0, "seal_1400"),
        ("seal_92", None, "seal_92"),
        ("open_92", None, "seal_92"),
    ):
        if name not in found:
            continue
        r = {"name": name + "_mib_s", "value": float(found[name]), "unit": "MiB/s"}
        if "libsodium_" + theirs in found:
            r["peer"] = peer
            r["peer_value"] = float(found["libsodium_" + theirs])
            # The target of whole packets: within a quarter of libsodium's two calls.
            r["target"] = round(r["peer_value"] / 1.25) if target == 0 else target
        elif target:
            r["target"] = target
        out.append(r)
    return out


def main(generations):
    out = core_rows()

    def add(name, value, unit):
        out.append({"name": name, "value": round(value, 4), "unit": unit})

    key = bytes(range(48))
    large = bytearray(65536)
    add(
        "python_salsa20_12_mb_s",
        65536e-6 / seconds_per_call(lambda: crypto.salsa20_xor(key[:32], key[:8], large, 12)),
        "MB/s",
    )
    data = bytes(65536)
    add(
        "python_poly1305_mb_s",
        65536e-6 / seconds_per_call(lambda: crypto.poly1305(key[:32], data)),
        "MB/s",
    )

    pkt = bytearray(1400)
    add(
        "python_seal_1400_mb_s",
        1400e-6 / seconds_per_call(lambda: crypto.seal(key, pkt, 1400, 1)),
        "MB/s",
    )
    crypto.seal(key, pkt, 1400, 1)
    sealed = bytes(pkt)

    def open_fresh():
        pkt[:] = sealed  # opening is in place, so the copy is part of the figure
        if not crypto.open(key, pkt, 1400):
            raise AssertionError("a sealed packet does not open")

    add("python_open_1400_mb_s", 1400e-6 / seconds_per_call(open_fresh), "MB/s")

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
