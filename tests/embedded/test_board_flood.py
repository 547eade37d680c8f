# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# More on a board's wire than it may decrypt, from a member it knows and in that member's name: the
# excess is dropped before any crypto and counted by name, the rest is told apart by its MAC; the
# prompt and the node go on, no memory is kept, and afterwards traffic flows as before.
# cpython-only: needs namespaces and an emulator

import os
import subprocess
import sys

import boards
import pytest
from boards import OK, Scene
from client import Ours, wait_for
from lab import Lab

pytestmark = pytest.mark.usefixtures("a_board_is_possible")

BUDGET, BUDGET_MS = 48 * 1024, 20  # of an ESP32; the emulated board has more unless told
PACKET = 256 + 28 + 28 + 1200  # at least, of the flooder's: headers of ours and of the IP in it
RATE, MS = 8000, 3000
SLACK = 768  # of the heap: what the question itself takes differs by a few blocks

STATE = """
import json, time, _zthal, zt
_m = zt.memory()
print(json.dumps({
    "drops": _zthal.wire_drops(),
    "plane": nic.driver.plane.counters(),
    "heap": _m["heap_used"],
    "largest": _m["heap_largest_free"],
    "c_heap": __import__("_board").memory()[1],
    "ms": time.ticks_ms(),
}))
"""


@pytest.fixture
def scene(tmp_path):
    with Lab("root", "control", "other") as net:
        made = Scene(net, tmp_path)
        made.authorize(made.boot("budget=%d" % BUDGET))
        made.board.wait("nic.status() == %d" % OK, 60)
        yield made
        made.board.stop()


def member(scene):
    other = Ours(scene.net, "other", scene.world.home("other"), scene.world.planet)
    other.start()
    other.join(scene.nwid)
    asked = lambda: len(scene.controller.zt("member", "list", scene.nwid)) == 2  # noqa: E731
    wait_for("the other has asked", asked, 30)
    scene.authorize(other.address)
    other_ip = other.wait_ready(scene.nwid)
    other.call("tcp_listen", port=7100)
    return other, other_ip


def flood(scene, other, ips, ms):
    """Begin; the process, and its stdout is how many it sent."""
    here = os.path.dirname(os.path.abspath(__file__))
    words = [sys.executable, os.path.join(here, "flooder.py"), other.home + "/identity.secret"]
    words += [scene.board.eval("nic.config('identity')"), scene.nwid] + ips
    words += [scene.net.ipv4("other"), boards.BOARD_IP, str(RATE), str(ms)]
    return scene.net.popen(
        "other",
        words,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ, PYTHONPATH=os.path.join(boards.TOP, "lib")),
    )


def talks(other, board, ips):
    """Both ways, by ICMP and by a stream."""
    assert any(board.eval("nic.ping(%r, 2000)" % ips[0]) is not None for _ in range(5))
    assert other.call("ping", ip=ips[1])["ms"] is not None
    ended = other.begin("tcp_accept", port=7100, receive=0, send=20000)
    board.run(
        "import socket\ns = socket.socket()\ns.connect((%r, 7100))\n_n = 0\n"
        "while _n < 20000:\n    _n += len(s.recv(1000))\ns.close()" % ips[0]
    )
    assert ended()["sent"] == 20000


def test_a_flood_is_dropped_by_name_and_passes(scene):
    board = scene.board
    other, other_ip = member(scene)
    ips = [other_ip, board.eval("nic.ifconfig()[0]")]
    talks(other, board, ips)
    # A short one first: what it makes the node remember of the sender is made.
    assert int(flood(scene, other, ips, 300).communicate(timeout=60)[0]) > 1000
    talks(other, board, ips)
    before = board.json_of(STATE)

    child = flood(scene, other, ips, MS)
    during = []
    while child.poll() is None:
        # The prompt answers, timers run, and so does the node.
        board.run("import time\ntime.sleep_ms(100)")
        during.append((board.eval("nic.status('online')"), board.eval("nic.status()")))
    sent = int(child.communicate()[0])
    after = board.json_of(STATE)

    assert sent > RATE and len(during) > 1 and set(during) == {(True, OK)}
    drops = {name: n - before["drops"][name] for name, n in after["drops"].items()}
    plane = {name: n - before["plane"].get(name, 0) for name, n in after["plane"].items()}
    lost = {k: v for k, v in plane.items() if v}
    print("sent %d, drops %s, plane %s" % (sent, drops, lost), before["heap"], after["heap"])
    # By the board's own clock no more was decrypted than the budget allows.
    stretches = (after["ms"] - before["ms"]) // BUDGET_MS + 2
    assert plane["rx_datagrams"] <= stretches * (BUDGET // PACKET + 1) + 100
    assert drops["rx_budget"] > 1000
    assert plane["rx_datagrams"] + drops["rx_budget"] <= sent + 2000
    # Of what was let in, both kinds are told apart.
    assert plane["rx"] > 100 and plane["mac"] > 100 and plane["events"] > 20
    # Nothing is kept.
    assert after["heap"] <= before["heap"] + SLACK, (before, after)
    assert after["c_heap"] == before["c_heap"]
    talks(other, board, ips)
    last = board.json_of(STATE)
    assert last["heap"] <= before["heap"] + SLACK, (before, last)
