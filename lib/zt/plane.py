# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The Python side of the data plane in C (docs/plane.md): puts into its tables what this node has
# just done by itself, takes out at once what is no longer so, renews what still is, and processes
# what the plane hands over. Every rule is Python's: an entry is only the memory of a decision.
# Where the build has no plane, or with ZT_PLANE=python, none of this runs.

import os

from . import drops, frames, log, planesync
from ._compat import const, elapsed, ticks_add, ticks_diff, u16
from .planesync import ADMITTED, SENDABLE

TTL_MS = const(6000)  # the plane's own bound
_RELAYED_MS = const(2000)  # our choice: what goes over a relay looks for a better way so often
_DOUBT_MS = const(1000)  # the same while there is a direct path that does not answer
_TICK_MS = const(1000)
_RENEW_MS = const(3000)  # half of TTL_MS: each entry in use is looked at every 3 s or so
_ACTIVE_MS = const(2000)  # only what was in use lately is renewed
_EVENTS = const(256)  # of one turn
_PACKET, _FRAME, _COPY = const(1), const(2), const(3)
_OPENED, _WHOLE = const(1), const(2)
_FLUSH_PEERS, _FLUSH_MEMBERS = const(1), const(4)
_NONE = const(255)
_BOTH = const(3)  # ADMITTED, SENDABLE

# Peers, networks, members, groups, members of a group, packets in pieces, longest packet, bytes of
# events, bytes of rules and credentials. At each bound Python does the rest. Of "small": packets
# in pieces are Python's; 1448 bytes are the longest packet of a frame that the limit nic_mtu lets
# out; 3/8 of the ring are the longest datagram with its head.
_LIMITS = {
    "unix": (1024, 16, 1024, 64, 64, 16, 10024, 131072, 65536),
    "small": (8, 4, 16, 4, 8, 0, 1448, 4096, 1536),
}


def wanted(hal):
    """May this process use the plane?"""
    if hasattr(os, "getenv") and os.getenv("ZT_PLANE") == "python":
        return False
    return getattr(hal, "HAS_PLANE", False)


class _Entry:
    """A Peer that is installed: until when, its slots, the one that is sent by (`sends`: if the
    plane may) and whose that is (`via`, the peer itself or its relay).
    """

    used = False  # at the last look

    def __init__(self, peer):
        self.what = peer


class Plane:
    """The plane of one driver and node; made by start(). `size`: bytes of its tables."""

    def __init__(self, c, driver, node, size=0):
        self.c = c
        self.size = size
        self.driver = driver
        self.node = node
        self.networks = {}  # nwid -> index
        self.members = {}  # nwid -> {address: until when}
        self.peers = {}  # address -> _Entry
        self.groups = {}  # key of multicast.py -> until when
        self._refused = {}  # nwid -> generation of a configuration the plane has no room for
        self._buf = driver.buf
        self._mv = driver.buf_mv
        self._meta = bytearray(40)
        self._last_tick = None
        self._expired_at = None
        self.sync = planesync.Sync(self)

    # --- after Python has done it itself

    def sent(self, now, net, m):
        """A frame of ours went to member `m`."""
        self._install(now, net, m)

    def heard(self, now, nwid, source):
        """A frame of an admitted member was processed."""
        net = self.node.vl2.networks.get(nwid)
        m = net.members.table.get(source) if net is not None else None
        if m is not None:
            self._install(now, net, m)

    def multicast(self, now, net, key):
        """A multicast of ours went to those known of a group."""
        g = self.node.vl2.multicast.groups.get(key)
        if g is None or key in self.groups or (net.replicators and not net.is_replicator):
            return
        order = [a for a in net.bridges if a != net.address]
        order.extend([a for a in g.members if a != net.address and a not in order])
        index = self._network(net)
        if not order or index < 0:
            return
        for address in order:
            m = net.members.table.get(address)
            if m is None or not self._install(now, net, m):
                return
        if self.c.group_set(index, key[8:], 0, TTL_MS, b"".join(order)):
            self.groups[key] = ticks_add(now, TTL_MS)

    def _install(self, now, net, m):
        ttl = self._fit_member(now, net, m)
        if not ttl or self._network(net) < 0 or not self._install_peer(now, m.address):
            return False
        flags = self.sync.flags(now, net, m)
        index = self.networks[net.nwid]
        installed = self.members[net.nwid]
        if self.c.member_set(index, m.address, flags, ttl, self.sync.credentials_of(net, m)):
            installed[m.address] = ticks_add(now, ttl)
            return True
        installed.pop(m.address, None)
        return False

    def _network(self, net):
        """The index of a network whose configuration is in force, installed if need be; or -1."""
        index = self.networks.get(net.nwid)
        if index is None:
            card = self.driver.nics.by_nwid.get(net.nwid)
            if net.config is None or net.cut or card is None or card.n is None:
                return -1
            if self._refused.get(net.nwid) == net.generation:
                return -1
            index = self.c.network_set(
                net.nwid,
                card.n,
                net.config.flags,
                net.config.multicast_limit,
                self.sync.network_flags(net),
                net.config.rules,
                self.sync.own_credentials(net),
            )
            if index < 0:
                self._refused[net.nwid] = net.generation
                return -1
            self.networks[net.nwid] = index
            self.members[net.nwid] = {}
            self.sync.begin(net.nwid)
        return index

    def _fit_member(self, now, net, m):
        """For how many ms a member may be in the table; 0 for not at all."""
        if net.config is None or net.cut or m.generation != net.generation:
            return 0
        flags = self.sync.flags(now, net, m)
        if flags != _BOTH:
            net.members.look_again(m)
        ttl = TTL_MS
        if flags & SENDABLE:
            ttl = min(ttl, frames.PUSH_MS - ticks_diff(now, m.last_push))
        if flags & ADMITTED:
            ttl = min(ttl, planesync.LIKE_MS - ticks_diff(now, m.last_like))
        return max(ttl, 0) if flags else 0

    def _install_peer(self, now, address):
        peer = self.node.topology.peers.get(address)
        if peer is None or peer.last_receive is None:
            return False
        via, slot = self.node.choose(now, peer)
        ttl = self._fit_peer(now, peer, via, slot)
        if not ttl:
            return False
        e = self.peers.get(address)
        slots = tuple(sorted_slots(peer, now))
        if slots == peer.slots:
            slots = peer.slots
        sends = _sends(now, peer, via, slot)
        way = planesync.pack_way(slot.path if sends else None, [s.path for s in slots])
        if not self.c.peer_set(address, peer.key, way, ttl):
            self.peers.pop(address, None)
            return False
        if e is None or e.what is not peer or ticks_diff(now, e.until) >= 0:
            e = _Entry(peer)
            self.sync.begin_peer(e)
        e.until = ticks_add(now, ttl)
        e.slots = slots
        e.slot = slot
        e.sends = sends
        e.via = via
        self.peers[peer.address] = e
        peer.plane = via.plane = self
        return True

    def _fit_peer(self, now, peer, via, slot):
        if slot is None or slot.path.local_socket is None:
            return 0
        if via is not peer:
            return _DOUBT_MS if peer.best_slot(now) is not None else _RELAYED_MS
        return TTL_MS

    # --- at once, when something is no longer so

    def network_changed(self, net):
        """Its configuration, our own certificate, or whether it is joined at all."""
        self.sync.fold(net)
        index = self.networks.pop(net.nwid, None)
        if index is not None:
            self.c.network_del(index)
            del self.members[net.nwid]
            for key in [k for k in self.groups if k[:8] == net.nwid]:
                del self.groups[key]

    def member_changed(self, net, address):
        """Credentials of one member, or of all (None)."""
        index = self.networks.get(net.nwid)
        if index is None:
            return
        if address is not None:
            if self.members[net.nwid].pop(address, None) is not None:
                self.c.member_del(index, address)
            return
        self.c.flush(_FLUSH_MEMBERS, index)
        self.members[net.nwid] = {}

    def path_changed(self, peer):
        """The ways to a peer, or that it is known at all; of a root also those it relays for."""
        self._drop_peer(peer.address)
        for address in [a for a, e in self.peers.items() if e.via is peer]:
            self._drop_peer(address)
        peer.plane = None

    def paths_changed(self):
        """Wires or local addresses."""
        self.sync.peers(self.node.now)
        self.c.flush(_FLUSH_PEERS, -1)
        self.peers = {}

    def group_changed(self, key):
        if self.groups.pop(key, None) is not None:
            self.c.group_del(self.networks[key[:8]], key[8:])

    def _drop_peer(self, address):
        e = self.peers.get(address)
        if e is not None:
            self.sync.peer(self.node.now, e)
            del self.peers[address]
            self.c.peer_del(address)

    # --- time

    def tick(self, now):
        """Read back and renew; ms until it is due again."""
        left = 0
        if self._last_tick is not None:
            left = _TICK_MS - ticks_diff(now, self._last_tick)
        if 0 < left <= _TICK_MS:
            return left
        self._last_tick = now
        self.sync.peers(now)
        for address in list(self.peers):
            e = self.peers[address]
            if ticks_diff(e.until, now) <= _RENEW_MS or (e.sends and e.slot.quiet(now)):
                self._renew_peer(now, address, e)
        for nwid, installed in self.members.items():
            for address in list(installed):
                if ticks_diff(installed[address], now) <= _RENEW_MS:
                    self._renew_member(now, self.node.vl2.networks[nwid], address)
        for key in list(self.groups):
            self._renew_group(now, key)
        for nwid in self.networks:
            self.sync.fold(self.node.vl2.networks[nwid])
        if elapsed(now, self._expired_at, TTL_MS):
            self._expired_at = now
            self.c.expire()
        return _TICK_MS if self.peers else TTL_MS

    def _renew_peer(self, now, address, e):
        peer = e.what
        if e.via is not peer:
            if ticks_diff(now, e.until) >= 0:
                del self.peers[address]
            return
        via, slot = self.node.choose(now, peer)
        if slot is not e.slot or not self._fit_peer(now, peer, via, slot):
            self._drop_peer(address)
        elif not e.used or planesync.push_due(now, peer):
            # Not in use, or a packet should come through Python: it may run out.
            if ticks_diff(now, e.until) >= 0:
                del self.peers[address]
        elif e.sends != _sends(now, peer, via, slot):
            self._install_peer(now, address)
        elif self.c.peer_renew(address, TTL_MS):
            e.until = ticks_add(now, TTL_MS)
        else:
            del self.peers[address]

    def _renew_member(self, now, net, address):
        m = net.members.table[address]
        installed = self.members[net.nwid]
        index = self.networks[net.nwid]
        ttl = self._fit_member(now, net, m)
        rx, tx = self.sync.member(now, index, m)
        if not ttl:
            self.member_changed(net, address)
        elif min(rx, tx) > _ACTIVE_MS or not self.c.member_renew(index, address, ttl):
            if ticks_diff(now, installed[address]) >= 0:
                self.member_changed(net, address)
        else:
            installed[address] = ticks_add(now, ttl)

    def _renew_group(self, now, key):
        """Renewed while it is used and a frame in Python would only do the same: once Python would
        gather, or choose among more members than may be sent to, it gets the next one."""
        until = self.groups[key]
        net = self.node.vl2.networks[key[:8]]
        right = not self.node.vl2.multicast.due(now, net, key)
        if right and self.c.group_renew(self.networks[key[:8]], key[8:], TTL_MS):
            self.groups[key] = ticks_add(now, TTL_MS)
        elif ticks_diff(now, until) >= 0:
            del self.groups[key]

    # --- traffic

    def drain(self, now):
        """Wires and events in turn; True when some may be left."""
        for _ in range(_EVENTS):
            if not self.events(now) and not self.c.drain():
                return self.events(now)
        return True

    def events(self, now):
        """Process what the plane has for us; True if there was any."""
        n = self.c.event(self._buf, self._meta)
        if n == -1:
            return False
        while n != -1:
            f = self._mv[:n] if n >= 0 else self._long_event(-1 - n)
            try:
                if f is not None:
                    self._event(now, self._meta, f)
            except OSError as e:
                # A state file that cannot be written; the node itself is unharmed.
                log.error("driver", str(e))
            n = self.c.event(self._buf, self._meta)
        return True

    def _long_event(self, n):
        """The next event, which is longer than our buffer; None if there is no memory for it."""
        try:
            buf = bytearray(n)
        except MemoryError:
            self.c.event_drop()
            self.node.drop(drops.MEMORY)
            return None
        self.c.event(buf, self._meta)
        return memoryview(buf)

    def _event(self, now, meta, f):
        kind = meta[0]
        if kind == _PACKET:
            wire = meta[3] if meta[3] != _NONE else None
            remote = (bytes(meta[12 : 12 + meta[11]]), u16(meta, 28))
            if meta[1] & _OPENED:
                self.node.process_opened_packet(now, wire, remote, f)
            elif meta[1] & _WHOLE:
                self.node.process_whole_packet(now, wire, remote, f)
            else:
                self.node.process_wire_packet(now, wire, remote, f)
        elif kind == _FRAME:
            self.driver.nics.sent(now, meta[5], f, len(f))
        elif kind == _COPY:
            for nwid, index in self.networks.items():
                if index == meta[4]:
                    frames.copy(
                        self.node.vl2.networks[nwid],
                        now,
                        bytes(meta[6:11]),
                        meta[2],
                        bytes(f[0:6]),
                        bytes(f[6:12]),
                        bytes(f[12:14]),
                        f[14:],
                    )

    def counters(self):
        return self.sync.counters()

    def close(self):
        self.sync.peers(self.node.now)
        for e in self.peers.values():
            e.what.plane = None
        self.peers = {}
        self.members = {}
        self.networks = {}
        self.c.stop()


def _sends(now, peer, via, slot):
    """May the plane send there? Not on a path that is to be asked first: Python's next frame does.
    What comes from the peer by another way is received all the same.
    """
    return via is not peer or not (slot.quiet(now) or slot.dead(now))


def sorted_slots(peer, now):
    """The unexpired slots, those heard last first, as many as the plane takes for sources."""
    slots = [
        s
        for s in peer.slots
        if s.lr is not None and not s.expired(now) and s.path.local_socket is not None
    ]
    slots.sort(key=lambda s: ticks_diff(now, s.lr))
    return slots[: planesync.SOURCES]


def start(driver, node):
    """The Plane of this driver and node, or None where there is none or too little memory."""
    if not wanted(driver.hal):
        return None
    if driver.settings.tap is not None and not driver.settings.tap.use_plane():
        return None
    import _ztplane

    try:
        size = _ztplane.start(node.address, _LIMITS[node.limits.profile], driver.hal.random(16))
    except OSError as e:
        log.warn("plane", "not started: %s" % e)
        return None
    return Plane(_ztplane, driver, node, size)
