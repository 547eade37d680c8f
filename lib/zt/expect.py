# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Packet IDs of requests we sent, so that an OK nobody asked for has no effect (VL1 7.8). Two
# rings, in each the newest request pushes the oldest out: data that may be answered must not push
# out the HELLOs and ECHOs on which paths depend. Several OKs for one ID are normal.

from ._compat import const, elapsed, ticks_diff
from .const import VERB_EXT_FRAME, VERB_MULTICAST_FRAME

_KEEP_MS = const(60000)
_BULK = (VERB_EXT_FRAME, VERB_MULTICAST_FRAME)


def _split(packet_id):
    """60 bits of a packet ID as two small integers, which take no heap: the key and the rest."""
    b = packet_id
    return (
        (b[0] & 0x3F) << 24 | b[1] << 16 | b[2] << 8 | b[3],
        (b[4] & 0x3F) << 24 | b[5] << 16 | b[6] << 8 | b[7],
    )


class Expected:
    def __init__(self, size):
        self.rings = ([None] * size, [None] * size)
        self.next = [0, 0]
        self.sent = {}  # key -> (when, verb, to whom, about, rest of the ID)

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
        key, rest = _split(packet_id)
        ring[i] = key
        self.next[which] = (i + 1) % len(ring)
        self.sent[key] = (now, verb, dest, about, rest)

    def _request(self, packet_id):
        key, rest = _split(packet_id)
        r = self.sent.get(key)
        return r if r is not None and r[4] == rest else None

    def again(self, now, packet_id):
        """A request that had to wait goes out now: its answer counts from here."""
        r = self._request(packet_id)
        if r is not None:
            self.sent[_split(packet_id)[0]] = (now,) + r[1:]

    def find(self, now, packet_id, verb, source):
        """ms since the request with this ID and verb went to `source`, or None."""
        r = self._request(packet_id)
        if r is None or r[1] != verb or r[2] != source or elapsed(now, r[0], _KEEP_MS):
            return None
        return ticks_diff(now, r[0])

    def about(self, packet_id):
        """The address a WHOIS we sent asks for, or None."""
        r = self._request(packet_id)
        return None if r is None else r[3]
