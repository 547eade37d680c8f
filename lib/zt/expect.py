# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Packet IDs of requests we sent, so that an OK nobody asked for has no effect (VL1 7.8). Two
# rings, in each the newest request pushes the oldest out: data that may be answered must not push
# out the HELLOs and ECHOs on which paths depend. Several OKs for one ID are normal.

from ._compat import const, elapsed, ticks_diff
from .const import VERB_EXT_FRAME, VERB_MULTICAST_FRAME

_KEEP_MS = const(60000)
_BULK = (VERB_EXT_FRAME, VERB_MULTICAST_FRAME)


class Expected:
    def __init__(self, size):
        self.rings = ([None] * size, [None] * size)
        self.next = [0, 0]
        self.sent = {}

    def add(self, now, packet_id, verb, dest, about=None):
        """Remember a request. `packet_id` is the ID on the wire, 8 bytes; `about` is the address a
        WHOIS asks for.
        """
        which = 1 if verb in _BULK else 0
        ring = self.rings[which]
        i = self.next[which]
        old = ring[i]
        if old is not None:
            self.sent.pop(old, None)
        ring[i] = packet_id
        self.next[which] = (i + 1) % len(ring)
        self.sent[packet_id] = (now, verb, dest, about)

    def again(self, now, packet_id):
        """A request that had to wait goes out now: its answer counts from here."""
        r = self.sent.get(packet_id)
        if r is not None:
            self.sent[packet_id] = (now, r[1], r[2], r[3])

    def find(self, now, packet_id, verb, source):
        """ms since the request with this ID and verb went to `source`, or None."""
        r = self.sent.get(packet_id)
        if r is None or r[1] != verb or r[2] != source or elapsed(now, r[0], _KEEP_MS):
            return None
        return ticks_diff(now, r[0])

    def about(self, packet_id):
        """The address a WHOIS we sent asks for, or None."""
        r = self.sent.get(packet_id)
        return None if r is None else r[3]
