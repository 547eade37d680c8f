# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# A bad wire and bad peers: loss, delay and doubling; every verb with every length of nonsense,
# well sealed; damaged copies of everything a conversation sends. Nothing may be raised, and good
# nodes must get through.

from _people import IP, TYPE, cut, live, messages, met, one_root
from zt import crypto, packet
from zt._compat import MICROPYTHON
from zt.const import VERB_HELLO
from zt.controller import Controller

_STEP = 7 if MICROPYTHON else 1


class Dice:
    def __init__(self, seed):
        self.state = seed

    def __call__(self, n):
        self.state = (self.state * 1103515245 + 12345) & 0x3FFFFFFF
        return (self.state >> 8) % n

    def bytes(self, n):
        return bytes([self(256) for _ in range(n)])


def test_nodes_come_online_and_talk_with_a_third_of_everything_lost():
    for seed in range(3 if MICROPYTHON else 10):
        sim, r, a, b = one_root()
        sim._seed = 1000 + seed
        sim.loss, sim.delay, sim.double = 30, 30, 20
        assert sim.until(lambda a=a, b=b: a.online and b.online, 60000) is not None, seed
        for _ in range(60):
            a.send_user_message(sim.now, b.address, TYPE, b"to b")
            b.send_user_message(sim.now, a.address, TYPE, b"to a")
            sim.run(1000)
        assert len(messages(a)) > 20 and len(messages(b)) > 20, seed
        assert a.online and b.online
        sim.loss = sim.delay = sim.double = 0
        for _ in range(30):
            a.send_user_message(sim.now, b.address, TYPE, b"x")
            sim.run(1000)
        assert live(a, b, sim.now) is not None, seed


def test_a_network_is_joined_and_used_over_a_bad_wire():
    for seed in range(1 if MICROPYTHON else 4):
        sim, r, a, b = one_root()
        sim._seed = 2000 + seed
        r.attach_controller(Controller(r.identity, r.storage, sim.clock, sim.random))
        nwid = bytes.fromhex(r.controller.put_network(sim.now, None, {"private": True})["nwid"])
        for n in (a, b):
            r.controller.put_member(sim.now, nwid, n.address, {"authorized": True})
        sim.loss, sim.delay, sim.double = 20, 30, 20
        for n in (a, b):
            n.join(sim.now, nwid)
        both = sim.until(lambda n=(a, b), w=nwid: {x.network(w).status for x in n} == {1}, 90000)
        assert both is not None, seed
        from zt import mac

        macs = [mac.from_address(n.address, nwid) for n in (a, b)]
        for i in range(60):
            data = bytes([i]) * 700
            a.process_virtual_network_frame(sim.now, nwid, macs[0], macs[1], 0x0800, 0, data)
            sim.run(500)
        assert len(b.cb.frames) > 20, (seed, len(b.cb.frames))


def test_long_packets_survive_reordering_and_doubling():
    sim, r, a, b = one_root()
    sim.run(20)
    met(sim, a, b)
    sim.delay, sim.double = 50, 30
    data = bytes(range(256)) * 30
    for _ in range(10):
        a.send_user_message(sim.now, b.address, TYPE, data)
        sim.run(1000)
    got = messages(b)
    assert len(got) >= 10 and [m for m in got if m != data] == []


def _sealed(sender, to, verb, body, suite=1, flags=0):
    pkt = bytearray(28 + len(body))
    n = packet.compose(
        pkt, b"12345678", to.address, sender.address, verb | flags, (body,)
    )  # fmt: skip
    crypto.seal(sender.identity.agree(to.identity), pkt, n, suite)
    return memoryview(pkt)


def _talkers():
    """(sim, r, a, b): a root with a controller and two members of its network, all in contact."""
    sim, r, a, b = one_root()
    r.attach_controller(Controller(r.identity, r.storage, sim.clock, sim.random))
    nwid = bytes.fromhex(r.controller.put_network(sim.now, None, {"private": False})["nwid"])
    sim.run(20)
    for n in (a, b):
        n.join(sim.now, nwid)
    met(sim, a, b)
    sim.run(2000)
    return sim, r, a, b, nwid


def test_nonsense_of_every_verb_and_length_is_survived():
    sim, r, a, b, nwid = _talkers()
    dice = Dice(7)
    for verb in range(32):
        for n in range(0, 201, _STEP):
            body = dice.bytes(n)
            if n >= 8 and n % 3 == 0:
                body = nwid + body[8:]  # reaches further into VL2
            suite = 0 if n % 5 == 0 and verb != VERB_HELLO else 1
            for sender, to, at in ((a, b, "A"), (r, b, "R"), (a, r, "A")):
                p = _sealed(sender, to, verb, body, suite)
                to.process_wire_packet(sim.now, 1, (IP[at], 9993), p)
        sim.run(50)
    sim.run(10000)
    del b.cb.events[:]
    a.send_user_message(sim.now, b.address, TYPE, b"still there")
    sim.run(2000)
    assert b"still there" in messages(b) and a.online and b.online


def test_nonsense_that_answers_what_was_asked_is_survived():
    sim, r, a, b, nwid = _talkers()
    dice = Dice(9)
    for verb in (1, 4, 7, 8, 0x0B, 0x0C, 0x0D, 0x0E):
        for n in range(0, 200, _STEP):
            packet_id = dice.bytes(8)
            body = dice.bytes(n)
            b.expected.add(sim.now, packet_id, verb, r.address, body[0:5])
            if n >= 8 and n % 2:
                body = nwid + body[8:]
            p = _sealed(r, b, 3, bytes([verb]) + packet_id + body)
            b.process_wire_packet(sim.now, 1, (IP["R"], 9993), p)
            p = _sealed(r, b, 2, bytes([verb]) + packet_id + bytes([n % 12]) + body)
            b.process_wire_packet(sim.now, 1, (IP["R"], 9993), p)
        sim.run(50)
    assert b.online
    sim.run(5000)
    a.send_user_message(sim.now, b.address, TYPE, b"x")
    sim.run(2000)
    assert b"x" in messages(b)


def test_nonsense_that_claims_to_be_compressed_is_survived():
    sim, r, a, b, nwid = _talkers()
    dice = Dice(11)
    for n in range(0, 200, _STEP):
        for verb in (0, 3, 5, 6, 7, 0x0A, 0x0E, 0x10, 0x14):
            p = _sealed(a, b, verb, dice.bytes(n), 1, 0x80)
            b.process_wire_packet(sim.now, 1, (IP["A"], 9993), p)
    sim.run(1000)
    assert b.online


def _conversation():
    """All that was sent while two nodes met, joined and talked: (source, dest, datagram)."""
    sim, r, a, b = one_root()
    sent = []
    sim.block = lambda s, d, p: sent.append((s, d, bytes(p))) is not None
    r.attach_controller(Controller(r.identity, r.storage, sim.clock, sim.random))
    nwid = bytes.fromhex(r.controller.put_network(sim.now, None, {"private": True})["nwid"])
    for n in (a, b):
        r.controller.put_member(sim.now, nwid, n.address, {"authorized": True})
        n.join(sim.now, nwid)
    sim.run(1000)
    a.send_user_message(sim.now, b.address, TYPE, bytes(2000))
    a.send_user_message(sim.now, b.address, TYPE, b"short")
    a.echo(sim.now, b.address, lambda *x: None)
    sim.run(1000)
    a.multicast_subscribe(sim.now, nwid, b"\xff" * 6, 1)
    from zt import mac

    m = mac.from_address(a.address, nwid)
    a.process_virtual_network_frame(sim.now, nwid, m, b"\xff" * 6, 0x0806, 0, bytes(28))
    sim.run(6000)
    sim.block = None
    return sim, sent


def test_damaged_copies_of_a_whole_conversation_are_survived():
    sim, sent = _conversation()
    dice = Dice(13)
    assert len(sent) > 40
    for src, dst, data in sent[:: 5 if MICROPYTHON else 1]:
        node = sim.nodes[dst]
        for _ in range(4 if MICROPYTHON else 20):
            damaged = bytearray(data)
            if dice(2):
                damaged = damaged[: dice(len(damaged) + 1)]
            for _ in range(dice(3)):
                if damaged:
                    damaged[dice(len(damaged))] ^= 1 << dice(8)
            node.process_wire_packet(sim.now, 1, (IP[src], 9993), memoryview(damaged))
        sim.wire = []
    sim.run(20000)
    a, b = sim.nodes["A"], sim.nodes["B"]
    assert a.online and b.online
    a.send_user_message(sim.now, b.address, TYPE, b"x")
    sim.run(2000)
    assert messages(b)[-1] == b"x"


def test_resealed_damage_of_a_whole_conversation_is_survived():
    # The same, but the thief has the keys: what is inside is damaged, the seal is good.
    sim, sent = _conversation()
    people = {n.address: n for n in sim.nodes.values()}
    dice = Dice(17)
    seen = set()
    for src, _, data in sent:
        p = bytearray(data)
        source, to = people.get(bytes(p[13:18])), people.get(bytes(p[8:13]))
        if source is None or to is None or p[18] & 0x40 or source is to:
            continue
        key = source.identity.agree(to.identity)
        if not crypto.open(key, p, len(p)):
            continue
        seen.add(p[27] & 31)
        suite = 0 if p[27] & 31 == VERB_HELLO else 1
        for cut_at in range(28, len(p), max(_STEP * 5, len(p) // 30)):
            for flip in (False, True):
                bad = bytearray(p)
                if flip:
                    bad[cut_at] ^= 1 << dice(8)
                else:
                    bad = bad[:cut_at]
                bad[0:8] = dice.bytes(8) if bad[27] & 31 not in (1, 3) else bad[0:8]
                bad[18] &= 0x07
                crypto.seal(key, bad, len(bad), suite)
                to.process_wire_packet(sim.now, 1, (IP[src], 9993), memoryview(bad))
        sim.wire = []
    assert seen >= {1, 3, 4, 5, 8, 0x0B, 0x14} or MICROPYTHON, seen
    sim.run(20000)
    assert sim.nodes["A"].online


def test_short_and_long_datagrams_are_dropped():
    sim, r, a, b = one_root()
    sim.run(20)
    dice = Dice(19)
    for n in list(range(0, 60)) + [1431, 1432, 1433, 10023, 10024, 10025, 10240]:
        for first in (0, 0xFF):
            for to in (a.address, b.address, bytes(5)):
                p = bytearray(dice.bytes(n))
                if n > 13:
                    p[8:13] = to
                    p[13] = first
                for node in (r, a):
                    node.process_wire_packet(sim.now, 1, (IP["B"], 9993), memoryview(p))
    assert sum(a.drops) > 100 and a.online


def test_pieces_that_never_become_whole_are_bounded_and_forgotten():
    sim, r, a, b = one_root()
    sim.run(20)
    dice = Dice(23)
    for i in range(2000):
        p = bytearray(dice.bytes(8)) + a.address + b"\xff" + bytes([0x21 + i % 7 * 16, 0])
        p += bytes(1400)
        p[14] = (2 + i % 6) << 4 | 1 + i % 5
        a.process_wire_packet(sim.now, 1, (IP["B"], 9993), memoryview(p))
    held = sum([s.size for s in a.reassembly.slots])
    assert held <= a.limits.reassembly * 10024
    sim.run(60000)
    assert sum([s.size for s in a.reassembly.slots]) == 0 and a.online


def test_no_single_packet_can_hold_more_than_the_longest_packet():
    sim, r, a, b = one_root()
    sim.run(20)
    for number in range(1, 7):
        p = bytearray(b"12345678" + a.address + b"\xff" + bytes([0x70 | number, 0]) + bytes(9000))
        a.process_wire_packet(sim.now, 1, (IP["B"], 9993), memoryview(p))
        assert max([s.size for s in a.reassembly.slots if s]) <= 10024


def test_a_cut_wire_heals():
    sim, r, a, b = one_root()
    sim.run(20)
    met(sim, a, b)
    for pairs in (("AR",), ("AB",), ("AR", "BR"), ("AR", "BR", "AB")):
        sim.block = cut(*pairs)
        for _ in range(40):
            a.send_user_message(sim.now, b.address, TYPE, b"x")
            sim.run(1000)
        sim.block = None
        del b.cb.events[:]
        for _ in range(20):
            a.send_user_message(sim.now, b.address, TYPE, b"y")
            sim.run(1000)
        assert len(messages(b)) >= 18, pairs
        assert a.online and b.online
