# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# tools/provision.py and tools/board_test.py as their user runs them, on the emulated board with a
# cable to a lab's switch: the flash image is provisioned, the whole acceptance passes, and the
# board has its own settings back afterwards. And the acceptance fails where the board does.

import json
import os
import subprocess
import sys

import boards
import lab
import pytest
import qemu_board

TOOLS = os.path.join(boards.TOP, "tools")
STEPS = (
    "boot to prompt", "board", "link up", "online", "join", "ping from here",
    "ping from the board", "TCP to the board", "TCP from the board", "Python heap",
    "link lost, found again", "power cycle, network up", "power cycle, all of it",
)  # fmt: skip


def tool(name, *words, status=0):
    done = subprocess.run(
        [sys.executable, os.path.join(TOOLS, name), *words],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout, done.stderr


class Bench:
    """A provisioned board on the switch of a lab with one more host."""

    def __init__(self, folder):
        self.disk = str(folder / "flash.img")
        self.monitor = str(folder / "monitor")
        tool("provision.py", "--image", self.disk, "--network", "1122334455667788")
        self.net = lab.Lab("host")
        self.net.ip("tuntap", "add", "dev", "tapboard", "mode", "tap")
        self.net.ip("link", "set", "tapboard", "master", "br0", "up")
        self.log = open(folder / "qemu.log", "wb")
        self.machine = qemu_board.Board(
            disk=self.disk,
            netdev=qemu_board.tap_network("tapboard"),
            namespace=self.net.enter,
            log=self.log,
            monitor=self.monitor,
        )

    def words(self):
        """What board_test.py is called with."""
        return [
            "--port", self.machine.url(), "--host-ip", self.net.ipv4("host"),
            "--board-ip", boards.BOARD_IP, "--qemu-monitor", self.monitor,
            "--prefix", " ".join(self.net.command("host", [])), "--seconds", "2", "--lost", "5",
        ]  # fmt: skip

    def test(self, *words, status=0):
        return tool("board_test.py", *self.words(), *words, status=status)

    def facts(self):
        out, _ = tool("provision.py", "--port", self.machine.url(), "--show", "--json")
        return json.loads(out)

    def close(self):
        self.machine.stop()
        self.net.close()
        self.log.close()


@pytest.fixture
def bench(a_board_is_possible, tmp_path):
    made = Bench(tmp_path)
    yield made
    made.close()


def test_a_board_passes_its_acceptance_and_gets_its_settings_back(bench, tmp_path):
    before = bench.facts()
    assert before["networks"].split() == ["1122334455667788"] and before["planet"] is None
    out, _ = bench.test("--json", str(tmp_path / "rows.json"))
    result = json.loads((tmp_path / "rows.json").read_text())
    rows = {r["name"]: r for r in result["rows"]}
    assert result["ok"] and all(r["ok"] for r in result["rows"])
    for name in STEPS:
        assert name in rows, name
        assert name == "board" or "| %s | " % name in out, out
    assert out.startswith("| %s" % rows["board"]["value"].strip())
    assert "path direct" in rows["ping from here"]["note"]
    assert rows["TCP to the board"]["value"] > 0 and rows["TCP from the board"]["value"] > 0
    assert bench.facts() == before
    print(out)  # the table, in the log of CI


def test_a_board_without_a_network_fails_by_name(bench):
    out, err = bench.test("--board-ip", "10.88.0.1", "--patience", "5", status=1)
    assert "| online | FAILED" in out and "no root answers" in out, out + err


def test_provisioning_stops_a_node_that_runs(bench):
    """It would write the settings at the same time."""
    repl = bench.machine.connect()
    repl.enter()
    repl.run("import zt\nnic = zt.NIC()\nnic.active(True)")
    assert repl.eval("nic.active()") is True
    repl.close()
    bench.facts()
    repl = bench.machine.connect()
    repl.enter()
    assert repl.eval("nic.active()") is False
    repl.close()
