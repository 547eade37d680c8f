# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What is in a firmware.bin of MicroPython's ESP32 port: bootloader, partition table and
# application in one piece. Checks each part's own sums, and whether all of it fits a chip and its
# flash; says which parts to write where, so that the settings between them stay. Knows Espressif's
# image formats; talks to nobody.

import hashlib
import struct

CHIPS = {
    0: "ESP32",
    2: "ESP32-S2",
    5: "ESP32-C3",
    9: "ESP32-S3",
    12: "ESP32-C2",
    13: "ESP32-C6",
    16: "ESP32-H2",
}
_BOOTLOADER_AT = {"ESP32": 0x1000, "ESP32-S2": 0x1000}  # the others: 0
TABLE_AT = 0x8000
TABLE_BYTES = 0xC00
_MAGIC = 0xE9
_ENTRY = b"\xaa\x50"
_MD5 = b"\xeb\xeb"
_APP, _DATA = 0, 1
_OTADATA, _NVS = 0, 2


class Unfit(Exception):
    """The image is damaged or not for this board; the text says why."""


class Partition:
    def __init__(self, raw):
        fields = struct.unpack("<2sBBII16sI", raw)
        self.type, self.subtype, self.offset, self.size = fields[1:5]
        self.name = fields[5].rstrip(b"\0").decode("ascii", "replace")

    @property
    def end(self):
        return self.offset + self.size


def partitions(table):
    """The entries of a partition table; Unfit if it is none or its checksum is wrong."""
    found = []
    for at in range(0, len(table) - 31, 32):
        entry = table[at : at + 32]
        if entry[:2] == _ENTRY:
            found.append(Partition(entry))
        elif entry[:2] == _MD5:
            if hashlib.md5(table[:at]).digest() != entry[16:]:
                raise Unfit("the partition table is damaged (checksum)")
            break
        else:
            break
    if not found:
        raise Unfit("there is no partition table")
    return found


class Part:
    """A bootable image within the file: bootloader or application."""

    def __init__(self, data, at, what):
        """`data` begins where the image does; Unfit if it is damaged."""
        if len(data) < 24 or data[0] != _MAGIC:
            raise Unfit("the %s is missing" % what)
        self.at = at
        self.chip_id = data[12] | data[13] << 8
        self.flash_code = data[3] >> 4
        o = 24
        total = 0xEF
        for _ in range(data[1]):
            if o + 8 > len(data):
                raise Unfit("the %s is cut short" % what)
            size = struct.unpack_from("<I", data, o + 4)[0]
            o += 8
            if size > len(data) - o:
                raise Unfit("the %s is cut short" % what)
            for b in data[o : o + size]:
                total ^= b
            o += size
        o += 16 - o % 16  # padding, and the checksum in its last byte
        if o > len(data) or data[o - 1] != total:
            raise Unfit("the %s is damaged (checksum)" % what)
        if data[23]:
            if hashlib.sha256(data[:o]).digest() != data[o : o + 32]:
                raise Unfit("the %s is damaged (SHA-256)" % what)
            o += 32
        self.data = data[:o]


class Firmware:
    """A whole firmware.bin: `chip`, `flash_bytes` it needs, `parts` [(offset, bytes)] to write."""

    def __init__(self, data):
        if len(data) < 24 or data[0] != _MAGIC:
            raise Unfit("this is no firmware image of an ESP32 (first byte is not 0xe9)")
        chip_id = data[12] | data[13] << 8
        self.chip = CHIPS.get(chip_id)
        if self.chip is None:
            raise Unfit("the image is for a chip not known here (id %d)" % chip_id)
        start = _BOOTLOADER_AT.get(self.chip, 0)
        table = data[TABLE_AT - start : TABLE_AT - start + TABLE_BYTES]
        if table[:2] != _ENTRY:
            raise Unfit("this is an application alone; take the firmware.bin beside it")
        self.partitions = partitions(table)
        boot = Part(data[: TABLE_AT - start], start, "bootloader")
        app = self._find(_APP)
        if app is None:
            raise Unfit("the partition table has no place for an application")
        image = Part(data[app.offset - start :], app.offset, "application")
        if image.chip_id != chip_id:
            raise Unfit("bootloader and application are for different chips")
        if len(image.data) > app.size:
            raise Unfit(
                "the application has %d bytes, its partition %s only %d"
                % (len(image.data), app.name, app.size)
            )
        self._check_layout(start + len(boot.data))
        self.app = app
        self.app_bytes = len(image.data)
        # What the bootloader believes the flash to have: it refuses to start on less.
        believed = 1 << (20 + min(boot.flash_code, 7))
        self.flash_bytes = max(believed, max(p.end for p in self.partitions))
        self.nvs = self._find(_DATA, _NVS)
        self.parts = [(start, boot.data), (TABLE_AT, table.rstrip(b"\xff") + b"\xff" * 32)]
        ota = self._find(_DATA, _OTADATA)
        if ota is not None:
            self.parts.append((ota.offset, b"\xff" * ota.size))  # start the first application
        self.parts.append((app.offset, image.data))

    def _find(self, type_, subtype=None):
        for p in self.partitions:
            if p.type == type_ and subtype in (None, p.subtype):
                return p
        return None

    def _check_layout(self, boot_end):
        end = TABLE_AT + 0x1000
        if boot_end > TABLE_AT:
            raise Unfit("the bootloader reaches into the partition table")
        for p in sorted(self.partitions, key=lambda p: p.offset):
            if p.offset < end:
                raise Unfit("the partition %s overlaps what is before it" % p.name)
            end = p.end

    def check(self, chip, flash_bytes):
        """Unfit unless it is for this chip and this much flash."""
        if chip != self.chip:
            raise Unfit("the image is for an %s, the board has an %s" % (self.chip, chip))
        if self.flash_bytes > flash_bytes:
            raise Unfit(
                "the image wants %d MB of flash, the board has %g MB; build it for the smaller one"
                % (self.flash_bytes >> 20, flash_bytes / (1 << 20))
            )

    def keeps_settings(self, table):
        """Does the nvs partition of this image lie where it does in the board's present table?
        None if the board has no table, so nothing to lose."""
        try:
            old = [p for p in partitions(table) if (p.type, p.subtype) == (_DATA, _NVS)]
        except Unfit:
            return None
        if not old:
            return None
        return self.nvs is not None and [(p.offset, p.size) for p in old] == [
            (self.nvs.offset, self.nvs.size)
        ]
