# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The emulated board among real nodes: it is provisioned, boots, comes online at a root, is
# admitted to a private network, and talks over it to our node and to libzt 1.8.4; what its
# controller changes it follows over the air. Times are the board's own. cpython-only: needs
# namespaces and an emulator

import time

import boards
import pytest
from boards import BOARD_IP, DENIED, OK, Scene, rawrepl
from client import Libzt, Ours, wait_for
from lab import Lab

FOLLOWS_MS = 2000

pytestmark = pytest.mark.usefixtures("a_board_is_possible")

PAGE = """
import asyncio
import microdot
app = microdot.Microdot()
served = 0

@app.get("/")
async def index(request):
    global served
    served += 1
    return "from the board, node " + nic.config("address")

async def main():
    server = asyncio.create_task(app.start_server(host="0.0.0.0", port=80))
    while served < %d:
        await asyncio.sleep_ms(50)
    await asyncio.sleep_ms(500)
    app.shutdown()
    await server

asyncio.run(main())
"""

FETCH = """
import socket
s = socket.socket()
s.connect((%r, %d))
s.send(b"GET / HTTP/1.0\\r\\n\\r\\n")
answer = b""
while True:
    piece = s.recv(512)
    if not piece:
        break
    answer += piece
s.close()
print(answer.decode())
"""

SEND_UDP = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    s.sendto(b"x", (%r, 9))
finally:
    s.close()
"""


@pytest.fixture
def scene(tmp_path):
    with Lab("root", "control", "other") as net:
        made = Scene(net, tmp_path)
        yield made
        made.board.stop()


@pytest.fixture
def member(scene):
    """The scene with the board admitted."""
    scene.address = scene.boot()
    scene.board.wait("nic.status() == %d" % DENIED, 30)
    scene.board.watch("nic.status() == %d" % OK, lambda: scene.authorize(scene.address))
    return scene


@pytest.mark.parametrize("kind", (Ours, Libzt))
def test_boots_joins_and_talks(member, kind):
    board = member.board
    ip = board.eval("nic.ifconfig()[0]")
    assert ip.startswith("10.99.0.")

    other = kind(member.net, "other", member.world.home("other"), member.world.planet)
    other.start()
    other.join(member.nwid)
    asked = lambda: len(member.controller.zt("member", "list", member.nwid)) == 2  # noqa: E731
    wait_for("the other has asked", asked, 30)
    member.authorize(other.address)
    other_ip = other.wait_ready(member.nwid)

    # The board's echo is answered by the other's stack, and the other way round.
    assert any([board.eval("nic.ping(%r, 3000)" % other_ip) is not None for _ in range(5)])
    if kind is Ours:
        assert other.call("ping", ip=ip)["ms"] is not None

    # A page of the board's, by microdot, and one for the board.
    board.repl.start(PAGE % 2)
    for _ in range(2):
        answer = other.call("http_get", ip=ip, port=80)["answer"]
        assert "200 OK" in answer and "from the board, node " + member.address in answer
    board.repl.finish(60)
    body = "for the board " * 400
    other.call("http_serve", port=8080, body=body)
    assert body in board.run(FETCH % (other_ip, 8080))

    # Importing the modules in C again, and a collection, leave the node as it is.
    board.run("import _zthal, _ztplane, gc\nfrom _zthal import *\ngc.collect()\ngc.collect()")
    assert board.eval("nic.ping(%r, 3000)" % other_ip) is not None
    # Frames of a known peer do not enter the interpreter, and nothing went missing below it.
    assert board.eval("nic.driver.plane.counters()['rx']") > 20
    drops = board.eval("__import__('_zthal').wire_drops()")
    assert not any(drops.values()), drops


def test_follows_the_controller(member):
    board, nwid = member.board, member.nwid
    ms = {}
    old = board.eval("nic.ifconfig()[0]")
    new = "10.99.0.42" if old != "10.99.0.42" else "10.99.0.43"
    ms["address"] = board.watch(
        "nic.ifconfig()[0] == %r" % new,
        lambda: boards.post(
            member.controller,
            "network/%s/member/%s" % (nwid, member.address),
            {"ipAssignments": [new]},
        ),
    )
    routes = [
        {"target": "10.99.0.0/24", "via": None},
        {"target": "10.55.0.0/16", "via": "10.99.0.7"},
    ]
    ms["route"] = board.watch(
        "'10.55.0.0/16' in [r['target'] for n in nic.status('networks') for r in n['routes']]",
        lambda: boards.post(member.controller, "network/" + nwid, {"routes": routes}),
    )
    rules = [
        {"type": "MATCH_IP_PROTOCOL", "ipProtocol": 17},
        {"type": "ACTION_DROP"},
        {"type": "ACTION_ACCEPT"},
    ]
    rule_bytes = "len(nic._net().config.rules)"
    before = board.eval(rule_bytes)
    ms["rule"] = board.watch(
        "%s > %d" % (rule_bytes, before),
        lambda: boards.post(member.controller, "network/" + nwid, {"rules": rules}),
    )
    # What the new rule forbids is not sent any more, and counted.
    assert board.eval("nic.status('networks')[0]['counters']['drops']['rules_out']") == 0
    board.run(
        "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.sendto(b'x', ('10.99.0.255', 9))\nimport time\ntime.sleep_ms(50)\ns.close()"
    )
    assert board.eval("nic.status('networks')[0]['counters']['drops']['rules_out']") == 1

    ms["deauthorized"] = board.watch(
        "nic.status() == %d" % DENIED, lambda: member.authorize(member.address, False)
    )
    assert board.eval("nic.isconnected()") is False
    # Nothing is left of what the network gave: no address, no way there.
    assert board.eval("nic.ifconfig()[0]") == "0.0.0.0"
    assert board.eval("nic.status('networks')[0]['assignedAddresses']") == []
    with pytest.raises(rawrepl.Failed, match="EHOSTUNREACH|ENETUNREACH|ETIMEDOUT"):
        board.run(SEND_UDP % "10.55.0.1")
    ms["authorized"] = board.watch(
        "nic.status() == %d" % OK, lambda: member.authorize(member.address)
    )
    assert board.eval("nic.ifconfig()[0]") == new
    board.run(SEND_UDP % "10.55.0.1")
    print("followed after ms: %s" % ms)
    slow = {name: took for name, took in ms.items() if took > FOLLOWS_MS}
    assert not slow, slow


def test_soft_reset_with_a_running_node(member):
    board = member.board
    for _ in range(3):
        # The node's objects are freed under a stack and wires that were in use.
        board.repl.leave()
        board.repl.port.write(b"\x04")
        said = board.repl.wait_for("soft reboot", 10)
        said += board.repl.enter_idle()
        assert "Traceback" not in said, said
        board.wait("nic.status() == %d" % OK, 30)
    # Without main.py nothing is left of it: no wires, no interface, and the network card works.
    board.run("import os\nos.rename('/main.py', '/other.py')")
    board.repl.soft_reset()
    time.sleep(1)
    assert board.eval("__import__('_board').lan_status()[0]") == BOARD_IP
    board.run("import gc\ngc.collect()")
    board.run("exec(open('/other.py').read())")
    board.wait("nic.status() == %d" % OK, 30)
