# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What is kept of another member's credential once it has been verified: when it was issued, what
# it says, and a digest that knows a further copy of it. With signer and signature, and its fields
# one by one, it would take four times the memory.

from . import crypto
from .com import COM
from .credential import Things


def _stamp(c):
    """The time of a credential and 16 bytes that stand for all of it, its signature included."""
    return c.timestamp + crypto.sha512(c.pack())[:16]


class Held:
    def __init__(self, c):
        self.stamp = _stamp(c)

    @property
    def timestamp(self):
        return self.stamp[:8]

    def same(self, c):
        """Is this the credential, to the byte?"""
        return self.stamp == _stamp(c)


class HeldTag(Held):
    def __init__(self, tag):
        Held.__init__(self, tag)
        self.value = tag.value


class HeldCapability(Held):
    def __init__(self, capability):
        Held.__init__(self, capability)
        self.id = capability.id
        self.rules = capability.rules


class HeldOwnership(Things, Held):
    def __init__(self, coo):
        Held.__init__(self, coo)
        self.raw = coo.raw


class HeldCOM(Held):
    """What a controller writes into everybody's certificate follows from the member's identity:
    then `public`, the identity's own bytes, is all that is kept; else the qualifiers are.
    """

    public = None
    qualifiers = None

    def __init__(self, com, identity):
        """`identity`: the holder's, or None if it is not known."""
        Held.__init__(self, com)
        if identity is not None and com.ordinary(identity):
            self.public = identity.public
        else:
            self.qualifiers = com.signed_message()

    def com(self, nwid, identity):
        """A COM for COM.agrees(): without signature and the differences it allows others."""
        if self.public is None:
            return COM(self.qualifiers)
        if self.public != identity.public:
            return COM(b"")  # issued to another who had that address; agrees with nobody
        return COM.issue(nwid, identity, self.timestamp, 0)
