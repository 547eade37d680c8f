# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The emulated board beyond the tables of its data plane, whose sizes lib/zt/plane.py has: a
# network that finds no place, and packets in pieces. Both go through Python, and what has its
# place goes on there. cpython-only: needs namespaces and an emulator

import pytest
from boards import OK, Scene
from client import Ours, wait_for
from lab import Lab
from zt import plane

pytestmark = pytest.mark.usefixtures("a_board_is_possible")

HELD = plane._LIMITS["small"][1]

# All places but one are others'. (The last of four interfaces is none of ours here.)
FILL = """
import _ztplane
print([_ztplane.network_set(b"other %%02d" %% i, 3, 2, 32, 0, b"\\1\\0", b"") for i in range(%d)])
"""

ECHO = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 7))
s.settimeout(20)
print("ready")
for _ in range(%d):
    data, source = s.recvfrom(2048)
    s.sendto(data, source)
s.close()
"""


def network(scene, number):
    """A new one on the scene's controller."""
    net = "10.99.%d." % number
    words = ("--name", "lab%d" % number, "--pool", net + "1-" + net + "200")
    return scene.controller.zt("network", "new", *words, "--route", net + "0/24")["id"]


def admit(scene, nwid, *addresses):
    members = lambda: scene.controller.zt("member", "list", nwid)  # noqa: E731
    wait_for("all have asked", lambda: len(members()) == len(addresses), 60)
    for address in addresses:
        scene.controller.zt("member", "authorize", nwid, address)


def test_what_the_tables_do_not_hold_goes_through_python(tmp_path):
    with Lab("root", "control", "other") as net:
        scene = Scene(net, tmp_path)
        board, address = scene.board, scene.boot()
        other = Ours(net, "other", scene.world.home("other"), scene.world.planet)
        other.start()
        assert board.run(FILL % (HELD - 1)).strip() == str(list(range(HELD - 1)))
        ids = [scene.nwid, network(scene, 1)]
        ips = []
        for nwid in ids:
            if nwid != scene.nwid:
                board.run("nic.join(%r)" % nwid)
            other.join(nwid)
            admit(scene, nwid, address, other.address)
            board.wait("nic.isconnected(%r)" % nwid, 60)
            ips.append(other.wait_ready(nwid))
        assert board.eval("nic.status()") == OK
        # Twice, so that each network has had its chance of a place in the tables.
        for ip in ips + ips:
            assert any([board.eval("nic.ping(%r, 3000)" % ip) is not None for _ in range(5)]), ip
        assert board.eval("len(nic.driver.plane.networks)") == 1
        pieces = "nic.driver.plane.counters().get('events', 0)"
        before = board.eval(pieces)

        ip = board.eval("nic.ifconfig()[0]")
        # 2,000 bytes come as a packet in two pieces, and go as two fragments of IP.
        board.repl.start(ECHO % 3)
        board.repl.wait_for("ready\r\n", 30)
        said = other.call("udp_exchange", ip=ip, port=7, size=2000, count=3)
        assert said["good"], said
        board.repl.finish(60)
        assert board.eval(pieces) - before >= 6
        counters = board.eval("nic.driver.plane.counters()")
        assert not counters.get("fragment") and not counters.get("stranger_lost"), counters
        board.stop()
