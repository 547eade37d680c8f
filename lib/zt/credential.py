# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Credentials of a network (VL2 5): tag, certificate of ownership, revocation, and the payload that
# carries all kinds. COM and Capability live in modules of their own and are offered here too.
# Nothing here remembers a credential or judges its age.

from ._compat import be16, be32, be64, u16, u32
from .capability import Capability
from .com import COM
from .signed import (  # noqa: F401 - offered to importers of this module
    BAD,
    NOBODY,
    OK,
    TYPE_CAPABILITY,
    TYPE_COM,
    TYPE_COO,
    TYPE_REVOCATION,
    TYPE_TAG,
    UNKNOWN_SIGNER,
    Signed,
    field,
    need,
    read_signature,
    skip_extra,
)

MAX_THINGS = 16
THING_MAC = 1
THING_IPV4 = 2
THING_IPV6 = 3
REVOKE_FAST_PROPAGATE = 1

_THING = 17  # bytes of one on the wire: its type and 16


class Tag(Signed):
    def __init__(self, nwid, timestamp, id, value, issued_to):
        self.nwid = field(nwid, 8)
        self.timestamp = field(timestamp, 8)
        self.id = id
        self.value = value
        self.issued_to = field(issued_to, 5)

    @staticmethod
    def unpack(buf, off=0):
        """(Tag, next offset). The signature is not checked."""
        need(buf, off, 34)
        tag = Tag(
            buf[off : off + 8],
            buf[off + 8 : off + 16],
            u32(buf, off + 16),
            u32(buf, off + 20),
            buf[off + 24 : off + 29],
        )
        tag.signed_by = bytes(buf[off + 29 : off + 34])
        tag.signature, off = read_signature(buf, off + 34)
        return tag, skip_extra(buf, off)

    def _fields(self):
        return self.nwid + self.timestamp + be32(self.id) + be32(self.value) + self.issued_to


class Things:
    """Addresses somebody owns; `raw` has 17 bytes of each, as on the wire."""

    @property
    def things(self):
        """List of (type, 16 bytes, zero padded)."""
        raw = self.raw
        return [(raw[i], raw[i + 1 : i + _THING]) for i in range(0, len(raw), _THING)]

    def _owns(self, kind, value):
        wanted = bytes((kind,)) + value
        raw = self.raw
        for i in range(0, len(raw), _THING):
            if raw[i : i + len(wanted)] == wanted:
                return True
        return False

    def owns_ip(self, ip):
        return self._owns(THING_IPV4 if len(ip) == 4 else THING_IPV6, bytes(ip))

    def owns_mac(self, mac):
        return self._owns(THING_MAC, bytes(mac))


class Ownership(Things, Signed):
    """Certificate of ownership."""

    flags = bytes(8)

    def __init__(self, nwid, timestamp, id, things, issued_to, flags=flags):
        """`things`: list of (type, 16 bytes, zero padded), or their wire bytes."""
        self.nwid = field(nwid, 8)
        self.timestamp = field(timestamp, 8)
        if flags != self.flags:
            self.flags = field(flags, 8)
        self.id = id
        if isinstance(things, list):
            things = b"".join([bytes((kind,)) + field(value, 16) for kind, value in things])
        if len(things) > MAX_THINGS * _THING:
            raise ValueError("ownership: too many things")
        self.raw = bytes(things)
        self.issued_to = field(issued_to, 5)

    @staticmethod
    def unpack(buf, off=0):
        """(Ownership, next offset). The signature is not checked."""
        need(buf, off, 30)
        n = u16(buf, off + 28)
        if n > MAX_THINGS:
            raise ValueError("ownership: too many things")
        p = off + 30 + _THING * n
        need(buf, off + 30, _THING * n + 10)
        coo = Ownership(
            buf[off : off + 8],
            buf[off + 8 : off + 16],
            u32(buf, off + 24),
            buf[off + 30 : p],
            buf[p : p + 5],
            buf[off + 16 : off + 24],
        )
        coo.signed_by = bytes(buf[p + 5 : p + 10])
        coo.signature, p = read_signature(buf, p + 10)
        return coo, skip_extra(buf, p)

    def _fields(self):
        head = self.nwid + self.timestamp + self.flags + be32(self.id)
        return head + be16(len(self.raw) // _THING) + self.raw + self.issued_to


class Revocation(Signed):
    """Voids what `target` holds of `type` and `credential_id` with a timestamp up to `threshold`
    (8 bytes). `flags`: int. `timestamp` and `issued_to` are other names for threshold and target.
    """

    def __init__(self, id, nwid, credential_id, threshold, flags, target, type):
        self.id = id
        self.nwid = field(nwid, 8)
        self.credential_id = credential_id
        self.threshold = self.timestamp = field(threshold, 8)
        self.flags = flags
        self.target = self.issued_to = field(target, 5)
        self.type = type

    @staticmethod
    def unpack(buf, off=0):
        """(Revocation, next offset). The signature is not checked."""
        need(buf, off, 51)
        r = Revocation(
            u32(buf, off + 4),
            buf[off + 8 : off + 16],
            u32(buf, off + 20),
            buf[off + 24 : off + 32],
            int.from_bytes(buf[off + 32 : off + 40], "big"),
            buf[off + 40 : off + 45],
            buf[off + 50],
        )
        r.signed_by = bytes(buf[off + 45 : off + 50])
        r.signature, off = read_signature(buf, off + 51)
        return r, skip_extra(buf, off)

    def _fields(self):
        return (
            b"\0\0\0\0"
            + be32(self.id)
            + self.nwid
            + b"\0\0\0\0"
            + be32(self.credential_id)
            + self.threshold
            + be64(self.flags)
            + self.target
        )

    def _after(self):
        return bytes((self.type,))


def unpack_credentials(buf, off, end):
    """(coms, capabilities, tags, revocations, coos) of a NETWORK_CREDENTIALS payload buf[off:end].
    It may end after any whole section.
    """
    if end != len(buf):
        buf = memoryview(buf)[:end]
    lists = [[], [], [], [], []]
    while off < end and buf[off]:
        com, off = COM.unpack(buf, off)
        lists[0].append(com)
    off += 1
    for i, kind in ((1, Capability), (2, Tag), (3, Revocation), (4, Ownership)):
        if off >= end:
            break
        need(buf, off, 2)
        n = u16(buf, off)
        off += 2
        for _ in range(n):
            item, off = kind.unpack(buf, off)
            lists[i].append(item)
    return tuple(lists)


def pack_credentials(coms=(), capabilities=(), tags=(), revocations=(), coos=()):
    """The payload of NETWORK_CREDENTIALS; the caller sees to it that it fits a packet."""
    parts = [c.pack() for c in coms]
    parts.append(b"\0")
    for items in (capabilities, tags, revocations, coos):
        parts.append(be16(len(items)))
        for c in items:
            parts.append(c.pack())
    return b"".join(parts)


def payloads(config, room):
    """A configuration's credentials as NETWORK_CREDENTIALS payloads of `room` bytes; none if it
    has none."""
    coms = [config.com] if config.com is not None else []
    lists = [[], [], []]
    out = []
    size = 300
    for kind, items in enumerate((config.capabilities, config.tags, config.coos)):
        for c in items:
            n = len(c.pack())
            if size + n > room:
                out.append(pack_credentials(coms, lists[0], lists[1], (), lists[2]))
                coms = []
                lists = [[], [], []]
                size = 10
            lists[kind].append(c)
            size += n
    if coms or lists[0] or lists[1] or lists[2]:
        out.append(pack_credentials(coms, lists[0], lists[1], (), lists[2]))
    return out
