# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# zt.memory(): its numbers are of the right size and move with what is used.

import zt
from test_card import in_world
from zt import usage
from zt._compat import MICROPYTHON


def test_the_heap_is_measured():
    used, free, largest = usage.heap()
    if not MICROPYTHON:
        assert (used, free, largest) == (0, 0, 0)
        return
    kept = bytearray(50000)
    more = usage.heap()
    assert 50000 <= more[0] - used <= 51000
    assert more[2] <= more[1]
    assert zt.memory()["heap_peak"] >= more[0]
    del kept


def test_a_running_node_is_part_of_it():
    def check(w):
        found = w.nic.status("memory")
        assert found["peers"] == 1 and found["networks"] == 0
        assert found["flash"]["bytes"] == 0
        assert 3072 + 1400 < found["buffers"] < 3072 + 1600
        if MICROPYTHON:
            assert 400 < found["peer"] < 4000 and 200 < found["member"] < 4000
            assert 1000 < found["network"] < 10000
            assert found["plane"] == 0, "this test runs without"

    assert "peers" not in zt.memory()
    in_world(check)
