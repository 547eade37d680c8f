# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Off the relay: what PUSH_DIRECT_PATHS and RENDEZVOUS make a node do, which addresses it believes
# and offers, several sockets, both families.

from _people import IDS, IP, IP6, TYPE, count, cut, events, live, messages, met, one_root
from _sim import Sim, make_planet
from zt import drops, inet, surface
from zt.const import VERB_HELLO, VERB_PUSH_DIRECT_PATHS, VERB_RENDEZVOUS
from zt.surface import CHANGED, DOUBTFUL, SAME, Surface


def _pair(**kw):
    sim, r, a, b = one_root(**kw)
    sim.run(20)
    met(sim, a, b)
    sim.run(2000)
    del sim.log[:]
    return sim, r, a, b


def _record(ip, port, flags=0, extension=b""):
    kind = b"\4\6" if len(ip) == 4 else b"\6\x12"
    head = bytes([flags, len(extension) >> 8, len(extension) & 255])
    return head + extension + kind + ip + bytes([port >> 8, port & 255])


def _push(sim, a, b, records, number=None):
    """a pushes records to b; the addresses b then sent something to."""
    number = len(records) if number is None else number
    sent = []
    b.cb.wire_send = lambda sock, remote, data, ttl: sent.append((remote, sock, len(data))) or 0
    peer = a.topology.peers[b.address]
    parts = [bytes([number >> 8, number & 255])] + records
    a.send_to(sim.now, peer, 1, (IP["B"], 9993), VERB_PUSH_DIRECT_PATHS, parts)
    sim.deliver()
    return sent


def test_pushed_addresses_are_tried():
    sim, r, a, b = _pair()
    sent = _push(sim, a, b, [_record(bytes((20, 0, 0, 1)), 5), _record(IP6["A"], 6)])
    assert [s[0] for s in sent] == [(bytes((20, 0, 0, 1)), 5), (IP6["A"], 6)]
    assert [s[1] for s in sent] == [None, None], "from all sockets"


def test_of_one_kind_eight_are_tried():
    sim, r, a, b = _pair()
    four = [_record(bytes((20, 0, 0, i)), 5) for i in range(20)]
    private = [_record(bytes((10, 1, 0, i)), 5) for i in range(20)]
    six = [_record(b"\x20\1" + bytes(13) + bytes([i]), 5) for i in range(20)]
    sent = _push(sim, a, b, four + private + six)
    assert len(sent) == 24 and len(set(sent)) == 24


def test_what_is_not_tried():
    sim, r, a, b = _pair()
    records = [
        _record(bytes((20, 0, 0, 1)), 5, flags=1),
        _record(bytes((127, 0, 0, 1)), 5),
        _record(bytes((169, 254, 0, 1)), 5),
        _record(bytes((224, 0, 0, 1)), 5),
        _record(bytes(4), 5),
        _record(IP["A"], 9993),  # where it is already
        b"\0\0\0\3\2xx",  # a kind of address nobody knows
        b"\0\0\0\4\7xxxxxxx",
        b"\0\0\0\6\6xxxxxx",
        _record(bytes((20, 0, 0, 2)), 5, extension=b"e" * 300),
    ]
    sent = _push(sim, a, b, records)
    assert [s[0] for s in sent] == [(bytes((20, 0, 0, 2)), 5)]
    assert b.drops[drops.MALFORMED] == 0


def test_a_count_beyond_the_end_is_malformed():
    for number, records in (
        (65535, [_record(bytes((20, 0, 0, 1)), 5)]),
        (1, []),
        (1, [b"\0"]),
        (1, [b"\0\xff\xff"]),
        (1, [b"\0\0\0\4"]),
        (1, [b"\0\0\0\4\6\1\2\3"]),
        (1, [b"\0\0\0\4\xff\1\2\3"]),
    ):
        sim, r, a, b = _pair()
        _push(sim, a, b, records, number)
        assert b.drops[drops.MALFORMED] == 1, records


def test_a_chain_of_pushes_is_cut_off():
    sim, r, a, b = _pair()
    worked = []
    for i in range(12):
        worked.append(len(_push(sim, a, b, [_record(bytes((20, 0, i, 1)), 5)])))
        sim.now += 20000
    assert worked == [1] * 8 + [0] * 4
    sim.now += 31000
    assert len(_push(sim, a, b, [_record(bytes((20, 1, 0, 1)), 5)])) == 1


def test_a_redirect_is_followed_only_to_who_answers():
    sim, r, a, b = _pair()
    victim = (bytes((20, 0, 0, 7)), 53)
    sent = _push(sim, a, b, [_record(victim[0], victim[1], flags=2)])
    assert [s[0] for s in sent] == [victim] and sent[0][2] == 137
    del sent[:]
    b.send_user_message(sim.now, a.address, TYPE, b"secret")
    assert [s[0] for s in sent] == [(IP["A"], 9993)]


def test_a_redirect_that_answers_takes_over():
    sim, r, a, b = _pair()
    sim.also("A", bytes((10, 9, 1, 2)), 4000)
    peer = a.topology.peers[b.address]
    record = _record(bytes((10, 9, 1, 2)), 4000, flags=2)
    a.send_to(sim.now, peer, 1, (IP["B"], 9993), VERB_PUSH_DIRECT_PATHS, [b"\0\1", record])
    sim.run(10)
    slots = b.topology.peers[a.address].slots
    assert [(s.path.remote, s.priority) for s in slots if s.priority > 1] == [
        ((bytes((10, 9, 1, 2)), 4000), 3)
    ]
    assert live(b, a, sim.now).remote == (bytes((10, 9, 1, 2)), 4000)


def test_addresses_are_pushed_in_an_order_and_size_others_can_use():
    sim, r, a, b = _pair()
    peer = a.topology.peers[b.address]
    own = [(bytes((10, 5, i >> 8, i & 255)), 9993) for i in range(300)]
    a.local_addresses = tuple(own)
    peer.last_trusted = sim.now
    peer.last_push = None
    got = []
    b.vl2.handle = None
    from zt import verbs

    keep = verbs.TABLE[VERB_PUSH_DIRECT_PATHS]
    verbs.TABLE[VERB_PUSH_DIRECT_PATHS] = lambda n, t, rx: got.append(bytes(rx.p[28 : rx.n])) or 1
    try:
        b.send_user_message(sim.now, a.address, TYPE, b"x")
        sim.deliver()
    finally:
        verbs.TABLE[VERB_PUSH_DIRECT_PATHS] = keep
    assert len(got) >= 3 and max([len(p) for p in got]) <= 1202
    seen = []
    for p in got:
        for i in range(p[0] << 8 | p[1]):
            record = p[2 + 11 * i : 13 + 11 * i]
            assert record[:5] == b"\0\0\0\4\6"
            seen.append((record[5:9], record[9] << 8 | record[10]))
    assert seen[:300] == own and (IP["A"], 9993) in seen[300:]
    # and not again for two minutes
    del sim.log[:]
    b.send_user_message(sim.now, a.address, TYPE, b"x")
    sim.deliver()
    assert count(sim, "A", "B") == 0


# --- RENDEZVOUS


def _rendezvous(sim, r, b, address, ip, port, size=None):
    sent = []
    keep = b.cb.wire_send
    b.cb.wire_send = lambda sock, remote, data, ttl: sent.append((remote, len(data), ttl)) or 0
    body = bytes([port >> 8, port & 255, len(ip) if size is None else size]) + ip
    peer = r.topology.peers[b.address]
    r.send_to(sim.now, peer, 1, (IP["B"], 9993), VERB_RENDEZVOUS, (b"\0", address, body))
    sim.deliver()
    b.cb.wire_send = keep
    return sent


def test_a_rendezvous_opens_the_nat_and_asks():
    sim, r, a, b = _pair()
    sent = _rendezvous(sim, r, b, a.address, bytes((20, 0, 0, 1)), 7)
    assert sent == [((bytes((20, 0, 0, 1)), 7), 4, 2), ((bytes((20, 0, 0, 1)), 7), 28, 0)]
    sent = _rendezvous(sim, r, b, a.address, IP6["A"], 7)
    assert sent == [((IP6["A"], 7), 4, 0), ((IP6["A"], 7), 28, 0)]


def test_a_rendezvous_that_makes_no_sense_does_nothing():
    sim, r, a, b = _pair()
    good = bytes((20, 0, 0, 1))
    assert not _rendezvous(sim, r, b, bytes((1, 2, 3, 4, 5)), good, 7), "an unknown peer"
    assert not _rendezvous(sim, r, b, a.address, good, 0)
    assert not _rendezvous(sim, r, b, a.address, bytes((127, 0, 0, 1)), 7)
    assert not _rendezvous(sim, r, b, r.address, good, 7), "not an endpoint of the root"
    assert b.drops[drops.MALFORMED] == 0
    assert not _rendezvous(sim, r, b, a.address, good, 7, 5)
    assert not _rendezvous(sim, r, b, a.address, good, 7, 16)
    assert b.drops[drops.MALFORMED] == 2


# --- several sockets, both families


def test_two_sockets_of_a_family_both_find_the_root_and_one_another():
    sim, r, a, b = one_root()
    sim.also("A", bytes((10, 9, 2, 2)))
    sim.also("B", bytes((10, 9, 2, 3)))
    sim.run(20)
    slots = a.topology.peers[r.address].slots
    assert sorted([s.path.local_socket for s in slots]) == [1, 2]
    assert sorted(a.surface.addresses(sim.now)) == [(IP["A"], 9993), (bytes((10, 9, 2, 2)), 9993)]
    met(sim, a, b)
    # One of A's two networks goes away: the other carries on.
    gone = sim.where["A"][0]
    sim.where["A"][0] = (1, (bytes((10, 9, 9, 9)), 1))
    for _ in range(12):
        a.send_user_message(sim.now, b.address, TYPE, b"x")
        sim.run(1000)
    del b.cb.events[:]
    a.send_user_message(sim.now, b.address, TYPE, b"y")
    sim.run(100)
    assert messages(b) == [b"y"] and a.online and gone


def test_peers_meet_over_ipv6_when_their_root_is_ipv4():
    sim = Sim()
    planet = make_planet(IDS["R"], [(IP["R"], 9993)])
    sim.add("R", IDS["R"], IP["R"], planet)
    a = sim.add("A", IDS["A"], IP["A"], planet)
    b = sim.add("B", IDS["B"], IP["B"], planet)
    for name, node in (("A", a), ("B", b)):
        sim.also(name, IP6[name])
        node.set_local_addresses([(IP[name], 9993), (IP6[name], 9993)])
    sim.block = cut("AB")
    sim.run(30)
    a.send_user_message(sim.now, b.address, TYPE, b"x")
    sim.run(1000)
    assert live(a, b, sim.now) is None
    six = []

    def only_six(src, dst, data):
        if {src, dst} != {"A", "B"}:
            return False
        item = sim.passing
        six.append(item)
        return len(item[3][0]) == 4

    sim.block = only_six
    for node, other in ((a, b), (b, a)):
        node.topology.peers[other.address].last_trusted = sim.now
    for _ in range(3):
        a.send_user_message(sim.now, b.address, TYPE, b"y")
        b.send_user_message(sim.now, a.address, TYPE, b"y")
        sim.run(16000)
    assert live(a, b, sim.now) is not None and len(live(a, b, sim.now).remote[0]) == 16
    assert six


def test_loopback_and_link_local_become_paths_only_by_permission():
    for ip, allowed in (
        (bytes((127, 0, 0, 1)), False),
        (bytes((169, 254, 1, 1)), False),
        (bytes(15) + b"\1", False),
        (b"\xfe\x80" + bytes(13) + b"\1", False),
        (bytes((20, 0, 0, 1)), True),
    ):
        for permit in (False, True):
            sim, r, a, b = _pair(allow_loopback=permit)
            good = allowed or (permit and inet.scope(ip) == 2)
            assert a.acceptable(b.address, 1, (ip, 9993)) == good, ip


def test_addresses_of_joined_networks_are_no_paths():
    sim, r, a, b = _pair()

    class Net:
        pass

    net = Net()
    net.config = Net()
    net.config.static_ips = [(bytes((10, 121, 0, 1)), 16)]
    a.vl2.networks = {b"12345678": net}
    assert not a.acceptable(b.address, 1, (bytes((10, 121, 5, 5)), 9993))
    assert a.acceptable(b.address, 1, (bytes((10, 122, 5, 5)), 9993))


def test_the_host_may_refuse_a_path():
    sim, r, a, b = one_root()
    sim.run(20)
    for n in (a, b):
        n.cb.path_check = lambda address, sock, remote: remote[0] == IP["R"]
    a.send_user_message(sim.now, b.address, TYPE, b"x")
    sim.run(3000)
    a.send_user_message(sim.now, b.address, TYPE, b"y")
    sim.run(3000)
    assert messages(b) == [b"x", b"y"] and live(a, b, sim.now) is None
    assert count(sim, "A", "B", lambda p: p[27] == VERB_HELLO) == 0


def test_an_address_from_the_host_is_tried():
    sim, r, a, b = one_root()
    sim.run(20)
    sim.block = lambda s, d, p: "R" in (s, d)
    a.topology.add_peer(sim.now, b.identity)
    a.cb.hints[(b.address, 4)] = (IP["B"], 9993)
    a.send_user_message(sim.now, b.address, TYPE, b"x")
    assert sim.until(lambda: live(a, b, sim.now) is not None, 1000) is not None
    assert events(a, "peer")[-1]["path"] == "direct"


# --- what others see as our address


def test_surface_rules():
    me = (bytes((20, 0, 0, 1)), 9993)
    new = (bytes((20, 0, 0, 2)), 9993)
    at = bytes((40, 0, 0, 1))
    s = Surface(4)
    assert s.learn(0, b"root1", 1, at, (bytes((10, 0, 0, 1)), 1), True) == SAME
    assert s.learn(0, b"root1", 1, at, (bytes((20, 0, 0, 1)), 0), True) == SAME
    assert s.addresses(0) == [], "another scope than the reporter's, and no port"
    assert s.learn(0, b"root1", 1, at, me, True) == SAME
    assert s.learn(0, b"root1", 1, at, new, False) == DOUBTFUL
    assert s.addresses(0) == [me]
    assert s.learn(0, b"root2", 1, bytes((40, 0, 0, 2)), me, True) == SAME
    assert s.learn(0, b"root1", 1, at, new, True) == CHANGED
    assert s.addresses(0) == [new], "what others said of the old one is void"
    assert s.learn(600000, b"root1", 1, at, me, True) == SAME, "the old report had expired"


def test_a_liar_cannot_fill_the_list_of_our_addresses():
    s = Surface(8)
    mine = (bytes((20, 0, 0, 1)), 9993)
    s.learn(0, b"root1", 1, bytes((40, 0, 0, 1)), mine, True)
    for i in range(100):
        s.learn(
            i, bytes((1, 2, 3, 4, i)), 1, bytes((41, 0, 0, i)), (bytes((20, 1, 0, i)), 1), False
        )
        assert len(s.entries) <= 8
    found = s.addresses(100)
    assert found[0] == mine and len(found) <= 9
    assert surface.LIFETIME_MS == 600000
