# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Getting off the relay: RENDEZVOUS and PUSH_DIRECT_PATHS (VL1 5.8, 5.15, 7.5, 7.6), sending ours
# and acting on theirs.

from . import drops, hello, inet
from ._compat import be16, const, elapsed, u16
from .const import DONE, IGNORED, VERB_ECHO, VERB_PUSH_DIRECT_PATHS

_PUSH_RELAYED_MS = const(15000)
_PUSH_DIRECT_MS = const(120000)
_PER_SCOPE = const(8)
_PUSH_BYTES = const(1200)


def contact(node, now, peer, local_socket, remote):
    """ECHO a peer that can answer it, else HELLO, at a physical address."""
    if peer.can_echo():
        node.send_to(now, peer, local_socket, remote, VERB_ECHO, ())
    else:
        hello.send(node, now, peer, local_socket, remote)


def rendezvous(node, now, rx):
    """A root tells us where another peer is: open our NAT towards it and say hello."""
    p = rx.p
    if rx.n < 37:
        raise ValueError("RENDEZVOUS truncated")
    if not node.topology.is_upstream(rx.source):
        node.drop(drops.IGNORED)
        return IGNORED
    size = p[36]
    if size not in (4, 16) or rx.n < 37 + size:
        raise ValueError("RENDEZVOUS address malformed")
    address = bytes(p[29:34])
    port = u16(p, 34)
    remote = (bytes(p[37 : 37 + size]), port)
    peer = node.topology.peers.get(address)
    if peer is None or not port or not node.acceptable(address, rx.local_socket, remote):
        return DONE
    # Too short to be a packet: it opens our NAT and dies on the way (VL1 5.8).
    node.wire_out(now, rx.local_socket, remote, node.random(4), 2 if size == 4 else 0)
    contact(node, now, peer, rx.local_socket, remote)
    return DONE


def push_received(node, now, rx):
    p = rx.p
    n = rx.n
    if n < 30:
        raise ValueError("PUSH_DIRECT_PATHS truncated")
    peer = rx.peer
    if not peer.push_allowed(now):
        node.drop(drops.GATED)
        return DONE
    per_scope = {}
    o = 30
    for _ in range(u16(p, 28)):
        if o + 3 > n:
            raise ValueError("path record runs over the end")
        flags = p[o]
        o += 3 + u16(p, o + 1)
        if o + 2 > n or o + 2 + p[o + 1] > n:
            raise ValueError("path record runs over the end")
        kind = p[o]
        length = p[o + 1]
        if flags & 1 or (kind, length) not in ((4, 6), (6, 18)):
            o += 2 + length
            continue
        ip = bytes(p[o + 2 : o + length])
        remote = (ip, u16(p, o + length))
        o += 2 + length
        if not node.acceptable(peer.address, rx.local_socket, remote):
            continue
        if not flags & 2 and _has(peer, now, remote):
            continue
        key = (inet.scope(ip), kind)
        per_scope[key] = per_scope.get(key, 0) + 1
        if per_scope[key] > _PER_SCOPE:
            continue
        if flags & 2:
            # The reference uses the new address at once. We wait for its answer: else a peer could
            # point what we send it at anybody.
            peer.redirect_to = (remote, _priority(peer, rx) + 2)
            hello.send(node, now, peer, None, remote)
        else:
            contact(node, now, peer, None, remote)
    return DONE


def _has(peer, now, remote):
    for s in peer.slots:
        if s.path.remote == remote and not s.expired(now):
            return True
    return False


def _priority(peer, rx):
    """Of the path a packet came over."""
    for s in peer.slots:
        if s.path.remote == rx.remote and s.path.local_socket == rx.local_socket:
            return s.priority
    return 1


def push(node, now, rx, peer):
    """Tell a trusted peer where we might be reached, if it is time (VL1 7.5)."""
    if not elapsed(now, peer.last_push, _PUSH_RELAYED_MS if rx.hops else _PUSH_DIRECT_MS):
        return
    records = []
    size = 0
    seen = set()
    for ip, port in node.candidates(now):
        if (ip, port) in seen:
            continue
        seen.add((ip, port))
        four = len(ip) == 4
        record = b"\x00\x00\x00" + (b"\x04\x06" if four else b"\x06\x12") + ip + be16(port)
        if size + len(record) > _PUSH_BYTES:
            _push(node, now, rx, peer, records)
            records = []
            size = 0
        records.append(record)
        size += len(record)
    if records:
        _push(node, now, rx, peer, records)
    if seen:
        peer.last_push = now


def _push(node, now, rx, peer, records):
    node.reply(now, peer, rx, VERB_PUSH_DIRECT_PATHS, [be16(len(records))] + records)
