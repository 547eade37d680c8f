# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What Python puts into the data plane, takes out at once, renews and reads back, over a plane
# whose tables are dicts. What the plane itself does with them is in test_plane*.py.

from _fakeplane import IPV4, NEVER, World, authorize
from zt import plane, planesync
from zt._compat import ticks_add, ticks_diff
from zt.const import NET_ACCESS_DENIED, NET_OK
from zt.credential import Ownership, Tag
from zt.path import Path
from zt.peer import Slot

_BOTH = planesync.ADMITTED | planesync.SENDABLE


def _place(remote, wire):
    ip, port = remote
    return bytes((len(ip),)) + ip + bytes(16 - len(ip)) + port.to_bytes(2, "big") + bytes((wire,))


def test_after_frames_both_ways_peer_and_member_are_installed():
    w = World().settled()
    flags, ttl, credentials = w.member()
    assert flags == _BOTH and credentials == b"" and ttl <= plane.TTL_MS
    key, way, ttl = w.c.peers[w.b.address]
    slot = w.peer().slots[0]
    assert key == w.peer().key
    assert way[:20] == _place(slot.path.remote, slot.path.local_socket)
    assert way[20:40] == way[:20] and way[40:] == bytes(20)
    assert ttl == plane.TTL_MS
    args = w.c.networks[0]
    assert args[0] == w.nwid and args[1] == 3
    assert args[5] == w.net.config.rules


def test_nothing_is_installed_before_a_frame_went_by_python():
    w = World()
    w.sim.run(3000)
    assert not w.c.peers and not w.c.members


def test_a_full_table_leaves_the_work_to_python():
    w = World()
    w.c.full = True
    w.a_to_b()
    w.b_to_a()
    w.sim.run(3000)
    before = len(w.b.cb.frames)
    w.a_to_b()
    w.sim.run(100)
    assert len(w.b.cb.frames) == before + 1
    assert not w.c.peers and not w.c.members


def test_a_deauthorized_member_is_taken_out_when_the_revocation_arrives():
    w = World().settled()
    dropped = []
    real = w.c.member_del
    w.c.member_del = lambda i, a: dropped.append(len(w.sim.log)) or real(i, a)
    w.r.controller.put_member(w.sim.now, w.nwid, w.b.address, {"authorized": False})
    w.sim.run(300)
    assert dropped and w.member() is None and w.key not in w.c.members
    before = len(w.a.cb.frames)
    w.b_to_a()
    w.sim.run(2000)
    w.b_to_a()
    w.sim.run(2000)
    assert len(w.a.cb.frames) == before
    assert w.member() is None


def test_our_own_revocation_takes_the_network_out():
    w = World().settled()
    w.r.controller.put_member(w.sim.now, w.nwid, w.a.address, {"authorized": False})
    assert w.sim.until(lambda: w.net.status == NET_ACCESS_DENIED, 500) is not None
    assert w.index() is None and not w.c.networks and not w.c.members
    w.a_to_b()
    w.sim.run(500)
    assert not w.c.networks
    authorize(w.sim, w.r, w.nwid, w.a)
    assert w.sim.until(lambda: w.net.status == NET_OK, 8000) is not None
    w.settled()


def test_a_new_configuration_takes_the_network_out():
    w = World().settled()
    w.r.controller.put_network(w.sim.now, w.nwid, {"mtu": 1400})
    assert w.sim.until(lambda: w.net.config.mtu == 1400, 2000) is not None
    assert not w.c.networks and not w.c.members and w.index() is None


def test_leaving_takes_the_network_out():
    w = World().settled()
    w.a.leave(w.sim.now, w.nwid)
    assert not w.c.networks and not w.c.members


def test_any_credential_of_a_member_takes_it_out_until_the_next_frame():
    w = World().settled()
    tag = Tag(w.nwid, w.net.config.timestamp, 5, 6, w.b.address)
    tag.sign(w.r.identity)
    w.net.credential(w.sim.now, tag, w.r.address)
    assert w.member() is None
    w.b_to_a()
    w.sim.run(50)
    assert w.member() is not None


def test_a_forgotten_member_and_a_forgotten_peer_are_taken_out():
    w = World().settled()
    w.net.members.forget(w.b.address)
    assert w.member() is None
    w.a.topology.forget(w.sim.now, w.peer())
    assert w.b.address not in w.c.peers


def test_a_change_of_paths_takes_the_peer_out():
    w = World().settled()
    w.peer().learn(Path(1, (b"\x0a\x09\x00\x63", 4444)), w.sim.now, 8)
    assert w.b.address not in w.c.peers
    w = World().settled()
    w.peer().redirect(Path(1, (b"\x0a\x09\x00\x63", 4444)), w.sim.now, 2)
    assert w.b.address not in w.c.peers
    w = World().settled()
    w.peer().slots[0].lr = ticks_add(w.sim.now, -250000)
    w.peer().prune(w.sim.now)
    assert w.b.address not in w.c.peers
    w = World().settled()
    w.a.network_changed_below(w.sim.now)
    assert not w.c.peers


def test_what_goes_over_a_relay_is_installed_shortly_and_goes_with_the_relays_paths():
    w = World()
    w.sim.block = lambda s, d, p: s + d in ("AB", "BA")
    for _ in range(3):
        w.a_to_b()
        w.b_to_a()
        w.sim.run(1500)
    w.a_to_b()
    key, way, ttl = w.c.peers[w.b.address]
    root = w.a.topology.peers[w.r.address]
    assert way[:20] == _place(root.slots[0].path.remote, root.slots[0].path.local_socket)
    assert ttl < 3000
    root.slots_changed()
    assert w.b.address not in w.c.peers


def test_a_silent_path_goes_back_to_python_which_asks():
    w = World().settled()
    w.c.peer_ages[w.b.address] = [0, 0, 9, 900, NEVER, NEVER, 10, NEVER, NEVER]
    w.c.member_ages[w.b.address] = (NEVER, 10)
    t = 0
    while w.c.peers[w.b.address][1][:20] != bytes(20) and t < 20:
        w.sim.now = ticks_add(w.sim.now, 1000)
        w.p.tick(w.sim.now)
        t += 1
    assert 3 <= t <= 5, t  # 4 s of silence while we send
    sent = len(w.sim.wire)
    w.a_to_b()
    assert len(w.sim.wire) == sent + 2, "the frame and an ECHO"
    assert w.c.peers[w.b.address][1][:20] == bytes(20)
    w.sim.run(100)  # which is answered
    w.a_to_b()
    slot = w.peer().slots[0]
    assert w.c.peers[w.b.address][1][:20] == _place(slot.path.remote, slot.path.local_socket)


def test_who_only_listens_keeps_its_entry_whatever_way_it_would_send():
    # B sends by one path, the better one of ours is another: silent, with nobody to ask on it.
    w = World().settled()
    peer = w.peer()
    old = peer.slots[0]
    other = Path(old.path.local_socket, (bytes((10, 0, 0, 77)), 9993))
    other.last_in = ticks_add(w.sim.now, -2500)
    other.latency = 0
    new = Slot(other, ticks_add(w.sim.now, -2500))
    peer.slots += (new,)
    peer.slots_changed()
    assert peer.best_slot(w.sim.now) is new
    w.b_to_a()
    w.sim.run(50)
    assert w.c.peers[w.b.address][1][:20] == _place(other.remote, other.local_socket)
    w.c.member_ages[w.b.address] = (20, NEVER)
    for second in range(10):
        w.sim.now = ticks_add(w.sim.now, 1000)
        w.c.peer_ages[w.b.address] = [9, 900, 0, 0, 20, 20, NEVER, NEVER, NEVER]
        e = w.p.peers[w.b.address]
        w.c.peer_ages[w.b.address][7 + e.slots.index(old)] = 20
        w.p.tick(w.sim.now)
        way = w.c.peers[w.b.address][1]
        sources = (way[20:40], way[40:60])
        assert _place(old.path.remote, old.path.local_socket) in sources, second
        assert (way[:20] == bytes(20)) == (second >= 1), second
    assert w.member() is not None


def test_what_is_used_is_renewed_and_its_times_come_back():
    w = World().settled()
    peer = w.peer()
    slot = peer.slots[0]
    m = w.net.members.table[w.b.address]
    for _ in range(20):
        w.sim.now = ticks_add(w.sim.now, 1000)
        w.c.peer_ages[w.b.address] = [9, 900, 9, 900, 30, 40, 10, 30, NEVER]
        w.c.member_ages[w.b.address] = (40, 10)
        w.p.tick(w.sim.now)
    assert w.b.address in w.c.peers and w.member() is not None
    assert w.b.address in w.c.renewed
    now = w.sim.now
    assert ticks_diff(now, peer.last_receive) == 30
    assert ticks_diff(now, peer.last_trusted) == ticks_diff(now, peer.last_nontrivial) == 40
    assert ticks_diff(now, peer.last_sent) == ticks_diff(now, slot.path.last_out) == 10
    assert ticks_diff(now, slot.lr) == ticks_diff(now, slot.path.last_in) == 30
    assert 10 <= ticks_diff(now, m.seen) <= 3010


def test_what_is_not_used_runs_out():
    w = World().settled()
    w.c.peer_ages[w.b.address] = [9, 900, 9, 900, 3000, 3000, 3000, 0, NEVER]
    for _ in range(8):
        w.sim.now = ticks_add(w.sim.now, 1000)
        w.p.tick(w.sim.now)
    assert w.b.address not in w.p.peers and not w.c.renewed
    assert w.member() is None


def test_a_due_push_of_credentials_ends_sendable_and_a_due_like_ends_admitted():
    w = World().settled()
    m = w.net.members.table[w.b.address]
    now = w.sim.now
    assert w.p.sync.flags(now, w.net, m) == _BOTH
    m.last_like = ticks_add(now, -59000)
    assert w.p._fit_member(now, w.net, m) == 1000
    assert w.p.sync.flags(ticks_add(now, 1000), w.net, m) == planesync.SENDABLE
    m.last_like = now
    m.last_push = ticks_add(now, -499000)
    assert w.p._fit_member(now, w.net, m) == 1000
    assert w.p.sync.flags(ticks_add(now, 1000), w.net, m) == planesync.ADMITTED
    m.last_push = now
    m.pushed = w.net.generation - 1
    assert w.p.sync.flags(now, w.net, m) == planesync.ADMITTED


def test_what_is_due_to_a_member_is_done_at_the_next_frame_and_not_in_a_minute():
    # With a network that accepts all, Python has short cuts that would put it off, from before
    # the plane knew the network.
    w = World().settled()
    m = w.net.members.table[w.b.address]
    w.net.members.settle()
    w.a_to_b()
    w.b_to_a()
    w.sim.run(50)
    assert not w.net.members.ready and not w.net.members.admitted
    w.net.members.ready[m.mac] = w.net.members.admitted[m.address] = m
    m.last_like = ticks_add(w.sim.now, -61000)
    m.last_push = ticks_add(w.sim.now, -501000)
    w.p.members[w.nwid][w.b.address] = ticks_add(w.sim.now, 1000)
    w.p.tick(w.sim.now)
    assert w.member() is None
    w.b_to_a()
    w.sim.run(50)
    assert w.member()[0] == planesync.ADMITTED
    w.a_to_b()
    assert w.member()[0] == _BOTH


def test_events_go_where_python_would_have_got_them():
    w = World().settled()
    frame = w.mac_b + w.mac_a + b"\x08\x00" + b"from the stack"
    w.c.waiting = [(bytes((2, 0, 0, 255, 0, 3)), frame)]
    assert w.p.events(w.sim.now)
    assert w.p.driver.nics.frames == [(3, frame)]
    copy = (bytes((3, 0, 0x16, 255, 0, 3)) + w.r.address, frame)
    w.c.waiting = [copy]
    w.sim.wire.clear()
    w.p.events(w.sim.now)
    assert [i[1] for i in w.sim.wire][:1] == ["R"]
    # A packet that is not opened: what B sends, as the wire has it.
    w.sim.wire.clear()
    w.b_to_a(b"sealed")
    data = [i for i in w.sim.wire if i[1] == "A"][0]
    w.sim.wire.clear()
    head = bytearray(40)
    head[0] = 1
    head[3] = data[4]
    head[11] = 4
    head[12:16] = data[3][0]
    head[28:30] = data[3][1].to_bytes(2, "big")
    before = len(w.a.cb.frames)
    w.c.waiting = [(bytes(head), data[2])]
    w.p.events(w.sim.now)
    assert w.a.cb.frames[before:] == [(w.nwid, w.mac_b, w.mac_a, IPV4, b"sealed")]
    # One that is longer than the buffer, and what comes after it.
    w.p._buf = w.p._buf[:100]
    w.p._mv = memoryview(w.p._buf)
    long = frame + bytes(100)
    w.c.waiting = [(bytes((2, 0, 0, 255, 0, 3)), long), (bytes((2, 0, 0, 255, 0, 3)), frame)]
    del w.p.driver.nics.frames[:]
    assert w.p.events(w.sim.now) and not w.p.events(w.sim.now)
    assert w.p.driver.nics.frames == [(3, long), (3, frame)]


def test_credentials_in_the_planes_form():
    coo = Ownership(bytes(8), bytes(8), 1, [(2, bytes((10, 0, 0, 1)) + bytes(12))], bytes(5))

    class Capability:
        rules = b"\x01\x00"

    packed = planesync.pack_credentials({9: 8, 2: 3}, [Capability], [coo])
    assert packed == (
        b"\1\0\0\0\2\0\0\0\3" + b"\1\0\0\0\x09\0\0\0\x08" + b"\2\0\2\1\0" + b"\3\2\x0a\0\0\1"
    ) + bytes(12)


def test_no_plane_where_there_is_none():
    class Hal:
        HAS_PLANE = False

    assert not plane.wanted(Hal)
    assert not plane.wanted(object())
