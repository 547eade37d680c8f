# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The core on seven instruction sets, two of them big-endian: compiled without a warning, the known
# answers right, the fuzzers' inputs with the same outcome everywhere, and no more bytes than in
# core_sizes.json (3 % are let pass, and another compiler's sizes are not judged).
# `tools/core_targets.py --record` writes new ones.
# cpython-only: needs cross compilers and emulators

import json
import os
import subprocess
import sys

import pytest

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(TOP, "tools"))

import core_machines  # noqa: E402
import core_targets  # noqa: E402

GROWTH = 1.03
NAMES = [t.name for t in core_machines.targets()]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    toolchain = os.path.join(TOP, "tools", "toolchain.sh")
    subprocess.run([toolchain, "targets"], check=os.getuid() == 0)  # who is root gets all of it
    results, skipped = core_targets.measure(str(tmp_path_factory.mktemp("core") / "work"))
    for name in skipped:
        print("%s: SKIPPED, needs the Debian packages: %s" % (name, skipped[name]))
    assert not (skipped and os.getuid() == 0), skipped
    return results, skipped


@pytest.fixture
def result(measured, request):
    results, skipped = measured
    if request.param in skipped:
        pytest.skip("needs the Debian packages " + skipped[request.param])
    return results[request.param]


def recorded(name):
    with open(core_targets.RECORDED) as f:
        return json.load(f)[name]


@pytest.mark.parametrize("result", NAMES, indirect=True)
def test_answers_are_right_everywhere(result):
    # measure() has compared them with the vectors', and the targets with each other.
    assert result["cases"] > 1000
    assert all(int(count) > 300 for count, _ in result["replays"].values())
    assert sorted(result["sizes"]) == sorted(core_targets.sources())


@pytest.mark.parametrize("name,result", zip(NAMES, NAMES), indirect=["result"])
def test_the_code_has_not_grown(name, result):
    expected = recorded(name)
    if result["compiler"] != expected["compiler"]:
        pytest.skip("sizes are recorded for " + expected["compiler"])
    assert result["flags"] == expected["flags"]
    assert result["total"] <= expected["total"] * GROWTH, (result["sizes"], expected["sizes"])


def test_the_page_shows_what_is_recorded():
    with open(core_targets.RECORDED) as f:
        assert core_targets.shown()[1] == core_targets.table(json.load(f))


def test_wrong_answers_are_noticed(tmp_path):
    work = core_targets.Work(str(tmp_path / "work"))
    target = core_machines.targets()[0]
    work.one(target)
    with open(work.cases, "rb") as f:
        cases = bytearray(f.read())
    assert work.known_answers(target, str(tmp_path / "work" / target.name / "vectors"))
    cases[-1] ^= 1
    with open(work.cases, "wb") as f:
        f.write(cases)
    with pytest.raises(SystemExit, match="wrong answers"):
        work.known_answers(target, str(tmp_path / "work" / target.name / "vectors"))


def test_machines_that_differ_are_noticed():
    same = {"cases": 5, "replays": {"plane_rx": ["3", "aa"]}}
    core_targets.compare({"one": same, "other": dict(same)})
    for other in ({"cases": 4}, {"replays": {"plane_rx": ["3", "ab"]}}):
        with pytest.raises(SystemExit, match="has"):
            core_targets.compare({"one": same, "other": dict(same, **other)})


def test_a_compiler_that_warns_ends_it(tmp_path):
    target = core_machines.targets()[0]
    target.prepare()
    source = tmp_path / "warned.c"
    source.write_text("int f(long a);\nint f(long a) {\n    return a;\n}\n")
    flags = ["-std=c99", *core_machines.WARNINGS]
    with pytest.raises(SystemExit, match="conversion"):
        target.compile(str(source), str(tmp_path / "warned.o"), flags)
