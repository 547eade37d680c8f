# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The outbound half of the node: sealing, choosing a path, cutting into datagrams, and what waits
# while there is no path or no identity (VL1 4.8, 7.7, 8.1). Base class of Node; verbs are not
# known here but for WHOIS, which the waiting needs.

from . import crypto, drops, hello, packet
from ._compat import const, elapsed
from .const import (
    DEFAULT_MTU,
    MAX_FRAGMENTS,
    MAX_PACKET,
    VERB_ECHO,
    VERB_EXT_FRAME,
    VERB_MULTICAST_FRAME,
    VERB_MULTICAST_GATHER,
    VERB_NETWORK_CONFIG,
    VERB_NETWORK_CONFIG_REQUEST,
    VERB_WHOIS,
)
from .expect import Expected
from .packet import FLAG_FRAGMENTED, IDX_FLAGS
from .waiting import Queue, Waiting, Whois

_TRY_KNOWN_MS = const(30000)
_EXPECTING = (
    VERB_ECHO,
    VERB_WHOIS,
    VERB_EXT_FRAME,
    VERB_NETWORK_CONFIG,
    VERB_NETWORK_CONFIG_REQUEST,
    VERB_MULTICAST_GATHER,
    VERB_MULTICAST_FRAME,
)


class Router:
    def _init_router(self, limits):
        self.expected = Expected(limits.expected)
        self.queued = Queue(limits.queued)
        self.parked = Queue(limits.parked)
        self.wanted = Whois()
        self.tx = bytearray(MAX_PACKET)
        self.tx_mv = memoryview(self.tx)
        self.piece_mv = memoryview(bytearray(DEFAULT_MTU))
        self._recheck = False
        self._retrying = None
        self._last_fast = None

    # --- outbound

    def wire_out(self, now, local_socket, remote, data, ttl):
        if self.callbacks.wire_send(local_socket, remote, data, ttl):
            self.drop(drops.WIRE)
            return False
        return True

    def transmit_datagram(self, now, path, data):
        path.last_out = now
        return self.wire_out(now, path.local_socket, path.remote, data, 0)

    def send(self, now, dest, verb, *parts):
        """Seal and route a packet, or queue it while its destination is unknown.

        Returns the packet ID (8 bytes), None if dest is ourselves. ValueError if it would be too
        long.
        """
        if dest == self.address:
            return None
        packet_id = self.random(8)
        n = packet.compose(self.tx_mv, packet_id, dest, self.address, verb, parts)
        if verb in _EXPECTING:
            self.expected.add(now, packet_id, verb, dest)
        peer = self.topology.peers.get(dest) or self.topology.find(now, dest)
        if peer is None or not self._send_tx(now, peer, n):
            if not self.queued.add(Waiting(now, dest, bytes(self.tx_mv[:n]))):
                self.drop(drops.QUEUE_FULL)
            if peer is None:
                self.whois(now, dest)
        return packet_id

    def _send_tx(self, now, peer, n):
        """Seal tx[:n] for peer and send it over the best way there is; False if there is none."""
        path = peer.best_path(now)
        if path is None:
            if peer.cached_paths or elapsed(now, peer.last_try_remote, _TRY_KNOWN_MS):
                self._try_known(now, peer)
            path = self.relay_path(now, peer) or peer.any_path()
            if path is None:
                return False
        if peer.unanswered_since is None:
            peer.unanswered_since = now
        if n > DEFAULT_MTU:
            self.tx[IDX_FLAGS] |= FLAG_FRAGMENTED
        crypto.seal(peer.key, self.tx, n, 1)
        self._transmit(now, path, n)
        return True

    def _transmit(self, now, path, n):
        mv = self.tx_mv
        if n <= DEFAULT_MTU:
            self.transmit_datagram(now, path, mv[:n])
            return
        total = packet.pieces(n)
        if total > MAX_FRAGMENTS:
            self.drop(drops.FRAGMENT)
            return
        self.transmit_datagram(now, path, mv[:DEFAULT_MTU])
        for i in range(1, total):
            length = packet.fragment(mv, i, total, n, self.piece_mv)
            self.transmit_datagram(now, path, self.piece_mv[:length])

    def _try_known(self, now, peer):
        """HELLO the addresses we remember or were configured with (VL1 7.7)."""
        peer.last_try_remote = now
        remotes = list(peer.cached_paths)
        peer.cached_paths = ()
        for family in (4, 6):
            remote = self.callbacks.path_lookup(peer.address, family)
            if remote:
                remotes.append(remote)
        for remote in remotes:
            if self.acceptable(peer.address, None, remote):
                hello.send(self, now, peer, None, remote)

    def relay_path(self, now, peer):
        """A path of the best upstream to relay over, or None."""
        upstream = self.topology.best_upstream(now)
        if upstream is None or upstream is peer:
            return None
        return upstream.best_path(now)

    def send_to(self, now, peer, local_socket, remote, verb, parts):
        """Seal a packet for peer and send it to a given physical address."""
        packet_id = self.random(8)
        n = packet.compose(self.tx_mv, packet_id, peer.address, self.address, verb, parts)
        if verb in _EXPECTING:
            self.expected.add(now, packet_id, verb, peer.address)
        if n > DEFAULT_MTU:
            self.tx[IDX_FLAGS] |= FLAG_FRAGMENTED
        crypto.seal(peer.key, self.tx, n, 1)
        path = self.topology.paths.get((local_socket, remote))
        if path is not None:
            self._transmit(now, path, n)
        elif n <= DEFAULT_MTU:
            self.wire_out(now, local_socket, remote, self.tx_mv[:n], 0)
        else:
            self._transmit(now, self.topology.path(now, local_socket, remote), n)
        return packet_id

    def reply(self, now, peer, rx, verb, parts):
        """Answer on the arrival path (for a relayed packet that is the relay)."""
        return self.send_to(now, peer, rx.local_socket, rx.remote, verb, parts)

    def rx_reply(self, verb, *parts):
        """reply() to the packet being processed, for VL2."""
        return self.reply(self.now, self.rx.peer, self.rx, verb, parts)

    # --- waiting

    def _park_unknown(self, now, rx):
        item = Waiting(now, rx.source, bytes(rx.p[: rx.n]), (rx.local_socket, rx.remote))
        if not self.parked.add(item):
            self.drop(drops.UNKNOWN_SENDER)
        self.whois(now, rx.source)

    def _park_opened(self, now, rx):
        item = self._retrying
        if item is None:
            data = bytes(rx.p[: rx.n])
            item = Waiting(now, rx.source, data, (rx.local_socket, rx.remote), True)
        item.tried = now
        if not self.parked.add(item):
            self.drop(drops.QUEUE_FULL)

    def _retry(self, now):
        """Offer parked packets again: those whose sender is known now, and opened ones."""
        self._recheck = False
        peers = self.topology.peers
        ready = self.parked.take(lambda i: i.opened or i.peer in peers)
        for item in ready:
            p = memoryview(bytearray(item.data))
            if not item.opened:
                self._packet(now, item.origin[0], item.origin[1], p, len(p))
                continue
            rx = self.rx
            rx.local_socket, rx.remote = item.origin
            rx.hops = packet.hops(p)
            rx.source = item.peer
            rx.id = bytes(p[0:8])
            rx.p = p
            rx.n = len(p)
            rx.peer = self.topology.find(now, item.peer)
            if rx.peer is None:
                continue
            self._retrying = item
            self._opened(now, rx)
            self._retrying = None

    def _flush(self, now, peer):
        """Send what waited for this peer."""
        if not self.queued.items:
            return
        upstream = self.topology.is_upstream(peer.address)
        for item in self.queued.take(lambda i: upstream or i.peer == peer.address):
            to = self.topology.find(now, item.peer)
            n = len(item.data)
            self.tx_mv[:n] = item.data
            if to is None or not self._send_tx(now, to, n):
                self.queued.add(item)

    def whois(self, now, address):
        """Ask the best upstream for an identity, at most every 500 ms."""
        if address == self.address or not self.wanted.want(now, address):
            return
        self._ask(now, address)

    def _ask(self, now, address):
        upstream = self.topology.best_upstream(now)
        if upstream is None or upstream.address == address:
            return
        path = upstream.best_path(now)
        if path is None:
            return
        self.wanted.asked(now, address)
        self.send_to(now, upstream, path.local_socket, path.remote, VERB_WHOIS, (address,))

    def peer_learned(self, now, identity):
        """A validated identity: make the peer, send and process what waited for it."""
        peer = self.topology.peers.get(identity.address)
        if peer is not None:
            if peer.identity != identity:
                self.drop(drops.IDENTITY)
            self.wanted.learned(identity.address)
            return peer
        peer = self.topology.add_peer(now, identity)
        self.wanted.learned(identity.address)
        self.vl2.identity_learned(now, identity)
        self._flush(now, peer)
        if self.parked.items:
            self._recheck = True
        return peer

    def _fast(self, now):
        expired = self.queued.expire(now)
        self.drops[drops.NO_ROUTE] += expired
        self.drops[drops.UNKNOWN_SENDER] += self.parked.expire(now)
        for item in self.queued.take(lambda i: True):
            n = len(item.data)
            self.tx_mv[:n] = item.data
            to = self.topology.find(now, item.peer)
            if to is None:
                self.wanted.want(now, item.peer)
            if to is None or not self._send_tx(now, to, n):
                self.queued.add(item)
        for item in self.parked.items:
            if not item.opened:
                self.wanted.want(now, item.peer)
        for address in self.wanted.due(now):
            self._ask(now, address)
        if self.parked.items:
            self._retry(now)
