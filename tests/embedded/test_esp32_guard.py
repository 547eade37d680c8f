# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The deadline of firmware on trial on an ESP32 (zt_guard_esp32.c), on this machine with a timer
# and a boot loader's memory of the test's (guard/guard.c). cpython-only: a C compiler

import os
import subprocess

from _esp32 import HERE, PORT, includes, need, run

GUARD = os.path.join(HERE, "guard")


def built(folder, text):
    need(("gcc", "gcc"))
    path = os.path.join(folder, "zt_guard_esp32.c")
    with open(path, "w") as f:
        f.write(text)
    program = os.path.join(folder, "guard")
    command = ["gcc", "-std=gnu11", "-g", "-fsanitize=address,undefined", "-Wall", "-Werror"]
    command += ["-I" + GUARD, *includes()]
    run([*command, "-o", program, path, os.path.join(GUARD, "guard.c")])
    return subprocess.run([program], capture_output=True, text=True, check=False).stdout


def source():
    with open(os.path.join(PORT, "zt_guard_esp32.c")) as f:
        return f.read()


def test_firmware_on_trial_is_taken_back_unless_it_was_found_good(tmp_path):
    assert built(str(tmp_path), source()) == "ok\n"


def test_a_deadline_that_does_not_ask_again_is_noticed(tmp_path):
    right = "    (void)arg;\n    if (on_trial()) {\n"
    assert right in source()
    wrong = source().replace(right, "    (void)arg;\n    if (timer != NULL) {\n")
    assert "FAILED" in built(str(tmp_path), wrong)
