# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Opens datagrams for the tests with keys they hold: authenticate, decrypt, unmask a HELLO,
# decompress. Uses the crypto and packet codecs of lib/zt as the node does.

from zt import const, crypto, packet

SUITES = getattr(crypto, "SUITES", (0, 1))
MAX_PLAIN = 10000


class Rejected(ValueError):
    pass


def opened(session, datagram, n=None):
    """The clear bytes 27.. of a whole packet: verb byte without its flag, then the decompressed
    payload.
    """
    buf = bytearray(datagram)
    if not crypto.open(session, buf, len(buf)):
        raise Rejected("not authentic")
    if packet.suite(buf) == 0 and buf[packet.IDX_VERB] & 0x1F == const.VERB_HELLO:
        return bytes(buf[packet.IDX_VERB :])
    return decompressed(bytes(buf[packet.IDX_VERB :]))


def decompressed(clear):
    """Clear bytes 27.. with a compressed payload, if it is one, replaced by its content."""
    if not clear[0] & packet.FLAG_COMPRESSED:
        return clear
    if len(clear) == 1:
        return bytes([clear[0] & 0x1F])
    out = bytearray(MAX_PLAIN)
    n = crypto.lz4_decompress(clear[1:], out)
    if n < 1:
        raise Rejected("not a LZ4 block")
    return bytes([clear[0] & 0x1F]) + bytes(out[:n])


def unmasked(session, datagram, clear, tail):
    """The clear bytes 27.. of a HELLO with its end unmasked from packet offset `tail` on."""
    buf = bytearray(datagram[: packet.IDX_VERB]) + bytearray(clear)
    crypto.hello_mask(session, buf, tail, len(buf))
    return bytes(buf[packet.IDX_VERB :])


def hello_tail(clear):
    """Where the masked end of a HELLO begins: after identity, address and planet."""
    from zt import inet
    from zt.identity import Identity

    base = packet.IDX_VERB
    end = Identity.unpack(clear, 41 - base)[1]
    if end < len(clear):
        end = inet.unpack(clear, end)[1]
    return min(end + 16, len(clear)) + base


def sealed(session, packet_id, dest, source, flags, clear, suite):
    """A datagram from clear bytes 27..; `flags` is FLAG_FRAGMENTED or 0."""
    buf = bytearray(packet_id + dest + source + bytes([flags]) + bytes(8) + clear)
    crypto.seal(session, buf, len(buf), suite)
    return bytes(buf)


class Joiner:
    """Puts the pieces of fragmented packets together."""

    def __init__(self):
        self.ring = packet.Reassembly(64)

    def add(self, datagram):
        """A whole packet, or None while pieces are missing."""
        if packet.is_fragment(datagram):
            done = self.ring.fragment(0, datagram)
        elif datagram[packet.IDX_FLAGS] & packet.FLAG_FRAGMENTED:
            done = self.ring.head(0, datagram, None)
        else:
            return bytes(datagram)
        if done is False:
            raise Rejected("impossible fragment")
        return bytes(done[0]) if done else None
