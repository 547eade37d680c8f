# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Firmware on trial that never says it is good, on an emulated board (the machine's argument trial=
# stands for what a boot loader remembers): it is reset, whatever its program does or does not do.
# The slots are the stand-in of an ESP32's. cpython-only: the emulated board.

import os

import boards
import pytest
import qemu_board

BANNER = "MicroPython v"


@pytest.fixture
def trial(a_board_is_possible, tmp_path):
    """The prompt of a board on trial, with the stand-in of an ESP32."""
    disk = str(tmp_path / "flash.img")
    qemu_board.make_disk(disk)
    with qemu_board.Board(disk=disk, append="trial=600000") as board:
        repl = board.connect()
        repl.enter()
        repl.run("import os\nos.mkdir('/lib')")
        with open(os.path.join(boards.HERE, "standins", "esp32.py"), "rb") as f:
            repl.put("/lib/esp32.py", f.read())
        yield repl


def test_a_board_that_says_nothing_starts_again(a_board_is_possible):
    with qemu_board.Board(append="trial=2000", hold=True) as board:
        repl = board.connect()
        for _ in range(3):
            repl.wait_for(BANNER, 60)


@pytest.mark.parametrize(
    "end", ["while True: pass", "time.sleep(1000)", "raise ValueError", "print('done')"]
)
def test_no_end_of_a_program_keeps_it(trial, end):
    trial.start("import time, zt.ota\nassert zt.ota.extend(1500)\n" + end)
    trial.wait_for(BANNER, 60)


def test_a_soft_reset_does_not_keep_it(trial):
    trial.run("import zt.ota\nassert zt.ota.extend(3000)")
    trial.restart()
    trial.wait_for("soft reboot", 60)
    trial.wait_for(BANNER, 60)
    trial.wait_for(BANNER, 60)


def test_more_time_can_be_had(trial):
    program = "import time, zt.ota\nassert zt.ota.extend(1500)\nassert zt.ota.extend(600000)\n"
    assert trial.run(program + "time.sleep(3)\nprint('here')").strip() == "here"


CHECK = """
import sys
sys.path.append("/lib")
import esp32, time, zt.hal, zt.ota, zt.settings
from time import ticks_ms

class NIC:
    settings = zt.settings.Files()
    def active(self):
        return True
    def on_trial(self, judge):
        self.judge = judge

guard = zt.hal.guard
zt.hal.guard = lambda ms: guard(ms // 50)  # five and a half minutes in seconds
nic = NIC()
nic.settings.set("ota.trial", "ota_1")
esp32.state.update({"running": "ota_1", "boot": "ota_1", "valid": False})
assert zt.ota.check(nic) == "trial"
"""


def test_a_node_that_comes_online_ends_it(trial):
    program = CHECK + "assert nic.judge(ticks_ms(), True) is None\ntime.sleep(9)\n"
    program += "print(esp32.state['valid'], nic.settings.get('ota.trial'))"
    assert trial.run(program).strip() == "True None"


def test_a_program_that_hangs_after_its_check_is_taken_back(trial):
    trial.start(CHECK + "nic.judge(ticks_ms(), False)\ntime.sleep(60)\nprint('kept')")
    assert "kept" not in trial.wait_for(BANNER, 60)


def test_firmware_that_is_not_on_trial_has_no_deadline(prompt):
    program = "import time, zt.ota\nassert not zt.ota.extend(500)\ntime.sleep(2)\nprint('here')"
    assert prompt.run(program).strip() == "here"
    with pytest.raises(Exception, match="bad argument"):
        prompt.run("zt.ota.extend(-1)")
