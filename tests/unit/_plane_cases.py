# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Random configurations, frames and datagrams for the data plane and its Python twin, from any
# object with the methods of random.Random, and what the plane must leave to Python of them, worked
# out from docs/plane.md and not from the plane. CPython only.

import _rules_cases as rc
from _plane import ADMITTED, SENDABLE
from _plane_twins import IDS, NWID, PEERS, REMOTE, WIRE
from zt import crypto, mac, packet, rules
from zt._compat import be32, be64
from zt.const import VERB_EXT_FRAME, VERB_FRAME, VERB_MULTICAST_FRAME
from zt.credential import COM, TYPE_CAPABILITY, TYPE_COO, TYPE_TAG, Capability, Ownership, Tag
from zt.held import HeldCapability, HeldCOM, HeldOwnership, HeldTag
from zt.identity import Identity
from zt.netconf import NetworkConfig

IDENTITY = {n: Identity.parse(s) for n, s in IDS.items()}
ME = IDENTITY["A"].address
MAC = {n: mac.from_address(i.address, NWID) for n, i in IDENTITY.items()}
BASE = 1700000000000
FRAMES = (VERB_FRAME, VERB_EXT_FRAME, VERB_MULTICAST_FRAME)
GROUPS = [(mac.BROADCAST, bytes(4)), (b"\x33\x33\xff\1\2\3", bytes(4))]
GROUPS += [(mac.BROADCAST, ip) for ip in rc.IPV4]
STRANGER = (bytes((10, 9, 0, 77)), 1234)
BRIDGE, REPLICATOR = 0x020000, 0x040000
_configs = [0]


def _fixed_random(raw):
    """Rules without chance: a match at random always matches (the twins draw other numbers)."""
    out = bytearray(raw)
    p = 0
    while p + 1 < len(out):
        if out[p] & 0x3F == 43:
            if out[p + 1] < 4 or p + 6 > len(out):
                return b"\1\0"
            out[p + 2 : p + 6] = b"\xff" * 4
        p += 2 + out[p + 1]
    return bytes(out)


def _rules(r, longest):
    while True:
        raw = _fixed_random(rc.rule_list(r, bytes(60), longest))
        try:
            if rules.validate(raw) == len(raw):
                return raw
        except ValueError:
            pass


def _held(r, who, more):
    """Random credentials of one member: (tags, capabilities, certificates of ownership)."""
    stamp, address = be64(BASE), IDENTITY[who].address
    held = rc.credentials(r, b"", False)
    tags = [Tag(NWID, stamp, i, v, address) for i, v in held.tags.items()]
    capabilities = []
    for i in range(r.choice((0, 0, 1, 2)) if more else 0):
        capabilities.append(Capability(NWID, stamp, i, _rules(r, 4), address))
    coos = [Ownership(NWID, stamp, 1, held.things[:16], address)] if held.things else []
    return tags, capabilities, coos


class World:
    """One configuration, members and groups, for both twins."""

    def __init__(self, r):
        _configs[0] += 1
        c = NetworkConfig()
        c.nwid = NWID
        c.timestamp = be64(BASE)
        c.ctmd = 60000
        c.revision = _configs[0]
        c.issued_to = ME
        c.flags = r.choice((2, 2, 2, 0)) | r.choice((0, 4)) | r.choice((0, 0, 8))
        c.multicast_limit = r.choice((32, 32, 32, 2, 1, 0))
        c.type = r.choice((0, 1, 1, 1))
        c.name = "random"
        plain = rc.chance(r, 3)
        c.rules = b"\1\0" if plain else _rules(r, 6) + r.choice((b"", b"\1\0", b"\1\0"))
        if c.rules != b"\1\0":
            c.tags, c.capabilities, c.coos = _held(r, "A", True)
        addresses = (mac.sixplane(NWID, ME), mac.rfc4193(NWID, ME))
        c.static_ips = [(ip, r.choice((40, 88))) for ip in addresses if rc.chance(r, 2)]
        for who, roles in (("A", BRIDGE), ("B", BRIDGE), ("A", REPLICATOR), ("C", REPLICATOR)):
            if rc.chance(r, 8):
                c.specialists = list(c.specialists) + [(IDENTITY[who].address, roles)]
        if c.type == 0:
            c.com = COM.issue(NWID, IDENTITY["A"], be64(BASE), 60000)
        self.config = c.pack()
        self.com = {}
        self.expelled = {}
        self.pushed = {}
        self.held = {}
        for who in PEERS:
            when = BASE + r.choice((0, 0, 0, 60001))
            if not rc.chance(r, 8):
                self.com[who] = COM.issue(NWID, IDENTITY[who], be64(when), 60000)
            self.expelled[who] = rc.chance(r, 12)
            self.pushed[who] = not rc.chance(r, 12)
            self.held[who] = _held(r, who, True) if c.rules != b"\1\0" else ((), (), ())
        self.members = {}
        for group in GROUPS:
            if not rc.chance(r, 3):
                self.members[group] = [n for n in PEERS if not rc.chance(r, 3)]
        self.without = [n for n in PEERS if rc.chance(r, 20)]

    def set(self, twin):
        """Put it into force."""
        twin.apply(self.config)
        net, now = twin.net, twin.sim.now
        for who in PEERS:
            m = net.members.make(now, IDENTITY[who].address)
            com = self.com.get(who)
            m.com = None if com is None else HeldCOM(com, IDENTITY[who])
            if self.expelled[who]:
                m.expelled = m.com_threshold = be64(BASE + 100000)
            m.held = {}
            for i, kind in enumerate((TYPE_TAG, TYPE_CAPABILITY, TYPE_COO)):
                for c in self.held[who][i]:
                    m.keep(kind, c.id, (HeldTag, HeldCapability, HeldOwnership)[i](c))
            m.generation = -1
            m.last_like = now
            m.last_push = now
            m.pushed = net.generation if self.pushed[who] else -1
        for group, members in self.members.items():
            key = NWID + group[0] + group[1]
            for who in members:
                twin.node.vl2.multicast.add(now, key, IDENTITY[who].address)
            g = twin.node.vl2.multicast._group(key)
            g.last_gather = now
        if hasattr(twin, "program"):
            twin.program(self.without)
        twin.reset()


# ---- frames from our stack


class Tap:
    """A frame into the interface, and how it is cut into segments."""

    def __init__(self, r):
        kind, payload = rc.frame(r)
        if rc.chance(r, 12):
            payload += rc.blob(r, 1) * r.choice((1300, 1380, 1400, 2700, 5000))
        dst = MAC[r.choice("BBBBBBCCCDDDE")]
        if rc.chance(r, 3):
            dst = r.choice(GROUPS)[0]
        elif rc.chance(r, 15):
            dst = r.choice((MAC["A"], b"\x02\1\2\3\4\5", bytes(6), b"\x01\0\x5e\0\0\1"))
        if dst == mac.BROADCAST and rc.chance(r, 2):
            kind = 0x0806
            payload = b"\0\1\x08\0\x06\x04\0\1" + MAC["A"] + r.choice(rc.IPV4) + bytes(6)
            payload += r.choice(rc.IPV4)
            if rc.chance(r, 6):
                at = r.randrange(len(payload))
                payload = payload[:at] + rc.blob(r, 1) + payload[at + 1 :]
        src = MAC["A"] if not rc.chance(r, 20) else b"\x02\1\2\3\4\5"
        self.kind, self.payload, self.dst, self.src = kind, payload, dst, src
        self.frame = dst + src + kind.to_bytes(2, "big") + payload
        n = len(self.frame)
        self.cuts = sorted(r.randrange(n + 1) for _ in range(r.choice((0, 0, 1, 2, 4))))

    def __repr__(self):
        return "Tap(%s, cut at %r)" % (self.frame.hex(), self.cuts)

    def group(self):
        p = self.payload
        arp = self.dst == mac.BROADCAST and self.kind == 0x0806 and len(p) >= 28
        if arp and p[2:8] == b"\x08\0\x06\x04\0\1":
            return self.dst + p[24:28]
        return self.dst + bytes(4)

    def for_python(self, planed):
        """Must Python do this one?"""
        config = planed.net.config
        if self.src != MAC["A"]:
            return True
        if not self.dst[0] & 1:
            who = mac.to_address(self.dst, NWID)
            if self.dst[0] != mac.first_octet(NWID):
                return True
            return not planed.members.get(who, 0) & SENDABLE
        group = self.group()
        if self.dst == mac.BROADCAST:
            if group[6:] == bytes(4) and self.kind != 0x0806 and not config.flags & 2:
                return False
            p = self.payload
            whole = len(p) >= 28 and p[2:8] == b"\x08\0\x06\x04\0\1"
            if not config.flags & 2 and not (self.kind == 0x0806 and whole):
                return False
        elif self.kind == 0x86DD and config.flags & 4 and len(self.payload) >= 64:
            if self.payload[6] == 58 and self.payload[40] == 0x87:
                return True
        if not config.multicast_limit:
            return False
        order = planed.groups.get(group)
        if not order:
            return True
        return not all(planed.members.get(a, 0) & SENDABLE for a in order)


# ---- datagrams from others


def _lz4(data):
    """A valid block: literals, one long match if there is a run of a byte, literals."""
    for at in range(1, len(data) - 40):
        if data[at : at + 30] == data[at - 1 : at] * 30:
            run = 30
            break
    else:
        return _sequence(data, None)
    return _sequence(data[:at], run) + _sequence(data[at + run :], None)


def _sequence(literals, match):
    n = len(literals)
    out = bytes((min(n, 15) << 4 | (0 if match is None else min(match - 4, 15)),))
    if n >= 15:
        out += b"\xff" * ((n - 15) // 255) + bytes(((n - 15) % 255,))
    out += literals
    if match is not None:
        out += b"\1\0"
        if match - 4 >= 15:
            out += bytes((match - 4 - 15,))
    return out


def _payload(r, verb, who):
    """Fields of a packet; also what they say, for for_python()."""
    kind, body = rc.frame(r)
    if rc.chance(r, 8):
        body += rc.blob(r, 1) * r.choice((60, 1330, 1400, 2700, 5000))
    nwid = NWID if not rc.chance(r, 15) else rc.blob(r, 8)
    ethertype = kind.to_bytes(2, "big")
    if verb == VERB_FRAME:
        return nwid + ethertype + body
    if verb == VERB_EXT_FRAME:
        flags = r.choice((0, 0, 0, 0, 0, 2, 4, 8, 0x20, 1, 0x10, 0x16))
        dst = MAC["A"]
        src = MAC[who]
        if rc.chance(r, 4):
            dst = r.choice((MAC["C"], mac.BROADCAST, b"\x33\x33\0\0\0\1", bytes(6)))
        if rc.chance(r, 5):
            src = r.choice((bytes(6), MAC["A"], b"\x02\1\2\3\4\5", MAC["C"]))
        com = b""
        if flags & 1:
            com = COM.issue(NWID, IDENTITY[who], be64(BASE), 60000).pack()
        return nwid + bytes((flags,)) + com + dst + src + ethertype + body
    if verb == VERB_MULTICAST_FRAME:
        flags = r.choice((0, 0, 0, 0, 0, 0, 4, 4, 2, 2, 8, 0x0C, 0x0E, 1))
        group = r.choice(GROUPS)
        out = nwid + bytes((flags,))
        if flags & 1:
            out += COM.issue(NWID, IDENTITY[who], be64(BASE), 60000).pack()
        if flags & 2:
            out += be32(r.choice((0, 0, 1, 33, 1 << 16)))
        if flags & 4:
            foreign = (bytes(6), MAC["A"], mac.BROADCAST, b"\x02\1\2\3\4\5")
            out += MAC[who] if not rc.chance(r, 4) else r.choice(foreign)
        dst = group[0] if not rc.chance(r, 12) else MAC["B"]
        return out + dst + group[1] + ethertype + body
    return rc.blob(r, r.choice((0, 1, 9, 30)))


class Datagrams:
    """One packet, as the datagrams that arrive: [(wire, remote, bytes)]."""

    def __init__(self, r, keys, number):
        self.who = who = r.choice("BBBBBBBCCCCDDDDE")
        verb = r.choice(FRAMES * 6 + (VERB_FRAME,) * 8 + (0x00, 0x03, 0x02, 0x08, 0x11, 0x1F))
        clear = _payload(r, verb, who)
        if rc.chance(r, 15):
            clear = clear[: r.randrange(len(clear) + 1)]
        if rc.chance(r, 40):
            clear += b"x" * 9000
        self.verb = verb
        self.clear = clear = clear[: 9990]
        self.compressed = rc.chance(r, 6)
        self.inflatable = True
        body = clear
        if self.compressed:
            body = _lz4(clear)
            if rc.chance(r, 8):
                body = rc.damaged(r, body) if body else rc.blob(r, 3)
                self.clear = None  # nobody knows what it says
        bits = r.choice((0, 0, 0, 0x20, 0x60)) | (0x80 if self.compressed else 0)
        n = 28 + len(body)
        p = bytearray(n)
        p[0:8] = number.to_bytes(8, "big")
        p[8:13] = ME if not rc.chance(r, 40) else IDENTITY["C"].address
        p[13:18] = IDENTITY[who].address if not rc.chance(r, 60) else ME
        p[27] = verb | bits
        p[28:] = body
        mtu = r.choice((1432, 1432, 1432, 1300, 600))
        cut = n > mtu or rc.chance(r, 30)
        if cut:
            p[18] |= packet.FLAG_FRAGMENTED
        key = keys.get(IDENTITY[who].address)
        if key is None:
            key = bytes(48)
        self.suite = 1 if not rc.chance(r, 25) else 0
        crypto.seal(key, p, n, self.suite)
        if rc.chance(r, 60):
            self.suite = r.choice((2, 3, 7))
            p[18] = p[18] & 0xC7 | self.suite << 3
        self.hops = 1 if who == "D" else 0
        if rc.chance(r, 15):
            self.hops = r.choice((0, 1, 3, 7))
        p[18] |= self.hops
        self.remote = REMOTE["F" if self.hops or who == "D" else who]
        self.wire = WIRE
        if rc.chance(r, 20):
            self.remote = r.choice((STRANGER, (REMOTE[who][0], 1), REMOTE["C"]))
        if rc.chance(r, 40):
            self.wire = 2
        self.damaged = rc.chance(r, 25)
        if self.damaged:
            at = r.choice((18, 19, 26, 27, n - 1, r.randrange(18, n)))
            p[at] ^= 0x80 if at == 18 else 1 << r.randrange(8)
        self.n = n
        self.head = bytes(p[:28])
        self.sent = self._cut(r, bytes(p), mtu, cut)

    def __repr__(self):
        return "Datagrams(%r)" % self.__dict__

    def _cut(self, r, p, mtu, cut):
        if not cut:
            if rc.chance(r, 60):
                p = p[: r.randrange(len(p) + 1)]
                self.head = None
            return [(self.wire, self.remote, p)]
        self.head = None if len(p) <= mtu else self.head
        total = packet.pieces(len(p), mtu)
        out = [p[:mtu]]
        piece = memoryview(bytearray(mtu))
        for i in range(1, total):
            k = packet.fragment(p, i, total & 15, len(p), piece, mtu)
            out.append(bytes(piece[:k]))
        if total > 7:
            self.head = None
        how = r.randrange(8)
        if how == 0:
            r.shuffle(out)
        elif how == 1:
            out.reverse()
        elif how == 2:
            out.insert(r.randrange(len(out)), r.choice(out))
        elif how == 3:
            out.pop(r.randrange(len(out)))
            self.head = None
        elif how == 4:
            at = r.randrange(len(out))
            out[at] = rc.damaged(r, out[at])
            self.head = None
        return [(self.wire, self.remote, d) for d in out]

    def for_python(self, planed):
        """True if Python must see it, False if it must not, None if that cannot be said here."""
        if self.head is None:
            return None
        long = self.n > planed.plane.limits.packet_bytes
        if (long and len(self.sent) > 1) or (self.compressed and len(self.clear or "") > 1700):
            if planed.plane.limits.packet_bytes < 10024:
                return None  # as much as fits
        if self.head[13:18] == ME and len(self.sent) == 1:
            return False
        if self.head[8:13] != ME:
            return True if len(self.sent) == 1 else None
        if self.head[13:18] == ME:
            return None
        address = self.head[13:18]
        if self.head[18] >> 3 & 7 != 1 or address not in planed.peers:
            return True
        if self.damaged or self.suite != 1:
            return False
        if self.hops == 0 and (self.wire, self.remote) not in planed.peers[address]:
            return True
        if self.verb not in FRAMES:
            return True
        if self.clear is None:
            return None
        c = self.clear
        if self.compressed and not c:
            return None
        if c[:8] != NWID or not planed.members.get(address, 0) & ADMITTED:
            return True
        theirs = MAC[self.who]
        if self.verb == VERB_FRAME:
            return len(c) <= 10
        if self.verb == VERB_EXT_FRAME:
            if len(c) <= 23 or c[8] & 0x11:
                return True
            return c[15:21] not in (theirs, MAC["A"], bytes(6))
        if len(c) < 9 or c[8] & 1:
            return True
        at = 9 + (4 if c[8] & 2 else 0) + (6 if c[8] & 4 else 0)
        if len(c) <= at + 12:
            return True
        if not planed.net.config.multicast_limit or not c[at] & 1:
            return False
        if c[8] & 4:
            src = c[at - 6 : at]
            if src == bytes(6) or src[0] & 1 or src == MAC["A"]:
                return False
            if src != theirs:
                return True
        if c[8] & 2 and c[9:13] != bytes(4):
            return True
        return bool(c[8] & 8 and planed.net.is_replicator)
