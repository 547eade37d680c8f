# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The compiled data plane: no warning and nothing needed on any compiler here, no state of its own,
# a bounded stack, the stated size, nothing for the sanitizers to find. CPython only: compilers.

import os
import random
import shutil
import subprocess
import sys

import pytest
from _plane import CORE, SANITIZE, WARNINGS, build, sources
from test_core_rules_build import _compilers, stack

PARTS = sorted(x for x in os.listdir(CORE) if x.startswith("zt_plane") and x.endswith(".c"))
RV32 = ["riscv64-unknown-elf-gcc", "-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs"]
LIBC = {"memcmp", "memcpy", "memset", "memmove", "bcmp", "strlen"}


def _symbols(nm, obj):
    lines = subprocess.run([nm, obj], capture_output=True, text=True, check=True).stdout
    return [x.split()[-2:] for x in lines.splitlines()]


def test_it_compiles_without_a_warning_and_needs_nothing(tmp_path):
    obj = str(tmp_path / "plane.o")
    for cc, flags in _compilers():
        nm = "riscv64-unknown-elf-nm" if flags else "nm"
        for level in ("-Os", "-O2"):
            needed, shown = set(), set()
            for part in PARTS:
                command = [cc, *WARNINGS, "-Wcast-align=strict" if "gcc" in cc else "-Wcast-align"]
                command += [*flags, level, "-c", "-o", obj, os.path.join(CORE, part)]
                subprocess.run(command, check=True)
                symbols = _symbols(nm, obj)
                assert not [name for kind, name in symbols if kind in "dDbBcC"], (cc, part)
                needed |= {name for kind, name in symbols if kind == "U"}
                shown |= {name for kind, name in symbols if kind == "T"}
            core = {"zt_seal", "zt_open", "zt_lz4_decompress", "zt_rules_eval"}
            core |= {"zt_ahead", "zt_open_ahead"}
            assert needed - shown <= LIBC | core, (cc, needed - shown)
            assert all(name.startswith("zt_") for name in shown)


def test_the_core_calls_no_allocator(tmp_path):
    # All of it, not the plane alone: memory is the caller's.
    for cc, flags in _compilers():
        nm = "riscv64-unknown-elf-nm" if flags else "nm"
        needed, shown = set(), set()
        for i, source in enumerate(sources()):
            obj = str(tmp_path / ("core%d.o" % i))
            subprocess.run([cc, *flags, "-std=gnu99", "-Os", "-c", "-o", obj, source], check=True)
            symbols = _symbols(nm, obj)
            needed |= {name for kind, name in symbols if kind == "U"}
            shown |= {name for kind, name in symbols if kind in "TD"}
        helpers = {x for x in needed if x.startswith(("__", "_GLOBAL_OFFSET_TABLE_"))}  # libgcc's
        assert needed - shown - helpers <= LIBC, (cc, needed - shown - helpers)
        assert len(shown) > 60


def _rv32():
    if not shutil.which(RV32[0]):
        pytest.skip("no RV32 compiler (Debian package gcc-riscv64-unknown-elf)")


def test_the_code_is_small_on_rv32(tmp_path):
    _rv32()
    total = 0
    for part in PARTS:
        obj = str(tmp_path / (part + ".o"))
        source = os.path.join(CORE, part)
        subprocess.run([*RV32, "-std=c99", "-Os", "-c", "-o", obj, source], check=True)
        command = ["riscv64-unknown-elf-size", obj]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        text, data, bss = out.splitlines()[1].split()[:3]
        assert (data, bss) == ("0", "0")
        total += int(text)
    assert 4096 < total <= 14336, total


def test_no_recursion_and_the_stack_is_bounded(tmp_path):
    _rv32()
    names = [*PARTS, "zt_rules.c", "zt_wire.c", "zt_salsa20.c", "zt_poly1305.c", "zt_lz4.c"]
    graph = []
    for name in names:
        source = os.path.abspath(os.path.join(CORE, name))
        command = [*RV32, "-std=c99", "-Os", "-fcallgraph-info=su", "-c", source, "-o", "x.o"]
        subprocess.run(command, cwd=tmp_path, check=True)
        graph.append((tmp_path / "x.ci").read_text())
    deepest, functions = stack("\n".join(graph))
    # The stack of zt_plane_rx down to the deepest of seal, open and the rules, but for what the
    # port's own functions take.
    assert functions > 60 and 400 < deepest <= 1152, deepest


def test_sanitizers_find_nothing(tmp_path):
    cc = shutil.which("gcc")
    if not cc:
        pytest.skip("no gcc (Debian package gcc)")
    where = [cc, "-print-file-name=libasan.so"]
    asan = subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip()
    if not os.path.isabs(asan):
        pytest.skip("gcc has no libasan")
    library = build(str(tmp_path / "plane_asan.so"), cc, SANITIZE)
    here = os.path.dirname(os.path.abspath(__file__))
    tests = ["", "_tx", "_reassembly", "_tables", "_board", "_twins"]
    environment = dict(
        os.environ,
        LD_PRELOAD=asan,
        ASAN_OPTIONS="detect_leaks=0",
        PYTHONMALLOC="malloc",
        ZT_PLANE_LIB=library,
        ZT_PLANE_CASES="2000",
    )
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    command += [os.path.join(here, "test_plane%s.py" % t) for t in tests]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


def test_a_32_bit_big_endian_machine_does_the_same(tmp_path):
    other = "powerpc-linux-gnu-gcc"
    if not shutil.which(other) or not shutil.which("qemu-ppc"):
        pytest.skip("Debian packages gcc-powerpc-linux-gnu libc6-dev-powerpc-cross qemu-user")
    here = os.path.dirname(os.path.abspath(__file__))
    fuzz = os.path.join(here, "..", "fuzz")
    seeds = str(tmp_path / "seeds")
    subprocess.run([sys.executable, os.path.join(fuzz, "seeds_plane.py"), seeds], check=True)
    slow = ("c25519", "sha512", "identity", "idhash")
    needed = [x for x in sources() if not any(name in x for name in slow)]
    for target in ("plane_rx", "plane_tx", "reassembly"):
        folder = os.path.join(seeds, target)
        inputs = []
        names = sorted(os.listdir(folder))
        for name in names:
            with open(os.path.join(folder, name), "rb") as f:
                seed = f.read()
            r = random.Random(name)
            for i in range(800 // len(names)):  # the seed, and with a few bytes changed
                mutant = bytearray(seed)
                for _ in range(min(i, 3)):
                    mutant[r.randrange(len(mutant))] = r.randrange(256)
                inputs.append(os.path.join(folder, "%s_%d" % (name, i)))
                with open(inputs[-1], "wb") as f:
                    f.write(mutant)
        printed = []
        for cc, run in (("gcc", []), (other, ["qemu-ppc"])):
            program = str(tmp_path / "replay")
            what = '-DTARGET="../fuzz/fuzz_%s.c"' % target
            command = [cc, "-std=gnu99", "-O1", "-static", what, "-I", CORE, "-o", program]
            command += [os.path.join(here, "..", "core", "plane_replay.c"), *needed]
            subprocess.run(command, check=True)
            done = subprocess.run(run + [program, *inputs], capture_output=True, check=True)
            printed.append(done.stdout)
        assert printed[0] == printed[1]
        assert printed[0].split()[0] == b"%d" % len(inputs)
