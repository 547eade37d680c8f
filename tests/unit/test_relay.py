# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Being a root, and having several: passing packets on between clients of different roots, moving
# to the other root when one dies, introductions, loops, and what a relay refuses.

from _people import (
    IDS,
    IP,
    IP6,
    TYPE,
    count,
    cut,
    events,
    live,
    messages,
    met,
    one_root,
    two_roots,
)
from _sim import Sim, make_planet
from zt import drops, packet, relay
from zt.const import VERB_ECHO, VERB_NOP, VERB_RENDEZVOUS, VERB_WHOIS


def _crossed():
    """A reaches only the root R, B only the root S."""
    sim, r, s, a, b = two_roots()
    sim.block = cut("AS", "BR", "AB")
    sim.run(30)
    assert a.online and b.online
    return sim, r, s, a, b


def _opened(node, other, data):
    """The packet of another as `node` would read it: (verb, payload), None if it is not for it."""
    from zt import crypto

    p = bytearray(data)
    if p[8:13] != node.address or not crypto.open(node.identity.agree(other.identity), p, len(p)):
        return None
    return p[27] & 31, bytes(p[28:])


def test_roots_of_one_planet_know_each_other():
    sim, r, s, a, b = two_roots()
    sim.run(30)
    assert live(r, s, sim.now) is not None and live(s, r, sim.now) is not None
    assert r.online and s.online and r.am_upstream and s.is_upstream(r.address)
    sim.run(300000)
    assert live(r, s, sim.now) is not None


def test_clients_of_different_roots_reach_each_other():
    sim, r, s, a, b = _crossed()
    a.send_user_message(sim.now, b.address, TYPE, b"over two roots")
    assert sim.until(lambda: messages(b) == [b"over two roots"], 5000) is not None
    b.send_user_message(sim.now, a.address, TYPE, b"and back")
    assert sim.until(lambda: messages(a) == [b"and back"], 5000) is not None
    data = bytes(range(250)) * 20
    a.send_user_message(sim.now, b.address, TYPE, data)
    sim.run(100)
    assert messages(b)[-1] == data, "fragments"


def test_two_roots_do_not_throw_a_packet_to_and_fro():
    sim, r, s, a, b = _crossed()
    del sim.log[:]
    pkt = bytearray(100)
    n = packet.compose(pkt, b"12345678", b"\1\2\3\4\5", a.address, VERB_NOP, (bytes(30),))
    r.process_wire_packet(sim.now, 1, (IP["A"], 9993), memoryview(pkt)[:n])
    sim.deliver()
    assert [(x, y) for x, y, p in sim.log if p[8:13] == b"\1\2\3\4\5"] == [("R", "S")]
    piece = bytearray(b"12345678\1\2\3\4\5\xff\x21\0" + bytes(50))
    del sim.log[:]
    r.process_wire_packet(sim.now, 1, (IP["A"], 9993), memoryview(piece))
    sim.deliver()
    assert [(x, y) for x, y, p in sim.log if p[8:13] == b"\1\2\3\4\5"] == [("R", "S")]


def _failover(step, limit):
    sim, r, s, a, b = two_roots()
    sim.run(30)
    a.send_user_message(sim.now, b.address, TYPE, b"x")
    sim.run(600)
    sim.block = cut("AB")
    a.send_user_message(sim.now, b.address, TYPE, b"y")
    sim.run(30000)
    best = a.topology.best_upstream(sim.now)
    name = "R" if best.address == r.address else "S"
    del b.cb.events[:]
    sim.remove(name)
    took = None
    for t in range(0, 40000, step):
        if step < 40000:
            a.send_user_message(sim.now, b.address, TYPE, b"z")
        sim.run(step)
        if messages(b) or a.topology.best_upstream(sim.now) is not best:
            took = t + step
            break
    assert took is not None and took <= limit, took
    # The other side has to notice too, then everything arrives.
    sim.run(20000)
    del b.cb.events[:]
    for _ in range(10):
        a.send_user_message(sim.now, b.address, TYPE, b"w")
        sim.run(1000)
    assert len(messages(b)) == 10
    assert not events(a, "offline") and not events(b, "offline")


def test_traffic_moves_to_the_other_root_in_seconds():
    _failover(500, 10000)


def test_an_idle_node_moves_to_the_other_root_within_twenty_seconds():
    _failover(20000, 20000)


def test_a_root_that_comes_back_is_used_again():
    sim, r, s, a, b = two_roots()
    sim.run(30)
    sim.block = lambda x, y, p: "R" in (x, y)
    sim.run(60000)
    assert live(a, r, sim.now) is None and live(a, s, sim.now) is not None
    sim.block = None
    assert sim.until(lambda: live(a, r, sim.now) is not None, 17000) is not None


def test_a_root_is_reached_over_ipv6_when_its_ipv4_address_is_not():
    sim = Sim()
    at = [(bytes((10, 9, 0, 200)), 9993), (IP6["R"], 9993)]
    planet = make_planet(IDS["R"], at)
    r = sim.add("R", IDS["R"], IP["R"], planet)
    sim.also("R", IP6["R"])
    a = sim.add("A", IDS["A"], IP["A"], planet)
    sim.also("A", IP6["A"])
    sim.run(30)
    assert a.online
    assert live(a, r, sim.now).remote == (IP6["R"], 9993)
    assert a.surface.addresses(sim.now) == [(IP6["A"], 9993)]


def test_a_root_moves_between_families():
    sim = Sim()
    planet = make_planet(IDS["R"], [(IP["R"], 9993), (IP6["R"], 9993)])
    r = sim.add("R", IDS["R"], IP["R"], planet)
    sim.also("R", IP6["R"])
    a = sim.add("A", IDS["A"], IP["A"], planet)
    sim.also("A", IP6["A"])
    sim.run(30)
    assert len(a.topology.peers[r.address].slots) == 2
    for size in (4, 16, 4):
        sim.block = lambda x, y, p: False
        sim.run(40000)
        gone = sim.where["R"][0 if size == 4 else 1]
        sim.where["R"][0 if size == 4 else 1] = (gone[0], (gone[1][0], 1))
        good = sim.until(
            lambda size=size: live(a, r, sim.now) and len(live(a, r, sim.now).remote[0]) != size,
            25000,
        )
        assert good is not None, size
        sim.where["R"][0 if size == 4 else 1] = gone
    assert not events(a, "offline")


def test_a_relayed_pair_is_introduced_once_in_thirty_seconds():
    sim, r, a, b = one_root()
    sim.run(20)
    sim.block = cut("AB")
    a.send_user_message(sim.now, b.address, TYPE, b"x")
    sim.run(600)
    del sim.log[:]
    for _ in range(62):
        a.send_user_message(sim.now, b.address, TYPE, b"x")
        sim.run(1000)
    for node, name in ((a, "A"), (b, "B")):
        got = [
            _opened(node, r, p)
            for x, y, p in sim.log
            if x == "R" and y == name and _opened(node, r, p)
        ]
        assert len([1 for verb, _ in got if verb == VERB_RENDEZVOUS]) == 2, got


def test_an_invented_sender_is_not_introduced():
    sim, r, a, b = one_root()
    sim.run(20)
    pkt = bytearray(40)
    n = packet.compose(pkt, b"12345678", b.address, a.address, VERB_NOP, ())
    for hops in (0, 1):
        pkt[18] = hops
        del sim.wire[:]
        r.process_wire_packet(sim.now, 1, (bytes((10, 9, 0, 66)), 9993), memoryview(pkt)[:n])
        assert [w[1] for w in sim.wire] == ["B"]
    assert not r.united


def test_a_pair_without_a_common_family_is_not_searched_for_every_packet():
    sim = Sim()
    planet = make_planet(IDS["R"], [(IP["R"], 9993), (IP6["R"], 9993)])
    r = sim.add("R", IDS["R"], IP["R"], planet)
    sim.also("R", IP6["R"])
    a = sim.add("A", IDS["A"], IP["A"], planet)
    b = sim.add("B", IDS["B"], IP6["B"], planet)
    sim.run(30)
    a.send_user_message(sim.now, b.address, TYPE, b"x")
    sim.run(600)
    searched = []
    keep = relay._common
    relay._common = lambda *x: searched.append(1) or keep(*x)
    try:
        for _ in range(100):
            a.send_user_message(sim.now, b.address, TYPE, b"y")
            sim.run(100)
    finally:
        relay._common = keep
    assert len(messages(b)) == 101
    assert 1 <= len(searched) <= 3, len(searched)
    assert r.relayed > 100


def test_the_list_of_introduced_pairs_is_bounded():
    sim, r, a, b, c = one_root("ABC", unite=2)
    sim.run(20)
    peers = [r.topology.peers[n.address] for n in (a, b, c)]
    for i in range(3):
        relay.unite(r, sim.now, peers[i], peers[(i + 1) % 3])
        assert len(r.united) <= 2


def test_a_root_asks_other_roots_for_few_unknown_addresses_at_a_time():
    sim, r, s, a, b = _crossed()
    del sim.log[:]
    peer = a.topology.peers[r.address]
    for i in range(120):
        sim.now += 10
        names = [bytes([1, 2, 3, i, k]) for k in range(16)]
        a.send_to(sim.now, peer, 1, (IP["R"], 9993), VERB_WHOIS, names)
        sim.deliver()
    asked = count(sim, "R", "S")
    assert 0 < asked <= 100, asked
    assert len(r.wanted.wanted) <= 128
    sim.run(6000)
    assert not r.wanted.wanted and not s.wanted.wanted
    del sim.log[:]
    sim.run(3000)
    assert count(sim, "R", "S") + count(sim, "S", "R") < 4, "they ask each other for ever"
    a.send_user_message(sim.now, b.address, TYPE, b"x")
    assert sim.until(lambda: messages(b) == [b"x"], 10000) is not None


def test_a_question_for_many_identities_gets_few():
    sim, r, a, b = one_root()
    sim.run(20)
    peer = a.topology.peers[r.address]
    sim.now += 1000
    del sim.wire[:]
    a.send_to(sim.now, peer, 1, (IP["R"], 9993), VERB_WHOIS, [b.address] * 30)
    sim.deliver()
    answers = [p for x, y, p in sim.log if x == "R" and y == "A" and len(p) > 200]
    assert [len(p) for p in answers] == [37 + 4 * 71]


def test_a_leaf_answers_ten_questions_in_a_second():
    sim, r, a, b = one_root()
    sim.run(20)
    met(sim, a, b)
    peer = a.topology.peers[b.address]
    for _ in range(15):
        a.send_to(sim.now, peer, 1, (IP["B"], 9993), VERB_WHOIS, [b.address])
    sim.deliver()
    assert count(sim, "B", "A", lambda p: len(p) == 37 + 71) == 10
    assert b.drops[drops.GATED] == 5


def test_a_leaf_passes_on_only_what_comes_over_trusted_paths():
    sim, r, a, b, c = one_root("ABC")
    sim.run(20)
    met(sim, a, b)
    met(sim, c, b)
    pkt = bytearray(40)
    n = packet.compose(pkt, b"12345678", c.address, a.address, VERB_NOP, ())
    b.process_wire_packet(sim.now, 1, (IP["A"], 9993), memoryview(pkt)[:n])
    assert b.drops[drops.RELAY_REFUSED] == 1 and not sim.wire
    live(b, a, sim.now).last_trusted = sim.now
    b.process_wire_packet(sim.now, 1, (IP["A"], 9993), memoryview(pkt)[:n])
    assert [w[1] for w in sim.wire if w[2][8:13] == c.address and w[2][18] == 1] == ["C"]


def test_peers_behind_one_relay_do_not_share_its_echo_gate():
    sim, r, a, b, c = one_root("ABC")
    sim.run(20)
    sim.block = cut("AC", "BC", "AB")
    got = []
    for n in (a, b):
        n.send_user_message(sim.now, c.address, TYPE, b"x")
    sim.run(1000)
    for n in (a, b):
        n.echo(sim.now, c.address, lambda rtt, remote, hops, n=n: got.append((n, hops)))
    sim.run(30)
    assert sorted([h for _, h in got]) == [1, 1] and VERB_ECHO == 8


def test_a_root_over_another_root_when_its_own_addresses_are_dead():
    sim, r, s, a, b = two_roots()
    sim.run(30)
    sim.block = cut("AR")
    sim.run(60000)
    assert live(a, r, sim.now) is None
    got = []
    a.echo(sim.now, r.address, lambda rtt, remote, hops: got.append(hops))
    sim.run(100)
    assert got == [1]


def test_roots_are_asked_in_turn_until_one_knows():
    sim = Sim()
    planet = make_planet(
        IDS["R"], [(IP["R"], 9993)],
        more=[(IDS["S"], [(IP["S"], 9993)]), (IDS["D"], [(IP["D"], 9993)])],
    )  # fmt: skip
    for name in "RSD":
        sim.add(name, IDS[name], IP[name], planet)
    for name in "ABC":
        sim.add(name, IDS[name], IP[name], planet)
    sim.block = cut("AB", "AC", "BC", "AS", "AD", "BR", "BD", "CR", "CS")
    sim.run(30)
    a = sim.nodes["A"]
    for name in "BC":
        to = sim.nodes[name]
        a.echo(sim.now, to.address, lambda *x: None)
        assert sim.until(lambda to=to: to.address in a.topology.peers, 5000) is not None, name
