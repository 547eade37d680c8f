# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The emulated board's network adds up the UDP checksum of everything but of what goes to the
# node's wires, which carries a MAC: a damaged datagram does not reach a program, and at a wire it
# gets as far as the MAC.
# cpython-only: needs namespaces and an emulator

import sys

import pytest
from boards import BOARD_IP, Scene
from client import wait_for
from lab import Lab
from zt import drops

pytestmark = pytest.mark.usefixtures("a_board_is_possible")

LISTEN = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(socket.getaddrinfo(%r, 7777)[0][-1])
s.settimeout(30)
print("ready")
print(s.recv(100))
s.close()
"""

# Right address, right length, a checksum that is not the sum.
DAMAGED = """
import socket, struct, sys
data = bytes.fromhex(sys.argv[3])
head = struct.pack("!HHHH", 5555, int(sys.argv[2]), 8 + len(data), 0xBEEF)
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
s.sendto(head + data, (sys.argv[1], 0))
"""

SEND = "import socket, sys; socket.socket(2, 2).sendto(b'good', (sys.argv[1], int(sys.argv[2])))"


def test_only_what_carries_a_mac_is_taken_with_a_wrong_checksum(tmp_path):
    with Lab("root", "control", "other") as net:
        scene = Scene(net, tmp_path)
        address = scene.boot()
        board = scene.board

        def run(program, *words):
            net.run("other", [sys.executable, "-c", program, *words], check=True)

        board.repl.start(LISTEN % BOARD_IP)
        board.repl.wait_for("ready\r\n", 30)
        run(DAMAGED, BOARD_IP, "7777", b"damaged".hex())
        run(SEND, BOARD_IP, "7777")
        assert board.repl.finish(60).strip() == "b'good'"

        # As from the root, Salsa20/12-Poly1305, with a MAC that is none.
        root = (scene.world.home("root") / "identity.public").read_text().split(":")[0]
        sealed = b"\1\2\3\4\5\6\7\x08" + bytes.fromhex(address + root) + b"\x08" + bytes(30)
        refused = lambda: board.eval("nic.node.drops[%d]" % drops.MAC)  # noqa: E731
        before = refused()
        run(DAMAGED, BOARD_IP, "9993", sealed.hex())
        wait_for("the packet was judged", lambda: refused() == before + 1, 20)
        board.stop()
