# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# IPv6 over the virtual network, on the emulated board: the RFC4193 and the 6PLANE address and one
# given by the controller, pings and streams both ways, with our node; and with libzt 1.8.4, whose
# stack takes one address only, by that of RFC4193.
# cpython-only: needs namespaces and an emulator

import ipaddress

import boards
import pytest
from boards import OK, Scene
from client import Failed, Libzt, Ours, libzt_crash, wait_for
from lab import Lab
from libzt_node import pattern

pytestmark = pytest.mark.usefixtures("a_board_is_possible")

STATIC = "fd00:99::%x"
ROUTES = [{"target": "10.99.0.0/24", "via": None}, {"target": "fd00:99::/64", "via": None}]
BYTES, LITTLE = 20000, 600

LISTEN = """
import socket
l = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
l.bind(socket.getaddrinfo("::", 7006)[0][-1])
l.listen(1)
print("ready")
s, who = l.accept()
n = 0
while n < %d:
    n += s.write(s.recv(1000))
print(who[0])
s.recv(1)
s.close()
l.close()
"""

CONNECT = """
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
s.connect(socket.getaddrinfo(%r, %d)[0][-1])
s.write(%r)
got = b""
while len(got) < %d:
    got += s.recv(1000)
print(got.hex())
s.close()
"""


@pytest.fixture
def scene(tmp_path):
    with Lab("root", "control", "other") as net:
        made = Scene(net, tmp_path)
        yield made
        made.board.stop()


def admit(scene, address, ips):
    member = "network/%s/member/%s" % (scene.nwid, address)
    boards.post(scene.controller, member, {"authorized": True, "ipAssignments": ips})


def rfc4193(nwid, address):
    return ipaddress.ip_address(bytes.fromhex("fd" + nwid + "9993" + address)).compressed


def plane6(nwid, address):
    folded = int(nwid[:8], 16) ^ int(nwid[8:], 16)
    at = b"\xfc" + folded.to_bytes(4, "big") + bytes.fromhex(address) + bytes(5) + b"\1"
    return ipaddress.ip_address(at).compressed


def pings(board, ip):
    """A real node announces a new group only after some seconds."""
    return any(board.eval("nic.ping(%r, 3000)" % ip) is not None for _ in range(10))


@pytest.mark.parametrize("kind", (Ours, Libzt))
def test_ipv6_both_ways(scene, kind, request):
    board, nwid = scene.board, scene.nwid
    every = kind is Ours
    modes = {"6plane": every, "rfc4193": True, "zt": False}
    boards.post(scene.controller, "network/" + nwid, {"v6AssignMode": modes, "routes": ROUTES})

    def given(address, number):
        """Lets it in; its IPv6 addresses."""
        static = [STATIC % number] if every else []
        admit(scene, address, ["10.99.0.%d" % number] + static)
        return [rfc4193(nwid, address)] + ([plane6(nwid, address)] + static if every else [])

    address = scene.boot()
    mine = given(address, 5)
    board.wait("nic.status() == %d" % OK, 30)
    texts = board.json("nic.status('networks')[0]['assignedAddresses']")
    has = [ipaddress.ip_address(x.split("/")[0]).compressed for x in texts]
    assert sorted(has) == sorted(mine + ["10.99.0.5"])
    assert board.json("nic.status('networks')[0]['problems']") == []
    assert board.eval("nic.ipconfig('addr6')")

    other = kind(scene.net, "other", scene.world.home("other"), scene.world.planet)
    other.start()
    other.join(nwid)
    asked = lambda: len(scene.controller.zt("member", "list", nwid)) == 2  # noqa: E731
    wait_for("the other has asked", asked, 30)
    theirs = given(other.address, 6)
    other.wait_ready(nwid)

    for ip in theirs:
        assert pings(board, ip), ip
    for ip in mine:
        assert kind is Libzt or other.call("ping", ip=ip)["ms"] is not None, ip

    for port, ip in enumerate(theirs, 7010):
        other.call("tcp_listen", port=port, ip="::")
        words = {"receive": LITTLE, "receive_seed": "up", "send": LITTLE, "send_seed": "down"}
        ended = other.begin("tcp_accept", port=port, **words)
        got = board.run(CONNECT % (ip, port, pattern("up", LITTLE), LITTLE))
        assert bytes.fromhex(got.split()[-1]) == pattern("down", LITTLE), ip
        done = ended()
        assert done["good"] and done["received"] == LITTLE
    for ip in mine:
        board.repl.start(LISTEN % BYTES)
        board.repl.wait_for("ready\r\n", 30)
        words = {"send": BYTES, "receive": BYTES, "send_seed": "6", "receive_seed": "6"}
        try:
            done = other.call("tcp_connect", ip=ip, port=7006, **words)
        except Failed:
            # Some of its own connections over IPv6 kill libzt: three tries.
            if not libzt_crash() or request.node.execution_count < 3:
                raise
            pytest.skip(libzt_crash() + " as it connected, three times")
        assert done["good"] and done["received"] == BYTES, ip
        source = board.repl.finish(60).split()[-1]
        assert ipaddress.ip_address(source).compressed in theirs
