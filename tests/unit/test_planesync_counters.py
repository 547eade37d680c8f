# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What the data plane has counted, read back into peers and networks.

from _fakeplane import NEVER, World
from zt._compat import ticks_add


def _counts(w, *numbers, age=5):
    """What the plane says of B: packets and bytes each way, and that it is in use."""
    w.c.peer_ages[w.b.address] = list(numbers) + [age, age, age, age, NEVER]


def test_counters_of_the_network_include_the_planes():
    w = World().settled()
    before = w.net.counters()
    w.c.net_counts[:] = [3, 300, 4, 400, 1, 2, 0, 0, 0, 0]
    after = w.net.counters()
    assert after["rxFrames"] == before["rxFrames"] + 3
    assert after["txBytes"] == before["txBytes"] + 400
    assert after["drops"]["rules_out"] == before["drops"]["rules_out"] + 1
    assert after["drops"]["rules_in"] == before["drops"]["rules_in"] + 2
    assert w.net.counters() == after, "counted once"
    assert w.a.status()["counters"]["plane"] == {"rx": 7, "tx": 5}


def test_what_a_peer_moved_is_counted_across_its_entries():
    w = World()
    _counts(w, 50, 5000, 0, 0)  # left over from an entry before ours
    w.settled()
    _counts(w, 53, 5300, 2, 180)
    w.sim.run(1500)
    w.p.tick(w.sim.now)
    assert list(w.peer().moved) == [3, 300, 2, 180]
    w.p.path_changed(w.peer())
    assert w.b.address not in w.c.peers
    _counts(w, 0, 0, 0, 0)  # a new entry counts from zero
    w.a_to_b()
    w.sim.run(50)
    assert w.b.address in w.c.peers
    _counts(w, 1, 90, 1, 1 << 40)
    shown = [p for p in w.a.peers() if p["address"] == w.b.address.hex()][0]
    assert shown["counters"] == {
        "rxPackets": 4,
        "rxBytes": 390,
        "txPackets": 3,
        "txBytes": 180 + (1 << 40),
    }


def test_an_entry_that_ran_out_and_came_back_is_not_counted_backwards():
    w = World().settled()
    _counts(w, 7, 700, 7, 700)
    w.sim.run(1500)
    w.p.tick(w.sim.now)
    e = w.p.peers[w.b.address]
    e.until = ticks_add(w.sim.now, -1)  # the plane has thrown it out by itself meanwhile
    _counts(w, 0, 0, 0, 0)
    w.a_to_b()
    w.sim.run(50)
    _counts(w, 2, 200, 0, 0)
    w.p.sync.peers(w.sim.now)
    assert list(w.peer().moved) == [9, 900, 7, 700]


def test_the_root_whose_frames_never_came_has_no_counters():
    w = World().settled()
    assert w.a.topology.peers[w.r.address].moved is None
    assert "counters" not in [p for p in w.a.peers() if p["address"] == w.r.address.hex()][0]
