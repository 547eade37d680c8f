# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What the owner of a board sets once: identity, planet, networks, Wi-Fi. Values are bytes under
# short names, kept in the chip's NVS or in files that are replaced whole. Knows what may stand
# under the name `networks`; refuses to know what is inside the others, and never shows one.

import os

from . import log, osutil
from ._compat import const, hexs, unhex

# Of a board without NVS. Not "/zt": MicroPython looks in the current folder first and takes any
# folder for a package, so that one would hide the frozen package zt.
FOLDER = "/.zt"
SPACE = "zt"  # the namespace in NVS
NAMES = (
    "identity.secret",
    "identity.public",
    "planet",
    "networks",
    "wifi.ssid",
    "wifi.psk",
    "hostname",
    "ota.key",
    "ota.trial",
)
VALUE_MAX = const(10240)  # our choice: above the longest planet

_NAME_MAX = const(15)  # NVS
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.-_"
_NOT_FOUND = const(0x1102)  # ESP_ERR_NVS_*
_INVALID_LENGTH = const(0x110C)
_TMP = ".tmp"
_SECRET = const(0o600)


def _check(name):
    if not 1 <= len(name) <= _NAME_MAX or name[0] == ".":
        raise ValueError("a setting's name has 1 to 15 characters")
    for c in name:
        if c not in _LETTERS:
            raise ValueError("a setting's name has small letters, digits and .-_")
    return name


def _value(value):
    # Not a number: bytes() would make as many zeros of it.
    value = value.encode() if isinstance(value, str) else bytes(memoryview(value))
    if len(value) > VALUE_MAX:
        raise ValueError("a setting has 10240 bytes at most")
    return value


class _Settings:
    """get(name) -> bytes or None; set(name, value): bytes or str, None removes; both raise
    ValueError for a name that cannot be one, OSError when the storage fails."""

    def text(self, name):
        """The value as text, None where there is none or it is no UTF-8."""
        value = self.get(name)
        try:
            return None if value is None else str(value, "utf-8")
        except UnicodeError:
            return None

    def networks(self):
        """The joined networks: {id (8 bytes): local settings as a dictionary's bytes, or b""}.

        A line of the value is 16 hex digits and, if any were set, NAME=VALUE pairs."""
        found = {}
        for line in (self.get("networks") or b"").split(b"\n"):
            words = line.split()
            if not words:
                continue
            try:
                nwid = unhex(words[0].decode())
            except (ValueError, UnicodeError):
                nwid = b""
            if len(nwid) != 8:
                log.warn("settings", "networks: a line is skipped: no network id")
                continue
            found[nwid] = b"".join([w + b"\n" for w in words[1:]])
        return found

    def set_networks(self, networks):
        lines = []
        for nwid in sorted(networks):
            words = [hexs(nwid).encode()]
            words.extend(networks[nwid].split())
            lines.append(b" ".join(words) + b"\n")
        self.set("networks", b"".join(lines) or None)


class Memory(_Settings):  # not on boards
    """In memory only, for tests and for programs that keep their settings elsewhere."""

    def __init__(self, values=None):
        self.values = {}
        for name in values or ():
            self.set(name, values[name])

    def get(self, name):
        return self.values.get(_check(name))

    def set(self, name, value):
        if value is None:
            self.values.pop(_check(name), None)
        else:
            self.values[_check(name)] = _value(value)

    def names(self):
        return sorted(self.values)


class Files(_Settings):
    """One file per setting. A value is replaced by renaming, which littlefs and POSIX do at once:
    a power cut leaves the old or the new one."""

    def __init__(self, folder=FOLDER, save=None):
        """`save(path, data, mode)` writes a whole file, as hal.save does on a desktop."""
        self.folder = folder
        self.save = save or write_whole

    def path(self, name):
        return osutil.join(self.folder, _check(name))

    def get(self, name):
        try:
            return osutil.read_file(self.path(name))
        except OSError as e:
            if e.errno == osutil.ENOENT:
                return None
            raise

    def set(self, name, value):
        path = self.path(name)
        if value is None:
            try:
                os.remove(path)
            except OSError as e:
                if e.errno != osutil.ENOENT:
                    raise
            return
        try:
            self.save(path, _value(value), _SECRET)
        except OSError as e:
            if e.errno != osutil.ENOENT:
                raise
            osutil.makedirs(self.folder, os.mkdir)
            self.save(path, _value(value), _SECRET)

    def names(self):
        return sorted([n for n in _listed(self.folder) if _is_name(n)])


def write_whole(path, data, mode=None):
    """Write a file so that its reader sees old or new bytes whole, after a power cut too: closing
    is where littlefs commits. Boards know no modes."""
    f = open(path + _TMP, "wb")
    try:
        f.write(data)
    finally:
        f.close()
    os.rename(path + _TMP, path)


def _listed(folder):
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _is_name(name):
    try:
        return name == _check(name) and not name.endswith(_TMP)
    except ValueError:
        return False


class NVS(_Settings):
    """The chip's key-value partition: survives a new file system and a new firmware."""

    def __init__(self, space=SPACE):
        import esp32

        self._nvs = esp32.NVS(space)

    def get(self, name):
        _check(name)
        size = 256
        while True:
            buf = bytearray(size)
            try:
                return bytes(memoryview(buf)[: self._nvs.get_blob(name, buf)])
            except OSError as e:
                code = abs(e.args[0])
                if code == _NOT_FOUND:
                    return None
                # The driver does not say how much room a value wants.
                if code != _INVALID_LENGTH or size >= VALUE_MAX:
                    raise
            size = min(4 * size, VALUE_MAX)

    def set(self, name, value):
        _check(name)
        if value is None:
            try:
                self._nvs.erase_key(name)
            except OSError as e:
                if abs(e.args[0]) == _NOT_FOUND:
                    return
                raise
        else:
            self._nvs.set_blob(name, _value(value))
        self._nvs.commit()

    def names(self):
        """Those of NAMES that are set: NVS cannot be listed."""
        return sorted([n for n in NAMES if self.get(n) is not None])


def default():
    """The settings of this machine: NVS on an ESP32, files of the user on a desktop, else /.zt."""
    if hasattr(os, "getenv"):
        from . import hal

        return Files(osutil.default_home(), hal.save)
    try:
        return NVS()
    except ImportError:
        return Files()
