# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# How a network configuration travels: cut into signed chunks and put together again (VL2 2.4,
# 2.5). The text inside is opaque here.

from ._compat import be16, be32, const, u16, u32

MAX_CONFIG = const(484519)  # protocol, VL2 0.2
CHUNK_BYTES = const(9740)  # of text per packet, VL2 2.4
MAX_CHUNKS = const(474)
FAST_PROPAGATE = const(0x01)
_SLOTS = const(3)
_ZERO8 = bytes(8)

# What became of the last chunk, in ChunkAssembler.last.
COMPLETE = const(0)
TAKEN = const(1)
DUPLICATE = const(2)
TOO_BIG = const(3)
BAD_SIGNATURE = const(4)
NO_CONTROLLER = const(5)  # its identity is not known yet
NOT_CONTROLLER = const(6)  # an unsigned configuration from someone else
CONFUSED = const(7)  # does not fit the chunks of the same update that came before

_DROPPED = (None, False, None)


class Chunk:
    """`nwid`, `data`, `total`, `offset`, `flags`, `update_id` (8 bytes), `signature` (96),
    `signed_bytes`. `data` and `signed_bytes` are views of the buffer. A whole unsigned
    configuration of the old form has signature None, and then no update id, total or offset worth
    reading.
    """

    @staticmethod
    def unpack(buf, off=0):
        """From buf[off:]; a buffer that ends right after the text is the old, unsigned form."""
        end = len(buf)
        if off + 10 > end:
            raise ValueError("config chunk cut short")
        n = u16(buf, off + 8)
        p = off + 10 + n
        if p > end:
            raise ValueError("config chunk cut short")
        c = Chunk()
        view = memoryview(buf)
        c.nwid = bytes(buf[off : off + 8])
        c.data = view[off + 10 : p]
        c.signature = None
        c.signed_bytes = b""
        c.update_id = _ZERO8
        c.flags = c.offset = 0
        c.total = n
        if p == end:
            return c
        if p + 116 > end:
            raise ValueError("config chunk cut short")
        if buf[p + 17] != 1 or u16(buf, p + 18) != 96:
            raise ValueError("config chunk: unknown kind of signature")
        c.flags = buf[p]
        c.update_id = bytes(buf[p + 1 : p + 9])
        c.total = u32(buf, p + 9)
        c.offset = u32(buf, p + 13)
        c.signed_bytes = view[off : p + 17]
        c.signature = bytes(buf[p + 20 : p + 116])
        if c.offset + n > c.total:
            raise ValueError("config chunk: outside of its text")
        if c.update_id == _ZERO8:
            raise ValueError("config chunk: update id is zero")
        return c


def pack_chunks(identity, nwid, text, update_id, flags=0):
    """The chunks of a configuration, each the body of one packet, signed by the controller
    `identity`.
    """
    out = []
    total = be32(len(text))
    for offset in range(0, max(len(text), 1), CHUNK_BYTES):
        data = text[offset : offset + CHUNK_BYTES]
        body = (
            bytes(nwid)
            + be16(len(data))
            + data
            + bytes((flags,))
            + bytes(update_id)
            + total
            + be32(offset)
        )
        out.append(body + b"\x01\x00\x60" + identity.sign(body))
    return out


class _Slot:
    def __init__(self):
        self.reset(None, 0)

    def reset(self, update_id, total):
        self.update_id = update_id
        self.total = total
        self.have = 0
        self.seen = []  # what tells one chunk from another, 8 bytes each
        self.text = bytearray(total) if update_id else None


class ChunkAssembler:
    """Puts the chunks of up to three updates of one network together. `max_bytes`: longest text
    kept.
    """

    def __init__(self, max_bytes=MAX_CONFIG):
        self._max = min(max_bytes, MAX_CONFIG)
        self._slots = []  # up to _SLOTS
        self.last = TAKEN

    def add(self, chunk, source, packet_id, controller):
        """(update id, forward, text). `controller` is the Identity of the network's controller or
        None.

        `text` is None until an update is complete. `forward` says that the chunk is genuine and
        asks to be passed on. Who sent a signed chunk does not matter.
        """
        if chunk.total > self._max:
            return self._drop(TOO_BIG)
        if chunk.signature is None:
            if source != chunk.nwid[:5]:
                return self._drop(NOT_CONTROLLER)
            self.last = COMPLETE
            return bytes(packet_id), False, bytes(chunk.data)
        sig = chunk.signature
        mark = bytes([sig[i] ^ sig[i + 8] for i in range(8)])
        slot = self._slot(chunk.update_id)
        same = slot.update_id == chunk.update_id
        if same and mark in slot.seen:
            return self._drop(DUPLICATE)
        if controller is None:
            return self._drop(NO_CONTROLLER)
        if controller.address != chunk.nwid[:5] or not controller.verify(chunk.signed_bytes, sig):
            return self._drop(BAD_SIGNATURE)
        # Signed, so the rest is the controller's own doing; it must still not cost us more than
        # one text.
        forward = bool(chunk.flags & FAST_PROPAGATE)
        if not same:
            try:
                slot.reset(chunk.update_id, chunk.total)
            except MemoryError:
                slot.reset(None, 0)
                return self._drop(TOO_BIG)
        n = len(chunk.data)
        if slot.total != chunk.total or slot.text is None or len(slot.seen) >= MAX_CHUNKS:
            return self._drop(CONFUSED)
        slot.seen.append(mark)
        slot.text[chunk.offset : chunk.offset + n] = chunk.data
        slot.have += n
        if slot.have != slot.total:
            self.last = TAKEN
            return None, forward, None
        text = bytes(slot.text)
        slot.text = None  # the slot remembers the update, so that late copies are known as such
        self.last = COMPLETE
        return chunk.update_id, forward, text

    def _drop(self, why):
        self.last = why
        return _DROPPED

    def _slot(self, update_id):
        best = None
        for slot in self._slots:
            if slot.update_id == update_id:
                return slot
            if best is None or len(slot.seen) < len(best.seen):
                best = slot
        if (best is None or best.seen) and len(self._slots) < _SLOTS:
            best = _Slot()
            self._slots.append(best)
        return best
