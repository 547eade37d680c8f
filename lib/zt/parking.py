# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The part of the node that waits: outbound packets without an identity or a path to send them by,
# inbound ones whose sender or credentials are not known yet, and the WHOIS questions that end the
# waiting (VL1 4.9, 7.7, 8.1). Base class of Node.

from . import drops, keepalive, packet
from ._compat import const
from .const import VERB_WHOIS
from .identity import reserved
from .router import Router
from .waiting import Queue, Waiting, Whois

_WHOIS = const(32)  # questions at a time on behalf of others
_ROOT_WHOIS = const(128)


class Parking(Router):
    def _init_parking(self, limits):
        self.queued = Queue(limits.queued)
        self.parked = Queue(limits.parked)
        self.wanted = Whois(min(limits.parked, _ROOT_WHOIS if self.topology.am_root else _WHOIS))
        self._recheck = False
        self._retrying = None
        self._last_fast = None

    def _park_unknown(self, now, rx):
        """Keep a packet while we ask who its sender is. Anybody can invent senders: the queue, the
        questions and what is looked up on disk are bounded (waiting, topology).
        """
        if reserved(rx.source):
            self.drop(drops.MALFORMED)
            return
        item = Waiting(now, rx.source, bytes(rx.p[: rx.n]), (rx.local_socket, rx.remote))
        if not self.parked.add(item):
            self.drop(drops.UNKNOWN_SENDER)
        self.whois(now, rx.source, False)

    def ask_a_root(self, now, rx, peer):
        """A stranger's HELLO on a node that cannot run the identity hash (docs/security.md). It
        proves that its sender has the key, not that the address belongs to it, whoever passed it
        on: it is looked at again when a root has answered. `peer` is whom we know by the address,
        with another key that is hearsay.
        """
        if peer is None:
            self._park_unknown(now, rx)
        else:
            self.drop(drops.IDENTITY)
            self.whois(now, rx.source, False)

    def _park_opened(self, now, rx):
        item = self._retrying
        if item is None:
            data = bytes(rx.p[: rx.n])
            item = Waiting(now, rx.source, data, (rx.local_socket, rx.remote), True)
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
                self.drop(drops.UNKNOWN_SENDER)
                continue
            self._retrying = item
            try:
                self._opened(now, rx)
            finally:
                self._retrying = None

    def _flush(self, now, peer):
        """Send what waited for this peer; a root is a way to everybody."""
        if not self.queued.items:
            return
        upstream = self.topology.is_upstream(peer.address)
        self._send_queued(now, lambda i: upstream or i.peer == peer.address)

    def _send_queued(self, now, want):
        for item in self.queued.take(want):
            to = self.topology.find(now, item.peer)
            if to is None:
                self.wanted.want(now, item.peer)
                self.queued.add(item)
                continue
            n = len(item.data)
            self.room(n)[:n] = item.data
            self.expected.again(now, item.data[0:8])
            if not self._send_tx(now, to, n):
                self.queued.add(item)

    def whois(self, now, address, own=True):
        """Ask the best upstream for an identity, at most every 500 ms. `own` is False where
        somebody else's packet made us want it.
        """
        if address == self.address or not self.wanted.want(now, address, own):
            return
        self._ask(now, address)

    def _ask(self, now, address):
        relay = self.relay(now, None)
        if relay is None or relay[0].address == address:
            return
        upstream, slot = relay
        times = self.wanted.asked(now, address)
        if times:
            # Roots do not ask on for each other (verbs.whois), so go round them.
            peers = self.topology.peers
            usable = [peers[a] for a in sorted(self.topology.roots) if peers[a].live_slot(now)]
            if usable:
                upstream = usable[(_index(usable, upstream) + times) % len(usable)]
                slot = upstream.live_slot(now)
        path = slot.path
        self.send_to(now, upstream, path.local_socket, path.remote, VERB_WHOIS, (address,))
        if slot.quiet(now):
            keepalive.probe(self, now, upstream, slot)

    def peer_learned(self, now, identity, vouched):
        """An identity we validated or a root told us when asked: make the peer, send and process
        what waited for it.
        """
        topology = self.topology
        self.wanted.learned(identity.address)
        peer = topology.peers.get(identity.address)
        if peer is None:
            peer = topology.add_peer(now, identity, vouched)
        elif peer.identity == identity:
            return peer
        elif topology.doubtful(peer):
            peer = topology.replace(now, identity, vouched)
        else:
            self.drop(drops.IDENTITY)
            return peer
        self.vl2.identity_learned(now, identity)
        self._flush(now, peer)
        if self.parked.items:
            self._recheck = True
        return peer

    def _fast(self, now):
        """What is due every 500 ms while anything waits."""
        self.drops[drops.NO_ROUTE] += self.queued.expire(now)
        self.drops[drops.UNKNOWN_SENDER] += self.parked.expire(now)
        self._send_queued(now, lambda i: True)
        for item in self.parked.items:
            if not item.opened:
                self.wanted.want(now, item.peer, False)
        for address in self.wanted.due(now):
            self._ask(now, address)
        if self.parked.items:
            self._retry(now)


def _index(items, one):
    for i, item in enumerate(items):
        if item is one:
            return i
    return 0
