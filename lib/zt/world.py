# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Worlds: planets and moons, the signed lists of roots (VL1 6). Reads, writes, signs and compares
# them. Which world is trusted for what, and where it is kept, is decided elsewhere.

from . import crypto, inet
from ._compat import const, u16
from .identity import Identity

PLANET = const(1)
MOON = const(127)

# VL1 6.1
MAX_ROOTS = const(4)
MAX_ENDPOINTS = const(32)
MAX_BYTES = const(8480)
_HEAD = const(178)
_SIGNATURE = const(81)

_BEGIN = b"\x7f" * 8
_END = b"\xf7" * 8


class World:
    """`type` PLANET or MOON, `id` and `timestamp` 8 bytes, `update_key` 64 bytes (signs the next
    version), `signature` 96 bytes, `roots` list of (Identity, list of (ip, port)).
    """

    def __init__(self, type, id, timestamp, update_key, roots, signature=bytes(96)):
        if type != PLANET and type != MOON:
            raise ValueError("world: unknown type")
        if len(id) != 8 or len(timestamp) != 8 or len(update_key) != 64 or len(signature) != 96:
            raise ValueError("world: wrong field length")
        if len(roots) > MAX_ROOTS:
            raise ValueError("world: too many roots")
        for root in roots:
            if len(root[1]) > MAX_ENDPOINTS:
                raise ValueError("world: too many endpoints of a root")
        self.type = type
        self.id = bytes(id)
        self.timestamp = bytes(timestamp)
        self.update_key = bytes(update_key)
        self.signature = bytes(signature)
        self.roots = roots

    @staticmethod
    def unpack(buf, off=0):
        """(World, next offset). The signature is not checked."""
        end = len(buf)
        if off + _HEAD > end:
            raise ValueError("world cut short")
        kind = buf[off]
        if kind != PLANET and kind != MOON:
            raise ValueError("world: unknown type")
        count = buf[off + 177]
        if count > MAX_ROOTS:
            raise ValueError("world: too many roots")
        p = off + _HEAD
        roots = []
        for _ in range(count):
            identity, p = Identity.unpack(buf, p)
            if identity.private:
                raise ValueError("world: a root with its secret key")
            if p >= end:
                raise ValueError("world cut short")
            n = buf[p]
            p += 1
            if n > MAX_ENDPOINTS:
                raise ValueError("world: too many endpoints of a root")
            endpoints = []
            for _ in range(n):
                remote, p = inet.unpack(buf, p)
                # Nothing writes these; they would be lost when the world is written again.
                if remote is None:
                    raise ValueError("world: a root with an empty endpoint")
                endpoints.append(remote)
            roots.append((identity, endpoints))
        if kind == MOON:
            # A dictionary may follow; it is not read and not part of what is signed today.
            if p + 2 > end or p + 2 + u16(buf, p) > end:
                raise ValueError("world cut short")
            p += 2 + u16(buf, p)
        return World(
            kind,
            buf[off + 1 : off + 9],
            buf[off + 9 : off + 17],
            buf[off + 17 : off + 81],
            roots,
            buf[off + _SIGNATURE : off + 177],
        ), p

    def _body(self):
        out = bytearray((len(self.roots),))
        for identity, endpoints in self.roots:
            out.extend(identity.pack())
            out.append(len(endpoints))
            for ip, port in endpoints:
                out.extend(inet.pack(ip, port))
        if self.type == MOON:
            out.extend(b"\0\0")
        return bytes(out)

    def _head(self):
        return bytes((self.type,)) + self.id + self.timestamp + self.update_key

    def pack(self):
        """The bytes of a planet or moon file."""
        return self._head() + self.signature + self._body()

    def signed_message(self):
        return _BEGIN + self._head() + self._body() + _END

    def verify_with(self, key):
        """Does the signature verify under that 64-byte public key?"""
        return crypto.verify(key, self.signed_message(), self.signature)

    def replaces(self, current):
        """May this world take the place of `current` (VL1 6.3, rule 3)?"""
        return (
            self.type == current.type
            and self.id == current.id
            and self.timestamp > current.timestamp
            and self.verify_with(current.update_key)
        )

    @staticmethod
    def make(type, id, timestamp, signing_private, update_key, roots):
        """A new world, signed with a 64-byte private key; `roots` keep their order."""
        w = World(type, id, timestamp, update_key, roots)
        public = crypto.public_key(signing_private)
        w.signature = crypto.sign(signing_private, public, w.signed_message())
        return w


# The world of the public internet, "Earth" (VL1 6.7).
DEFAULT_PLANET = (
    b"\x01\x00\x00\x00\x00\x08\xea\xc9\x0a\x00\x00\x01\x7e\xe9\x57\x60\xcd\xb8\xb3\x88\xa4\x69"
    b"\x22\x14\x91\xaa\x9a\xcd\x66\xcc\x76\x4c\xde\xfd\x56\x03\x9f\x10\x67\xae\x15\xe6\x9c\x6f"
    b"\xb4\x2d\x7b\x55\x33\x0e\x3f\xda\xac\x52\x9c\x07\x92\xfd\x73\x40\xa6\xaa\x21\xab\xa8\xa4"
    b"\x89\xfd\xae\xa4\x4a\x39\xbf\x2d\x00\x65\x9a\xc9\xc8\x18\xeb\x36\x00\x92\x76\x37\xef\x4d"
    b"\x14\x04\xa4\x4d\x54\x46\x84\x85\x13\x79\x75\x1f\xaa\x79\xb4\xc4\xea\x85\x04\x01\x75\xea"
    b"\x06\x58\x60\x48\x24\x02\xe1\xeb\x34\x20\x52\x00\x0e\x62\x90\x06\x1a\x9b\xe0\xcd\x29\x3c"
    b"\x8b\x55\xf1\xc3\xd2\x52\x48\x08\xaf\xc5\x49\x22\x08\x0e\x35\x39\xa7\x5a\xdd\xc3\xce\xf0"
    b"\xf6\xad\x26\x0d\x58\x82\x93\xbb\x77\x86\xe7\x1e\xfa\x4b\x90\x57\xda\xd9\x86\x7a\xfe\x12"
    b"\xdd\x04\xca\xfe\x9e\xfe\xb9\x00\xcc\xde\xf7\x6b\xc7\xb9\x7d\xed\x90\x4e\xab\xc5\xdf\x09"
    b"\x88\x6d\x9c\x15\x14\xa6\x10\x03\x6c\xb9\x13\x9c\xc2\x14\x00\x1a\x29\x58\x97\x8e\xfc\xec"
    b"\x15\x71\x2d\xd3\x94\x8c\x6e\x6b\x3a\x8e\x89\x3d\xf0\x1f\xf4\x93\xd1\xf8\xd9\x80\x6a\x86"
    b"\x0c\x54\x20\x57\x1b\xf0\x00\x02\x04\x68\xc2\x08\x86\x27\x09\x06\x26\x05\x98\x80\x02\x00"
    b"\x12\x00\x00\x30\x05\x71\x0e\x34\x00\x51\x27\x09\x77\x8c\xde\x71\x90\x00\x3f\x66\x81\xa9"
    b"\x9e\x5a\xd1\x89\x5e\x9f\xba\x33\xe6\x21\x2d\x44\x54\xe1\x68\xbc\xec\x71\x12\x10\x1b\xf0"
    b"\x00\x95\x6e\xd8\xe9\x2e\x42\x89\x2c\xb6\xf2\xec\x41\x08\x81\xa8\x4a\xb1\x9d\xa5\x0e\x12"
    b"\x87\xba\x3d\x92\x6c\x3a\x1f\x75\x5c\xcc\xf2\x99\xa1\x20\x70\x55\x00\x02\x04\x67\xc3\x67"
    b"\x42\x27\x09\x06\x26\x05\x98\x80\x04\x00\x00\xc3\x02\x54\xf2\xbc\xa1\xf7\x00\x19\x27\x09"
    b"\x62\xf8\x65\xae\x71\x00\xe2\x07\x6c\x57\xde\x87\x0e\x62\x88\xd7\xd5\xe7\x40\x44\x08\xb1"
    b"\x54\x5e\xfc\xa3\x7d\x67\xf7\x7b\x87\xe9\xe5\x41\x68\xc2\x5d\x3e\xf1\xa9\xab\xf2\x90\x5e"
    b"\xa5\xe7\x85\xc0\x1d\xff\x23\x88\x7a\xd4\x23\x2d\x95\xc7\xa8\xfd\x2c\x27\x11\x1a\x72\xbd"
    b"\x15\x93\x22\xdc\x00\x02\x04\x32\x07\xfc\x8a\x27\x09\x06\x20\x01\x49\xf0\xd0\xdb\x00\x02"
    b"\x00\x00\x00\x00\x00\x00\x00\x02\x27\x09\xca\xfe\x04\xeb\xa9\x00\x6c\x6a\x9d\x1d\xea\x55"
    b"\xc1\x61\x6b\xfe\x2a\x2b\x8f\x0f\xf9\xa8\xca\xca\xf7\x03\x74\xfb\x1f\x39\xe3\xbe\xf8\x1c"
    b"\xbf\xeb\xef\x17\xb7\x22\x82\x68\xa0\xa2\xa2\x9d\x34\x88\xc7\x52\x56\x5c\x6c\x96\x5c\xbd"
    b"\x65\x06\xec\x24\x39\x7c\xc8\xa5\xd9\xd1\x52\x85\xa8\x7f\x00\x02\x04\x54\x11\x35\x9b\x27"
    b"\x09\x06\x2a\x02\x6e\xa0\xd4\x05\x00\x00\x00\x00\x00\x00\x00\x00\x99\x93\x27\x09"
)


def check_planet(data):
    """The World of a planet's bytes; ValueError with the reason unless its signature is good: by
    its own key, or by that of the built-in planet it succeeds."""
    try:
        planet, end = World.unpack(data)
    except ValueError as e:
        raise ValueError("not a planet: %s" % e)
    if planet.type != PLANET or end != len(data):
        reason = "a moon" if end == len(data) else "bytes after its end"
        raise ValueError("not a planet: " + reason)
    if not planet.verify_with(planet.update_key):
        built_in, _ = World.unpack(DEFAULT_PLANET)
        if planet.id != built_in.id or not planet.verify_with(built_in.update_key):
            raise ValueError("wrong signature")
    return planet
