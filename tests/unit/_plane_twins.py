# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Two nodes with the same identity and the same history on simulated wires of their own. One does
# everything in Python; the other has a data plane in front, programmed from its state, and gets
# only what the plane hands over. Both are given the same datagrams and frames. CPython only.

from _plane import (
    ADMITTED,
    COPY,
    FRAME,
    NET_BRIDGE,
    NET_REPLICATOR,
    NET_RFC4193,
    NET_SIXPLANE,
    OPENED,
    SENDABLE,
    WHOLE,
    Plane,
    credentials,
)
from _sim import Sim, make_planet
from _vectors import load
from zt import crypto, drops, mac, netdrops, packet
from zt._compat import ticks_add
from zt.const import VERB_ERROR, VERB_EXT_FRAME, VERB_FRAME, VERB_MULTICAST_FRAME, VERB_OK
from zt.netconf import NetworkConfig

IDS = {k: v["secret"] for k, v in load("vl2.json")["identities"].items()}
ROOT, ME, PEERS = "F", "A", "BCD"
IP = {name: bytes((10, 9, 0, 1 + i)) for i, name in enumerate("FABCDE")}
REMOTE = {name: (ip, 9993) for name, ip in IP.items()}
NWID = bytes.fromhex("6af0762a6e3c00de")
WIRE = 1
OWN = bytes.fromhex(IDS[ME][:10])
# What is compared; the rest is the nodes' own business and timers.
COMPARED = (VERB_FRAME, VERB_EXT_FRAME, VERB_MULTICAST_FRAME, VERB_ERROR, VERB_OK)


def simulation():
    """A and its peers: B and C reach it directly, D over the root only."""
    sim = Sim()
    planet = make_planet(IDS[ROOT], [REMOTE[ROOT]])
    for name in ROOT + ME + PEERS:
        sim.add(name, IDS[name], IP[name], planet)
    sim.block = lambda s, d, p: {s, d} == {"A", "D"}
    sim.run(50)
    a = sim.nodes[ME]
    for name in PEERS:
        sim.nodes[name].send_user_message(sim.now, a.address, b"\0\0\0\0\0\1\0\0", b"hello")
        a.send_user_message(sim.now, sim.nodes[name].address, b"\0\0\0\0\0\1\0\0", b"hello")
        sim.run(2000)
    for name in "BC":
        there = a.topology.peers[sim.nodes[name].address].best_path(sim.now)
        assert there.remote == REMOTE[name]
    assert a.topology.peers[sim.nodes["D"].address].best_path(sim.now) is None
    a.storage.put("network", b"\n", NWID)
    a.join(sim.now, NWID)
    sim.run(100)
    return sim


class Twin:
    """A node whose effects are kept: `frames` delivered and `packets` sent, opened."""

    def __init__(self, sim):
        self.sim = sim
        self.node = sim.nodes[ME]
        self.net = self.node.network(NWID)
        self.address_of = {n: sim.nodes[n].address for n in ROOT + ME + PEERS}
        self.keys = {p.address: p.key for p in self.node.topology.peers.values()}
        self.node.random = self.random
        self.net.filter.random = self.random
        self._ids = 0
        self._raw = []
        self.node.callbacks.wire_send = self._sent
        self.reset()

    def random(self, n):
        if n != 8:
            return bytes(n)  # random orders become the order there is, random matches true
        self._ids += 1
        return self._ids.to_bytes(8, "big")

    def _sent(self, wire, remote, data, ttl):
        self._raw.append((wire, remote, bytes(data)))
        return 0

    def reset(self):
        self._raw.clear()
        self.node.callbacks.frames.clear()

    def datagram(self, wire, remote, data):
        self.node.process_wire_packet(self.sim.now, wire, remote, memoryview(bytearray(data)))

    def tap(self, frame):
        kind = frame[12] << 8 | frame[13]
        self.node.process_virtual_network_frame(
            self.sim.now, NWID, frame[6:12], frame[:6], kind, 0, memoryview(frame)[14:]
        )

    def frames(self):
        """What the local stack got, as whole Ethernet frames."""
        return [
            d + s + kind.to_bytes(2, "big") + data
            for nwid, s, d, kind, data in self.node.callbacks.frames
        ]

    def packets(self):
        return opened(self._raw, self.keys)

    def counted(self):
        """The counters that the plane has too."""
        n, d = self.net, self.node.drops
        out = {name: n.drops[i] for i, name in enumerate(netdrops.NAMES)}
        for name in ("short", "looped", "fragment", "mac", "compression", "malformed"):
            out[name] = d[drops.NAMES.index(name)]
        out.update(rx_frames=n.rx_frames, rx_bytes=n.rx_bytes)
        out.update(tx_frames=n.tx_frames, tx_bytes=n.tx_bytes)
        return out

    def apply(self, config):
        """A configuration (bytes) into force, with the members' records emptied."""
        net = self.net
        for address in list(net.members.table):
            net.members.forget(address)
        net.routes.clear()
        net.bridged.clear()
        self.node.parked.items.clear()
        self.node.vl2.multicast.groups.clear()
        self.node.vl2.multicast.waiting.clear()
        net.apply(self.sim.now, NetworkConfig.parse(config), False)
        net.filter._config = None


def opened(raw, keys):
    """Datagrams put together and opened: [(wire, remote, destination, verb, payload)], only the
    verbs that are compared."""
    out = []
    parts = {}
    for wire, remote, data in raw:
        fragment = packet.is_fragment(data)
        if data[13:18] != OWN and (not fragment or (wire, remote, data[:8]) not in parts):
            out.append((wire, remote, data[8:13], 0, data))  # passed on for others
        elif fragment:
            parts[wire, remote, data[:8]].append(data)
        else:
            parts[wire, remote, data[:8]] = [data]
    for (wire, to, _), datagrams in parts.items():
        whole = bytearray(datagrams[0])
        assert len(whole) <= 1432
        if whole[18] & packet.FLAG_FRAGMENTED:
            total = datagrams[1][14] >> 4
            assert len(datagrams) == total and len(whole) == 1432
            for i, piece in enumerate(datagrams[1:]):
                assert piece[8:14] == whole[8:13] + b"\xff"
                assert piece[14:16] == bytes((total << 4 | i + 1, 0))
                assert len(piece) == 1432 or (i == total - 2 and 16 < len(piece) < 1432)
                whole += piece[16:]
        else:
            assert len(datagrams) == 1
        if packet.suite(whole) != 1:
            continue
        assert crypto.open(keys[bytes(whole[8:13])], whole, len(whole))
        if whole[27] & 0x1F in COMPARED:
            out.append((wire, to, bytes(whole[8:13]), whole[27], bytes(whole[28:])))
    return out


def way(node, now, peer):
    """(wire, remote) that Python would send over, and whether it is the peer's own."""
    slot = peer.best_slot(now)
    direct = slot is not None
    if not direct:
        relay = node.relay(now, peer)
        slot = relay[1] if relay else None
    return (slot.path.local_socket, slot.path.remote) if slot else None, direct


class Planed(Twin):
    """The one with the plane."""

    def __init__(self, sim, lib, **limits):
        super().__init__(sim)
        self.plane = Plane(lib, self.node.address, bytes(range(16)), **limits)
        self.handed = []

    def program(self, without=()):
        """Tables from the state of the node; nothing of the addresses in `without`."""
        p, net, node, now = self.plane, self.net, self.node, self.sim.now
        p.now = now
        p.flush(63)
        config = net.config
        own = [ip for ip, _ in config.static_ips]
        flags = NET_BRIDGE if net.is_bridge else 0
        flags |= NET_REPLICATOR if net.is_replicator else 0
        flags |= NET_SIXPLANE if mac.sixplane(NWID, node.address) in own else 0
        flags |= NET_RFC4193 if mac.rfc4193(NWID, node.address) in own else 0
        ctx = net.filter.context(config)
        self.index = p.network(
            NWID,
            config.rules,
            credentials(
                ctx.tags.items(),
                [c.rules for c in ctx.capabilities],
                [t for c in ctx.coos for t in c.things],
            ),
            config.flags,
            config.multicast_limit,
            7,
            flags,
        )
        assert self.index >= 0
        self.peers, self.members = {}, {}
        for name in PEERS:
            address = self.address_of[name]
            if name in without:
                continue
            peer = node.topology.peers[address]
            where, direct = way(node, now, peer)
            sources = [(s.path.local_socket, s.path.remote) for s in peer.slots][:2]
            assert p.peer(address, peer.key, where, sources) == 0
            assert where is not None
            self.peers[address] = sources
            m = net.member(now, address)
            flags = ADMITTED if net._admits(m) else 0
            if not m.barred and not net.cut and m.pushed == net.generation:
                flags |= SENDABLE
            raw = credentials(
                m.usable()[0].items(),
                [c.rules for c in m.usable()[1]],
                [t for c in m.usable()[2] for t in c.things],
            )
            assert p.member(self.index, address, flags, raw) == 0
            self.members[address] = flags
        self._groups(now)

    def _groups(self, now):
        net, p = self.net, self.plane
        self.groups = {}
        if net.replicators and not net.is_bridge and not net.is_replicator:
            return
        for key, g in self.node.vl2.multicast.groups.items():
            room = net.config.multicast_limit - len(g.members)
            order = []
            most = net.config.multicast_limit + len(net.bridges) + 1
            for address in list(net.bridges) + list(g.members)[:most]:
                if address not in order and address != self.node.address:
                    order.append(address)
            gather = 1 if room <= 0 else room + 1
            assert p.group(self.index, key[8:14], order, key[14:18], gather) == 0
            self.groups[key[8:18]] = order

    def reset(self):
        super().reset()
        if hasattr(self, "plane"):
            self.plane.clear()
            self.handed = []

    def datagram(self, wire, remote, data):
        self.plane.now = self.sim.now
        result = self.plane.rx(data, wire, remote)
        self._serve()
        return result

    def tap(self, frame, cuts=()):
        self.plane.now = self.sim.now
        ends = list(cuts) + [len(frame)]
        result = self.plane.tx(
            self.index, *[frame[a:b] for a, b in zip([0] + ends[:-1], ends)]
        )
        self._serve()
        return result

    def _serve(self):
        """Python's part: what a driver does with events."""
        now, node = self.sim.now, self.node
        for ev, data in self.plane.events():
            self.handed.append((ev, data))
            if ev.kind == COPY:
                assert ev.network == self.index and ev.nic == 7
                head = NWID + bytes((ev.copy_flags,)) + data[:14]
                node.send(now, bytes(ev.address), VERB_EXT_FRAME, head, data[14:])
            elif ev.kind == FRAME:
                assert ev.network == self.index and ev.nic == 7
                super().tap(data)
            else:
                self._packet(now, node, ev, data)

    def _packet(self, now, node, ev, data):
        remote = (bytes(ev.from_.ip[: ev.from_.size]), ev.from_.port)
        p = memoryview(bytearray(data))
        if ev.flags & OPENED:
            rx = node.rx
            rx.local_socket, rx.remote = ev.wire, remote
            rx.hops = packet.hops(p)
            rx.source = bytes(p[13:18])
            assert rx.source == bytes(ev.address)
            rx.id = bytes(p[0:8])
            rx.p, rx.n = p, len(p)
            rx.peer = node.topology.peers[rx.source]
            if p[27] & packet.FLAG_COMPRESSED and not node._inflate(rx):
                node.drop(drops.COMPRESSION)
            else:
                node._opened(now, rx)
        elif ev.flags & WHOLE:
            node._packet(now, ev.wire, remote, p, len(p))
        else:
            node.process_wire_packet(now, ev.wire, remote, p)

    def frames(self):
        out = super().frames()
        for nic, data, _ in self.plane.delivered:
            assert nic == 7
            out.append(data)
        return out

    def packets(self):
        return super().packets() + opened(self.plane.sent, self.keys)

    def counted(self):
        out = super().counted()
        more = self.plane.counters()
        for name in ("short", "looped", "fragment", "mac", "compression"):
            out[name] += more.get(name, 0) - self.base.get(name, 0)
        out["malformed"] += more.get("long", 0) - self.base.get("long", 0)
        stats = self.plane.network_stats(self.index)
        for i, name in enumerate(self.plane.drop_names):
            out[name] += stats.drops[i]
        for name in ("rx_frames", "rx_bytes", "tx_frames", "tx_bytes"):
            out[name] += getattr(stats, name)
        return out

    base = {}


def twins(lib, **limits):
    return Twin(simulation()), Planed(simulation(), lib, **limits)


def later(twin, ms):
    """Time passes in which everybody was heard on the paths there are."""
    now = twin.sim.now = ticks_add(twin.sim.now, ms)
    for peer in twin.node.topology.peers.values():
        peer.last_receive = now
        peer.unanswered_since = None
        for slot in peer.slots:
            slot.lr = slot.path.last_in = now
            slot.answered()
