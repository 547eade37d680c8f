#!/usr/bin/env python3
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# make bench-embedded: what the core costs a small board, exactly. Builds it for rv32imc with -Os,
# runs it bare in an emulator that counts instructions (tools/rv32), checks its answers against the
# pure Python twin and writes build/bench-embedded.json: a list of {name, value, unit, target,
# peer, peer_value, command} as bench.json is one. The same compiler gives the same figures on
# every machine; tests/embedded compares them with those of --record.
#
# usage: bench_embedded.py [--record]

import argparse
import functools
import json
import os
import shutil
import subprocess
import sys

import bench_row

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "lib"))
CORE = os.path.join(TOP, "firmware", "core")
IMAGE = os.path.join(TOP, "tools", "rv32")
RECORDED = os.path.join(TOP, "tests", "embedded", "counts.json")
COMMAND = "make bench-embedded"
row = functools.partial(bench_row.row, command=COMMAND)

CC = "riscv64-unknown-elf-gcc"
QEMU = "qemu-system-riscv32"
SPECS = "picolibc.specs"
FLAGS = ["-march=rv32imc", "-mabi=ilp32", "-std=gnu99", "-Os", "-Wall", "-Wextra", "-Werror"]
PACKAGES = {
    CC: "gcc-riscv64-unknown-elf",
    SPECS: "picolibc-riscv64-unknown-elf",
    QEMU: "qemu-system-misc",
}
PEER = "Monocypher -Os"  # counted in the same way, on rv32imac
PACKET = 1400


def absent():
    """Debian packages whose tools are not here."""
    out = [PACKAGES[x] for x in (CC, QEMU) if not shutil.which(x)]
    if shutil.which(CC):
        done = subprocess.run(
            [CC, "--specs=" + SPECS, "-E", "-x", "c", os.devnull], capture_output=True
        )
        if done.returncode:
            out.append(PACKAGES[SPECS])
    else:
        out.append(PACKAGES[SPECS])
    return out


def install(packages):
    note = "bench-embedded: %s the Debian packages " + " ".join(packages)
    if os.getuid() or not shutil.which("apt-get"):
        raise SystemExit(note % "install")
    print(note % "installing", file=sys.stderr)
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    for words in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends"] + packages):
        subprocess.run(["apt-get"] + words, env=env, check=True, stdout=sys.stderr)


def compiler():
    """The version the counts belong to, as the compiler says it."""
    done = subprocess.run([CC, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]


def sources():
    with open(os.path.join(CORE, "sources.mk")) as f:
        return [x.split()[-1] for x in f if x.startswith("CORE_SRC")]


def compile_one(path, out, extra=()):
    command = [CC, "--specs=" + SPECS] + FLAGS + ["-ffunction-sections", "-fdata-sections"]
    subprocess.run(command + ["-I", CORE, "-c", path, "-o", out] + list(extra), check=True)


def size_of(path):
    """Bytes of code and constants in an object file."""
    done = subprocess.run(
        [CC.replace("-gcc", "-size"), path], capture_output=True, text=True, check=True
    )
    text, data = done.stdout.splitlines()[1].split()[:2]
    return int(text) + int(data)


def build(folder):
    """The image's path, and bytes by source file."""
    os.makedirs(folder, exist_ok=True)
    objects, sizes = [], {}
    for name in sources():
        out = os.path.join(folder, name.replace("/", "_") + ".o")
        compile_one(os.path.join(CORE, name), out)
        sizes[name] = size_of(out)
        objects.append(out)
    for name, extra in (("start.S", ()), ("count.c", ("-fno-builtin",))):
        out = os.path.join(folder, name + ".o")
        # Or the compiler makes memcpy of memcpy's own loop.
        compile_one(
            os.path.join(IMAGE, name), out, extra + ("-fno-tree-loop-distribute-patterns",)
        )
        objects.append(out)
    image = os.path.join(folder, "count.elf")
    link = ["-nostdlib", "-nostartfiles", "-Wl,--gc-sections,--no-warn-rwx-segments"]
    link += ["-Wl,-T," + os.path.join(IMAGE, "link.ld")]
    subprocess.run([CC] + FLAGS + link + ["-o", image] + objects + ["-lgcc"], check=True)
    return image, sizes


def run(image):
    """Lines of the image as (name, text)."""
    machine = [QEMU, "-machine", "virt", "-bios", "none", "-nographic", "-icount", "shift=0"]
    done = subprocess.run(
        machine + ["-kernel", image],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode:
        raise SystemExit("bench-embedded: the image failed: " + done.stdout + done.stderr)
    return [tuple(x.split()) for x in done.stdout.splitlines()]


def pattern(n, start):
    return bytes([(start + 7 * i) & 0xFF for i in range(n)])


def check(lines):
    """What was counted must also be right."""
    from zt import _crypto_py as twin

    session, private, msg = pattern(48, 3), pattern(32, 5), pattern(32, 9)
    clear = pattern(PACKET, 1)
    sealed = bytearray(clear)
    twin.seal(session, sealed, PACKET, 1)
    opened = bytearray(sealed)
    assert twin.open(session, opened, PACKET)
    dh = twin.public_key_dh(private)
    public = twin.public_key(bytes(32) + private)[32:]
    want = {
        "sealed": bytes(sealed),
        "opened": bytes(opened),
        "dh": dh,
        "signature": twin.ed25519_sign(private, public, msg),
        "verified": public,
    }
    seen = {}
    for name, text in lines:
        if name in want:
            if bytes.fromhex(text) != want[name]:
                raise SystemExit("bench-embedded: wrong answer for '%s'" % name)
            seen[name] = seen.get(name, 0) + 1
    if seen != {"sealed": 4, "opened": 4, "dh": 2, "signature": 1, "verified": 1}:
        raise SystemExit("bench-embedded: answers are missing: %s" % seen)


def measure(folder):
    """Everything counted, by name: instructions of calls, bytes of files."""
    image, sizes = build(folder)
    lines = run(image)
    check(lines)
    counts, others = {}, []
    for name, text in lines:
        if name.startswith("other_"):
            others.append((name[6:], int(text)))
        elif text.isdigit() and len(text) < 11:
            counts[name] = int(text)
    check_others(counts, others)
    return counts, sizes


def check_others(counts, others):
    """No call takes one instruction more or less for other secrets."""
    for name, count in others:
        if counts[name] != count:
            raise SystemExit(
                "bench-embedded: %s took %d instructions, and %d for another secret"
                % (name, counts[name], count)
            )
    if len(others) < 30:
        raise SystemExit("bench-embedded: counts for other secrets are missing")


def rows(counts, sizes):
    out = []
    for call in ("seal", "open"):
        each = [counts["%s_1400_%d" % (call, at)] for at in range(4)]
        unit = "instructions/byte"
        # The payload begins at byte 27, so a packet at 4 k + 1 has it in whole words.
        out.append(row(call + "_1400_instr_per_byte", round(max(each) / PACKET, 2), unit, 36))
        aligned = round(each[1] / PACKET, 2)
        out.append(row(call + "_1400_aligned_instr_per_byte", aligned, unit))
        out.append(row(call + "_92_instr", counts[call + "_92"], "instructions"))
    for name, target, peer_value in (
        ("x25519", 2000000, 2210000),
        ("sign", 1000000, 1050000),
        ("verify", 2900000, 3050000),
        ("x25519_base", None, None),
        ("poly1305_1400", None, 19268),
        ("salsa20_12_1400", None, None),
        ("sha512_1400", None, 188037),
    ):
        peer = PEER if peer_value else None
        out.append(row(name + "_instr", counts[name], "instructions", target, peer, peer_value))
    for name in sorted(counts):
        if name.startswith("plane_"):
            # What a board has (lib/zt/plane.py): 12 KB is the bound.
            target = 12288 if name == "plane_8_peers_bytes" else None
            out.append(row(name, counts[name], "bytes", target))
    out.append(row("core_code_bytes", sum(sizes.values()), "bytes", 40000))
    for name in sorted(sizes):
        if sizes[name]:
            out.append(row("core_code_bytes_" + name, sizes[name], "bytes"))
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="make these the expected figures")
    args = parser.parse_args()
    missing = absent()
    if missing:
        install(missing)
    counts, sizes = measure(os.path.join(TOP, "build", "embedded"))
    table = rows(counts, sizes)
    import bench_board  # it needs what is built and a lab, and the counts do not

    table += bench_board.measure()
    with open(os.path.join(TOP, "build", "bench-embedded.json"), "w") as f:
        json.dump(table, f, indent=1)
    show = "%-40s %10s %-18s %9s   %s"
    print(compiler() + " " + " ".join(FLAGS))
    print(show % ("name", "value", "unit", "target", "peer"))
    for r in table:
        peer = "%s: %s" % (r["peer"], r["peer_value"]) if r["peer"] else ""
        target = "" if r["target"] is None else r["target"]
        print(show % (r["name"], r["value"], r["unit"], target, peer))
    print("written to build/bench-embedded.json")
    if args.record:
        with open(RECORDED, "w") as f:
            json.dump({"compiler": compiler(), "counts": counts}, f, indent=1, sort_keys=True)
            f.write("\n")
        print("recorded in " + os.path.relpath(RECORDED, TOP))


if __name__ == "__main__":
    main()
