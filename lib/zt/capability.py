# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The capability (VL2 5.2): rules a member may use beyond those of the network, with the chain of
# hands it went through. Keeps the rules as wire bytes and evaluates none.

from ._compat import be16, be32, u16, u32
from .rulematch import FIELDS
from .rules import validate
from .signed import (
    BAD,
    NOBODY,
    OK,
    UNKNOWN_SIGNER,
    bracket,
    field,
    need,
    pack_signature,
    read_signature,
    skip_extra,
)

MAX_RULES = 64
MAX_CUSTODY = 7
_TYPE = 0x3F


def count_rules(raw):
    n = p = 0
    while p < len(raw):
        p += 2 + raw[p + 1]
        n += 1
    return n


def canonical(raw):
    """Rules as every verifier writes them again before it checks a signature: each type with just
    the fields it has, whatever its length said (VL2 4.1).
    """
    out = bytearray()
    p = 0
    while p < len(raw):
        n = FIELDS[raw[p] & _TYPE]
        out.append(raw[p])
        out.append(n)
        out.extend(raw[p + 2 : p + 2 + n])
        p += 2 + raw[p + 1]
    return bytes(out)


class Capability:
    """`nwid`, `timestamp` (8 bytes), `id` (int), `rules` (wire bytes), `max_chain`, `custody`
    (list of (to, from, signature)), `issued_to` (the last holder). `unknown` as in Signed.
    """

    def __init__(self, nwid, timestamp, id, rules, issued_to, max_chain=1):
        self.nwid = field(nwid, 8)
        self.timestamp = field(timestamp, 8)
        self.id = id
        self.rules = bytes(rules)
        self.issued_to = field(issued_to, 5)
        if not 1 <= max_chain <= MAX_CUSTODY:
            raise ValueError("capability: bad length of custody chain")
        self.max_chain = max_chain
        self.custody = []
        self.unknown = None
        # Fields of a rule may lie behind its length but not behind all rules; then it cannot be
        # written.
        if validate(self.rules, MAX_RULES) != len(self.rules):
            raise ValueError("capability: too many rules")

    @staticmethod
    def unpack(buf, off=0):
        """(Capability, next offset). No signature is checked."""
        need(buf, off, 22)
        count = u16(buf, off + 20)
        if count > MAX_RULES:
            raise ValueError("capability: too many rules")
        start = p = off + 22
        for _ in range(count):
            need(buf, p, 2)
            need(buf, p + 2, buf[p + 1])
            p += 2 + buf[p + 1]
        need(buf, p, 1)
        cap = Capability(
            buf[off : off + 8],
            buf[off + 8 : off + 16],
            u32(buf, off + 16),
            buf[start:p],
            NOBODY,
            buf[p],
        )
        p += 1
        while True:
            need(buf, p, 5)
            to = bytes(buf[p : p + 5])
            p += 5
            if to == NOBODY:
                break
            if len(cap.custody) == cap.max_chain:
                raise ValueError("capability: custody chain too long")
            need(buf, p, 5)
            by = bytes(buf[p : p + 5])
            signature, p = read_signature(buf, p + 5)
            cap.custody.append((to, by, signature))
            cap.issued_to = to
        return cap, skip_extra(buf, p)

    def _head(self, rules):
        return (
            self.nwid
            + self.timestamp
            + be32(self.id)
            + be16(count_rules(rules))
            + rules
            + bytes((self.max_chain,))
        )

    def pack(self):
        out = self._head(self.rules)
        for to, by, signature in self.custody:
            out += to + by + pack_signature(signature)
        return out + NOBODY + b"\0\0"

    def signed_message(self):
        return bracket(self._head(canonical(self.rules)) + b"\0\0")

    def sign(self, identity):
        """Hand the capability to `issued_to`: as the controller, or as its last holder."""
        if len(self.custody) == self.max_chain:
            raise ValueError("capability: custody chain too long")
        self.custody.append(
            (self.issued_to, identity.address, identity.sign(self.signed_message()))
        )

    def verify(self, identity_of):
        """OK, BAD or UNKNOWN_SIGNER for the whole chain; identity_of(address) gives an Identity or
        None.
        """
        self.unknown = None
        if not self.custody:
            return BAD
        giver = self.nwid[:5]
        message = self.signed_message()
        for to, by, signature in self.custody:
            if by != giver or signature is None:
                return BAD
            giver = to
        for _, by, signature in self.custody:
            signer = identity_of(by)
            if signer is None:
                self.unknown = by
                return UNKNOWN_SIGNER
            if not signer.verify(message, signature):
                return BAD
        return OK

    def __eq__(self, other):
        return isinstance(other, Capability) and self.pack() == other.pack()

    def __hash__(self):
        return hash((self.nwid, self.id, self.timestamp))
