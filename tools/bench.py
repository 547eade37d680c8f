#!/usr/bin/env python3
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# make bench: our figures beside those of other software, same machine, same run. Prints a table
# and writes build/bench.json: a list of {name, value, unit, target, peer, peer_value, command}.
# Nodes run in network namespaces without a default route (tests/interop/lab.py). A part that fails
# says why, leaves the others' rows alone, and makes the exit status 1.
#
# usage: bench.py [--only PART[,PART...]] [--quick] [--keep]

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time

import bench_curve
import bench_lab
import bench_nodes
import bench_udp
from bench_lab import TOP, Unmeasured, has_library, need, note
from bench_row import row

OUT = os.path.join(TOP, "build", "bench.json")
HOSTS = ("root", "a", "b", "la", "lb")


def crypto_rows(world, quick):
    need("gcc", "gcc")
    with contextlib.suppress(Unmeasured):  # the rows then have no peer, and the tool says so
        need("libsodium.so.23", "libsodium23", has_library)
    tool = os.path.join("tools", "bench_crypto.py")
    words = [sys.executable, tool] + (["5"] if quick else [])
    done = subprocess.run(words, cwd=TOP, capture_output=True, text=True)
    if done.returncode:
        raise Unmeasured(done.stderr.strip())
    return [
        row(
            r["name"],
            r["value"],
            r["unit"],
            r.get("target"),
            r.get("peer"),
            r.get("peer_value"),
            "python3 " + tool,
        )
        for r in json.loads(done.stdout)
    ]


# name, function(world, quick), does it need a lab, does it need libzt
PARTS = (
    ("crypto", crypto_rows, False, False),
    ("start", bench_nodes.start_rows, True, True),
    ("tcp", bench_nodes.tcp_rows, True, True),
    ("tap", bench_nodes.tap_rows, True, False),
    ("ping", bench_nodes.ping_rows, True, False),
    ("udp", bench_udp.rows, True, False),
    ("curve", bench_curve.rows, True, False),
)


def run_part(part, quick):
    """Rows of one part, in a lab of its own."""
    _, function, in_lab, with_libzt = part
    if with_libzt:
        fetched = subprocess.run([os.path.join(TOP, "tools", "fetch_libzt.sh")], cwd=TOP)
        if fetched.returncode:
            raise Unmeasured("libzt could not be fetched")
    if not in_lab:
        return function(None, quick)
    import lab as labs

    missing = labs.missing()
    if missing:
        raise Unmeasured(missing)
    with tempfile.TemporaryDirectory() as folder, labs.Lab(*HOSTS) as lab:
        return function(bench_lab.World(lab, folder), quick)


def machine():
    """What the figures belong to."""
    model = ""
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
    done = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True)
    text = "%s, %d cores, Linux %s, GCC %s, %s; load %.1f at the start"
    when = time.strftime("%Y-%m-%d")
    release = platform.release().split("-")[0]
    return text % (model, os.cpu_count(), release, done.stdout.strip(), when, os.getloadavg()[0])


def kept(names):
    """Rows of an earlier run, without those that are measured now."""
    if not os.path.exists(OUT):
        return []
    with open(OUT) as f:
        return [r for r in json.load(f) if r["name"] not in names]


def show(rows):
    line = "%-30s %12s %-18s %8s   %s"
    print(line % ("name", "value", "unit", "target", "peer"))
    for r in rows:
        peer = "%s: %s" % (r["peer"], r["peer_value"]) if r["peer"] else ""
        target = "" if r["target"] is None else r["target"]
        print(line % (r["name"], r["value"], r["unit"], target, peer))


def main():
    names = [p[0] for p in PARTS]
    parser = argparse.ArgumentParser(description="Measure microzt beside other software.")
    parser.add_argument("--only", help="parts, by comma: " + ", ".join(names))
    parser.add_argument("--quick", action="store_true", help="fewer runs, shorter transfers")
    parser.add_argument("--keep", action="store_true", help="keep other rows of an earlier run")
    args = parser.parse_args()
    wanted = args.only.split(",") if args.only else names
    if [w for w in wanted if w not in names]:
        parser.error("parts are " + ", ".join(names))
    rows = [row("machine", machine(), "")]
    failed = []
    for i, part in enumerate([p for p in PARTS if p[0] in wanted]):
        note("bench: %s (%d of %d)" % (part[0], i + 1, len(wanted)))
        began = time.monotonic()
        try:
            rows += run_part(part, args.quick)
        except Exception as e:  # noqa: BLE001 - one part must not lose the others
            failed.append(part[0])
            what = str(e) if isinstance(e, Unmeasured) else "%s: %s" % (type(e).__name__, e)
            note("bench: %s is not measured: %s" % (part[0], what))
        note("bench: %s took %.0f s" % (part[0], time.monotonic() - began))
    if args.keep:
        rows += kept([r["name"] for r in rows])
    os.makedirs(os.path.dirname(OUT), exist_ok=True)
    with open(OUT, "w") as f:
        json.dump(rows, f, indent=1)
    show(rows)
    print(
        "written to build/bench.json" + ("; not measured: " + ", ".join(failed) if failed else "")
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
