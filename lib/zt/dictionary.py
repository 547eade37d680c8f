# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The `key=value` text that network configurations and requests are made of (VL2 3.1). Knows the
# escapes and the number forms, not a single key.

from ._compat import be64, hexs

_MAX64 = 0xFFFFFFFFFFFFFFFF
_ESCAPED = ((b"\\", b"\\\\"), (b"\0", b"\\0"), (b"\r", b"\\r"), (b"\n", b"\\n"), (b"=", b"\\e"))
_MEANING = {0x30: 0, 0x72: 13, 0x6E: 10, 0x65: 61}  # 0 r n e; any other byte means itself
_HEX = b"0123456789abcdefABCDEF"


def escape(b):
    """A value as it stands in the text."""
    b = bytes(b)
    for plain, escaped in _ESCAPED:
        b = b.replace(plain, escaped)
    return b


def unescape(b):
    """The value behind its text; a backslash at the very end means nothing."""
    b = bytes(b)
    i = b.find(b"\\")
    if i < 0:
        return b
    out = bytearray()
    start = 0
    while 0 <= i < len(b) - 1:
        out.extend(b[start:i])
        c = b[i + 1]
        out.append(_MEANING.get(c, c))
        start = i + 2
        i = b.find(b"\\", start)
    out.extend(b[start:] if i < 0 else b[start:i])
    return bytes(out)


def hex64(n):
    """Value of a 64-bit number, given as int or as 8 bytes."""
    return hexs(be64(n) if isinstance(n, int) else n).encode()


def hex40(address):
    return hexs(address).encode()


def encode(pairs):
    """The text of (key str, value bytes) pairs, in their order."""
    return b"\n".join([key.encode() + b"=" + escape(value) for key, value in pairs])


def number(value):
    """An unsigned 64-bit number as C's strtoull reads it in base 16: what cannot be read is 0."""
    i = 0
    n = len(value)
    while i < n and (value[i] == 32 or 9 <= value[i] <= 13):
        i += 1
    negative = i < n and value[i] == 0x2D
    if negative or (i < n and value[i] == 0x2B):
        i += 1
    if i + 2 < n and value[i] == 0x30 and value[i + 1] | 0x20 == 0x78 and value[i + 2] in _HEX:
        i += 2
    while i < n and value[i] == 0x30:
        i += 1
    total = 0
    start = i
    while i < n and value[i] in _HEX:
        if i - start == 16:
            return _MAX64  # overflow, of either sign
        c = value[i]
        total = total << 4 | (c - 48 if c < 58 else (c | 0x20) - 87)
        i += 1
    return (-total if negative else total) & _MAX64


class Dictionary:
    """Look-ups in a dictionary text. Every look-up scans it; nothing is built up front."""

    def __init__(self, data):
        data = bytes(data)
        end = data.find(b"\0")
        self._data = data if end < 0 else data[:end]

    def get(self, key):
        """The value of the first line with that key, or None."""
        data = self._data
        needle = key.encode() + b"="
        i = data.find(needle)
        # Only a key at the start of a line counts; CR ends a line as LF does.
        while i > 0 and data[i - 1] != 10 and data[i - 1] != 13:
            i = data.find(needle, i + 1)
        if i < 0:
            return None
        start = i + len(needle)
        end = data.find(b"\n", start)
        if end < 0:
            end = len(data)
        cr = data.find(b"\r", start, end)
        return unescape(data[start : end if cr < 0 else cr])

    def uint(self, key, default=0):
        """A number of up to 64 bits; an empty value is an absent one."""
        value = self.get(key)
        return number(value) if value else default

    def u64(self, key):
        """A number as 8 bytes, or None if absent."""
        value = self.get(key)
        return be64(number(value)) if value else None

    def boolean(self, key, default=False):
        value = self.get(key)
        return value[0] in b"1tT" if value else default
