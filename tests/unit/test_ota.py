# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Firmware over the air with the stand-in of an ESP32's slots: only what the owner signed is
# started, and only what comes online stays.

import io
import sys

_HERE = "/".join(__file__.replace("\\", "/").split("/")[:-1])
sys.path.append(_HERE + "/../embedded/standins")

import esp32  # noqa: E402
from zt import crypto, hal, log, ota, settings  # noqa: E402
from zt._compat import ticks_add, ticks_ms  # noqa: E402

sys.path.remove(_HERE + "/../embedded/standins")
_STANDIN = sys.modules.pop("esp32")

BOARD = "ZT_ESP32_S3"
SEED = bytes(range(32))
# The signing half of a ZeroTier key pair is an Ed25519 key.
PUBLIC = crypto.public_key(bytes(32) + SEED)[32:]
IMAGE = bytes([i * 7 & 0xFF for i in range(3 * 4096 + 1234)])


class Owner(settings.Memory):
    pass


class NIC:
    def __init__(self, owner):
        self.settings = owner
        self.judge = None
        self.up = True

    def active(self):
        return self.up

    def on_trial(self, judge):
        self.judge = judge


class Resets(Exception):
    pass


class Machine:
    @staticmethod
    def reset():
        raise Resets()


def board(test):
    for name in esp32.flash:
        esp32.flash[name][:] = bytes(len(esp32.flash[name]))
    esp32.state.update({"running": "ota_0", "boot": "ota_0", "valid": True, "cut": None})
    sys.modules["esp32"] = _STANDIN
    sys.modules["machine"] = Machine
    try:
        test(Owner({ota.KEY: PUBLIC}))
    finally:
        log.set_sink(None)
        del sys.modules["esp32"]
        del sys.modules["machine"]


def signed(image=IMAGE, name=BOARD, seed=SEED, public=PUBLIC):
    return ota.pack_head(image, name, seed, public) + image


def refused(data, owner, name=BOARD):
    try:
        ota.install(io.BytesIO(data), owner, name)
    except ota.Refused as e:
        assert esp32.state["boot"] == "ota_0" and owner.get(ota.TRIAL) is None
        return str(e)
    raise AssertionError("it was taken")


def test_what_the_owner_signed_is_written_and_started():
    def check(owner):
        ota.install(io.BytesIO(signed()), owner, BOARD)
        assert bytes(esp32.flash["ota_1"][: len(IMAGE)]) == IMAGE
        assert esp32.state["boot"] == "ota_1" and owner.text(ota.TRIAL) == "ota_1"
        assert not any(esp32.flash["ota_0"])

    board(check)


def test_nothing_else_is_started():
    def check(owner):
        whole = signed()
        assert "for the board" in refused(whole, owner, "ZT_ESP32")
        for i in range(ota.HEAD):
            bad = whole[:i] + bytes((whole[i] ^ 1,)) + whole[i + 1 :]
            refused(bad, owner)
        assert not any(esp32.flash["ota_1"]), "nothing was written"
        for i in (ota.HEAD, ota.HEAD + 5000, len(whole) - 1):
            bad = whole[:i] + bytes((whole[i] ^ 1,)) + whole[i + 1 :]
            assert "damaged" in refused(bad, owner)
        for n in (0, 8, ota.HEAD - 1, ota.HEAD, ota.HEAD + 4096, len(whole) - 1):
            refused(whole[:n], owner)
        other = bytes(range(1, 33))
        theirs = crypto.public_key(bytes(32) + other)[32:]
        assert "signature" in refused(signed(seed=other, public=theirs), owner)
        assert "longer" in refused(signed(bytes(8 * 4096 + 1)), owner)
        refused(signed(b""), owner)
        for key in (None, b"", PUBLIC[:31]):
            owner.set(ota.KEY, key)
            assert "ota.key" in refused(whole, owner)

    board(check)


def test_a_flash_that_forgets_is_found_out():
    class Bad(esp32.Partition):
        def writeblocks(self, n, buf):
            esp32.Partition.writeblocks(self, n, buf)
            if n == 1:
                esp32.flash[self.label][4096 + 77] ^= 4

    def check(owner):
        try:
            ota.install(io.BytesIO(signed()), owner, BOARD, Bad("ota_1"))
        except ota.Refused as e:
            assert "flash" in str(e)
        else:
            raise AssertionError("it was taken")
        assert esp32.state["boot"] == "ota_0"

    board(check)


def test_a_power_cut_leaves_the_firmware_that_runs():
    def check(owner):
        for n in range(4):
            esp32.state["cut"] = n
            try:
                ota.install(io.BytesIO(signed()), owner, BOARD)
            except esp32.PowerCut:
                esp32.restart()
                assert esp32.state["running"] == "ota_0" and owner.get(ota.TRIAL) is None
                continue
            raise AssertionError("not cut")

    board(check)


def test_it_stays_when_the_node_comes_online():
    def check(owner):
        nic = NIC(owner)
        assert ota.check(nic) is None and nic.judge is None
        ota.install(io.BytesIO(signed()), owner, BOARD)
        esp32.restart()
        assert esp32.state["running"] == "ota_1"
        assert ota.check(nic) == "trial"
        now = ticks_ms()
        assert nic.judge(now, False) is nic.judge
        assert nic.judge(ticks_add(now, 299000), False) is nic.judge
        assert not esp32.state["valid"]
        assert nic.judge(ticks_add(now, 299000), True) is None
        assert esp32.state["valid"] and owner.get(ota.TRIAL) is None
        esp32.restart()
        assert esp32.state["running"] == "ota_1" and ota.check(nic) is None

    board(check)


def test_it_goes_when_the_node_does_not():
    def check(owner):
        lines = []
        log.set_sink(lines.append)
        nic = NIC(owner)
        ota.install(io.BytesIO(signed()), owner, BOARD)
        esp32.restart()
        assert ota.check(nic, 1000) == "trial"
        try:
            nic.judge(ticks_add(ticks_ms(), 1500), False)
        except Resets:
            esp32.restart()
        assert esp32.state["running"] == "ota_0"
        nic = NIC(owner)
        assert ota.check(nic) == "rolled back" and nic.judge is None
        assert ota.check(nic) is None
        assert "did not come online" in lines[-1]

    board(check)


def test_a_crash_before_it_is_online_goes_back_too():
    def check(owner):
        ota.install(io.BytesIO(signed()), owner, BOARD)
        esp32.restart()
        assert ota.check(NIC(owner)) == "trial"
        esp32.restart()  # a watchdog, an exception
        assert esp32.state["running"] == "ota_0"
        assert ota.check(NIC(owner)) == "rolled back"

    board(check)


def test_firmware_whose_node_does_not_start_goes_back_at_once():
    def check(owner):
        ota.install(io.BytesIO(signed()), owner, BOARD)
        esp32.restart()
        nic = NIC(owner)
        nic.up = False  # active(True) raised, and nobody would ever call the judge
        try:
            ota.check(nic)
        except Resets:
            esp32.restart()
        assert nic.judge is None and esp32.state["running"] == "ota_0"
        nic = NIC(owner)
        nic.up = False
        assert ota.check(nic) == "rolled back" and ota.check(nic) is None

    board(check)


def test_the_guard_waits_for_the_judge_and_goes_when_the_node_is_online():
    told = []

    def guard(ms):
        told.append(ms)
        return True

    def check(owner):
        assert ota.check(NIC(owner)) is None and ota.extend(1000) and told == [1000]
        assert ota.extend(0) and told.pop() == 1  # at once, not never
        ota.install(io.BytesIO(signed()), owner, BOARD)
        esp32.restart()
        nic = NIC(owner)
        assert ota.check(nic, 60000) == "trial" and told.pop() > 60000
        now = ticks_ms()
        nic.judge(now, False)
        assert told == [1000], "moved once"
        nic.judge(now, True)
        assert told == [1000, 0] and esp32.state["valid"]

    before = getattr(hal, "guard", None)
    hal.guard = guard
    try:
        board(check)
    finally:
        del hal.guard
        if before is not None:
            hal.guard = before


def test_a_host_without_boot_loader_has_no_guard():
    if not hasattr(hal, "guard"):
        assert ota.extend(1000) is False
