# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What the node takes of the emulated board, with one network and eight peers that talk to it.
# BOUND is what it takes today and a little, so that it cannot grow unseen; the target is 64 KB.
# What is counted and how is footprint's.

import json

import footprint
import pytest
from lab import Lab

BOUND = 52 * 1024
APPLICATION = 128 * 1024


@pytest.mark.usefixtures("a_board_is_possible")
def test_a_node_with_eight_peers_keeps_within_its_bounds(tmp_path):
    with Lab("crowd") as net:
        stages = footprint.measure(net, "crowd", tmp_path)
    for name in footprint.STAGES:
        print("%s: %s" % (name, json.dumps(stages[name], sort_keys=True)))
    found = [stages[name] for name in footprint.STAGES]
    assert [m["peers"] for m in found] == [1, 1, 1, footprint.PEERS + 1]
    assert [m["networks"] for m in found] == [0, 0, 1, 1]
    heaps = [m["node_heap"] for m in found]
    assert 0 < heaps[0] and heaps[1] < heaps[2] < heaps[3], heaps
    last = found[-1]
    assert last["static"] > 0 and last["tables"] >= last["plane"] > 0
    assert last["heap_free"] >= APPLICATION
    assert last["node"] <= BOUND
