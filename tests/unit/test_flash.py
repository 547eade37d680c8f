# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# tools/flash.py as its user runs it, with an esptool and a board that only play what real ones say
# (tests/unit/esptool). What it writes, what it refuses before it writes, and what it advises.
#
# cpython-only: starts processes.

import hashlib
import json
import os
import pathlib
import re
import struct
import subprocess
import sys

import pytest
from _fakeboard import FakeBoard

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
TOOL = TOP / "tools" / "flash.py"
SAID = pathlib.Path(__file__).parent / "esptool"
sys.path.append(str(TOP / "tools"))

import flash  # noqa: E402
from flash_image import Firmware, Unfit  # noqa: E402

ESP32, C3, S3 = 0, 5, 9
NVS = ("nvs", 1, 2, 0x9000, 0x4000)
LAYOUT = (NVS, ("otadata", 1, 0, 0xD000, 0x2000), ("ota_0", 0, 16, 0x10000, 0x180000),
          ("ota_1", 0, 17, 0x190000, 0x180000), ("vfs", 1, 0x81, 0x310000, 0xF0000))  # fmt: skip

# Plays a scenario: {command: [file of what it says, exit status]}, what is not in it succeeds.
FAKE = r"""
import json, pathlib, shutil, sys
here = pathlib.Path(__file__).parent
plan = json.loads((here / "plan.json").read_text())
words = sys.argv[1:]
assert words[0] == "--port" and words[2] == "--baud", words
command = words[4]
with open(here / "log.jsonl", "a") as f:
    f.write(json.dumps(words) + "\n")
said, status = plan.get(command, ["", 0])
if isinstance(status, dict):
    status = status.get(words[3], 0)
if said and (status or command != "erase_flash"):
    sys.stdout.write(pathlib.Path(said).read_text())
if command == "read_flash" and not status:
    shutil.copy(here / "table.bin", words[7])
if command == "write_flash" and not status:
    for at in range(5, len(words), 2):
        shutil.copy(words[at + 1], here / ("wrote-" + words[at]))
sys.exit(status)
"""


def part(chip_id, payload, flash_code=2, sha=True):
    """A bootable image in Espressif's format."""
    head = bytes([0xE9, 1, 2, flash_code << 4]) + struct.pack("<I", 0x40380000)
    head += bytes(4) + struct.pack("<H", chip_id) + bytes(9) + bytes([sha])
    out = head + struct.pack("<II", 0x40380000, len(payload)) + payload
    total = 0xEF
    for b in payload:
        total ^= b
    out += bytes(15 - len(out) % 16) + bytes([total])
    return out + (hashlib.sha256(out).digest() if sha else b"")


def table(layout=LAYOUT):
    out = b""
    for name, type_, subtype, offset, size in layout:
        out += struct.pack(
            "<2sBBII16sI", b"\xaa\x50", type_, subtype, offset, size, name.encode(), 0
        )
    out += b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(out).digest()
    return out + b"\xff" * (0xC00 - len(out))


def firmware(chip_id=S3, layout=LAYOUT, flash_code=2, app=None, boot=None):
    """What MicroPython's makeimg.py makes: all from the bootloader on, gaps filled with 0xff."""
    start = 0x1000 if chip_id == ESP32 else 0
    out = boot or part(chip_id, bytes(range(256)) * 60, flash_code)
    out += b"\xff" * (0x8000 - start - len(out)) + table(layout)
    out += b"\xff" * (0x10000 - start - len(out))
    return out + (part(chip_id, os.urandom(1000) * 60) if app is None else app)


class Bench:
    def __init__(self, folder):
        self.folder = folder
        (folder / "fake.py").write_text(FAKE)
        self.image = folder / "firmware.bin"
        self.image.write_bytes(firmware())
        self.present = b"\xff" * 0xC00  # the partition table on the board

    def run(self, plan, *words, status=0, port="socket://127.0.0.1:1"):
        """(stdout, stderr) of the tool; plan is {command: file of what esptool says, or (file,
        exit status)}."""
        full = {}
        for command in plan:
            said = plan[command] if isinstance(plan[command], tuple) else (plan[command], 0)
            full[command] = [str(SAID / (said[0] + ".txt")), said[1]]
        (self.folder / "plan.json").write_text(json.dumps(full))
        (self.folder / "log.jsonl").write_text("")
        (self.folder / "table.bin").write_bytes(self.present)
        command = "%s %s" % (sys.executable, self.folder / "fake.py")
        words = ("--esptool", command, "--image", str(self.image), "--watch", "1", *words)
        done = subprocess.run(
            [sys.executable, TOOL, "--port", port, *words],
            capture_output=True, text=True, timeout=120, check=False, cwd=TOP,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == status, done.stderr
        return done.stdout, done.stderr

    def commands(self):
        lines = (self.folder / "log.jsonl").read_text().splitlines()
        return [json.loads(line)[4] for line in lines]

    def bauds(self):
        lines = (self.folder / "log.jsonl").read_text().splitlines()
        return [json.loads(line)[3] for line in lines]

    def wrote(self):
        return {int(p.name[6:], 16): p.read_bytes() for p in sorted(self.folder.glob("wrote-*"))}


@pytest.fixture
def bench(tmp_path):
    (tmp_path / "bench").mkdir()
    return Bench(tmp_path / "bench")


GOOD = {"flash_id": "id-s3", "write_flash": "write-s3"}


# --- what is written


def test_a_board_is_flashed_and_its_start_seen(bench, tmp_path):
    board = FakeBoard(tmp_path / "flash", greeting=(SAID / "boot-good.txt").read_bytes())
    out, err = bench.run(GOOD, port=board.port)
    board.close()
    assert re.match(r"microzt \d+\.\d+\.\d+ on ", out)
    assert bench.commands() == ["flash_id", "read_flash", "write_flash"]
    assert "ESP32-S3, 16 MB" in err and "provision.py" in err
    whole = bench.image.read_bytes()
    wrote = bench.wrote()
    assert sorted(wrote) == [0, 0x8000, 0xD000, 0x10000]
    assert wrote[0] == whole[: len(wrote[0])] and len(wrote[0]) > 15000
    assert whole[0x8000:].startswith(wrote[0x8000].rstrip(b"\xff"))
    assert wrote[0xD000] == b"\xff" * 0x2000
    assert wrote[0x10000] == whole[0x10000:]
    # Nothing reaches into the settings.
    for at in wrote:
        assert at + len(wrote[at]) <= 0x9000 or at >= 0x9000 + 0x4000
    assert board.restarts == 1


def test_an_esp32_has_its_bootloader_elsewhere(bench, tmp_path):
    bench.image.write_bytes(firmware(ESP32))
    board = FakeBoard(tmp_path / "flash")
    bench.run(dict(GOOD, flash_id="id-esp32"), port=board.port)
    board.close()
    assert sorted(bench.wrote()) == [0x1000, 0x8000, 0xD000, 0x10000]


def test_words_of_esptool_5_are_understood(bench):
    bench.image.write_bytes(firmware(C3))
    _, err = bench.run({"flash_id": "id-c3-v5"}, "--check")
    assert "ESP32-C3, 4 MB" in err and bench.commands() == ["flash_id"]


def test_settings_that_would_be_lost_stop_it(bench, tmp_path):
    bench.present = table((("nvs", 1, 2, 0x9000, 0x6000),) + LAYOUT[2:])
    _, err = bench.run(GOOD, status=1)
    assert (
        "identity would be lost" in err.replace("\n", " ")
        and "write_flash" not in bench.commands()
    )
    bench.present = table()
    board = FakeBoard(tmp_path / "flash")
    _, err = bench.run(GOOD, port=board.port)
    assert "identity and settings of the board stay" in err
    bench.present = table((("nvs", 1, 2, 0x9000, 0x6000),) + LAYOUT[2:])
    bench.run(GOOD, "--force", port=board.port)
    bench.run(GOOD, "--erase", port=board.port)
    assert bench.commands() == ["flash_id", "erase_flash", "write_flash"]
    board.close()


# --- what is refused


def test_an_image_that_does_not_fit_is_not_written(bench):
    cases = (
        (firmware(ESP32), "id-s3", "for an ESP32, the board has an ESP32-S3"),
        (firmware(C3), "id-esp32", "for an ESP32-C3"),
        (firmware(S3, flash_code=3), "id-s3-4mb", "wants 8 MB of flash, the board has 4 MB"),
        (firmware(S3, LAYOUT[:-1] + (("vfs", 1, 0x81, 0x310000, 0x1F0000),)), "id-s3-4mb", "5 MB"),
    )
    for data, said, reason in cases:
        bench.image.write_bytes(data)
        _, err = bench.run({"flash_id": said}, status=1)
        assert reason in err and "Nothing was written" in err, err
        assert bench.commands() == ["flash_id"]
    bench.image.write_bytes(firmware())
    for said, reason in (
        ("id-8266", "no ESP32 but ESP8266EX"),
        ("id-secure", "locked by its fuses"),
        ("id-no-flash", "size of its flash"),
    ):
        _, err = bench.run({"flash_id": said}, status=1)
        assert reason in err and bench.commands() == ["flash_id"], err


def test_damaged_images_are_known_before_the_board_is_asked(bench):
    good = firmware()
    app = 0x10000
    big = part(S3, bytes(0x180000))
    cases = (
        (b"", "no firmware image"),
        (b"\x7fELF" + good[4:], "no firmware image"),
        (good[:0x9000], "application is missing"),
        (good[: app + 5000], "application is cut short"),
        (good[: app + 2000] + bytes([good[app + 2000] ^ 1]) + good[app + 2001 :], "(checksum)"),
        (good[:-1] + bytes([good[-1] ^ 1]), "(SHA-256)"),
        (good[:300] + bytes([good[300] ^ 1]) + good[301:], "bootloader is damaged"),
        (good[:0x8024] + b"\1" + good[0x8025:], "partition table is damaged"),
        (good[app:], "application alone"),
        (firmware(S3, app=part(C3, b"x" * 100)), "different chips"),
        (firmware(S3, app=big), "its partition ota_0 only 1572864"),
        (firmware(S3, (NVS, ("otadata", 1, 0, 0xC000, 0x2000)) + LAYOUT[2:]), "overlaps"),
        (firmware(S3, (("nvs", 1, 2, 0x8000, 0x4000),) + LAYOUT[1:]), "overlaps"),
        (firmware(77), "not known here"),
    )
    for data, reason in cases:
        bench.image.write_bytes(data)
        _, err = bench.run({}, status=1)
        assert reason in err, (reason, err)
        assert bench.commands() == [], reason
    bench.image.unlink()
    _, err = bench.run({}, status=1)
    assert "No such file" in err


def test_every_cut_of_an_image_is_refused():
    good = firmware(app=part(S3, b"code" * 100))
    Firmware(good)
    for n in list(range(0, 40)) + list(range(0x7FF0, 0x8100, 7)) + list(range(0x10000, len(good))):
        try:
            Firmware(good[:n])
        except Unfit:
            continue
        raise AssertionError("an image cut at %d is taken" % n)


# --- what is advised


def test_each_failure_of_esptool_has_its_advice(bench):
    cases = (
        ("rec-silent-v4", "hold BOOT"),
        ("rec-silent-v5", "hold BOOT"),
        ("rec-noise-v4", "something else talks"),
        ("rec-no-port-v4", "no such port"),
        ("no-permission", "dialout"),
        ("in-use", "close the terminal program"),
        ("boot-mode", "hold BOOT"),
        ("no-tx", "RX is open"),
        ("wrong-chip", "BOARD="),
        ("wrong-image", "another chip"),
        ("old-chip", "older than this build"),
        ("secure-boot", "locked by its fuses"),
        ("gone", "went away in the middle"),
        ("stopped", "went away in the middle"),
        ("md5", "not what is read back"),
        ("no-stub", "115200"),
    )
    for said, advice in cases:
        early = said.startswith(("rec", "no-perm", "in-use", "boot", "no-tx"))
        plan = {"flash_id": (said, 2)} if early else dict(GOOD, write_flash=(said, 2))
        _, err = bench.run(plan, status=1)
        assert advice in err, (said, err)
        assert "esptool said: " in err and "rror occurred" in err, said
    _, err = bench.run({"flash_id": ("unheard", 2)}, status=1)
    assert "all it says" in err and "no version said before" in err


def test_a_link_that_fails_at_speed_is_tried_slower(bench, tmp_path):
    board = FakeBoard(tmp_path / "flash")
    plan = dict(GOOD, write_flash=("stopped", {"460800": 2}))
    _, err = bench.run(plan, port=board.port)
    board.close()
    assert bench.bauds() == ["460800", "460800", "460800", "115200"]
    assert "once more at 115200" in err


def test_each_way_not_to_start_has_its_advice(bench, tmp_path):
    cases = (
        ("boot-brownout", "supply collapses"),
        ("boot-download", "BOOT (GPIO0"),
        ("boot-blank", "no bootloader"),
        ("boot-small-flash", "larger flash"),
        ("boot-no-psram", "without PSRAM"),
        ("boot-torn", "not whole"),
        ("boot-crash", "crashed at its start"),
        ("boot-loop", "again and again"),
    )
    for said, advice in cases:
        text = (SAID / (said + ".txt")).read_bytes()
        board = FakeBoard(tmp_path / said, greeting=text, prompt=False)
        _, err = bench.run(GOOD, port=board.port, status=1)
        board.close()
        assert advice in err, (said, err)
        assert "it said:" in err


def test_a_board_that_says_nothing_or_not_what_it_should(bench, tmp_path):
    cases = (
        (FakeBoard(tmp_path / "a", prompt=False), "says nothing"),
        (FakeBoard(tmp_path / "b", ours=False), "without microzt"),
        (FakeBoard(tmp_path / "c", greeting=bytes(range(128, 250)) * 9, prompt=False), "no text"),
        (FakeBoard(tmp_path / "d", greeting=b"I am a printer\r\n", prompt=False), "no prompt"),
    )
    for board, advice in cases:
        _, err = bench.run(GOOD, port=board.port, status=1)
        assert advice in err, err
        board.close()


def test_a_port_that_goes_after_the_flashing_is_named(bench):
    _, err = bench.run(GOOD, port="socket://127.0.0.1:1", status=1)
    assert "socket://127.0.0.1:1" in err
    assert bench.commands()[-1] == "write_flash"


def test_without_esptool_it_says_how_to_get_it(bench):
    (bench.folder / "fake.py").unlink()
    done = subprocess.run(
        [sys.executable, TOOL, "--port", "x", "--esptool", "/nowhere/esptool"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "No such file" in done.stderr


# --- what is found by itself


def failure_of(f, *args):
    try:
        return f(*args)
    except flash.Failure as e:
        return str(e)


def test_the_port_is_found_where_there_is_one_board(monkeypatch):
    from serial.tools import list_ports

    class Port:
        def __init__(self, device, vid, description):
            self.device, self.vid, self.description = device, vid, description

    board = Port("/dev/ttyUSB0", 0x10C4, "CP2102N")
    native = Port("/dev/ttyACM0", 0x303A, "USB JTAG/serial debug unit")
    modem = Port("/dev/ttyACM1", 0x2C7C, "a modem")
    built_in = Port("/dev/ttyS0", None, "n/a")
    cases = (
        ([built_in, board], "/dev/ttyUSB0"),
        ([modem, native], "/dev/ttyACM0"),
        ([modem], "/dev/ttyACM1"),
        ([built_in], "no board found"),
        ([], "no board found"),
        ([board, native], "several boards"),
    )
    for found, expected in cases:
        monkeypatch.setattr(list_ports, "comports", lambda found=found: found)
        said = failure_of(flash.choose_port)
        assert said.startswith(expected), said
    assert "PORT=/dev/ttyUSB0" in said and "USB JTAG" in said


def test_the_image_is_found_that_was_built_for_the_chip(monkeypatch, tmp_path):
    monkeypatch.setattr(flash, "_BUILDS", tmp_path)
    assert "no firmware for an ESP32-S3" in failure_of(flash.find_image, "ESP32-S3", None, None)
    for name, data in (
        ("ZT_ESP32", firmware(ESP32, app=part(ESP32, b"x"))),
        ("ZT_ESP32_S3", firmware(app=part(S3, b"x"))),
        ("ZT_BROKEN", b"\xe9"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "firmware.bin").write_bytes(data)
    found = flash.find_image("ESP32-S3", None, None)
    assert found.parent.name == "ZT_ESP32_S3"
    (tmp_path / "ZT_ESP32_S3-PSRAM").mkdir()
    (tmp_path / "ZT_ESP32_S3-PSRAM" / "firmware.bin").write_bytes(firmware(app=part(S3, b"y")))
    assert "several images" in failure_of(flash.find_image, "ESP32-S3", None, None)
    assert flash.find_image("ESP32-S3", "ZT_ESP32_S3", "PSRAM").parent.name.endswith("PSRAM")
    assert flash.find_image("ESP32-S3", "ZT_ESP32_S3", None) == found
    assert "no firmware" in failure_of(flash.find_image, "ESP32-C3", None, None)
    assert "no firmware" in failure_of(flash.find_image, "ESP32-S3", "ZT_ESP32", None)


def test_help_says_that_it_is_untried():
    done = subprocess.run([sys.executable, TOOL, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "Untried on hardware" in done.stdout
