# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# HELLO and OK(HELLO): how two nodes prove their identities to each other, learn versions,
# addresses and newer planets (VL1 5.3, 5.4). Functions over the Node; the only verbs that may come
# from strangers.

from . import crypto, drops, inet, log, packet, surface, world
from ._compat import be16, be64, const, elapsed, ticks_diff, u16
from .const import (
    DONE,
    ERROR_IDENTITY_COLLISION,
    IGNORED,
    PROTO_MIN,
    PROTO_VERSION,
    VERB_ERROR,
    VERB_HELLO,
    VERB_OK,
)
from .identity import Identity
from .peer import VOUCHED_SELF

_IDENTITY = const(41)  # offset of the sender's identity
_AFTER_IDENTITY = const(112)
# Identity checks of strangers. Each costs a key agreement and perhaps a run of the 2 MiB hash. The
# reference allows one per source prefix in 2 s (x86-64) and has no bound over all prefixes, which
# a forger of source addresses uses up at no cost. Ours: a burst of 4 per prefix, so that several
# nodes behind one NAT start at once, and a bound over all of them (a quarter of it on boards).
_GATE_BURST = const(4)
_GATE_MS = const(2000)
_GATE_BUCKETS = const(256)
_ALL_PER_S = const(16)
_ALL_BURST = const(64)
_WORLD_MS = const(1000)  # a planet at most this often to one peer: HELLOs can be replayed


def version_bytes(node):
    v = node.software
    return bytes([PROTO_VERSION, v[0], v[1]]) + be16(v[2])


def send(node, now, peer, local_socket, remote):
    """HELLO `peer` at a physical address; every socket of the family if local_socket is None.

    With remote None the packet goes by way of the best upstream.
    """
    relayed = remote is None
    if relayed:
        relay = node.relay(now, peer)
        if relay is None:
            return False
        path = relay[1].path
        local_socket = path.local_socket
        remote = path.remote
    buf = node.hello_buf
    packet_id = node.random(8)
    planet = node.topology.planet
    n = packet.compose(
        buf,
        packet_id,
        peer.address,
        node.address,
        VERB_HELLO,
        (
            version_bytes(node),
            be64(node.clock()),
            node.identity.pack(),
            inet.pack(remote[0], remote[1]),
            planet.id if planet else bytes(8),
            planet.timestamp if planet else bytes(8),
            b"\x00\x00",  # no moons
        ),
    )
    crypto.hello_mask(peer.key, buf, n - 2, n)
    crypto.seal(peer.key, buf, n, 0)
    node.expected.add(now, packet_id, VERB_HELLO, peer.address)
    path = node.topology.paths.get((local_socket, remote))
    if path is not None:
        path.last_out = now
        slot = peer.slot_of(path)
        if slot is not None:
            slot.probed(now)
    return node.wire_out(now, local_socket, remote, node.hello_mv[:n], 0)


def _gate(node, now, ip):
    """May this source have an identity checked? A bucket per prefix (VL1 7.9) and one for all."""
    if not _prefix_gate(node, now, ip):
        return False
    share = 4 if node.limits.profile == "small" else 1
    e = node.hello_all
    if e[0] is None:
        e[0] = now
    gained = max(ticks_diff(now, e[0]), 0) * _ALL_PER_S // share // 1000
    if gained:
        e[0] = now
        e[1] = max(e[1] - gained, 0)
    if e[1] >= _ALL_BURST // share:
        return False
    e[1] += 1
    return True


def _prefix_gate(node, now, ip):
    if len(ip) == 4:
        x = ip[0] << 16 | ip[1] << 8 | ip[2]
        bucket = (x ^ x >> 14) % _GATE_BUCKETS
    else:
        h = 0
        for b in ip[:6]:
            h = h * 2 + b
        bucket = h % _GATE_BUCKETS
    e = node.hello_gate.get(bucket)
    if e is None or elapsed(now, e[0], _GATE_MS * _GATE_BURST):
        node.hello_gate[bucket] = [now, 1]
        return True
    if e[1] >= _GATE_BURST:
        if not elapsed(now, e[0], _GATE_MS):
            return False
        e[0] = now
        return True
    e[1] += 1
    return True


def receive(node, now, rx):
    """A HELLO that authenticates itself (suite 0). Returns DONE, or counts the drop and None."""
    p = rx.p
    n = rx.n
    if n < _AFTER_IDENTITY:
        return node.drop(drops.MALFORMED)
    if p[28] < PROTO_MIN:
        return node.drop(drops.VERSION)
    try:
        identity = Identity.unpack(p, _IDENTITY)[0]
    except ValueError:
        return node.drop(drops.MALFORMED)
    if identity.private is not None or identity.address != rx.source:
        return node.drop(drops.IDENTITY)
    peer = node.topology.find(now, rx.source, True)
    if peer is not None and peer.identity == identity:
        if not crypto.open(peer.key, p, n):
            return node.drop(drops.MAC)
    else:
        if not _gate(node, now, rx.remote[0]):
            return node.drop(drops.GATED)
        key = node.identity.agree(identity)
        if not crypto.open(key, p, n):
            return node.drop(drops.MAC)
        if peer is not None and not node.topology.doubtful(peer):
            _collision(node, now, rx, key)
            return node.drop(drops.IDENTITY)
        valid = node.validate(identity)
        if valid is None:
            return node.ask_a_root(now, rx, peer)
        if not valid:
            return node.drop(drops.IDENTITY)
        peer = node.peer_learned(now, identity, VOUCHED_SELF)
    rx.peer = peer
    rx.source = peer.address
    return finish(node, now, rx, peer)


def finish(node, now, rx, peer):
    """The part after the MAC check. ValueError if its fields run over the end."""
    p = rx.p
    n = rx.n
    o = _AFTER_IDENTITY
    mine = None
    if o < n:
        mine, o = inet.unpack(p[:n], o)
    newer = b""
    if o + 16 <= n:
        planet_id = bytes(p[o : o + 8])
        planet_ts = bytes(p[o + 8 : o + 16])
        o += 16
        planet = node.topology.planet
        if planet and planet_id == planet.id and planet_ts < planet.timestamp:
            if elapsed(now, peer.last_world, _WORLD_MS):
                peer.last_world = now
                newer = planet.pack()
        if o < n:
            crypto.hello_mask(peer.key, p, o, n)
            if o + 2 > n or o + 2 + 17 * u16(p, o) > n:
                raise ValueError("moon list runs over the end")
    if mine and rx.hops == 0:
        # Not trusted even from a root: it may be a replay. If it contradicts what the root
        # answered before, ask the root.
        if node.surface_learned(now, rx, mine, False) == surface.DOUBTFUL:
            path = node.topology.path(now, rx.local_socket, rx.remote)
            if elapsed(now, path.last_confirm, _WORLD_MS) and peer.confirm_allowed(now):
                path.last_confirm = now
                send(node, now, peer, rx.local_socket, rx.remote)
    old = p[28] < 5
    seen_ip, seen_port = rx.remote
    node.reply(
        now,
        peer,
        rx,
        VERB_OK,
        (
            bytes([VERB_HELLO]),
            rx.id,
            p[33:41],
            version_bytes(node),
            inet.pack(seen_ip, 0 if old else seen_port),
            be16(len(newer)),
            newer,
        ),
    )
    peer.runs((p[28], p[29], p[30], u16(p, 31)), node.topology.peers.values())
    return DONE


def _collision(node, now, rx, key):
    log.warn("vl1", "two identities claim address %s" % rx.source.hex())
    buf = node.hello_buf
    n = packet.compose(
        buf,
        node.random(8),
        rx.source,
        node.address,
        VERB_ERROR,
        (bytes([VERB_HELLO]), rx.id, bytes([ERROR_IDENTITY_COLLISION])),
    )
    crypto.seal(key, buf, n, 1)
    node.wire_out(now, rx.local_socket, rx.remote, node.hello_mv[:n], 0)


def ok(node, now, rx, rtt_ms):
    """OK(HELLO): version, our surface, newer planets. ValueError if it runs over the end."""
    p = rx.p
    n = rx.n
    peer = rx.peer
    if n < 51:
        raise ValueError("OK(HELLO) truncated")
    if p[45] < PROTO_MIN:
        node.drop(drops.VERSION)
        return IGNORED
    o = 50
    mine, o = inet.unpack(p[:n], o)
    upstream = node.topology.is_upstream(rx.source)
    if mine and rx.hops == 0:
        node.surface_learned(now, rx, mine, upstream)
    if o + 2 <= n:
        end = o + 2 + u16(p, o)
        o += 2
        if end > n:
            raise ValueError("world data runs over the end")
        if upstream and o < end:
            _worlds(node, now, rx, p[:end], o)
    peer.runs((p[45], p[46], p[47], u16(p, 48)), node.topology.peers.values())
    if rx.hops == 0:
        node.topology.path(now, rx.local_socket, rx.remote).sample(rtt_ms)
    return DONE


def _worlds(node, now, rx, p, o):
    """Planets a root told us of. One that cannot be read costs only itself: the rest of the OK is
    what keeps us online.
    """
    try:
        while o < len(p):
            w, o = world.World.unpack(p, o)
            if w.type == world.PLANET and node.topology.offer_planet(w):
                log.info("vl1", "newer planet received from %s" % rx.source.hex())
                node.planet_changed(now, w)
    except ValueError as e:
        log.warn("vl1", "world from %s ignored: %s" % (rx.source.hex(), e))
