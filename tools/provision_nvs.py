# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Where tools/provision.py writes settings for an ESP32 that does not run our firmware at the
# moment: an image file of its NVS partition, or the partition itself through esptool. Each has
# facts(), set(name, value) and done(); what others keep in the partition is kept.

import os
import tempfile

import flash
import nvs_image
from flash_image import TABLE_AT, TABLE_BYTES, Unfit, partitions
from provision_targets import Failure
from zt import settings

_DATA, _NVS = 1, 2


def _whole(secret):
    return bool(secret) and secret[10:11] == b":"


class _Partition:
    """What both are; `where` names it in what the user is told."""

    def __init__(self, where, detail):
        self.where = where
        self.detail = detail
        self.others = []
        self.settings = settings.Memory()
        self.size = 0

    def __enter__(self):
        data = self._load()
        self.size = len(data)
        try:
            items = nvs_image.parse(data)
        except nvs_image.Damaged as e:
            raise Failure("%s: %s" % (self.where, e)) from None
        for item in items:
            if item.space == settings.SPACE and item.kind == "binary":
                self.settings.set(item.key, item.value)
            else:
                self.others.append(item)
        return self

    def __exit__(self, *_):
        pass

    def facts(self):
        s = self.settings
        secret, planet = s.get("identity.secret"), s.get("planet")
        whole = planet is not None and len(planet) > 9
        return {
            "address": secret[:10].decode("ascii", "replace") if _whole(secret) else None,
            "secret": bool(secret),
            "planet": planet[1:9].hex() if whole else planet and "damaged",
            "networks": s.text("networks") or "",
            "ssid": s.text("wifi.ssid") or "",
            "psk": bool(s.get("wifi.psk")),
            "hostname": s.text("hostname") or "",
            "where": self.where,
        }

    def set(self, name, value):
        self.settings.set(name, value)

    def done(self):
        names = self.settings.names()
        ours = [nvs_image.Item(settings.SPACE, n, "binary", self.settings.get(n)) for n in names]
        try:
            data = nvs_image.build(self.others + ours, self.size)
        except nvs_image.Full as e:
            raise Failure("%s: %s" % (self.where, e)) from None
        except ImportError:
            raise Failure(
                "the Python package esp-idf-nvs-partition-gen is missing; run: make setup"
            ) from None
        if sorted(nvs_image.parse(data)) != sorted(self.others + ours):
            raise Failure(
                "%s: what was made reads back otherwise; nothing is written" % self.where
            )
        self._store(data)

    def _load(self):
        raise NotImplementedError

    def _store(self, data):
        raise NotImplementedError


class NvsImage(_Partition):
    """An image file, mode 0600; made with `size` bytes where there is none."""

    def __init__(self, path, size, detail):
        _Partition.__init__(self, path, detail)
        self.path = path
        self.new = size

    def _load(self):
        try:
            with open(self.path, "rb") as f:
                return f.read()
        except FileNotFoundError:
            return b"\xff" * self.new
        except OSError as e:
            raise Failure("%s: %s" % (self.path, e.strerror)) from None

    def _store(self, data):
        folder = os.path.dirname(os.path.abspath(self.path))
        work = None
        try:
            fd, work = tempfile.mkstemp(".part", os.path.basename(self.path), folder)  # 0600
            with os.fdopen(fd, "wb") as f:
                f.write(data)
            os.replace(work, self.path)
        except OSError as e:
            if work is not None and os.path.exists(work):
                os.remove(work)
            raise Failure("%s: %s" % (self.path, e.strerror)) from None


class NvsFlash(_Partition):
    """The partition of the board at a serial port, by esptool: it need not run MicroPython."""

    def __init__(self, port, command, detail, baud=460800):
        _Partition.__init__(self, "the board", detail)
        try:
            self.tool = flash.Esptool(flash.esptool_command(command), port, baud)
        except flash.Failure as e:
            raise Failure(str(e)) from None
        self.offset = None

    def _run(self, *words):
        try:
            self.tool.run(*words)
        except flash.Failure as e:
            raise Failure(str(e)) from None

    def _read(self, offset, size):
        with tempfile.TemporaryDirectory() as folder:  # 0700
            path = os.path.join(folder, "part.bin")
            self._run("read_flash", hex(offset), hex(size), path)
            with open(path, "rb") as f:
                return f.read()

    def _load(self):
        self.detail("reading the partition table")
        try:
            table = partitions(self._read(TABLE_AT, TABLE_BYTES))
        except Unfit as e:
            raise Failure("the board: %s; flash the firmware first (make flash)" % e) from None
        found = [p for p in table if (p.type, p.subtype) == (_DATA, _NVS)]
        if not found:
            raise Failure("the board: its partition table has no nvs partition")
        self.offset = found[0].offset
        self.detail("reading %d KB at %#x" % (found[0].size // 1024, self.offset))
        return self._read(self.offset, found[0].size)

    def _store(self, data):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "nvs.bin")
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as f:
                f.write(data)
            self.detail("writing it")
            self._run("write_flash", hex(self.offset), path)
