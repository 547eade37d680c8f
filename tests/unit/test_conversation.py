# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The recorded exchange of three reference nodes, with one of ours in the place of each: it hears
# what its counterpart heard and must answer what that answered, field by field. Packets under the
# cipher we do not build are sealed again under the one we do, with the recorded packet ID.

from _sim import Sim
from _vectors import load, unhex
from zt import crypto, inet, packet
from zt.const import VERB_ECHO, VERB_HELLO, VERB_OK, VERB_RENDEZVOUS, VERB_WHOIS
from zt.identity import Identity
from zt.world import World

_VERSION = (1, 4, 0, 8)
_REQUESTS = (VERB_HELLO, VERB_WHOIS, VERB_ECHO)


class Recorded:
    """One datagram of the recording."""

    def __init__(self, d):
        self.at = d["t_ms"]
        self.src = d["from"]
        self.dst = d["to"]
        self.data = unhex(d["datagram"])
        self.id = self.data[0:8]
        self.hops = d.get("hops", 0)
        self.suite = d.get("suite", 0)
        self.clear = unhex(d.get("clear_verb_and_payload", ""))
        self.verb = self.clear[0] & 31 if self.clear else None
        self.compressed = bool(self.clear) and self.clear[0] & 0x80


class Play:
    """Our node as `name` among the recorded others."""

    def __init__(self, name):
        v = load("vl1.json")
        c = v["conversation"]
        self.name = name
        self.c = c
        self.people = {i["name"]: Identity.parse(i["secret_string"]) for i in v["identities"]}
        self.by_address = {p.address: n for n, p in self.people.items()}
        text = {i["name"]: i["secret_string"] for i in v["identities"]}[name]
        self.where = {n: inet.parse(c["addresses"][n]) for n in ("A", "B", "R")}
        self.datagrams = [Recorded(d) for d in c["datagrams"] if "datagram" in d]
        self.sim = Sim()
        self.ids = []
        self.sim.random = self._random
        planet = unhex(c["planet_of_R" if name == "R" else "planet_of_A_and_B_at_start"])
        ip, port = self.where[name]
        self.node = self.sim.add(name, text, ip, planet, port=port)
        for other, at in self.where.items():
            if other != name:
                self.sim.where[other] = [(1, at)]
        self.out = []
        self.node.cb.wire_send = self._sent
        self.begin = self.datagrams[0].at

    def _random(self, n):
        if n == 8 and self.ids:
            return self.ids.pop(0)
        return bytes([len(self.out) & 255]) * n

    def _sent(self, sock, remote, data, ttl):
        if not ttl:
            self.out.append((remote, bytes(data)))
        return 0

    def opened(self, data):
        """(destination name, packet ID, hops, verb and payload) of a datagram of our node."""
        p = bytearray(data)
        source, dest = bytes(p[13:18]), bytes(p[8:13])
        if self.by_address[source] == self.name:
            key = self.people[self.name].agree(self.people[self.by_address[dest]])
            assert crypto.open(key, p, len(p))
            if p[27] & 31 == VERB_HELLO:
                o = inet.unpack(p, 112)[1] + 16
                crypto.hello_mask(key, p, o, len(p))
        return self.by_address[dest], bytes(p[0:8]), packet.hops(p), bytes(p[27:])

    def asked(self, d):
        """Our node asked what the recorded one asked here."""
        about = d.clear[1:6] if d.verb == VERB_WHOIS else None
        self.node.expected.add(self.sim.now, d.id, d.verb, bytes(d.data[8:13]), about)

    def hear(self, d):
        """Give our node a recorded datagram; what it sent, as opened() has it with remotes."""
        data = bytearray(d.data)
        if d.suite == 3 and d.clear:
            data = bytearray(d.data[:27]) + d.clear
            data[18] = 0
            source, dest = [
                self.people[self.by_address[bytes(x)]] for x in (data[13:18], data[8:13])
            ]
            crypto.seal(source.agree(dest), data, len(data), 1)
            data[18] |= d.hops
        del self.out[:]
        self.sim.now = 1000 + d.at - self.begin
        self.sim.wall = d.at
        self.node.process_wire_packet(self.sim.now, 1, self.where[d.src], memoryview(data))
        return [(remote,) + self.opened(p) for remote, p in self.out if len(p) >= 28]


def _fields_of_hello(clear):
    """(timestamp, identity, address it was sent to, planet ID, planet timestamp)."""
    at, o = inet.unpack(clear, 85)
    return clear[6:14], clear[14:85], at, clear[o : o + 8], clear[o + 8 : o + 16]


def _fields_of_ok(clear):
    """(in-re verb, in-re ID, rest) with the version of an OK(HELLO) taken out of the rest."""
    if clear[1] != VERB_HELLO:
        return clear[1], clear[2:10], clear[10:]
    return clear[1], clear[2:10], clear[10:18] + clear[23:]


def _replay(name, moons=False):
    """Go through the recording; (answers compared, play)."""
    play = Play(name)
    compared = {}
    expect = []
    for d in play.datagrams:
        if d.src == name:
            if d.verb in _REQUESTS and d.data[13:18] == play.node.address:
                play.asked(d)
            if d.verb == VERB_OK and not d.hops:
                expect.append(d)
        if d.dst != name or (d.suite == 3 and not d.clear) or (not d.clear and d.suite != 1):
            continue
        got = play.hear(d)
        answers = [g for g in got if g[4][0] & 31 == VERB_OK]
        for remote, _, _, _, clear in answers:
            assert remote == play.where[d.src], "answered where it came from"
            compared[clear[2:10]] = clear
    n = 0
    for d in expect:
        if d.verb == VERB_OK and d.clear[2:10] not in compared:
            assert False, "%s did not answer %s" % (name, d.clear.hex())
        ours = _fields_of_ok(compared[d.clear[2:10]])
        theirs = _fields_of_ok(d.clear)
        if theirs[0] == VERB_HELLO:
            version = compared[d.clear[2:10]][18:23]
            assert version == bytes((11,) + _VERSION) and d.clear[18] == 12
        if theirs[0] == VERB_HELLO and ours != theirs:
            # The reference also has a moon for who asked: its planet must be all that comes first.
            assert moons, "%r %r" % (ours, theirs)
            at, o = inet.unpack(theirs[2], 8)
            planet = World.unpack(theirs[2], o + 2)[0].pack()
            assert ours[2] == theirs[2][:o] + bytes([len(planet) >> 8, len(planet) & 255]) + planet
            n += 1
            continue
        assert ours == theirs, "%r %r" % (ours, theirs)
        n += 1
    return n, play


def test_our_root_answers_as_the_recorded_one():
    n, play = _replay("R", True)
    assert n >= 15, n


def test_our_a_answers_as_the_recorded_one():
    n, play = _replay("A")
    assert n >= 3, n
    assert play.node.topology.planet.pack() == unhex(play.c["A_planet_after"])
    assert play.node.online
    b = play.people["B"].address
    assert play.where["B"] in [s.path.remote for s in play.node.topology.peers[b].slots]
    assert play.node.surface.addresses(play.sim.now)[0] == play.where["A"]


def test_our_b_answers_as_the_recorded_one():
    n, play = _replay("B")
    assert n >= 3, n
    messages = [i["data"] for name, i in play.node.cb.events if name == "user_message"]
    assert messages and len(messages[0]) == 84 - 36
    a = play.people["A"].address
    assert play.where["A"] in [s.path.remote for s in play.node.topology.peers[a].slots]


def test_our_hello_is_the_recorded_one_but_for_version_and_moons():
    for name in ("A", "B"):
        play = Play(name)
        first = [d for d in play.datagrams if d.src == name][0]
        play.ids = [first.id]
        play.sim.wall = first.at
        play.node.process_background_tasks(play.sim.now)
        sent = [(remote, p) for remote, p in play.out if len(p) > 100]
        assert len(sent) == 1 and sent[0][0] == play.where["R"]
        _, packet_id, _, clear = play.opened(sent[0][1])
        assert packet_id == first.id and clear[0] == VERB_HELLO
        assert sent[0][1][:27][8:19] == first.data[8:19]
        assert clear[1:6] == bytes((11,) + _VERSION)
        assert _fields_of_hello(clear) == _fields_of_hello(first.clear)
        assert len(clear) == len(first.clear) - 17 * first.clear[inet.unpack(clear, 85)[1] + 17]


def test_our_root_relays_and_introduces_as_the_recorded_one():
    play = Play("R")
    relayed = introduced = 0
    for i, d in enumerate(play.datagrams):
        if d.src == "R" and d.verb in _REQUESTS:
            play.asked(d)
        if d.dst != "R" or (d.suite == 3 and not d.clear):
            continue
        got = play.hear(d)
        if d.data[8:13] == play.node.address:
            continue
        # What the recorded root sent because of it follows at once.
        theirs = [t for t in play.datagrams[i + 1 : i + 4] if t.src == "R"]
        passed = [
            t for t in theirs if t.data[8:13] == d.data[8:13] and t.data[13:18] == d.data[13:18]
        ]
        assert (play.where["B"], bytes(passed[0].data)) in play.out, "unchanged but for the hops"
        relayed += 1
        for t in theirs:
            if t.verb == VERB_RENDEZVOUS:
                assert (play.where[t.dst], t.clear) in [(g[0], g[4]) for g in got]
                introduced += 1
    assert relayed >= 1 and introduced >= 2, (relayed, introduced)


def test_our_b_asks_who_the_sender_of_a_relayed_packet_is():
    play = Play("B")
    asked = []
    for d in play.datagrams:
        if d.src == "B" and d.verb in _REQUESTS:
            play.asked(d)
        if d.src == "B" and d.verb == VERB_WHOIS and d.clear[1:] == play.people["A"].address:
            assert (play.where["R"], d.clear) in asked
            return
        if d.dst == "B" and (d.clear or d.suite == 1):
            asked.extend([(g[0], g[4]) for g in play.hear(d)])
    assert False, "the recording has no such question"
