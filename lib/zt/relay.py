# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Passing on what is addressed to others, and introducing the two ends to each other (VL1 7.11,
# 7.12). A root does it for everybody, a leaf only for paths it trusts. Nothing passed on has been
# authenticated: the ends do that.

from . import drops, packet
from ._compat import be16, const, elapsed, ticks_add
from .const import MAX_HOPS, VERB_RENDEZVOUS

_UNITE_MS = const(30000)
_AGAIN_MS = const(5000)
_UNITE_KEEP_MS = const(240000)


def forward(node, now, local_socket, remote, p, fragment):
    """Relay one datagram whose destination is not us."""
    topology = node.topology
    if not topology.am_root:
        path = topology.paths.get((local_socket, remote))
        if path is None or not path.trusted(now):
            return node.drop(drops.RELAY_REFUSED)
    index = packet.IDX_FRAGMENT_HOPS if fragment else packet.IDX_FLAGS
    hops = p[index] & packet.MASK_HOPS
    if hops >= MAX_HOPS:
        return node.drop(drops.HOPS)
    dest = bytes(p[8:13])
    peer = topology.peers.get(dest)
    out = peer.best_path(now) if peer is not None else None
    source = None if fragment else bytes(p[13:18])
    direct = out is not None
    upstream = None
    if out is None:
        upstream = topology.best_upstream(now)
        if upstream is None or upstream.address == source:
            return node.drop(drops.NO_ROUTE)
        out = upstream.best_path(now)
        if out is None:
            return node.drop(drops.NO_ROUTE)
    if out.remote == remote:
        # Back to where it came from: two roots that both do not know the destination would throw
        # it to and fro until its hops are used up.
        return node.drop(drops.NO_ROUTE)
    p[index] = p[index] & 0xF8 | (hops + 1)
    node.transmit_datagram(now, out, p)
    node.relayed += 1
    first = topology.peers.get(source) if source is not None else None
    if first is not None and _plausible(node, now, first, hops, remote[0]):
        # The reference introduces a sender and our upstream on every packet; once in 30 s will do.
        unite(node, now, first, peer if direct else upstream)


def _plausible(node, now, first, hops, ip):
    """Did it come from the sender it names, or from a root? The name alone proves nothing."""
    if _seen_at(now, first, ip):
        return True
    if hops:
        for address in node.topology.roots:
            if _seen_at(now, node.topology.peers[address], ip):
                return True
    return False


def _seen_at(now, peer, ip):
    for s in peer.slots:
        if s.path.remote[0] == ip and not s.expired(now):
            return True
    return False


def unite(node, now, a, b):
    """RENDEZVOUS both ends at the best scope they have in common, at most every 30 s per pair."""
    key = a.address + b.address if a.address < b.address else b.address + a.address
    if not elapsed(now, node.united.get(key), _UNITE_MS):
        return
    if len(node.united) >= node.limits.unite:
        expire(node, now, True)
    pair = _common(now, a, b)
    if pair is None:
        # Not searched again for every packet, but sooner than after an introduction.
        node.united[key] = ticks_add(now, _AGAIN_MS - _UNITE_MS)
        return
    node.united[key] = now
    path_a, path_b = pair
    _introduce(node, now, a, path_a, b.address, path_b.remote)
    _introduce(node, now, b, path_b, a.address, path_a.remote)


def _common(now, a, b):
    best = None
    best_rank = 0
    for sa in a.slots:
        if sa.expired(now):
            continue
        for sb in b.slots:
            if sb.expired(now) or sa.path.scope != sb.path.scope:
                continue
            four = len(sa.path.remote[0]) == 4
            if four != (len(sb.path.remote[0]) == 4):
                continue
            rank = sa.path.scope * 2 + (0 if four else 1)
            if best is None or rank > best_rank:
                best = (sa.path, sb.path)
                best_rank = rank
    return best


def _introduce(node, now, to, over, address, remote):
    ip, port = remote
    node.send_to(
        now,
        to,
        over.local_socket,
        over.remote,
        VERB_RENDEZVOUS,
        (b"\x00", address, be16(port), bytes([len(ip)]), ip),
    )


def expire(node, now, force=False):
    for key in list(node.united):
        if elapsed(now, node.united[key], _UNITE_KEEP_MS):
            del node.united[key]
    if force and len(node.united) >= node.limits.unite:
        node.united.clear()
