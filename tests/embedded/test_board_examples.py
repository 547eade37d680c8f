# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The examples for boards: mpy-cross compiles each as a board would be given it, and each runs on
# the unix port against the stand-ins of this folder, which show what it did.

import json
import os
import pathlib
import re
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = sorted((TOP / "examples" / "board").glob("*.py"))
MPY_CROSS = TOP / "build" / "mpy-cross" / "mpy-cross"
HARNESS = TOP / "tests" / "embedded" / "standins" / "run_example.py"


def run(name, scenario="usual"):
    example = TOP / "examples" / "board" / (name + ".py")
    done = subprocess.run(
        [str(TOP / "build" / "microzt"), str(HARNESS), str(example), scenario],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.strip().split("\n")
    return json.loads(lines[-1]), lines[:-1]


def head(path):
    return path.read_text().split("\n\n")[0]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
@pytest.mark.parametrize("arch", ["xtensawin", "rv32imc"])
def test_it_compiles_for_a_board(path, arch, tmp_path):
    out = tmp_path / "out.mpy"
    subprocess.run([str(MPY_CROSS), "-march=" + arch, "-o", str(out), str(path)], check=True)
    assert out.stat().st_size > 100
    copies = "mpremote cp examples/board/%s :(boot|main).py\n#     mpremote reset" % path.name
    assert re.search(copies, head(path)), "it does not say how it gets onto a board"


def test_boot_brings_up_wifi_and_the_network():
    did, said = run("boot")
    assert did["network"] == [
        ["hostname", "sensor"],
        ["active", True],
        ["connect", "home", "secret"],
    ]
    assert did["events"] == [["NIC", None], "active"]
    assert said == ["boot: Wi-Fi 192.168.4.2", "boot: node 89e92ceee5 on ['8056c2e21c000001']"]


def test_boot_goes_on_without_wifi_and_names_what_is_missing():
    did, said = run("boot", "no-wifi")
    assert did["events"][-1] == "active" and "not there yet" in said[0]
    did, said = run("boot", "bare")
    assert did["ended"] == "returned"
    assert "provision.py" in said[0] and "tools/provision.py" in said[1]


def test_boot_says_that_firmware_on_trial_went_back():
    assert run("boot", "went-back")[1][-1] == "boot: firmware rolled back"


def test_the_sensor_posts_while_the_network_is_there():
    did, said = run("sensor")
    posts = [m for m in did["mqtt"] if m[0] == "publish"]
    assert len(posts) >= 3 and "secret" not in str(did["mqtt"])
    assert posts[0][1:] == ["sensor/89e92ceee5", '{"value": 1004}']
    assert did["mqtt"][0] == ["connect", "microzt-89e92ceee5", "10.147.20.7"]
    assert len([s for s in said if "not posted" in s]) == 1, "a broken connection is survived"


def test_the_page_is_served_on_the_network_only():
    did, said = run("page")
    assert said == ["page: http://127.0.0.1:8080/"]
    serves, first, second = did["events"]
    assert serves == ["serves", "127.0.0.1", 8080]
    assert first[:2] == ["GET", 200] and "LED: off" in first[2]
    assert second[:2] == ["POST", 200] and "LED: on" in second[2]


def test_webrepl_listens_on_the_network_only():
    did, said = run("remote")
    assert did["webrepl"] == [["password", "abcd"]]
    binds = [e for e in did["events"] if e[0] == "bind"]
    assert binds == [["bind", ["127.0.0.1", 8266]]] * 2, "again when the network came back"
    assert did["events"].count("accepts") == 2


def test_the_password_of_webrepl_is_asked_for_at_the_prompt(tmp_path):
    example = TOP / "examples" / "board" / "remote.py"
    (line,) = re.findall("^#     (import zt; .*)", head(example), re.MULTILINE)
    assert "mpremote exec" not in head(example), "others see a command line"
    done = subprocess.run(
        [str(TOP / "build" / "microzt"), "-c", line],
        env=dict(os.environ, ZT_HOME=str(tmp_path / "home")),
        input="abcd\n",
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert (tmp_path / "home" / "webrepl").read_text() == "abcd", "what remote.py reads"


def test_the_sleeper_carries_its_state():
    did, _ = run("sleeper")
    assert ["sendto", "1004", ["10.147.20.7", 5000]] in did["events"]
    assert did["memory"] == "carried on" and did["ended"] == "Asleep"
    assert did["machine"] == [["deepsleep", 300000]]
    did, _ = run("sleeper", "no-wifi")
    assert did["events"] == [["NIC", ""]] and did["machine"] == [["deepsleep", 300000]]


def test_a_sleeper_that_breaks_sleeps_and_one_that_is_stopped_does_not():
    did, _ = run("sleeper", "broken")
    assert did["ended"] == "Asleep" and did["machine"] == [["deepsleep", 300000]]
    did, _ = run("sleeper", "interrupted")
    assert did["ended"] == "KeyboardInterrupt" and did["machine"] == [], "it could not be changed"
