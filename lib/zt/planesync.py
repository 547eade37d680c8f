# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Between the node's objects and the data plane's tables: credentials and addresses in the plane's
# form, and what the plane saw meanwhile (times, counters) brought back into peers, paths, members
# and networks, so that everything else in the node decides as if each packet had come through it.

import struct
from array import array

from . import keepalive, mac
from ._compat import be16, be32, const, elapsed, ticks_add, ticks_diff
from .frames import PUSH_MS
from .netdrops import (
    BAD_DESTINATION,
    BAD_SOURCE,
    BROADCAST_OFF,
    MULTICAST_OFF,
    RULES_IN,
    RULES_OUT,
)
from .peer import STATE_DIRECT

ADMITTED = const(1)
SENDABLE = const(2)
SOURCES = const(2)
LIKE_MS = const(60000)  # VL2 6.4
_PUSH_DIRECT_MS = const(120000)  # of direct.py
_BRIDGE, _REPLICATOR, _SIXPLANE, _RFC4193 = const(1), const(2), const(4), const(8)
_NEVER = const(0xFFFFFFFF)
_RECENT_MS = const(2000)
# 64 bits each. MicroPython makes an object of every "Q" it reads, of an "L" only where it must.
_WIDE = "L" if struct.calcsize("L") == 8 else "Q"
_WORD = 0xFFFFFFFFFFFFFFFF if _WIDE == "L" else 0xFFFFFFFF
_MOVED = const(4)  # numbers of a peer's counters

# The plane's causes of drops, in its order, as ours.
_DROPS = (RULES_OUT, RULES_IN, BAD_SOURCE, BAD_DESTINATION, BROADCAST_OFF, MULTICAST_OFF)
_COUNTS = const(10)  # numbers of a network


def pack_place(path):
    ip, port = path.remote
    return bytes((len(ip),)) + ip + bytes(16 - len(ip)) + be16(port) + bytes((path.local_socket,))


def pack_way(path, sources):
    """Where to send (None: nowhere), and where packets may come from."""
    parts = [pack_place(path) if path is not None else bytes(20)]
    parts.extend([pack_place(p) for p in sources])
    return b"".join(parts) + bytes(20 * (1 + SOURCES - len(parts)))


def pack_credentials(tags, capabilities, coos):
    parts = []
    for id in sorted(tags):
        parts.append(b"\1" + be32(id) + be32(tags[id]))
    for c in capabilities:
        parts.append(b"\2" + be16(len(c.rules)) + c.rules)
    for c in coos:
        for kind, value in c.things:
            if 1 <= kind <= 3:
                parts.append(b"\3" + bytes((kind,)) + value)
    return b"".join(parts)


def push_due(now, peer):
    """Should a packet of this peer come through Python, to be answered with our addresses?"""
    return peer.trusted(now) and elapsed(now, peer.last_push, _PUSH_DIRECT_MS)


class Sync:
    def __init__(self, plane):
        self.plane = plane
        self.c = plane.c
        # What the plane says of a peer (7 numbers and its sources), a member (2) or a network.
        self._stats = array(_WIDE, [0] * max(7 + SOURCES, _COUNTS))
        self._folded = {}  # nwid -> what of it is in the network's own counters

    # --- to the plane

    def flags(self, now, net, m):
        """What a member is good for without anything to be done first."""
        flags = 0
        if m.allowed and not elapsed(now, m.last_like, LIKE_MS):
            flags = ADMITTED
        if not m.barred and m.pushed == net.generation and not elapsed(now, m.last_push, PUSH_MS):
            flags |= SENDABLE
        return flags

    def credentials_of(self, net, m):
        if net.accept_all:
            return b""
        return pack_credentials(*m.usable())

    def own_credentials(self, net):
        if net.accept_all:
            return b""
        ctx = net.filter.context(net.config)
        return pack_credentials(ctx.tags, ctx.capabilities, ctx.coos)

    def network_flags(self, net):
        flags = 0
        if net.is_bridge:
            flags = _BRIDGE
        if net.is_replicator:
            flags |= _REPLICATOR
        own = [ip for ip, _ in net.config.static_ips]
        if mac.sixplane(net.nwid, net.address) in own:
            flags |= _SIXPLANE
        if mac.rfc4193(net.nwid, net.address) in own:
            flags |= _RFC4193
        return flags

    # --- from the plane

    def peers(self, now):
        for e in self.plane.peers.values():
            self.peer(now, e)

    def peer(self, now, e):
        """Bring the times of one entry into its Peer; e.used says whether it is in use."""
        s = self._stats
        peer = e.what
        if not self.c.peer_stats(peer.address, s):
            e.used = False
            return
        rx_age, frame_age, tx_age = s[4], s[5], s[6]
        e.used = min(rx_age, tx_age) <= _RECENT_MS
        if e.used:
            self._count(peer, e)
        if tx_age != _NEVER:
            peer.last_sent = later(now, peer.last_sent, tx_age)
            path = e.slot.path
            path.last_out = later(now, path.last_out, tx_age)
        if rx_age != _NEVER and newer(now, peer.last_receive, rx_age):
            peer.last_receive = ticks_add(now, -rx_age)
            peer.unanswered_since = None
        if tx_age < rx_age and peer.unanswered_since is None:
            peer.unanswered_since = ticks_add(now, -tx_age)
        trusted = frame_age != _NEVER and newer(now, peer.last_trusted, frame_age)
        if trusted:
            peer.last_trusted = peer.last_nontrivial = ticks_add(now, -frame_age)
        ages = [s[7 + i] for i in range(len(e.slots))]
        for i, slot in enumerate(e.slots):
            age = ages[i]
            if age != _NEVER and newer(now, slot.lr, age):
                slot.lr = ticks_add(now, -age)
                slot.path.last_in = later(now, slot.path.last_in, age)
                if trusted:
                    slot.path.last_trusted = slot.lr
                if peer.state != STATE_DIRECT:
                    keepalive.state(self.plane.node, now, peer)

    def begin_peer(self, e):
        """Its entry is new, or may be: what it counted so far is not of this peer."""
        if e.what.moved is None:
            e.what.moved = array(_WIDE, [0] * _MOVED)
        counted = self.c.peer_stats(e.what.address, self._stats)
        # Modulo the machine's word: it is looked at long before a word is full.
        e.counted = array("L", [self._stats[i] & _WORD if counted else 0 for i in range(_MOVED)])

    def _count(self, peer, e):
        s = self._stats
        for i in range(_MOVED):
            n = s[i] & _WORD
            if n != e.counted[i]:
                peer.moved[i] += (n - e.counted[i]) & _WORD
                e.counted[i] = n

    def member(self, now, index, m):
        """(ms since a frame from, ms since a frame to a member), with its record brought up."""
        s = self._stats
        if not self.c.member_stats(index, m.address, s):
            return _NEVER, _NEVER
        age = min(s[0], s[1])
        if age != _NEVER:
            m.seen = later(now, m.seen, age)
        return s[0], s[1]

    def begin(self, nwid):
        self._folded[nwid] = array(_WIDE, [0] * _COUNTS)

    def fold(self, net):
        """Add what the plane counted to the network's own counters."""
        index = self.plane.networks.get(net.nwid)
        s = self._stats
        if index is None or not self.c.network_stats(index, s):
            return
        old = self._folded[net.nwid]
        net.rx_frames += s[0] - old[0]
        net.rx_bytes += s[1] - old[1]
        net.tx_frames += s[2] - old[2]
        net.tx_bytes += s[3] - old[3]
        for i, cause in enumerate(_DROPS):
            net.drops[cause] += (s[4 + i] - old[4 + i]) & _NEVER
        for i in range(_COUNTS):
            old[i] = s[i]

    def counters(self):
        """The plane's counters by name, those that are not zero."""
        names = self.c.names()
        counters = array(_WIDE, [0] * len(names))
        self.c.counters(counters)
        return {n: counters[i] for i, n in enumerate(names) if counters[i]}


def newer(now, then, age):
    return then is None or ticks_diff(now, then) > age or ticks_diff(now, then) < 0


def later(now, then, age):
    return ticks_add(now, -age) if newer(now, then, age) else then
