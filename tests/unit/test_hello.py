# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# HELLO and OK(HELLO): old and odd forms, strangers and their gates, replays, addresses claimed
# twice, and caches that hold the wrong key.

from _people import IDS, IP, TYPE, events, live, messages, met, one_root
from _sim import Sim, make_planet
from _vectors import load, unhex
from zt import crypto, drops, hello, inet, packet
from zt.const import VERB_ERROR, VERB_HELLO, VERB_OK, VERB_USER_MESSAGE
from zt.identity import Identity


def _hello(sender, to, tail, proto=11, claimed=None, packet_id=b"12345678", verb=VERB_HELLO):
    """A sealed HELLO with its end as given; `tail` is masked from `to`'s view if it is a pair."""
    mine = claimed or sender.identity
    key = mine.agree(to.identity)
    clear, masked = tail if isinstance(tail, tuple) else (tail, b"")
    pkt = bytearray(1400)
    head = bytes((proto, 1, 4, 0, 8)) + bytes(8) + mine.pack()
    n = packet.compose(pkt, packet_id, to.address, mine.address, verb, (head, clear, masked))
    if masked:
        crypto.hello_mask(key, pkt, n - len(masked), n)
    crypto.seal(key, pkt, n, 0)
    return memoryview(pkt)[:n]


def _answer(sim, node, to):
    """(verb, payload) of the first thing on the wire, opened by `node`."""
    p = bytearray(sim.wire[0][2])
    assert crypto.open(node.identity.agree(to.identity), p, len(p))
    return p[27] & 31, bytes(p[28:])


def test_the_recorded_hello_is_understood_and_answered():
    vectors = load("vl1.json")
    by_address = {i["address"]: i["secret_string"] for i in vectors["identities"]}
    for v in vectors["hello"] if isinstance(vectors["hello"], list) else [vectors["hello"]]:
        wire = bytearray(unhex(v["wire"]))
        sim = Sim()
        to = sim.add("X", by_address[bytes(wire[8:13]).hex()], IP["B"])
        sim.add("Y", by_address[bytes(wire[13:18]).hex()], IP["A"])
        to.process_wire_packet(sim.now, 1, (IP["A"], 9993), memoryview(wire))
        verb, body = _answer(sim, sim.nodes["Y"], to)
        assert verb == VERB_OK and body[0] == VERB_HELLO
        assert body[1:9] == wire[0:8] and body[9:17] == wire[33:41]
        assert body[17] == 11 and body[18:22] == bytes((1, 4, 0, 8))
        assert inet.unpack(body, 22) == ((IP["A"], 9993), 29)
        assert body[29:31] == b"\0\0"
        peer = to.topology.peers[bytes(wire[13:18])]
        assert (peer.proto, peer.version) == (
            wire[28],
            (wire[29], wire[30], wire[31] << 8 | wire[32]),
        )


def test_old_short_forms_are_answered():
    planet = bytes(16)
    for tail in (b"", b"\0", inet.pack(IP["R"], 9993), inet.pack(IP["R"], 9993) + planet):
        sim, r, a = one_root("A")
        r.process_wire_packet(sim.now, 1, (IP["A"], 9993), _hello(a, r, tail))
        assert r.received == 1, tail
        assert _answer(sim, a, r)[0] == VERB_OK


def test_forms_that_run_over_the_end_are_not_answered():
    planet = bytes(16)
    bad = (
        b"\4",
        b"\5",
        b"\4" + bytes(5),
        b"\3\xff\xff",
        (b"\0" + planet, b"\0"),
        (b"\0" + planet, b"\0\1"),
        (b"\0" + planet, b"\0\2" + bytes(33)),
        (b"\0" + planet, b"\xff\xff" + bytes(100)),
    )
    for tail in bad:
        sim, r, a = one_root("A")
        r.process_wire_packet(sim.now, 1, (IP["A"], 9993), _hello(a, r, tail))
        assert not sim.wire and r.drops[drops.MALFORMED] == 1, tail


def test_protocol_versions():
    for proto, port in ((3, None), (4, 0), (5, 9993), (12, 9993), (255, 9993)):
        sim, r, a = one_root("A")
        r.process_wire_packet(sim.now, 1, (IP["A"], 9993), _hello(a, r, b"\0", proto))
        if port is None:
            assert not sim.wire and r.drops[drops.VERSION] == 1
            continue
        ok = [w[2] for w in sim.wire if w[2][18] >> 3 & 7 == 1][0]
        p = bytearray(ok)
        assert crypto.open(a.identity.agree(r.identity), p, len(p))
        assert inet.unpack(p, 50)[0] == (IP["A"], port)


def test_a_relayed_hello_teaches_no_path_and_no_surface():
    sim, r, a, b = one_root()
    sim.run(20)
    before = b.surface.addresses(sim.now)
    p = _hello(a, b, inet.pack(bytes((10, 9, 0, 123)), 5))
    p[18] |= 1
    b.process_wire_packet(sim.now, 1, (IP["R"], 9993), p)
    assert a.address in b.topology.peers and not b.topology.peers[a.address].slots
    assert b.surface.addresses(sim.now) == before
    assert [w[1] for w in sim.wire] == ["R"], "answered by way of the relay"


def test_duplicates_are_answered_and_change_nothing():
    sim, r, a = one_root("A")
    p = bytes(_hello(a, r, b"\0"))
    for _ in range(3):
        r.process_wire_packet(sim.now, 1, (IP["A"], 9993), memoryview(bytearray(p)))
    assert len([w for w in sim.wire if w[2][18] >> 3 & 7 == 1]) == 3
    assert len([w for w in sim.wire if w[2][18] >> 3 & 7 == 0]) == 1, "one HELLO back in a second"
    assert len(r.topology.peers) == 1


# --- strangers


def _strangers(r, sim, n, prefix, spread):
    """n HELLOs with invented addresses; how many identities were checked."""
    checked = []
    r.validate = lambda identity: checked.append(1) is not None and False
    base = Identity.parse(IDS["C"])
    for i in range(n):
        false = Identity(bytes((1, 2, 3, i >> 8, i & 255)), base.public, base.private)
        at = bytes((prefix, i >> 8 if spread else 0, i & 255 if spread else 0, 9))
        r.process_wire_packet(sim.now, 1, (at, 1), _hello(None, r, b"\0", claimed=false))
    return len(checked)


def test_a_prefix_has_four_identities_checked_at_once_then_one_in_two_seconds():
    sim, r = one_root("")
    assert _strangers(r, sim, 50, 20, False) == 4
    assert r.drops[drops.GATED] == 46
    sim.now += 1000
    assert _strangers(r, sim, 50, 20, False) == 0
    sim.now += 1000
    assert _strangers(r, sim, 50, 20, False) == 1
    sim.now += 8000
    assert _strangers(r, sim, 50, 20, False) == 4


def test_invented_source_addresses_do_not_buy_more_checks():
    sim, r = one_root("")
    assert _strangers(r, sim, 1000, 20, True) == 64
    sim.now += 1000
    assert _strangers(r, sim, 1000, 21, True) == 16
    assert len(r.hello_gate) <= 256
    sim.run(100000)
    assert not r.hello_gate


def test_a_flood_of_strangers_does_not_keep_a_known_peer_out():
    sim, r, a = one_root("A")
    sim.run(20)
    _strangers(r, sim, 300, 10, True)
    del sim.wire[:]
    r.process_wire_packet(sim.now, 1, (IP["A"], 9993), _hello(a, r, b"\0"))
    assert len(sim.wire) == 1


def test_a_stranger_with_a_bad_mac_is_not_checked():
    sim, r, a = one_root("A")
    r.validate = lambda identity: 1 // 0
    p = _hello(a, r, b"\0")
    p[20] ^= 1
    r.process_wire_packet(sim.now, 1, (IP["A"], 9993), p)
    assert r.drops[drops.MAC] == 1


def test_a_key_that_does_not_belong_to_the_address_is_refused():
    sim, r, a = one_root("A")
    other = Identity.parse(IDS["C"])
    false = Identity(a.address, other.public, other.private)
    r.process_wire_packet(sim.now, 1, (IP["A"], 9993), _hello(None, r, b"\0", claimed=false))
    assert r.drops[drops.IDENTITY] == 1 and a.address not in r.topology.peers


# --- replays and amplification


def test_a_replayed_hello_gets_no_planet_twice_in_a_second():
    sim, r, a = one_root("A")
    planet = r.topology.planet
    older = (int.from_bytes(planet.timestamp, "big") - 1).to_bytes(8, "big")
    p = bytes(_hello(a, r, b"\0" + planet.id + older))
    sent = []
    r.cb.wire_send = lambda sock, remote, data, ttl: sent.append(len(data)) or 0
    for i in range(50):
        r.process_wire_packet(sim.now, 1, (bytes((20, 0, 0, i)), 1000), memoryview(bytearray(p)))
    assert max(sent) > len(planet.pack())
    assert len([n for n in sent if n > 200]) == 1
    assert len([n for n in sent if n == 137]) == 8, "HELLOs to addresses it was seen at"
    assert sum(sent) < 50 * len(p)


def test_replayed_packets_cause_few_hellos_to_invented_addresses():
    sim, r, a, b = one_root()
    sim.run(20)
    met(sim, a, b)
    a.send_user_message(sim.now, b.address, TYPE, b"x")
    p = [w[2] for w in sim.wire if w[1] == "B"][0]
    sim.run(10)
    sent = []
    b.cb.wire_send = lambda sock, remote, data, ttl: sent.append(remote) or 0
    for i in range(200):
        b.process_wire_packet(sim.now, 1, (bytes((20, 0, i, 1)), 1), memoryview(bytearray(p)))
    assert len(sent) <= 8


def test_the_path_table_is_bounded_under_replays():
    sim, r, a, b = one_root(paths=64)
    sim.run(20)
    met(sim, a, b)
    a.send_user_message(sim.now, b.address, TYPE, b"x")
    p = [w[2] for w in sim.wire if w[1] == "B"][0]
    sim.run(10)
    for i in range(1000):
        at = (bytes((20, i >> 8, i & 255, 1)), 1)
        b.process_wire_packet(sim.now, 1, at, memoryview(bytearray(p)))
        assert len(b.topology.paths) <= 64
    assert live(b, a, sim.now) is not None and live(b, r, sim.now) is not None
    sim.run(100)
    a.send_user_message(sim.now, b.address, TYPE, b"y")
    sim.run(10)
    assert messages(b)[-1] == b"y"


# --- collisions and wrong caches


def test_a_collision_is_believed_only_from_a_root_and_for_our_own_hello():
    sim, r, a, b = one_root()
    sim.run(20)
    met(sim, a, b)
    body = (bytes([VERB_HELLO]), b"notmine!", b"\4")
    for node in (r, b):
        node.send_to(sim.now, node.topology.peers[a.address], 1, (IP["A"], 9993), VERB_ERROR, body)
    sim.deliver()
    assert not events(a, "identity_collision")
    hello.send(a, sim.now, a.topology.peers[r.address], 1, (IP["R"], 9993))
    mine = (bytes([VERB_HELLO]), sim.wire[-1][2][:8], b"\4")
    r.send_to(sim.now, r.topology.peers[a.address], 1, (IP["A"], 9993), VERB_ERROR, mine)
    sim.deliver()
    assert len(events(a, "identity_collision")) == 1


def _with_cache(change):
    """Node B whose cache about A was changed by somebody; (sim, a, b)."""
    sim, r, a, b = one_root()
    sim.run(20)
    met(sim, a, b)
    state = sim.remove("B")
    data = bytearray(state.get("peer", a.address))
    data = change(data)
    state.put("peer", data, a.address)
    sim.run(2000)
    b = sim.add("B", None, IP["B"], storage=state)
    sim.run(30)
    assert b.online
    return sim, a, b


def _wrong_key(data):
    other = Identity.parse(IDS["C"])
    data[7:71] = other.public
    return data


def test_a_cache_with_the_wrong_key_heals_when_the_peer_says_hello():
    sim, a, b = _with_cache(_wrong_key)
    hello.send(a, sim.now, a.topology.peers[b.address], 1, (IP["B"], 9993))
    sim.run(30)
    assert b.topology.peers[a.address].identity == a.identity
    b.send_user_message(sim.now, a.address, TYPE, b"x")
    sim.run(30)
    assert messages(a) == [b"x"]


def test_a_cache_with_the_wrong_key_heals_by_asking_a_root():
    sim, a, b = _with_cache(_wrong_key)
    sim.block = lambda s, d, p: {s, d} == {"A", "B"}
    for _ in range(20):
        a.send_user_message(sim.now, b.address, TYPE, b"x")
        sim.run(1000)
    assert messages(b) and b.topology.peers[a.address].identity == a.identity


def test_damaged_caches_are_ignored_or_used_but_never_fatal():
    _, a, b = _with_cache(lambda d: d)
    good = bytes(b.storage.get("peer", a.address))
    for n in (0, 1, 40, 72, 81, len(good) - 1):
        sim, a2, b2 = _with_cache(lambda d, n=n: d[:n])
        a2.send_user_message(sim.now, b2.address, TYPE, b"x")
        assert sim.until(lambda m=b2: messages(m) == [b"x"], 9000) is not None, n
    for change in (
        lambda d: b"\1" + d[1:],
        lambda d: d[:80] + b"\xff\xff" + d[82:],
        lambda d: d[:72] + bytes(8) + d[80:],
        lambda d: d[:1] + d[1:5] + b"\xee" + d[6:],
        lambda d: d[:82] + b"\x09" + d[83:],
        lambda d: d[:71] + b"\x40" + d[72:] + bytes(100),
    ):
        sim, a2, b2 = _with_cache(change)
        b2.send_user_message(sim.now, a2.address, TYPE, b"x")
        assert sim.until(lambda m=a2: messages(m) == [b"x"], 9000) is not None


def test_a_cache_that_cannot_be_written_stops_nothing():
    sim, r, a, b = one_root()
    sim.run(20)
    met(sim, a, b)

    def fail(kind, data, key=b""):
        raise OSError(28)

    a.storage.put = fail
    sim.run(900000)
    assert a.online and b.address not in a.topology.peers
    a.close(sim.now)


def test_a_world_that_cannot_be_read_does_not_cost_the_path():
    sim = Sim()
    planet = make_planet(IDS["R"], [(IP["R"], 9993)])
    a = sim.add("A", IDS["A"], IP["A"], planet)
    r = sim.add("R", IDS["R"], IP["R"], planet)
    older = make_planet(IDS["R"], [(IP["R"], 9993)], timestamp=1)
    a.topology.planet = a.topology.planet.unpack(older)[0]
    r.topology.planet.pack = lambda: b"\1nonsense"
    sim.run(30)
    assert a.online and live(a, r, sim.now) is not None


def test_a_disk_is_not_read_for_invented_senders():
    sim, r, a, b = one_root()
    sim.run(20)
    met(sim, a, b)
    state = sim.remove("B")
    b = sim.add("B", None, IP["B"], storage=state)
    sim.run(20)
    reads = []
    get = state.get
    state.get = lambda kind, key=b"": reads.append(kind) or get(kind, key)
    for i in range(1000):
        pkt = bytearray(60)
        n = packet.compose(
            pkt,
            b"12345678",
            b.address,
            bytes((1, 2, 3, i >> 8, i & 255)),
            VERB_USER_MESSAGE,
            (bytes(30),),
        )
        b.process_wire_packet(sim.now, 1, (IP["A"], 9993), memoryview(pkt)[:n])
    assert not reads
    assert len(b.parked.items) <= b.limits.parked and len(b.wanted.wanted) <= 32
