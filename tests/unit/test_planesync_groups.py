# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Multicast groups in the data plane: when Python puts one in, renews it, and has it back.

from _fakeplane import IPV4, NEVER, World
from zt import mac as macs
from zt._compat import ticks_add, ticks_diff


def test_a_multicast_installs_its_group_until_somebody_comes_or_goes():
    w = World().settled()
    group = macs.BROADCAST
    for n in (w.a, w.b):
        n.multicast_subscribe(w.sim.now, w.nwid, group, 0)
    w.sim.run(500)

    def send():
        w.a.process_virtual_network_frame(w.sim.now, w.nwid, w.mac_a, group, IPV4, 0, b"to all")
        w.sim.run(20)

    send()
    key = (w.index(), group + bytes(4))
    assert w.c.groups[key] == w.b.address
    w.a.vl2.multicast.add(w.sim.now, w.nwid + group + bytes(4), b"\x01\x02\x03\x04\x05")
    assert key not in w.c.groups
    w.a.vl2.multicast.remove(w.nwid + group + bytes(4), b"\x01\x02\x03\x04\x05")
    send()
    assert key in w.c.groups
    w.a.vl2.multicast.remove(w.nwid + group + bytes(4), w.b.address)
    assert key not in w.c.groups


def test_a_group_is_renewed_while_it_is_used_and_python_would_not_gather():
    w = World().settled()
    group = macs.BROADCAST
    for n in (w.a, w.b):
        n.multicast_subscribe(w.sim.now, w.nwid, group, 0)
    w.sim.run(500)

    def send():
        w.a.process_virtual_network_frame(w.sim.now, w.nwid, w.mac_a, group, IPV4, 0, b"to all")

    send()
    key = w.nwid + group + bytes(4)
    g = w.a.vl2.multicast.groups[key]
    gathered = g.last_gather
    end = ticks_add(gathered, 60000)
    while ticks_diff(end, w.sim.now) > 1000:
        w.sim.now = ticks_add(w.sim.now, 1000)
        w.c.peer_ages[w.b.address] = [9, 900, 9, 900, 30, 40, 10, 30, NEVER]
        w.c.member_ages[w.b.address] = (40, 10)
        w.p.tick(w.sim.now)
        assert key in w.p.groups, ticks_diff(end, w.sim.now)
    renewed = w.c.renewed.count(group + bytes(4))
    assert renewed > 40
    # Python would gather: no more renewals, and the next frame is its.
    for _ in range(8):
        w.sim.now = ticks_add(w.sim.now, 1000)
        w.p.tick(w.sim.now)
    assert w.c.renewed.count(group + bytes(4)) <= renewed + 1 and key not in w.p.groups
    send()
    assert g.last_gather == w.sim.now and key in w.p.groups
    # Nobody uses it.
    w.c.quiet = True
    for _ in range(7):
        w.sim.now = ticks_add(w.sim.now, 1000)
        w.p.tick(w.sim.now)
    assert key not in w.p.groups


def test_a_group_of_more_members_than_may_be_sent_to_is_pythons_again():
    w = World().settled()
    key = w.nwid + b"\x01\0\x5e\1\2\3" + bytes(4)
    m = w.a.vl2.multicast
    for i in range(3):
        m.add(w.sim.now, key, bytes((1, 2, 3, 4, i)))
    m.groups[key].last_gather = w.sim.now
    w.net.config.multicast_limit = 3
    assert not m.due(w.sim.now, w.net, key)
    w.net.config.multicast_limit = 2
    assert m.due(w.sim.now, w.net, key)
    w.net.config.multicast_limit = 4
    assert not m.due(w.sim.now, w.net, key)
    assert m.due(ticks_add(w.sim.now, 60000), w.net, key)
    assert m.due(w.sim.now, w.net, w.nwid + bytes(10))
