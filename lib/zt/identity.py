# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# An identity: an address, a public key pair and perhaps the private one, its text and binary
# forms, and the search that makes one. Files and where they live are not its business.

from . import crypto
from ._compat import const, hexs, unhex

PUBLIC_LEN = const(71)
SECRET_LEN = const(135)
# A digest whose first byte is below this meets the work condition (VL1 3.4).
_HASHCASH = const(17)
_ZERO5 = b"\0\0\0\0\0"
_HEX = "0123456789abcdef"
NO_MEMORY = "an identity needs 2 MiB to be made; make it on a computer with tools/provision.py"


def reserved(address):
    """True for addresses no identity may have (VL1 3.1)."""
    return address[0] == 0xFF or bytes(address) == _ZERO5


def _from_hex(s, n, reason):
    # fromhex() of both interpreters skips white space, which would make a short field look whole.
    if len(s) != 2 * n:
        raise ValueError(reason)
    s = s.lower()
    for c in s:
        if c not in _HEX:
            raise ValueError(reason)
    return unhex(s)


class Identity:
    """`address` 5 bytes, `public` 64, `private` 64 or None."""

    private = None

    def __init__(self, address, public, private=None):
        if len(address) != 5 or len(public) != 64 or (private is not None and len(private) != 64):
            raise ValueError("identity: wrong key or address length")
        # MicroPython's bytes() copies bytes as well.
        self.address = address if isinstance(address, bytes) else bytes(address)
        self.public = public if isinstance(public, bytes) else bytes(public)
        if private is not None:
            self.private = bytes(private)

    @staticmethod
    def parse(text):
        """From the text form (str, or bytes of a file). A secret that does not fit the public key
        is refused.
        """
        if not isinstance(text, str):
            try:
                text = str(text, "utf-8")
            except ValueError:
                raise ValueError("identity: not text")
        fields = text.strip().split(":")
        if not 3 <= len(fields) <= 4:
            raise ValueError("identity: needs 3 or 4 fields separated by ':'")
        if fields[1] != "0":
            raise ValueError("identity: unsupported type")
        address = _from_hex(fields[0], 5, "identity: bad address")
        if reserved(address):
            raise ValueError("identity: reserved address")
        public = _from_hex(fields[2], 64, "identity: bad public key")
        private = None
        if len(fields) == 4:
            private = _from_hex(fields[3], 64, "identity: bad secret key")
            if crypto.public_key(private) != public:
                raise ValueError("identity: secret key does not match the public key")
        return Identity(address, public, private)

    @staticmethod
    def unpack(buf, off=0):
        """(Identity, next offset) from the binary form; keys are copied, not checked against the
        address.
        """
        end = len(buf)
        if off + 71 > end:
            raise ValueError("identity cut short")
        address = bytes(buf[off : off + 5])
        if buf[off + 5] != 0:
            raise ValueError("identity: unsupported type")
        if reserved(address):
            raise ValueError("identity: reserved address")
        public = bytes(buf[off + 6 : off + 70])
        n = buf[off + 70]
        off += 71
        if n == 0:
            return Identity(address, public), off
        if n != 64:
            raise ValueError("identity: bad secret key length")
        if off + 64 > end:
            raise ValueError("identity cut short")
        return Identity(address, public, bytes(buf[off : off + 64])), off + 64

    def pack(self, secret=False):
        """The binary form; without the secret unless asked."""
        if secret:
            return self.address + b"\0" + self.public + b"\x40" + self._need_private()
        return self.address + b"\0" + self.public + b"\0"

    def text(self, secret=False):
        """The text form; without the secret unless asked."""
        s = hexs(self.address) + ":0:" + hexs(self.public)
        if secret:
            s += ":" + hexs(self._need_private())
        return s

    def _need_private(self):
        if self.private is None:
            raise ValueError("identity has no secret key")
        return self.private

    def validate(self, progress=None):
        """Does the address follow from the public key? Costs one run of the 2 MiB hash."""
        if reserved(self.address):
            return False
        digest = crypto.idhash(self.public, progress)
        return digest[0] < _HASHCASH and bytes(digest[59:64]) == self.address

    def agree(self, other):
        """The 48-byte session key shared with `other`."""
        return crypto.agree(self._need_private(), other.public)

    def sign(self, msg):
        return crypto.sign(self._need_private(), self.public, msg)

    def verify(self, msg, sig):
        return crypto.verify(self.public, msg, sig)

    def hash384(self):
        """48 bytes that stand for this identity in a certificate of membership (VL1 3.9)."""
        return crypto.sha384(self.address + self.public)

    def __eq__(self, other):
        return (
            isinstance(other, Identity)
            and self.address == other.address
            and self.public == other.public
        )

    def __hash__(self):
        return hash(self.address)

    def __repr__(self):
        # Never the keys: this ends up in logs.
        return "Identity(%s)" % hexs(self.address)


def generate(random, progress=None):
    """A new identity from `random(n) -> bytes`. The search takes about 15 hash runs; progress(runs
    done) is called now and then and may raise to give up. MemoryError with NO_MEMORY on a board
    that is too small.
    """
    if not crypto.idhash_fits():
        raise MemoryError(NO_MEMORY)
    while True:
        private, public, digest = crypto.identity_search(random(64), progress)
        address = bytes(digest[59:64])
        if not reserved(address):
            return Identity(address, public, private)
