# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The certificate of membership (VL2 5.1): who was let into a network and when. Two members agree
# if their certificates do. Knows nothing of revocations or of who holds which certificate.

from ._compat import be16, be64, u16
from .signed import BAD, NOBODY, OK, UNKNOWN_SIGNER, field, need

MAX_QUALIFIERS = 8
_ITEM = 24  # id, value, greatest difference allowed: 8 bytes each
_TIMESTAMP = 0
_NWID = 1
_MEMBER = 2
_HASH = 3  # four qualifiers that hold the hash of the member's identity
_ANY = b"\xff" * 8


def _id(n):
    return b"\0\0\0\0\0\0\0" + bytes((n,))


class COM:
    """`nwid`, `timestamp` (8 bytes), `issued_to` (5) come from the qualifiers; zeros if those are
    missing. `id` is always 0. `unknown` names the signer whose identity was missing at the last
    verify().
    """

    id = 0
    unknown = None

    def __init__(self, qualifiers, signed_by=NOBODY, signature=None):
        """`qualifiers`: their wire bytes, 24 each, in ascending order of id."""
        n = len(qualifiers)
        if n % _ITEM or n > MAX_QUALIFIERS * _ITEM:
            raise ValueError("certificate: too many qualifiers")
        q = self._q = bytes(qualifiers)
        for i in range(_ITEM, n, _ITEM):
            if q[i : i + 8] < q[i - _ITEM : i - _ITEM + 8]:
                raise ValueError("certificate: qualifiers out of order")
        self.signed_by = bytes(signed_by)
        self.signature = signature

    @property
    def timestamp(self):
        return self.value(_id(_TIMESTAMP)) or bytes(8)

    @property
    def nwid(self):
        return self.value(_id(_NWID)) or bytes(8)

    @property
    def issued_to(self):
        return (self.value(_id(_MEMBER)) or bytes(8))[3:]

    @staticmethod
    def unpack(buf, off=0):
        """(COM, next offset). The signature is not checked."""
        need(buf, off, 3)
        if buf[off] != 1:
            raise ValueError("certificate: unknown version")
        n = u16(buf, off + 1)
        if n > MAX_QUALIFIERS:
            raise ValueError("certificate: too many qualifiers")
        off += 3
        n *= _ITEM
        need(buf, off, n + 5)
        qualifiers = buf[off : off + n]
        off += n
        signed_by = bytes(buf[off : off + 5])
        off += 5
        signature = None
        if signed_by != NOBODY:
            need(buf, off, 96)
            signature = bytes(buf[off : off + 96])
            off += 96
        return COM(qualifiers, signed_by, signature), off

    @staticmethod
    def issue(nwid, member, timestamp, window_ms):
        """A certificate for the Identity `member`, still to be signed. Members agree with it whose
        own certificate was issued within `window_ms` of it.
        """
        digest = member.hash384()
        q = _id(_TIMESTAMP) + field(timestamp, 8) + be64(window_ms)
        q += _id(_NWID) + field(nwid, 8) + bytes(8)
        q += _id(_MEMBER) + b"\0\0\0" + member.address + _ANY
        for i in range(4):
            q += _id(_HASH + i) + bytes(digest[8 * i : 8 * i + 8]) + _ANY
        return COM(q)

    def __bool__(self):
        return len(self._q) > 0

    def value(self, id8):
        """The value of a qualifier as 8 bytes, or None."""
        q = self._q
        for i in range(0, len(q), _ITEM):
            if q[i : i + 8] == id8:
                return q[i + 8 : i + 16]
        return None

    def pack(self):
        out = b"\x01" + be16(len(self._q) // _ITEM) + self._q + self.signed_by
        if self.signed_by == NOBODY:
            return out
        return out + (self.signature or bytes(96))

    def signed_message(self):
        return self._q

    def sign(self, identity):
        """Sign as the controller."""
        self.signed_by = identity.address
        self.signature = identity.sign(self._q)

    def verify(self, identity_of):
        """OK, BAD or UNKNOWN_SIGNER; identity_of(address) gives an Identity or None."""
        if self.unknown is not None:
            self.unknown = None
        if self.signature is None or self.signed_by != self.nwid[:5]:
            return BAD
        signer = identity_of(self.signed_by)
        if signer is None:
            self.unknown = self.signed_by
            return UNKNOWN_SIGNER
        return OK if signer.verify(self._q, self.signature) else BAD

    def ordinary(self, member):
        """Does it say of the Identity `member` what issue() writes? The differences allowed may be
        others.
        """
        q = self._q
        usual = COM.issue(self.nwid, member, self.timestamp, 0)._q
        if len(q) != len(usual):
            return False
        for i in range(0, len(q), _ITEM):
            if q[i : i + 16] != usual[i : i + 16]:
                return False
        return True

    def agrees(self, other, other_identity):
        """Does this certificate, mine, admit the holder of `other`? Signatures are not looked at,
        and the differences allowed are mine, so the other side may see it differently.
        """
        q = self._q
        if not q or not other:
            return False
        hashed = False
        for i in range(0, len(q), _ITEM):
            theirs = other.value(q[i : i + 8])
            if theirs is None:
                return False
            mine = q[i + 8 : i + 16]
            if mine != theirs:
                difference = int.from_bytes(mine, "big") - int.from_bytes(theirs, "big")
                if abs(difference) > int.from_bytes(q[i + 16 : i + 24], "big"):
                    return False
            if q[i : i + 7] == b"\0\0\0\0\0\0\0" and _HASH <= q[i + 7] < _HASH + 4:
                hashed = True
        if not hashed:
            return True
        digest = other_identity.hash384()
        for i in range(4):
            if other.value(_id(_HASH + i)) != digest[8 * i : 8 * i + 8]:
                return False
        return True

    def __eq__(self, other):
        return isinstance(other, COM) and self.pack() == other.pack()

    def __hash__(self):
        return hash(self._q)
