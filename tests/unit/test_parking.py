# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What waits: packets for and from peers nobody knows yet, the questions about them, and the memory
# of what was asked. Order, bounds, and that strangers cannot use any of it up.

from _people import IDS, IP, TYPE, count, live, messages, met, one_root
from zt import crypto, drops, packet
from zt.const import VERB_ECHO, VERB_EXT_FRAME, VERB_HELLO, VERB_USER_MESSAGE, VERB_WHOIS
from zt.expect import Expected
from zt.identity import Identity
from zt.limits import Limits
from zt.topology import Topology
from zt.waiting import Queue, Waiting, Whois


def _from_nowhere(node, source, data=bytes(30)):
    pkt = bytearray(28 + len(data))
    packet.compose(pkt, b"12345678", node.address, source, VERB_USER_MESSAGE, (data,))
    pkt[18] |= 0x88
    return memoryview(pkt)


def test_messages_to_an_unknown_peer_arrive_in_order():
    sim, r, a, b = one_root()
    sim.run(20)
    for i in range(20):
        a.send_user_message(sim.now, b.address, TYPE, bytes([i]))
    sim.run(3000)
    assert messages(b) == [bytes([i]) for i in range(20)]


def test_messages_sent_before_the_root_answers_arrive_in_order():
    sim, r, a, b = one_root()
    for i in range(20):
        a.send_user_message(sim.now, b.address, TYPE, bytes([i]))
    sim.run(3000)
    assert messages(b) == [bytes([i]) for i in range(20)]


def test_what_cannot_be_sent_is_counted_after_five_seconds():
    sim, r, a, b = one_root()
    sim.run(20)
    sim.remove("B")
    for _ in range(3):
        a.send_user_message(sim.now, bytes((1, 2, 3, 4, 5)), TYPE, b"x")
    sim.run(4900)
    assert len(a.queued.items) == 3
    sim.run(1200)
    assert not a.queued.items and a.drops[drops.NO_ROUTE] == 3
    sim.run(5500)
    assert not a.wanted.wanted


def test_nothing_is_sent_to_ourselves():
    sim, r, a, b = one_root()
    sim.run(20)
    del sim.wire[:]
    assert a.send_user_message(sim.now, a.address, TYPE, b"x") is None
    assert not sim.wire and not a.queued.items
    a.process_wire_packet(sim.now, 1, (IP["B"], 9993), _from_nowhere(a, a.address))
    assert a.drops[drops.LOOPED] == 1
    assert a.echo(sim.now, a.address, None) is False


def test_a_flood_of_invented_senders_becomes_no_flood_at_the_root():
    sim, r, a, b = one_root()
    sim.run(20)
    del sim.log[:]
    for i in range(2000):
        source = bytes((1, 2, 3, i >> 8, i & 255))
        a.process_wire_packet(sim.now, 1, (IP["B"], 9993), _from_nowhere(a, source))
        if i % 20 == 0:
            sim.run(50)
    assert count(sim, "A", "R") < 500, count(sim, "A", "R")
    assert len(a.parked.items) <= a.limits.parked
    # Meanwhile its own questions are asked.
    a.send_user_message(sim.now, b.address, TYPE, b"x")
    sim.run(1000)
    assert messages(b) == [b"x"]
    sim.run(10000)
    assert not a.wanted.wanted and a.wanted.foreign == 0 and not a.parked.items


def test_a_sender_with_an_impossible_address_is_not_asked_about():
    sim, r, a, b = one_root()
    sim.run(20)
    a.process_wire_packet(sim.now, 1, (IP["B"], 9993), _from_nowhere(a, bytes(5)))
    assert not a.parked.items and a.drops[drops.MALFORMED] == 1


def test_whois_bounds_and_priorities():
    w = Whois(4)
    for i in range(10):
        w.want(0, bytes([i]), False)
    assert len(w.wanted) == 4 == w.foreign
    for i in range(300):
        w.want(0, b"own" + bytes([i >> 8, i & 255]))
    assert len(w.wanted) == 256 and w.foreign == 0, "our own push the others out"
    assert not w.want(0, b"x", False)
    w = Whois(4)
    assert w.want(0, b"a", False) and w.want(0, b"a"), "now it is ours too"
    assert w.foreign == 0
    assert w.asked(0, b"a") == 0 and not w.want(499, b"a") and w.want(500, b"a")
    assert w.asked(500, b"a") == 1
    w.learned(b"a")
    w.learned(b"a")
    assert not w.wanted and w.foreign == 0
    # A stranger's wish is not prolonged by repeating it.
    w.want(0, b"b", False)
    for t in range(0, 6000, 500):
        w.want(t, b"b", False)
        w.due(t)
    assert t == 5500 and w.wanted.get(b"b", [0, 5000])[1] >= 5000


def test_authentic_packets_are_not_pushed_out_by_others():
    q = Queue(4)
    for i in range(3):
        q.add(Waiting(0, bytes([i]), b"", None, True))
    for _ in range(50):
        q.add(Waiting(0, b"stranger", b""))
    assert [i.peer for i in q.items if i.opened] == [b"\0", b"\1", b"\2"] and len(q.items) == 4
    for i in range(9):
        q.add(Waiting(0, bytes([i + 10]), b"", None, True))
    assert [i.peer for i in q.items] == [bytes([i]) for i in (15, 16, 17, 18)]


def test_data_does_not_push_out_what_paths_depend_on():
    e = Expected(4)
    hello = b"hello id"
    data = [bytes((i,)) + bytes(7) for i in range(100)]
    e.add(0, hello, VERB_HELLO, b"x")
    for packet_id in data:
        e.add(0, packet_id, VERB_EXT_FRAME, b"x")
    assert e.find(5, hello, VERB_HELLO, b"x") == 5
    assert e.find(5, data[99], VERB_EXT_FRAME, b"x") == 5
    assert e.find(5, data[30], VERB_EXT_FRAME, b"x") is None
    assert e.find(5, hello, VERB_ECHO, b"x") is None
    assert e.find(5, hello, VERB_HELLO, b"y") is None
    assert e.find(60000, hello, VERB_HELLO, b"x") is None
    assert len(e.sent) == 5


def test_an_id_that_is_nearly_that_of_a_request_is_not_expected():
    e = Expected(4)
    asked = bytes(range(8))
    e.add(0, asked, VERB_WHOIS, b"x", b"about")
    for i in range(8):
        for bit in range(6):  # 60 of the 64 bits are compared
            near = bytearray(asked)
            near[i] ^= 1 << bit
            assert e.find(5, bytes(near), VERB_WHOIS, b"x") is None, (i, bit)
            assert e.about(bytes(near)) is None
            e.again(4, bytes(near))
    assert e.find(5, asked, VERB_WHOIS, b"x") == 5 and e.about(asked) == b"about"
    e.again(3, asked)
    assert e.find(5, asked, VERB_WHOIS, b"x") == 2 and e.about(asked) == b"about"


def test_waiting_does_not_count_as_latency():
    sim, r, a, b = one_root()
    sim.block = lambda s, d, p: s == "R" and len(p) == 37 + 71  # the answer to the first WHOIS
    sim.run(20)
    got = []
    a.echo(sim.now, b.address, lambda rtt, remote, hops: got.append(rtt))
    sim.run(1600)
    sim.block = None
    sim.run(1600)
    assert got and got[0] < 1000, got
    assert live(a, r, sim.now).latency < 1000


def test_an_answered_whois_makes_parked_packets_heard_in_order():
    sim, r, a, b = one_root()
    sim.run(20)
    key = a.identity.agree(b.identity)
    for i in range(5):
        pkt = bytearray(28 + 9)
        packet.compose(
            pkt, bytes([i]) * 8, b.address, a.address, VERB_USER_MESSAGE, (TYPE, bytes([i]))
        )
        crypto.seal(key, pkt, len(pkt), 1)
        b.process_wire_packet(sim.now, 1, (IP["A"], 9993), memoryview(pkt))
    assert len(b.parked.items) == 5 and not messages(b)
    sim.run(20)
    assert messages(b) == [bytes([i]) for i in range(5)]


def test_a_root_cannot_change_the_key_of_a_peer_we_heard():
    sim, r, a, b = one_root()
    sim.run(20)
    met(sim, a, b)
    false = Identity(b.address, Identity.parse(IDS["C"]).public)
    packet_id = b"12345678"
    a.expected.add(sim.now, packet_id, VERB_WHOIS, r.address, b.address)
    r.send_to(
        sim.now, r.topology.peers[a.address], 1, (IP["A"], 9993), 3,
        (bytes([VERB_WHOIS]), packet_id, false.pack()),
    )  # fmt: skip
    sim.deliver()
    assert a.topology.peers[b.address].identity == b.identity
    assert a.drops[drops.IDENTITY] == 1


def test_an_identity_from_somebody_who_is_no_root_is_ignored():
    sim, r, a, b = one_root()
    sim.run(20)
    met(sim, a, b)
    c = Identity.parse(IDS["C"])
    a.expected.add(sim.now, b"12345678", VERB_WHOIS, b.address, c.address)
    b.send_to(
        sim.now, b.topology.peers[a.address], 1, (IP["A"], 9993), 3,
        (bytes([VERB_WHOIS]), b"12345678", c.pack()),
    )  # fmt: skip
    sim.deliver()
    assert c.address not in a.topology.peers


# --- who is remembered


def _limits(peers=4):
    return Limits(peers=peers, paths=8)


def _topology(storage=None):
    from zt import store

    t = Topology(Identity.parse(IDS["A"]), _limits(), storage or store.MemoryStore())
    return t


def test_a_full_table_forgets_who_was_never_heard_before_who_was():
    t = _topology()
    base = Identity.parse(IDS["C"]).public
    heard = t.add_peer(0, Identity(bytes((9, 9, 9, 9, 9)), base))
    heard.last_receive = 0
    for i in range(20):
        t.add_peer(1000 + i, Identity(bytes((1, 2, 3, 4, i)), base))
        assert len(t.peers) <= 4
    assert heard.address in t.peers
    assert t.evicted == 17


def test_the_cache_on_disk_is_bounded():
    t = _topology()
    base = Identity.parse(IDS["C"]).public
    for i in range(50):
        t.add_peer(i, Identity(bytes((1, 2, 3, 4, i)), base)).last_receive = i
    assert len(t.cached) == 16 and len(t.storage.keys("peer")) == 16


def test_packets_of_unproven_origin_load_few_peers():
    t = _topology()
    base = Identity.parse(IDS["C"]).public
    for i in range(16):
        p = t.add_peer(i, Identity(bytes((1, 2, 3, 4, i)), base))
        p.last_receive = i
        t.forget(i, p)
    t = Topology(t.identity, t.limits, t.storage)
    t.limits = _limits(64)
    reads = []
    get = t.storage.get
    t.storage.get = lambda kind, key=b"": reads.append(key) or get(kind, key)
    for _ in range(40):
        for i in range(16):
            p = t.find(0, bytes((1, 2, 3, 4, i)), True)
            if p is not None:
                del t.peers[p.address]
    assert len(reads) == 16
    assert t.find(0, bytes((1, 2, 3, 4, 1))) is not None, "our own wish is not gated"
    assert t.find(1000, bytes((1, 2, 3, 4, 2)), True) is not None
