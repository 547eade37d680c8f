# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# A packet with a wrong MAC takes the same way through zt_plane_rx as one with the right MAC, up to
# the verdict: to the instruction as many on an emulated RV32 that counts them, whichever byte of
# MAC, body or id is wrong. And all that are refused take the same way to the end.
# cpython-only: needs a cross compiler and an emulator

import os
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tools"))

import bench_embedded as bench  # noqa: E402

SIZES = ("60", "1400", "2700_in_pieces")


def counted(folder, more=()):
    """Lines (what, size, case, count) of the image."""
    missing = bench.absent()
    if missing:
        pytest.skip("needs the Debian packages " + " ".join(missing))
    objects = []
    extra = ["-DZT_NOTICE", "-I", bench.IMAGE, "-fno-builtin"]
    extra.append("-fno-tree-loop-distribute-patterns")
    paths = [os.path.join(bench.CORE, name) for name in bench.sources()]
    paths += [os.path.join(bench.IMAGE, "start.S"), os.path.join(HERE, "verdict.c")]
    for i, path in enumerate(paths):
        objects.append(os.path.join(str(folder), "%d.o" % i))
        bench.compile_one(path, objects[-1], extra + (list(more) if path.endswith(".c") else []))
    image = os.path.join(str(folder), "verdict.elf")
    link = ["-nostdlib", "-nostartfiles", "-Wl,--gc-sections,--no-warn-rwx-segments"]
    link.append("-Wl,-T," + os.path.join(bench.IMAGE, "link.ld"))
    subprocess.run(
        [bench.CC, *bench.FLAGS, *link, "-o", image, *objects, "-lgcc"],
        check=True,
    )
    lines = bench.run(image)
    return [(what, size, name, int(n)) for what, size, name, n in lines]


def test_right_and_wrong_macs_take_the_same_instructions_up_to_the_verdict(tmp_path):
    lines = counted(tmp_path)
    for size in SIZES:
        mine = [x for x in lines if x[1] == size]
        counts = {}
        for what, _, name, n in mine:
            counts.setdefault(what, {}).setdefault(name, []).append(n)
        assert sorted(counts) == ["delivered", "to_return", "up_to_verdict"], sorted(counts)
        assert counts["delivered"]["good"] == [1, 1]
        until = counts["up_to_verdict"]
        assert len(until["mac"]) == 8 and len(until["id"]) == 8 and len(until["body"]) >= 33
        found = set().union(*until.values())
        assert len(found) == 1 and found.pop() > 1000, (size, until)
        found = set().union(*counts["to_return"].values())
        assert len(found) == 1, (size, counts["to_return"])


def test_a_comparison_that_ends_early_would_be_noticed(tmp_path):
    # The same image with a comparison that stops at the first difference.
    bad = tmp_path / "bad.h"
    bad.write_text(
        '#include "zt_bytes.h"\n'
        "static inline int ends_early(const uint8_t *a, const uint8_t *b, size_t n) {\n"
        "    for (size_t i = 0; i < n; i++) {\n"
        "        if (a[i] != b[i]) {\n"
        "            return -1;\n"
        "        }\n"
        "    }\n"
        "    return 0;\n"
        "}\n"
        "#define zt_compare ends_early\n"
    )
    lines = counted(tmp_path, ["-include", str(bad)])
    until = [n for what, size, name, n in lines if what == "up_to_verdict" and size == "60"]
    assert len(set(until)) > 4
