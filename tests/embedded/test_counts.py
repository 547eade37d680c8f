# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The core on a bare, emulated RV32: right answers, and no more instructions than recorded in
# counts.json (3 % are let pass). Counts belong to one version of the compiler; with another they
# are printed and not judged. `tools/bench_embedded.py --record` writes new ones.
# cpython-only: needs a cross compiler and an emulator

import json
import os
import sys

import pytest

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(TOP, "tools"))

import bench_embedded  # noqa: E402

GROWTH = 1.03


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    missing = bench_embedded.absent()
    if missing:
        pytest.skip("needs the Debian packages " + " ".join(missing))
    return bench_embedded.measure(str(tmp_path_factory.mktemp("embedded")))


def recorded():
    with open(bench_embedded.RECORDED) as f:
        return json.load(f)


def grown(counts, expected):
    """Names of what costs more than it may, or is not counted any more."""
    return [n for n in sorted(expected) if counts.get(n, 1 << 40) > expected[n] * GROWTH]


def test_answers_are_right_and_the_core_fits(measured):
    # measure() has compared every answer with the Python twin's.
    counts, sizes = measured
    assert sorted(sizes) == sorted(bench_embedded.sources())
    assert sum(sizes.values()) <= 40000


def test_instructions_have_not_grown(measured):
    counts, _ = measured
    expected = recorded()
    if bench_embedded.compiler() != expected["compiler"]:
        for name in sorted(counts):
            print(name, counts[name], "recorded", expected["counts"].get(name))
        pytest.skip("counts are recorded for %s" % expected["compiler"])
    assert grown(counts, expected["counts"]) == []


def test_growth_would_be_noticed():
    assert grown({"a": 1031}, {"a": 1000}) == ["a"]
    assert grown({"a": 1030}, {"a": 1000}) == []
    assert grown({}, {"a": 1000}) == ["a"]


def test_every_recorded_count_meets_its_target():
    for r in bench_embedded.rows(recorded()["counts"], {}):
        if r["target"] and r["unit"] != "bytes":
            assert r["value"] <= r["target"], r


def test_a_count_that_depends_on_a_secret_is_noticed():
    # measure() has compared those of six secrets.
    same = [("sign", 5)] * 30
    bench_embedded.check_others({"sign": 5}, same)
    for others in (same[:-1] + [("sign", 6)], same[:-1]):
        with pytest.raises(SystemExit):
            bench_embedded.check_others({"sign": 5}, others)


def test_a_wrong_answer_is_noticed():
    lines = [("sealed", "00")]
    with pytest.raises(SystemExit):
        bench_embedded.check(lines)
    with pytest.raises(SystemExit):
        bench_embedded.check([])
