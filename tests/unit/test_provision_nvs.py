# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# tools/provision.py with an ESP32's nvs partition: as an image file, and on a board whose esptool
# is played here over a file that is its flash.
# cpython-only: starts processes

import json
import os
import stat
import sys

import pytest
from _people import IDS
from test_flash import table
from test_provision import ADDRESS, NWID, OTHER, TOP, Bench, check_full, full
from zt import settings

sys.path.append(str(TOP / "tools"))

from nvs_image import Item, build, parse  # noqa: E402

SIZE = 0x4000
NVS_AT = 0x9000
OTHERS = [Item("nvs.net80211", "opmode", "u8", 1), Item("phy", "cal_data", "binary", bytes(1904))]

FAKE = r"""
import json, pathlib, sys
here = pathlib.Path(__file__).parent
words = sys.argv[5:]
with open(here / "log.jsonl", "a") as f:
    f.write(json.dumps(words) + "\n")
flash = bytearray((here / "flash").read_bytes())
if words[0] == "read_flash":
    at, n = int(words[1], 16), int(words[2], 16)
    pathlib.Path(words[3]).write_bytes(flash[at:at + n])
elif words[0] == "write_flash":
    at, data = int(words[1], 16), pathlib.Path(words[2]).read_bytes()
    (here / "mode").write_text("%o" % (pathlib.Path(words[2]).stat().st_mode & 0o777))
    flash[at:at + len(data)] = data
    (here / "flash").write_bytes(flash)
else:
    sys.exit(3)
"""


@pytest.fixture
def bench(tmp_path):
    (tmp_path / "bench").mkdir()
    return Bench(tmp_path / "bench")


def held(data):
    """The settings in a partition."""
    found = [i for i in parse(data) if i.space == settings.SPACE]
    assert all(i.kind == "binary" for i in found)  # as esp32.NVS.set_blob has them
    return settings.Memory({i.key: i.value for i in found})


def image(bench, data=None):
    path = bench.folder / "nvs.bin"
    if data is not None:
        path.write_bytes(data)
    return path


def test_an_image_gets_all_of_it(bench):
    out, _ = bench.run("--nvs-image", str(image(bench)), *full(bench))
    assert out.strip() == ADDRESS
    data = image(bench).read_bytes()
    assert len(data) == SIZE and stat.S_IMODE(image(bench).stat().st_mode) == 0o600
    check_full(held(data))
    assert sorted(os.listdir(bench.folder)) == [
        "a.secret",
        "b.secret",
        "nvs.bin",
        "password",
        "planet",
    ]
    out, _ = bench.run("--nvs-image", str(image(bench)), "--show")
    for word in (ADDRESS, NWID, "home (with a password)", "sensor-1", "000000000000002a"):
        assert word in out
    assert image(bench).read_bytes() == data
    bench.run("--nvs-image", bench.path("large"), "--nvs-size", "24", "--network", NWID)
    assert (bench.folder / "large").stat().st_size == 24 * 1024


def test_an_image_keeps_its_identity_and_what_others_have_there(bench):
    mine = [Item("zt", "identity.secret", "binary", IDS["B"].encode())]
    mine += [Item("zt", "networks", "binary", (NWID + " allowDNS=1\n").encode())]
    before = build(OTHERS + mine, SIZE)
    path = image(bench, before)
    for words in (("--new-identity",), ("--identity", bench.path("a.secret"))):
        _, err = bench.run("--nvs-image", str(path), "--network", OTHER, *words, status=1)
        assert IDS["B"][:10] in err and "not overwritten" in err
        assert path.read_bytes() == before
    out, _ = bench.run("--nvs-image", str(path), "--network", OTHER)
    assert out.strip() == IDS["B"][:10]
    now = held(path.read_bytes())
    assert now.get("identity.secret") == IDS["B"].encode()
    assert now.text("networks").splitlines() == [NWID + " allowDNS=1", OTHER]
    assert [i for i in OTHERS if i not in parse(path.read_bytes())] == []
    bench.run("--nvs-image", str(path), "--identity", bench.path("a.secret"), "--force")
    assert held(path.read_bytes()).get("identity.secret") == IDS["A"].encode()


def test_what_is_no_partition_or_has_no_room_is_left_alone(bench):
    for data, words in (
        (b"\xff" * 4096, "no NVS partition"),
        (b"\x12" * SIZE, "head is wrong"),
        (
            build([Item("x", "k%d" % i, "binary", bytes(3500)) for i in range(3)], SIZE),
            "do not fit",
        ),
    ):
        path = image(bench, data)
        _, err = bench.run("--nvs-image", str(path), *full(bench), status=1)
        assert words in err and path.read_bytes() == data
    _, err = bench.run("--nvs-image", "/nowhere/nvs.bin", "--network", NWID, status=1)
    assert "No such file" in err
    bench.run("--nvs-image", "x", "--esptool", "--network", NWID, status=2)
    bench.run("--nvs-image", "x", "--nvs-size", "14", status=2)


class Chip:
    def __init__(self, folder, nvs, layout=None):
        folder.mkdir()
        self.folder = folder
        (folder / "fake.py").write_text(FAKE)
        flash = bytearray(b"\xff" * 0x10000)
        head = table() if layout is None else layout
        flash[0x8000 : 0x8000 + len(head)] = head
        flash[NVS_AT : NVS_AT + SIZE] = nvs
        (folder / "flash").write_bytes(flash)
        self.words = ["--port", "socket://127.0.0.1:1", "--esptool"]
        self.words.append("%s %s" % (sys.executable, folder / "fake.py"))

    def flash(self):
        return (self.folder / "flash").read_bytes()

    def nvs(self):
        return self.flash()[NVS_AT : NVS_AT + SIZE]

    def log(self):
        return [json.loads(x)[:2] for x in (self.folder / "log.jsonl").read_text().splitlines()]


def test_esptool_writes_the_partition_alone(bench, tmp_path):
    chip = Chip(tmp_path / "chip", build(OTHERS, SIZE))
    before = chip.flash()
    out, _ = bench.run(*chip.words, *full(bench))
    assert out.strip() == ADDRESS
    check_full(held(chip.nvs()))
    assert [i for i in OTHERS if i not in parse(chip.nvs())] == []
    assert chip.flash()[:NVS_AT] == before[:NVS_AT]
    assert chip.flash()[NVS_AT + SIZE :] == before[NVS_AT + SIZE :]
    assert chip.log() == [
        ["read_flash", "0x8000"], ["read_flash", "0x9000"], ["write_flash", "0x9000"],
    ]  # fmt: skip
    assert (chip.folder / "mode").read_text() == "600"
    done = chip.flash()
    _, err = bench.run(*chip.words, "--identity", bench.path("b.secret"), status=1)
    assert "the board has the identity %s" % ADDRESS in err and chip.flash() == done


def test_esptool_finds_a_blank_chip(bench, tmp_path):
    chip = Chip(tmp_path / "chip", b"\xff" * SIZE, b"\xff" * 0xC00)
    _, err = bench.run(*chip.words, "--network", NWID, status=1)
    assert "flash the firmware first" in err
    _, err = bench.run(
        "--port", "x", "--esptool", "/nowhere/esptool", "--network", NWID, status=1
    )  # fmt: skip
    assert "/nowhere/esptool" in err
