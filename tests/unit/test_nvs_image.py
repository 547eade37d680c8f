# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Espressif's package makes partitions, our reader reads them; and partitions as a chip leaves
# them, with what was erased, replaced and moved, put together here by hand.
# cpython-only: a tool of the host

import pathlib
import struct
import sys
import zlib

import pytest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "tools"))

import nvs_image  # noqa: E402
from nvs_image import Damaged, Full, Item, build, parse  # noqa: E402

SIZE = 0x4000
FULL, ACTIVE, FREEING = 0xFFFFFFFC, 0xFFFFFFFE, 0xFFFFFFF8


def crc(data):
    return zlib.crc32(data, 0xFFFFFFFF)


def entry(space, kind, key, data, more=b"", chunk=0xFF):
    """An entry with its value's bytes behind it; None for the data: that of a long value."""
    if data is None:
        data = struct.pack("<HHI", len(more), 0xFFFF, crc(more))
    more += b"\xff" * (-len(more) % 32)
    head = bytes([space, kind, 1 + len(more) // 32, chunk])
    tail = key.encode().ljust(16, b"\0") + data.ljust(8, b"\xff")
    return head + struct.pack("<I", crc(head + tail)) + tail + more


def page(number, *entries, state=ACTIVE, erased=()):
    bits = (1 << 256) - 1
    body = b""
    for i, e in enumerate(entries):
        for at in range(len(body) // 32, (len(body) + len(e)) // 32):
            bits &= ~((0b11 if i in erased else 0b01) << 2 * at)
        body += e
    head = struct.pack("<IB", number, 0xFE) + b"\xff" * 19
    head = struct.pack("<I", state) + head + struct.pack("<I", crc(head))
    return (head + bits.to_bytes(32, "little") + body).ljust(4096, b"\xff")


def partition(*pages):
    return b"".join(pages).ljust(SIZE, b"\xff")


def blob(space, key, value, first=0, pieces=1):
    size = -(-len(value) // pieces)
    out = []
    for i in range(pieces):
        part = value[i * size : (i + 1) * size]
        out.append(entry(space, 0x42, key, None, part, first + i))
    return out + [entry(space, 0x48, key, struct.pack("<IBB", len(value), pieces, first))]


SPACE = entry(0, 1, "zt", b"\1")


def test_what_is_made_is_read_again():
    items = [
        Item("zt", "planet", "binary", bytes(range(256)) * 20),
        Item("zt", "wifi.ssid", "binary", b"home"),
        Item("zt", "a.15.char.name.", "binary", b""),
        Item("nvs.net80211", "opmode", "u8", 1),
        Item("nvs.net80211", "country", "string", "AT"),
        Item("phy", "cal_mac", "i32", -5),
        Item("phy", "ver", "u64", 1 << 60),
    ]
    made = build(items, SIZE)
    assert len(made) == SIZE and made[-4096:] == b"\xff" * 4096
    assert sorted(parse(made)) == sorted(items)
    assert parse(b"\xff" * SIZE) == [] and parse(build([], SIZE)) == []


def test_values_of_every_length_cross_the_pages():
    for step in range(0, 128, 7):
        items = [
            Item("zt", "v%d" % i, "binary", bytes([i]) * (step + 61 * i)) for i in range(1, 16)
        ]
        assert sorted(parse(build(items, SIZE))) == sorted(items)


def test_what_does_not_fit_is_refused():
    with pytest.raises(Full, match="16 KiB"):
        build([Item("zt", "v%d" % i, "binary", bytes(4000)) for i in range(3)], SIZE)


def test_what_a_chip_erased_replaced_and_moved():
    old, new = blob(1, "planet", b"old" * 30), blob(1, "planet", b"new" * 50, 128, 2)
    # Replaced on a later page while the power failed: both are there, the later counts.
    found = parse(partition(page(8, *new), page(7, SPACE, *old, state=FULL)))
    assert found == [Item("zt", "planet", "binary", b"new" * 50)]
    found = parse(partition(page(7, SPACE, *old, *new, erased=(1, 2))))
    assert found == [Item("zt", "planet", "binary", b"new" * 50)]
    # Moved from a page that is being freed, which still has it.
    found = parse(partition(page(3, SPACE, *old, state=FREEING), page(4, SPACE, *old)))
    assert found == [Item("zt", "planet", "binary", b"old" * 30)]
    # An older format, a blob in one piece; a namespace without values; a page given up.
    single = entry(1, 0x41, "k", None, b"value")
    found = parse(partition(page(1, SPACE, entry(0, 1, "x", b"\2"), single), page(0, state=0)))
    assert found == [Item("zt", "k", "binary", b"value")]


def test_each_damage_is_seen():
    whole = partition(page(0, SPACE, *blob(1, "planet", b"value" * 20)))
    assert len(parse(whole)) == 1
    # Every byte of page head and entries but what is unused and what pads a value.
    padding = range(64 + 64 + 100, 64 + 64 + 128)
    for at in list(range(0, 32)) + [i for i in range(64, 64 + 6 * 32) if i not in padding]:
        bad = whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :]
        with pytest.raises(Damaged):
            parse(bad)
    for pages in (
        page(0, *blob(1, "planet", b"value")),  # no namespace
        page(0, SPACE, *blob(1, "planet", b"value" * 20, pieces=2)[1:]),  # a piece is missing
        page(0, SPACE, entry(1, 0x77, "k", b"")),
    ):
        with pytest.raises(Damaged):
            parse(partition(pages))
    for size in (0, 4096, 8192, SIZE + 1):
        with pytest.raises(Damaged):
            parse(b"\xff" * size)
    assert nvs_image.LEAST == 12288
