# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The contents of an NVS partition, the key-value store of Espressif's chips: read here, after the
# format's description in ESP-IDF's documentation; made by Espressif's own package. Knows nothing
# of what the values mean.

import io
import struct
import zlib
from collections import namedtuple

PAGE = 4096
LEAST = 3 * PAGE  # two to write to and one to move to

_HEAD, _BITMAP, _ENTRY, _ENTRIES = 32, 32, 32, 126
_UNUSED, _CORRUPT = 0xFFFFFFFF, 0
_STATES = (0xFFFFFFFE, 0xFFFFFFFC, 0xFFFFFFF8)  # active, full, being freed
_WRITTEN = 2  # of the two bits each entry has in the bitmap
_VERSION = 0xFE  # the library's name for the format with blobs of several pieces
_NUMBERS = {1: "B", 2: "H", 4: "I", 8: "Q", 0x11: "b", 0x12: "h", 0x14: "i", 0x18: "q"}
_NAMES = {"B": "u8", "H": "u16", "I": "u32", "Q": "u64", "b": "i8", "h": "i16", "i": "i32", "q": "i64"}  # fmt: skip # noqa: E501
_STRING, _BLOB, _PIECE, _INDEX = 0x21, 0x41, 0x42, 0x48

# `kind`: "u8" to "i64" with a number, "string" with a str, "binary" with bytes.
Item = namedtuple("Item", "space key kind value")


class Damaged(Exception):
    """It is no NVS partition, or parts of it are not as they were written."""


class Full(Exception):
    """The items need more room than the partition has."""


def _crc(data):
    return zlib.crc32(data, 0xFFFFFFFF) & 0xFFFFFFFF


class _Entry:
    def __init__(self, raw, more):
        self.space, self.kind, self.span, self.chunk, crc = struct.unpack_from("<BBBBI", raw)
        if _crc(raw[:4] + raw[8:]) != crc:
            raise Damaged("an entry's checksum is wrong; is the partition encrypted?")
        self.key = raw[8:24].split(b"\0")[0].decode("ascii", "replace")
        self.raw = raw[24:]
        if self.kind in (_STRING, _BLOB, _PIECE):
            size, crc = struct.unpack("<H2xI", self.raw)
            self.value = more[:size]
            if len(self.value) != size or _crc(self.value) != crc:
                raise Damaged("%s: the value's checksum is wrong" % self.key)
        elif self.kind == _INDEX:
            self.value = struct.unpack("<IBB2x", self.raw)  # bytes, pieces, number of the first
        elif self.kind in _NUMBERS:
            self.value = struct.unpack_from("<" + _NUMBERS[self.kind], self.raw)[0]
        else:
            raise Damaged("%s: an unknown type of value, %d" % (self.key, self.kind))


def _pages(data):
    """The pages in use, in the order they were begun."""
    found = []
    for at in range(0, len(data), PAGE):
        page = data[at : at + PAGE]
        state, number = struct.unpack_from("<II", page)
        if state in (_UNUSED, _CORRUPT):
            continue
        if state not in _STATES or _crc(page[4:28]) != struct.unpack_from("<I", page, 28)[0]:
            raise Damaged("a page's head is wrong")
        found.append((number, page))
    return [page for _, page in sorted(found)]


def _entries(page):
    bits = int.from_bytes(page[_HEAD : _HEAD + _BITMAP], "little")
    i = 0
    while i < _ENTRIES:
        span = 1
        if bits >> 2 * i & 3 == _WRITTEN:
            at = _HEAD + _BITMAP + i * _ENTRY
            span = page[at + 2]
            if not 1 <= span <= _ENTRIES - i:
                raise Damaged("an entry reaches beyond its page")
            yield _Entry(page[at : at + _ENTRY], page[at + _ENTRY : at + span * _ENTRY])
        i += span


def parse(data):
    """The items of a partition; Damaged if it cannot be one. What was erased is not among them,
    of what was written twice the later counts."""
    if len(data) % PAGE or len(data) < LEAST:
        raise Damaged("%d bytes are no NVS partition" % len(data))
    spaces, values, pieces = {}, {}, {}
    for page in _pages(data):
        for e in _entries(page):
            if e.space == 0:
                spaces[e.value] = e.key
            elif e.kind == _PIECE:
                pieces[e.space, e.key, e.chunk] = e.value
            else:
                values[e.space, e.key] = e
    found = []
    for (space, key), e in values.items():
        if space not in spaces:
            raise Damaged("%s: its namespace is missing" % key)
        if e.kind == _INDEX:
            size, count, first = e.value
            parts = [pieces.get((space, key, first + i)) for i in range(count)]
            if None in parts or sum(map(len, parts)) != size:
                raise Damaged("%s: parts of the value are missing" % key)
            item = ("binary", b"".join(parts))
        elif e.kind == _BLOB:
            item = ("binary", e.value)
        elif e.kind == _STRING:
            item = ("string", e.value.split(b"\0")[0].decode("utf-8", "replace"))
        else:
            item = (_NAMES[_NUMBERS[e.kind]], e.value)
        found.append(Item(spaces[space], key, *item))
    return found


def build(items, size):
    """A partition of `size` bytes with these items; Full if they do not fit."""
    from esp_idf_nvs_partition_gen import nvs_partition_gen as gen

    out = io.BytesIO()
    try:
        # The last page stays empty: the chip moves what it rewrites to it.
        with gen.nvs_open(out, size - PAGE, version=_VERSION) as nvs:
            for space in sorted({i.space for i in items}):
                gen.write_entry(nvs, space, "namespace", "", "")
                for i in items:
                    if i.space == space:
                        nvs.write_entry(i.key, i.value, i.kind)
    except gen.InsufficientSizeError:
        raise Full("the settings do not fit into %d KiB" % (size // 1024)) from None
    return out.getvalue()
