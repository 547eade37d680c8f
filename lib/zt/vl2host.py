# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What VL2 asks of the node it runs on (docs/internals.md): a base class of Node that only passes
# on.

from .inbound import Inbound
from .path import LATENCY_UNKNOWN
from .peer import ACTIVITY_MS, STATE_NAMES


class VL2Host(Inbound):
    def identity_of(self, address):
        if address == self.address:
            return self.identity
        peer = self.topology.find(self.now, address)
        return peer.identity if peer is not None else None

    def upstreams(self):
        return self.topology.upstreams()

    def best_upstream(self, now):
        peer = self.topology.best_upstream(now)
        return peer.address if peer is not None else None

    def is_upstream(self, address):
        return self.topology.is_upstream(address)

    @property
    def am_upstream(self):
        return self.topology.am_root

    def peer_alive(self, now, address):
        peer = self.topology.peers.get(address)
        return peer is not None and peer.heard_within(now, ACTIVITY_MS)

    def peer_latency(self, address):
        peer = self.topology.peers.get(address)
        latency = peer.latency(self.now) if peer is not None else LATENCY_UNKNOWN
        return latency if latency != LATENCY_UNKNOWN else None

    def rx_reply(self, verb, *parts):
        """Answer the packet being processed on its arrival path."""
        return self.reply(self.now, self.rx.peer, self.rx, verb, parts)

    def deliver(self, nwid, source_mac, dest_mac, ethertype, frame):
        self.callbacks.frame(nwid, source_mac, dest_mac, ethertype, 0, frame)

    def network_changed(self, nwid, what):
        self.callbacks.network(nwid, what)

    def load(self, kind, key):
        return self.storage.get(kind, key)

    def save(self, kind, key, data):
        self.storage.put(kind, data, key)

    def peer_event(self, peer):
        self.callbacks.event(
            "peer", {"address": peer.address.hex(), "path": STATE_NAMES[peer.state]}
        )
