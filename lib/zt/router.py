# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The outbound half of the node: sealing, choosing a path or a relay, cutting into datagrams (VL1
# 4.8, 7.7). Base class of Node; what each verb means is not known here.

from . import crypto, drops, hello, keepalive, packet
from ._compat import const, elapsed
from .const import (
    DEFAULT_MTU,
    MAX_FRAGMENTS,
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
from .waiting import Waiting

_TX = const(1472)  # any one datagram, and a frame that filled one
_TRY_KNOWN_MS = const(30000)
_TRY_DEAD_MS = const(5000)
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
        self._usual = min(_TX, limits.packet_bytes)
        self._make_tx(self._usual)
        self.piece_mv = None  # made when the first packet is cut up

    # --- the buffer packets are made in; most of them fit a datagram

    def _make_tx(self, size):
        self.tx = bytearray(size)
        self.tx_mv = memoryview(self.tx)
        self._tx_needed = False

    def room(self, n):
        """tx_mv with room for `n` bytes, up to the longest packet."""
        if n > self._usual:
            self._tx_needed = True
            if n > len(self.tx):
                self._make_tx(self.limits.packet_bytes)
                self._tx_needed = True
        return self.tx_mv

    def spare_tx(self):
        """Make do with little again when nothing long was sent since the last call."""
        if len(self.tx) > self._usual and not self._tx_needed:
            self._make_tx(self._usual)
        self._tx_needed = False

    def _compose_long(self, packet_id, dest, verb, parts):
        """What had no room in tx; ValueError if it can have none."""
        room = self.room(self.limits.packet_bytes)
        return packet.compose(room, packet_id, dest, self.address, verb, parts)

    # --- out

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
        try:
            n = packet.compose(self.tx_mv, packet_id, dest, self.address, verb, parts)
        except ValueError:
            n = self._compose_long(packet_id, dest, verb, parts)
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
        direct = peer.best_slot(now)
        if direct is None and (
            peer.cached_paths or elapsed(now, peer.last_try_remote, _TRY_KNOWN_MS)
        ):
            self._try_known(now, peer)
        via, slot = self.choose(now, peer)
        path = slot.path if slot is not None else peer.any_path(now)
        if path is None:
            return False
        peer.last_sent = now
        if peer.unanswered_since is None:
            peer.unanswered_since = now
        if n > DEFAULT_MTU:
            self.tx[IDX_FLAGS] |= FLAG_FRAGMENTED
            self._tx_needed = True
        crypto.seal(peer.key, self.tx, n, 1)
        self._transmit(now, path, n)
        # Last, because it uses tx.
        if slot is not None and slot.quiet(now):
            keepalive.probe(self, now, via, slot)
        if direct is not slot and direct is not None:
            if not direct.dead(now) or elapsed(now, direct.last_probe, _TRY_DEAD_MS):
                keepalive.probe(self, now, peer, direct)
        return True

    def choose(self, now, peer):
        """(peer or relay to send over, its slot or None)."""
        slot = peer.best_slot(now)
        if slot is None or slot.stale(now):
            # Unlike the reference we do not wait for a silent path to expire (VL1 7.14), and what
            # was silent for long is asked before it is used: that costs a round trip of relaying.
            relay = self.relay(now, peer)
            if relay is not None and (slot is None or not relay[1].stale(now)):
                return relay
        return peer, slot

    def _transmit(self, now, path, n):
        mv = self.tx_mv
        if n <= DEFAULT_MTU:
            self.transmit_datagram(now, path, mv[:n])
            return
        if self.piece_mv is None:
            self.piece_mv = memoryview(bytearray(DEFAULT_MTU))
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
        if remotes:
            peer.cached_paths = ()
        for family in (4, 6):
            remote = self.callbacks.path_lookup(peer.address, family)
            if remote:
                remotes.append(remote)
        for remote in remotes:
            if self.acceptable(peer.address, None, remote):
                hello.send(self, now, peer, None, remote)

    def relay(self, now, peer):
        """(upstream, its slot) to send over when there is no direct way to `peer`, or None."""
        upstream = self.topology.best_upstream(now, peer)
        if upstream is None:
            return None
        slot = upstream.best_slot(now)
        return None if slot is None else (upstream, slot)

    def send_to(self, now, peer, local_socket, remote, verb, parts):
        """Seal a packet for peer and send it to a given physical address."""
        packet_id = self.random(8)
        try:
            n = packet.compose(self.tx_mv, packet_id, peer.address, self.address, verb, parts)
        except ValueError:
            n = self._compose_long(packet_id, peer.address, verb, parts)
        if verb in _EXPECTING:
            about = bytes(parts[0]) if verb == VERB_WHOIS else None
            self.expected.add(now, packet_id, verb, peer.address, about)
        if n > DEFAULT_MTU:
            self.tx[IDX_FLAGS] |= FLAG_FRAGMENTED
        crypto.seal(peer.key, self.tx, n, 1)
        path = self.topology.paths.get((local_socket, remote))
        if path is not None:
            if verb == VERB_ECHO:
                slot = peer.slot_of(path)
                if slot is not None:
                    slot.probed(now)
            self._transmit(now, path, n)
        elif n <= DEFAULT_MTU:
            self.wire_out(now, local_socket, remote, self.tx_mv[:n], 0)
        else:
            self._transmit(now, self.topology.path(now, local_socket, remote), n)
        return packet_id

    def reply(self, now, peer, rx, verb, parts):
        """Answer on the arrival path (for a relayed packet that is the relay)."""
        return self.send_to(now, peer, rx.local_socket, rx.remote, verb, parts)
