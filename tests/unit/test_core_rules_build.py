# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The compiled rules engine of the core: no warning and nothing needed on any compiler here, the
# stack its head states, and nothing for the sanitizers to find. CPython only: compilers.

import collections
import os
import platform
import re
import shutil
import subprocess
import sys

import pytest
from _core_rules import CORE, SANITIZE, WARNINGS, build


def _compilers():
    found = [(x, []) for x in ("gcc", "clang") if shutil.which(x)]
    if shutil.which("riscv64-unknown-elf-gcc"):
        rv32 = ["-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs"]
        found.append(("riscv64-unknown-elf-gcc", rv32))
    if not found:
        pytest.skip("no C compiler (Debian package gcc)")
    return found


def test_it_compiles_without_a_warning_and_needs_nothing(tmp_path):
    source = os.path.join(CORE, "zt_rules.c")
    for cc, flags in _compilers():
        for level in ("-O0", "-Os", "-O2", "-O3"):
            obj = str(tmp_path / "rules.o")
            subprocess.run([cc, *WARNINGS, *flags, level, "-c", "-o", obj, source], check=True)
            nm = "riscv64-unknown-elf-nm" if flags else "nm"
            lines = subprocess.run([nm, obj], capture_output=True, text=True, check=True).stdout
            symbols = [x.split()[-2:] for x in lines.splitlines()]
            needed = {name for kind, name in symbols if kind == "U"}
            assert needed <= {"memcmp", "memcpy", "memset", "bcmp"}, (cc, needed)
            assert not [name for kind, name in symbols if kind in "dDbBcC"], cc
            shown = {name for kind, name in symbols if kind == "T"}
            assert shown == {"zt_rules_eval", "zt_rules_validate"}


def stack(graph):
    """The deepest stack of gcc's call graph, and its number of functions. Fails on recursion."""
    size = {}
    calls = collections.defaultdict(set)
    for line in graph.splitlines():
        names = re.findall(r'(?:title|sourcename|targetname): "([^"]*)"', line)
        if line.startswith("node"):
            found = re.search(r"(\d+) bytes \((\w+)\)", line)
            assert not found or found.group(2) == "static", line
            size[names[0]] = int(found.group(1)) if found else 0
        elif line.startswith("edge"):
            calls[names[0]].add(names[1])

    def deep(name, above):
        assert name not in above, "recursion in " + name
        return size[name] + max([deep(x, above + [name]) for x in calls[name]], default=0)

    return max(deep(name, []) for name in list(size)), len(size)


def test_the_stack_is_as_stated(tmp_path):
    source = os.path.abspath(os.path.join(CORE, "zt_rules.c"))
    checked = 0
    for cc, flags in _compilers():
        if not cc.endswith("gcc") or (not flags and platform.machine() != "x86_64"):
            continue
        for level in ("-Os", "-O2"):
            command = [cc, *flags, level, "-std=c99", "-fcallgraph-info=su", "-c", source]
            subprocess.run([*command, "-o", "rules.o"], cwd=tmp_path, check=True)
            deepest, functions = stack((tmp_path / "rules.ci").read_text())
            assert functions > 5 and 64 < deepest < (256 if flags else 384), (cc, deepest)
            checked += 1
    if not checked:
        pytest.skip("no gcc for a machine whose stack is stated")


SANITIZED = """
import collections, random, sys
sys.path[:0] = %(path)r
import _rules_cases as cases
import test_core_rules as t
from _core_rules import load
lib = load(%(lib)r)
for i in range(1000000, 1000000 + %(n)d):
    t.compare(lib, cases.case(random.Random(i)), collections.Counter())
    raw = cases.rule_list(random.Random(i), b"", 6)
    t.validate(lib, raw)
t.test_every_vector_gives_verdict_copies_and_result(lib)
t.test_a_trace_without_room_counts_and_writes_nothing(lib)
print("sanitized: done")
"""


def test_sanitizers_find_nothing(tmp_path):
    cc = shutil.which("gcc")
    if not cc:
        pytest.skip("no gcc (Debian package gcc)")
    where = [cc, "-print-file-name=libasan.so"]
    asan = subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip()
    if not os.path.isabs(asan):
        pytest.skip("gcc has no libasan")
    lib = build(str(tmp_path / "rules_asan.so"), cc, SANITIZE)
    here = os.path.dirname(os.path.abspath(__file__))
    path = [here, os.path.join(here, "..", "..", "lib")]
    environment = dict(
        os.environ,
        LD_PRELOAD=asan,
        ASAN_OPTIONS="detect_leaks=0",
        PYTHONMALLOC="malloc",
    )
    code = SANITIZED % {"path": path, "lib": lib, "n": 5000}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "sanitized: done" in done.stdout, done.stdout + done.stderr
