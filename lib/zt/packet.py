# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Packet and fragment headers (VL1 4.1, 4.8): where fields are, how a packet is cut into datagrams
# and put together again. Works on the caller's buffers; knows neither keys nor peers.

from ._compat import const, elapsed
from .const import DEFAULT_MTU, MAX_FRAGMENTS, MAX_PACKET

IDX_DEST = const(8)
IDX_SOURCE = const(13)
IDX_FLAGS = const(18)
IDX_MAC = const(19)
IDX_VERB = const(27)
IDX_PAYLOAD = const(28)

FLAG_FRAGMENTED = const(0x40)
FLAG_COMPRESSED = const(0x80)  # in the verb byte
MASK_HOPS = const(0x07)

IDX_FRAGMENT_INDICATOR = const(13)
IDX_FRAGMENT_NUMBERS = const(14)
IDX_FRAGMENT_HOPS = const(15)
FRAGMENT_HEADER = const(16)
FRAGMENT_INDICATOR = const(0xFF)


def suite(p):
    return p[IDX_FLAGS] >> 3 & 7


def hops(p):
    return p[IDX_FLAGS] & MASK_HOPS


def is_fragment(p):
    """True for a datagram longer than 16 bytes that carries a later piece of a packet."""
    return p[IDX_FRAGMENT_INDICATOR] == FRAGMENT_INDICATOR


def compose(p, packet_id, dest, source, verb, parts):
    """Write a clear packet into `p` (bytearray or memoryview) and return its length.

    `parts` are joined after the verb byte. ValueError when the result would exceed MAX_PACKET or
    the room there is.
    """
    p[0:8] = packet_id
    p[IDX_DEST:IDX_SOURCE] = dest
    p[IDX_SOURCE:IDX_FLAGS] = source
    p[IDX_FLAGS] = 0
    p[IDX_VERB] = verb
    o = IDX_PAYLOAD
    most = min(len(p), MAX_PACKET)
    for part in parts:
        e = o + len(part)
        if e > most:
            raise ValueError("packet too long")
        p[o:e] = part
        o = e
    return o


def pieces(n, mtu=DEFAULT_MTU):
    """How many datagrams a packet of n bytes needs at this MTU."""
    if n <= mtu:
        return 1
    step = mtu - FRAGMENT_HEADER
    return 1 + (n - mtu + step - 1) // step


def fragment(p, number, total, n, out, mtu=DEFAULT_MTU):
    """Write fragment `number` (1..total-1) of the sealed packet p[:n] into `out`; its length."""
    step = mtu - FRAGMENT_HEADER
    start = mtu + (number - 1) * step
    end = min(start + step, n)
    out[0:13] = p[0:13]
    out[IDX_FRAGMENT_INDICATOR] = FRAGMENT_INDICATOR
    out[IDX_FRAGMENT_NUMBERS] = total << 4 | number
    out[IDX_FRAGMENT_HOPS] = 0
    out[FRAGMENT_HEADER : FRAGMENT_HEADER + end - start] = p[start:end]
    return FRAGMENT_HEADER + end - start


class _Slot:
    """A packet that arrives: free while it has no ID."""

    id = None
    pieces = None

    def reset(self, packet_id, now):
        self.id = packet_id
        self.began = now
        self.total = 0
        self.have = 0  # bit per piece present
        self.size = 0
        self.pieces = [None] * MAX_FRAGMENTS if packet_id is not None else None
        self.origin = None


class Reassembly:
    """A ring of packets whose pieces are still arriving (VL1 4.8), keyed by packet ID.

    Bounded by the number of slots; a new packet takes the oldest slot.
    """

    def __init__(self, slots, most=MAX_PACKET):
        self.slots = [None] * slots  # made when first used
        self.most = most
        self.next = 0
        self.lost = 0

    def _slot(self, packet_id, now):
        for s in self.slots:
            if s is not None and s.id == packet_id:
                return s
        s = self.slots[self.next]
        if s is None:
            s = self.slots[self.next] = _Slot()
        self.next = (self.next + 1) % len(self.slots)
        if s.id is not None:
            self.lost += 1
        s.reset(packet_id, now)
        return s

    def head(self, now, p, origin):
        """Take the head; `origin` is kept for the caller. Returns as fragment() does."""
        return self._add(now, bytes(p[0:8]), 0, p, origin)

    def fragment(self, now, p):
        """Take a later piece. Returns (packet, origin) when complete, None if not, False if it is
        impossible or the whole would be too long.
        """
        numbers = p[IDX_FRAGMENT_NUMBERS]
        total = numbers >> 4
        number = numbers & 0x0F
        if not 2 <= total <= MAX_FRAGMENTS or not 1 <= number < MAX_FRAGMENTS:
            return False
        s = self._slot(bytes(p[0:8]), now)
        s.total = total
        return self._add(now, s.id, number, p[FRAGMENT_HEADER:], None)

    def _add(self, now, packet_id, number, data, origin):
        s = self._slot(packet_id, now)
        if not s.have >> number & 1:
            if s.size + len(data) > self.most:
                s.reset(None, None)
                return False
            s.have |= 1 << number
            s.pieces[number] = bytes(data)
            s.size += len(data)
            if number == 0:
                s.origin = origin
        if not s.total or s.have != (1 << s.total) - 1:
            return None
        whole = bytearray(s.size)
        origin = s.origin
        o = 0
        for i in range(s.total):
            piece = s.pieces[i]
            whole[o : o + len(piece)] = piece
            o += len(piece)
        s.reset(None, None)
        return whole, origin

    def expire(self, now, ms):
        """Forget packets that did not become complete within `ms`."""
        for s in self.slots:
            if s is not None and s.id is not None and elapsed(now, s.began, ms):
                s.reset(None, None)
                self.lost += 1
