# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# No branch and no address in the compiled core depends on a secret: tests/core/ctgrind.c under
# valgrind, for the machine code of three optimisation levels, both field representations, wide and
# portable ciphers and boards' aligned loads.
# cpython-only: compiles C and starts valgrind

import os
import shutil
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
CORE = os.path.join(HERE, "..", "..", "firmware", "core")
PROGRAM = os.path.join(HERE, "..", "core", "ctgrind.c")


def sources():
    with open(os.path.join(CORE, "sources.mk")) as f:
        lines = [x.split() for x in f if x.startswith("CORE_SRC")]
    return [os.path.join(CORE, x[-1]) for x in lines]


def findings(folder, flags):
    """Case name -> number of places where valgrind saw a decision on a secret."""
    cc = shutil.which("cc") or shutil.which("gcc")
    if not cc or not shutil.which("valgrind"):
        pytest.skip("needs a C compiler and valgrind (Debian packages gcc, valgrind)")
    program = os.path.join(str(folder), "ctgrind")
    command = [cc, "-std=gnu99", "-g", "-DZT_CTGRIND", "-I", CORE, "-o", program] + flags
    subprocess.run(command + [PROGRAM] + sources(), check=True)
    run = subprocess.run(
        ["valgrind", "-q", "--error-limit=no", program],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr
    found = {}
    for line in run.stdout.splitlines():
        name, count = line.split()
        found[name] = int(count)
    return found, run.stderr


def runs_under_valgrind(folder):
    program = os.path.join(str(folder), "ctgrind")
    done = subprocess.run(["valgrind", "-q", program, "wide"], capture_output=True, text=True)
    return done.stdout.strip()


def processor_has(flag):
    try:
        with open("/proc/cpuinfo") as f:
            return " %s " % flag in f.read().replace("\n", " ")
    except OSError:
        return False


def check(folder, flags, wide=None):
    found, report = findings(folder, flags)
    if wide:
        assert runs_under_valgrind(folder) == wide
    leaky = [name for name in found if name.startswith("leak_")]
    assert len(leaky) == 3 and len(found) == 27
    for name in leaky:
        assert found[name] > 0, "valgrind does not see " + name
    for name in found:
        if name not in leaky:
            assert found[name] == 0, "%s decides on a secret:\n%s" % (name, report)


def test_no_decision_on_a_secret_at_o1(tmp_path):
    check(tmp_path, ["-O1"])


def test_no_decision_on_a_secret_at_o2(tmp_path):
    check(tmp_path, ["-O2"], "avx2" if processor_has("avx2") else None)


def test_no_decision_on_a_secret_without_avx2(tmp_path):
    x86 = os.uname().machine == "x86_64"
    check(tmp_path, ["-O2", "-DZT_NO_AVX2"], "four lanes" if x86 else None)


def test_no_decision_on_a_secret_at_os(tmp_path):
    check(tmp_path, ["-Os"])


def test_no_decision_on_a_secret_in_the_portable_code(tmp_path):
    check(tmp_path, ["-O2", "-DZT_C25519_32", "-DZT_PORTABLE"], "portable")


def test_no_decision_on_a_secret_in_the_code_of_boards(tmp_path):
    check(tmp_path, ["-Os", "-DZT_C25519_32", "-DZT_PORTABLE", "-DZT_ALIGNED_WORDS=1"])
