# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The first inputs of the C fuzzers and those kept of long runs (tests/fuzz), through their targets
# with address and undefined-behaviour sanitizers: what was found once stays found. Needs no
# libFuzzer.
# cpython-only: compiles C

import os
import shutil
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
FUZZ = os.path.join(HERE, "..", "fuzz")
CORE = os.path.join(HERE, "..", "..", "firmware", "core")
TARGETS = ("wire", "lz4", "rules", "plane_rx", "plane_run", "plane_tx", "reassembly")
FLAGS = ["-std=gnu99", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
# What the targets do not reach takes longest to compile.
UNUSED = ("c25519", "sha512", "identity", "idhash")


def sources():
    with open(os.path.join(CORE, "sources.mk")) as f:
        lines = [x.split()[-1] for x in f if x.startswith("CORE_SRC")]
    return [os.path.join(CORE, x) for x in lines if not any(name in x for name in UNUSED)]


def test_what_fuzzing_found_stays_found(tmp_path):
    cc = shutil.which("gcc") or shutil.which("clang")
    if not cc:
        pytest.skip("no C compiler (Debian package gcc)")
    seeds = str(tmp_path / "seeds")
    for script in ("seeds.py", "seeds_rules.py", "seeds_plane.py"):
        subprocess.run([sys.executable, os.path.join(FUZZ, script), seeds], check=True)
    subprocess.run([sys.executable, os.path.join(FUZZ, "corpus.py"), "unpack", seeds], check=True)
    assert sorted(os.listdir(seeds)) == sorted(TARGETS)
    objects = []
    for i, path in enumerate([*sources(), os.path.join(FUZZ, "replay.c")]):
        objects.append(str(tmp_path / ("%d.o" % i)))
        subprocess.run([cc, *FLAGS, "-I", CORE, "-c", path, "-o", objects[-1]], check=True)
    for target in TARGETS:
        program = str(tmp_path / target)
        source = os.path.join(FUZZ, "fuzz_%s.c" % target)
        subprocess.run([cc, *FLAGS, "-I", CORE, "-o", program, source, *objects], check=True)
        folder = os.path.join(seeds, target)
        names = [os.path.join(folder, x) for x in sorted(os.listdir(folder))]
        kept = [x for x in names if os.path.basename(x).startswith("kept")]
        assert target == "wire" or len(kept) >= 10, target
        done = subprocess.run(
            [program, "-"], input="\n".join(names) + "\n", capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-4000:]
        assert int(done.stdout) == len(names)
