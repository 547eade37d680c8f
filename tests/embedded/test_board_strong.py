# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What a program binds to the board's address on a network is reached by members only: a host on
# the board's own LAN, which the Wi-Fi of a real board is, finds nothing there, however it routes.
# cpython-only: needs namespaces and an emulator

import sys

import pytest
from boards import BOARD_IP, DENIED, OK, Scene
from client import Ours, wait_for
from lab import Lab

pytestmark = pytest.mark.usefixtures("a_board_is_possible")

SERVE = """
import socket, time
answers = [0, 0]
servers = []
for i, at in enumerate((nic.ifconfig()[0], %r)):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((at, 8266))
    s.listen(2)
    s.setblocking(False)
    servers.append(s)
print("ready")
end = time.ticks_add(time.ticks_ms(), %d)
while time.ticks_diff(end, time.ticks_ms()) > 0:
    for i, s in enumerate(servers):
        try:
            c = s.accept()[0]
        except OSError:
            continue
        answers[i] += 1
        c.close()
    time.sleep_ms(5)
for s in servers:
    s.close()
print(answers)
"""

REACH = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 8266), 3).close()
    print("open")
except OSError as e:
    print("shut", e)
"""


def test_the_lan_does_not_reach_what_is_bound_to_a_network(tmp_path):
    with Lab("root", "control", "other") as net:
        scene = Scene(net, tmp_path)
        address = scene.boot()
        board = scene.board
        board.wait("nic.status() == %d" % DENIED, 30)
        board.watch("nic.status() == %d" % OK, lambda: scene.authorize(address))
        ip = board.eval("nic.ifconfig()[0]")
        other = Ours(net, "other", scene.world.home("other"), scene.world.planet)
        other.start()
        other.join(scene.nwid)
        asked = lambda: len(scene.controller.zt("member", "list", scene.nwid)) == 2  # noqa: E731
        wait_for("the other has asked", asked, 30)
        scene.authorize(other.address)
        other.wait_ready(scene.nwid)

        def reach(to):
            done = net.run(
                "root", [sys.executable, "-c", REACH, to], capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            return done.stdout.split()[0]

        net.run("root", ["ip", "route", "add", ip + "/32", "via", BOARD_IP], check=True)
        board.repl.start(SERVE % (BOARD_IP, 8000))
        board.repl.wait_for("ready\r\n", 30)
        assert reach(ip) == "shut"
        assert reach(BOARD_IP) == "open"  # the LAN does reach the board
        assert board.repl.finish(60).strip() == "[0, 1]"
        # And members do what it may not.
        board.repl.start(SERVE % (BOARD_IP, 6000))
        board.repl.wait_for("ready\r\n", 30)
        other.call("tcp_connect", ip=ip, port=8266)
        assert board.repl.finish(60).strip() == "[1, 0]"
        board.stop()
