# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The node's turn in MicroPython's scheduler on an ESP32 (zt_pump_esp32.c), on this machine with a
# scheduler and a timer of the test's (pump/pump.c): it always comes again, never lets an exception
# out, and gives Ctrl-C and the user's program their due.
# cpython-only: a C compiler

import os
import subprocess

from _esp32 import HERE, LWIP, PORT, includes, need, run

PUMP = os.path.join(HERE, "pump")


def built(folder, text):
    need(("gcc", "gcc"))
    path = os.path.join(folder, "zt_pump_esp32.c")
    with open(path, "w") as f:
        f.write(text)
    program = os.path.join(folder, "pump")
    # lwIP's types of this machine are its port's to unix; MicroPython is pump/py.
    command = ["gcc", "-std=gnu11", "-g", "-fsanitize=address,undefined", "-Wall", "-Werror"]
    unix = os.path.join(LWIP, "contrib", "ports", "unix", "port", "include")
    command += ["-Wno-address", "-DZT_BOARD=1", "-DZT_HOST", "-I" + unix, "-I" + PUMP, *includes()]
    run([*command, "-o", program, path, os.path.join(PUMP, "pump.c")])
    return subprocess.run([program], capture_output=True, text=True, check=False).stdout


def source():
    with open(os.path.join(PORT, "zt_pump_esp32.c")) as f:
        return f.read()


def test_the_turn_comes_again_and_lets_nothing_out(tmp_path):
    assert built(str(tmp_path), source()) == "ok\n"


def test_a_turn_that_is_not_left_to_the_timer_is_noticed(tmp_path):
    right = "        alarm_in(ANEW_MS);\n"
    assert right in source()
    assert "FAILED" in built(str(tmp_path), source().replace(right, ""))


def test_a_console_left_without_ctrl_c_is_noticed(tmp_path):
    right = "        interrupt_after(c);\n"
    assert right in source()
    never = "        if (c < -1) {\n            interrupt_after(c);\n        }\n"
    assert "FAILED" in built(str(tmp_path), source().replace(right, never))
