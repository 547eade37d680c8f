# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# A board's settings in memory, in files and in a stand-in of the ESP32's NVS.

import os
import sys

from zt import hal, log, osutil, settings
from zt._compat import unhex

A = unhex("8056c2e21c000001")
B = unhex("8056c2e21c000002")


class FakeNVS:
    """esp32.NVS as MicroPython 1.25 has it: blobs under names of 15 characters, errors negative,
    what was not committed is lost."""

    flash = {}

    def __init__(self, space):
        self.space = space
        self.cache = dict(self.flash.get(space, {}))
        self.commits = 0

    def _key(self, name):
        assert 1 <= len(name) <= 15
        return name

    def set_blob(self, name, value):
        self.cache[self._key(name)] = bytes(value)

    def get_blob(self, name, buf):
        value = self.cache.get(self._key(name))
        if value is None:
            raise OSError(-0x1102, "ESP_ERR_NVS_NOT_FOUND")
        if len(buf) < len(value):
            raise OSError(-0x110C, "ESP_ERR_NVS_INVALID_LENGTH")
        buf[: len(value)] = value
        return len(value)

    def erase_key(self, name):
        if name not in self.cache:
            raise OSError(-0x1102, "ESP_ERR_NVS_NOT_FOUND")
        del self.cache[name]

    def commit(self):
        self.flash[self.space] = dict(self.cache)


class FakeESP32:
    NVS = FakeNVS


def each(test):
    """test(open) with each backend; open() gives the settings as after a new start."""
    memory = settings.Memory()
    test(lambda: memory)
    home = osutil.temp_path(hal.random)
    for save in (None, hal.save):
        try:
            test(lambda save=save: settings.Files(home + "/deep/zt", save))
        finally:
            osutil.rmtree(home)
    FakeNVS.flash = {}
    before = sys.modules.get("esp32")
    sys.modules["esp32"] = FakeESP32
    try:
        test(settings.NVS)
    finally:
        del sys.modules["esp32"]
        if before is not None:
            sys.modules["esp32"] = before


def refused(f, *args):
    try:
        f(*args)
    except ValueError:
        return True
    return False


def test_values_of_every_length_outlive_a_start():
    def check(open):
        s = open()
        assert s.names() == [] and s.get("planet") is None
        for n in (0, 1, 255, 256, 257, 1025, 5000, 10240):
            value = bytes([i & 0xFF for i in range(n)])
            s.set("planet", value)
            assert open().get("planet") == value, n
        assert refused(s.set, "planet", bytes(10241))
        s.set("wifi.psk", "geheim")
        assert open().get("wifi.psk") == b"geheim"
        assert open().text("wifi.psk") == "geheim"
        s.set("hostname", b"\xff\xfe")
        assert open().text("hostname") is None
        assert open().names() == ["hostname", "planet", "wifi.psk"]
        for name in ("planet", "hostname", "hostname", "identity.secret"):
            s.set(name, None)
        assert open().names() == ["wifi.psk"]

    each(check)


def test_a_value_is_text_or_bytes():
    def check(open):
        s = open()
        for value in (7, True, [1, 2]):
            try:
                s.set("hostname", value)
            except TypeError:
                assert s.get("hostname") is None
            else:
                raise AssertionError(value)
        for value in ("home", b"home", bytearray(b"home"), memoryview(b"home")):
            s.set("hostname", value)
            assert s.get("hostname") == b"home"

    each(check)


def test_names_are_those_of_nvs_and_lead_nowhere_else():
    def check(open):
        s = open()
        for name in ("", "../planet", ".hidden", "a" * 16, "Planet", "a b", "a/b"):
            assert refused(s.get, name), name
            assert refused(s.set, name, b"x"), name

    each(check)
    for name in settings.NAMES:
        assert settings._check(name) == name


def test_networks_are_lines_with_their_permissions():
    def check(open):
        s = open()
        assert s.networks() == {}
        s.set_networks({B: b"", A: b"allowManaged=1\nallowDNS=1\n"})
        assert s.get("networks") == (
            b"8056c2e21c000001 allowManaged=1 allowDNS=1\n8056c2e21c000002\n"
        )
        assert open().networks() == {A: b"allowManaged=1\nallowDNS=1\n", B: b""}
        s.set_networks({})
        assert open().get("networks") is None

    each(check)


def test_a_line_that_is_no_network_is_named_and_skipped():
    lines = []
    log.set_sink(lines.append)
    try:
        s = settings.Memory({"networks": b"\n8056c2e21c00000\nxyz\n\xff\n8056c2e21c000002 \n"})
        assert s.networks() == {B: b""}
    finally:
        log.set_sink(None)
    assert len(lines) == 3 and "networks" in lines[0]


def test_a_file_is_old_or_new_whatever_stands_beside_it():
    home = osutil.temp_path(hal.random)
    os.mkdir(home)
    try:
        s = settings.Files(home)
        s.set("identity.secret", b"old")
        # A power cut while the new value is written leaves this.
        with open(home + "/identity.secret.tmp", "wb") as f:
            f.write(b"n")
        assert s.get("identity.secret") == b"old"
        assert s.names() == ["identity.secret"]
        s.set("identity.secret", b"new")
        assert s.get("identity.secret") == b"new"
        assert sorted(os.listdir(home)) == ["identity.secret"]
    finally:
        osutil.rmtree(home)


def test_secrets_of_a_desktop_are_for_their_owner_only():
    home = osutil.temp_path(hal.random)
    try:
        s = settings.Files(home, hal.save)
        s.set("identity.secret", b"x")
        assert os.stat(home + "/identity.secret")[0] & 0o777 == 0o600
    finally:
        osutil.rmtree(home)


def test_what_nvs_says_besides_passes_on():
    class Full(FakeNVS):
        def set_blob(self, name, value):
            raise OSError(-0x1105, "ESP_ERR_NVS_NOT_ENOUGH_SPACE")

        def get_blob(self, name, buf):
            raise OSError(-0x1101, "ESP_ERR_NVS_NOT_INITIALIZED")

    class ESP32:
        NVS = Full

    sys.modules["esp32"] = ESP32
    try:
        s = settings.NVS()
        for f, args in ((s.set, ("planet", b"x")), (s.get, ("planet",))):
            try:
                f(*args)
            except OSError as e:
                assert e.args[0] in (-0x1105, -0x1101)
            else:
                raise AssertionError("nothing raised")
    finally:
        del sys.modules["esp32"]
