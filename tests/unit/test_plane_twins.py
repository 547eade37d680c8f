# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The data plane against the Python node: the same random networks, rules, frames and datagrams
# through both give the same frames, packets and counters, and Python gets what is Python's and
# nothing else. ZT_PLANE_CASES=1000000 runs so many. CPython only: ctypes.

import collections
import os
import random

import _plane
import _plane_cases as cases
import pytest
from _plane_twins import later, twins
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CASES = int(os.environ.get("ZT_PLANE_CASES", "20000"))
PER_WORLD = 40
_number = [0]  # of the packets, so that no id comes twice


@pytest.fixture(scope="module")
def pair(lib):
    return twins(lib)


@pytest.fixture(scope="module")
def small_pair(lib):
    """A plane too small for long packets, which Python then puts together and inflates."""
    return twins(lib, packet_bytes=1800, reassembly=2, event_bytes=200000)


def _counts(twin, before):
    return {k: v - before[k] for k, v in twin.counted().items() if v != before[k]}


def check(pair, r, seen, n=PER_WORLD):
    """n cases in one random world."""
    python, planed = pair
    world = cases.World(r)
    for twin in pair:
        later(twin, 2000)
        world.set(twin)
    planed.base = planed.plane.counters()
    for _ in range(n):
        _number[0] += 1
        result = None
        before = python.counted(), planed.counted()
        if r.randrange(5) < 2:
            case = cases.Tap(r)
            must = case.for_python(planed)
            python.tap(case.frame)
            result = planed.tap(case.frame, case.cuts)
        else:
            case = cases.Datagrams(r, python.keys, _number[0])
            must = case.for_python(planed)
            for wire, remote, data in case.sent:
                python.datagram(wire, remote, data)
                result = planed.datagram(wire, remote, data)
        handed = [ev.kind for ev, _ in planed.handed if ev.kind != _plane.COPY]
        seen[type(case).__name__, must, result] += 1
        if must is not None:
            assert bool(handed) == must, (case, planed.handed)
        assert planed.frames() == python.frames(), case
        assert sorted(planed.packets()) == sorted(python.packets()), case
        assert _counts(planed, before[1]) == _counts(python, before[0]), case
        seen["copies"] += len(planed.handed) != len(handed)
        for name in _counts(python, before[0]):
            seen["count", name, bool(handed)] += 1
        python.reset()
        planed.reset()
    _, _, wrong, held = planed.plane.shim_counts()
    assert wrong == 0 and held == 0
    lost = planed.plane.counters()
    assert not [x for x in ("event_lost", "stranger_lost", "frame_lost") if x in lost]


def test_the_plane_does_what_python_does(pair):
    seen = collections.Counter()
    for i in range(CASES // PER_WORLD):
        check(pair, random.Random(i), seen)
    for kind in ("Tap", "Datagrams"):
        assert seen[kind, True, _plane.EVENT] > CASES // 10
        assert seen[kind, False, _plane.DONE] > CASES // 10
        assert seen[kind, False, _plane.DROPPED] > CASES // 40
    assert seen["copies"] > CASES // 100
    for name in ("rules_out", "rules_in", "bad_source", "bad_destination", "broadcast_off",
                 "multicast_off", "mac", "compression", "short", "looped", "fragment",
                 "rx_frames", "tx_frames"):  # fmt: skip
        assert seen["count", name, False] > CASES // 400, name


def test_a_small_plane_does_what_python_does(small_pair):
    seen = collections.Counter()
    for i in range(CASES // PER_WORLD // 5):
        check(small_pair, random.Random(-1 - i), seen)
    assert seen["Datagrams", None, _plane.EVENT] > 5


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_no_world_can_be_found_that_differs(pair, r):
    check(pair, r, collections.Counter(), 10)
