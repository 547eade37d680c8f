# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Packet IDs of requests we sent, so that an OK nobody asked for has no effect (VL1 7.8). A ring:
# the newest request pushes the oldest out. Several OKs for one ID are normal.

from ._compat import const, elapsed, ticks_diff

_KEEP_MS = const(60000)


class Expected:
    def __init__(self, size):
        self.ring = [None] * size
        self.next = 0
        self.sent = {}

    def add(self, now, packet_id, verb, dest):
        """Remember a request. `packet_id` is the ID on the wire, 8 bytes."""
        old = self.ring[self.next]
        if old is not None:
            self.sent.pop(old, None)
        self.ring[self.next] = packet_id
        self.next = (self.next + 1) % len(self.ring)
        self.sent[packet_id] = (now, verb, dest)

    def find(self, now, packet_id, verb, source):
        """ms since the request with this ID and verb went to `source`, or None if there is none.
        """
        r = self.sent.get(packet_id)
        if r is None or r[1] != verb or r[2] != source or elapsed(now, r[0], _KEEP_MS):
            return None
        return ticks_diff(now, r[0])
