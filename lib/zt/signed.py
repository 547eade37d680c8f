# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What all credentials share: the verdicts, the brackets of a signed message, the signature field,
# and the rule that only the controller of the network signs (VL2 5). Single credentials are in
# com, capability and credential.

from ._compat import const, u16

OK = const(0)
BAD = const(1)
UNKNOWN_SIGNER = const(2)

TYPE_COM = const(1)
TYPE_CAPABILITY = const(2)
TYPE_TAG = const(3)
TYPE_COO = const(4)
TYPE_REVOCATION = const(6)

NOBODY = b"\0\0\0\0\0"
_BRACKET = b"\x7f" * 8
_SIGNATURE_HEAD = b"\x01\x00\x60"
_EMPTY = bytes(96)


def need(buf, off, n):
    """Raise unless buf[off:off + n] is all there."""
    if off + n > len(buf):
        raise ValueError("credential cut short")


def field(value, n):
    """`value` as bytes if it is `n` long; else the caller's mistake."""
    if len(value) != n:
        raise ValueError("credential: wrong field length")
    return bytes(value)


def read_signature(buf, off):
    """(96 bytes, or None for a kind of signature we do not know; next offset)."""
    need(buf, off, 3)
    n = u16(buf, off + 1)
    nxt = off + 3 + n
    need(buf, off, 3 + n)
    if buf[off] != 1:
        return None, nxt
    if n != 96:
        raise ValueError("credential: bad signature length")
    return bytes(buf[off + 3 : nxt]), nxt


def pack_signature(signature):
    """A signature we do not hold is written as zeros: it will not verify, the form is kept."""
    return _SIGNATURE_HEAD + (signature or _EMPTY)


def skip_extra(buf, off):
    """The offset after a u16 length and that many bytes, which no version uses yet."""
    need(buf, off, 2)
    n = u16(buf, off)
    need(buf, off, 2 + n)
    return off + 2 + n


def bracket(body):
    """A body as it is signed."""
    return _BRACKET + body + _BRACKET


class Signed:
    """Base of tag, certificate of ownership and revocation: fields, then one signature.

    A subclass sets `nwid`, `timestamp`, `issued_to`, `id` and offers `_fields()`, the bytes before
    the signer's address, and `_after()`, those behind it. `unknown` names the signer whose
    identity was missing at the last verify().
    """

    signed_by = NOBODY
    signature = None
    unknown = None

    def _after(self):
        return b""

    def pack(self):
        return (
            self._fields()
            + self.signed_by
            + self._after()
            + pack_signature(self.signature)
            + b"\0\0"
        )

    def signed_message(self):
        return bracket(self._fields() + self.signed_by + self._after() + b"\0\0")

    def sign(self, identity):
        """Sign as the controller."""
        self.signed_by = identity.address
        self.signature = identity.sign(self.signed_message())

    def verify(self, identity_of):
        """OK, BAD or UNKNOWN_SIGNER; identity_of(address) gives an Identity or None."""
        self.unknown = None
        if self.signature is None or self.signed_by != self.nwid[:5]:
            return BAD
        signer = identity_of(self.signed_by)
        if signer is None:
            self.unknown = self.signed_by
            return UNKNOWN_SIGNER
        return OK if signer.verify(self.signed_message(), self.signature) else BAD

    def __eq__(self, other):
        return type(self) is type(other) and self.pack() == other.pack()

    def __hash__(self):
        return hash(self.pack())
