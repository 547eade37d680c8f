# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What the emulated board offers below the node: clock, randomness, console, flash, DHCP, and the
# wires and interfaces of _zthal over its lwIP. Its network is the emulator's own, in a namespace
# without a way out.
# cpython-only: needs an emulator

import os
import time

import pytest
from boards import qemu_board, rawrepl

pytestmark = pytest.mark.usefixtures("a_board_is_possible")


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    disk = str(tmp_path_factory.mktemp("hal") / "disk")
    qemu_board.make_disk(disk)
    assert os.stat(disk).st_mode & 0o77 == 0, "identities of boards are in such files"
    net = qemu_board.user_network()
    with qemu_board.Board(disk=disk, netdev=net, namespace=["unshare", "-Urn"]) as made:
        made.connect().enter_idle()
        yield made


@pytest.fixture
def repl(machine):
    machine.repl.run("from zt import hal\nimport _board, os, time")
    return machine.repl


def test_clock_and_random_numbers(repl):
    before = repl.eval("time.ticks_ms()")
    began = time.monotonic()
    repl.run("time.sleep_ms(300)")
    took = (time.monotonic() - began) * 1000
    passed = repl.eval("time.ticks_ms()") - before
    assert 300 <= passed <= took + 1000
    assert abs(repl.eval("time.time()") - time.time()) < 30
    drawn = [repl.eval("os.urandom(16)"), repl.eval("hal.random(16)"), repl.eval("hal.random(16)")]
    assert len(set(drawn)) == 3 and all(len(x) == 16 for x in drawn)


def test_control_c_ends_a_busy_loop_and_a_sleep(repl):
    wait = "import select\nselect.poll().poll()"
    for loop in ("while True:\n    pass", "time.sleep(1000)", wait):
        repl.start(loop)
        time.sleep(0.1)
        repl.port.write(b"\x03")
        with pytest.raises(rawrepl.Failed, match="KeyboardInterrupt"):
            repl.finish(20)


def test_flash_is_a_nor_flash(repl):
    repl.run("f = _board.Flash()\nb = bytearray(8)\nf.ioctl(6, 120)")
    assert repl.eval("(f.readblocks(120, b, 4088), bytes(b))") == (0, b"\xff" * 8)
    assert repl.eval("f.writeblocks(120, b'\\xf0\\x0f\\xaa', 4089)") == 0
    # Bits that are clear stay so until the block is erased.
    assert repl.eval("f.writeblocks(120, b'\\x3c\\xff\\x55', 4089)") == 0
    want = b"\xff\x30\x0f\x00" + b"\xff" * 4
    assert repl.eval("(f.readblocks(120, b, 4088), bytes(b))") == (0, want)
    assert repl.eval("f.ioctl(6, 120)") == 0
    assert repl.eval("(f.readblocks(120, b, 4088), bytes(b))") == (0, b"\xff" * 8)
    blocks, size = repl.eval("(f.ioctl(4, 0), f.ioctl(5, 0))")
    assert (blocks, size) == (qemu_board.DISK_BYTES // 4096, 4096)
    assert repl.eval("f.ioctl(6, %d)" % blocks) < 0
    assert repl.eval("f.writeblocks(%d, b'x', 4090)" % blocks) < 0
    assert repl.eval("f.readblocks(%d, b, 4090)" % (blocks - 1)) < 0
    for block in (-1, 1 << 20):  # which times 4096 is 0 in 32 bits
        assert repl.eval("f.readblocks(%d, b, 0)" % block) < 0
        assert repl.eval("f.writeblocks(%d, b'x', 0)" % block) < 0


def test_asks_for_its_address(repl):
    assert repl.eval("__import__('network').wait()")
    asked = ("10.0.2.15", "255.255.255.0", "10.0.2.2", "10.0.2.3")
    assert repl.eval("__import__('network').LAN().ifconfig()") == asked
    assert ("10.0.2.15" in repl.run("print(*[hal.interfaces()])")) is False  # bytes, not text
    names = repl.eval("hal.interfaces()")
    assert [n for n in names if n[1:] == (bytes([10, 0, 2, 15]), 24)]
    set_by_hand = ("10.0.2.77", "255.255.255.0", "10.0.2.2", "10.0.2.3")
    assert repl.eval("__import__('network').LAN().ifconfig(%r)" % (set_by_hand,)) == set_by_hand
    repl.run("import network\nnetwork.LAN().ifconfig('dhcp')\nnetwork.wait()")
    assert repl.eval("network.LAN().ifconfig()") == asked


WIRES = """
me = bytes([10, 0, 2, 15])
for i in range(8):
    try:
        hal.wire_close(i)
    except OSError:
        pass
a, b = hal.wire_open(me, 9993), hal.wire_open(bytes(4), 0)
buf, meta = bytearray(2048), bytearray(20)

def recv(wire):
    for _ in range(100):
        n = hal.wire_recv(wire, buf, meta)
        if n:
            return bytes(buf[:n]), bytes(meta[1:5]), meta[17] << 8 | meta[18]
        hal.wait(5)

def errno(f, *args):
    try:
        f(*args)
        return 0
    except OSError as e:
        return e.errno
"""


def test_wires(repl):
    repl.run("import network\nnetwork.wait()\n" + WIRES)
    a, b = repl.eval("(hal.wire_port(a), hal.wire_port(b))")
    assert a == 9993 and b > 0
    # The port is taken, the address not ours.
    assert repl.eval("errno(hal.wire_open, me, 9993)") == 98
    assert repl.eval("errno(hal.wire_open, bytes([10, 0, 2, 16]), 9993)") == 22
    assert repl.eval("errno(hal.wire_port, 7)") == 9
    assert repl.eval("hal.wire_send(a, bytes(16), 1, b'x', 1, 0)") == 97
    assert repl.eval("hal.wire_send(a, me, 1, bytes(1481), 1481, 0)") == 22
    # Datagrams of all sizes, in order, with their source; those of the other wire stay its own.
    for n in (1, 59, 60, 1432, 1472):
        send = "hal.wire_send(a, me, hal.wire_port(b), bytes(range(256)) * 6, %d, 3)" % n
        assert repl.eval(send) == 0
    repl.run("hal.wire_send(b, me, 9993, b'other', 5, 0)")
    assert repl.eval("recv(a)") == (b"other", bytes([10, 0, 2, 15]), b)
    for n in (1, 59, 60, 1432, 1472):
        want = (bytes(range(256)) * 6)[:n]
        assert repl.eval("recv(b)") == (want, bytes([10, 0, 2, 15]), 9993), n
    # More than the queue holds: the rest is lost and counted, nothing else happens.
    before = repl.eval("hal.wire_drops()['rx_full']")
    repl.run("for i in range(12):\n    hal.wire_send(b, me, 9993, bytes([i]), 1, 0)\nhal.wait(20)")
    got = repl.eval("[recv(a)[0][0] for i in range(8)]")
    assert got == list(range(8))
    assert repl.eval("hal.wire_recv(a, buf, meta)") == 0
    assert repl.eval("hal.wire_drops()['rx_full']") == before + 4
    repl.run("hal.wire_close(a)\nhal.wire_close(b)")
    assert repl.eval("errno(hal.wire_close, a)") == 9
    # All there are, and no more.
    repl.run("w = [hal.wire_open(bytes(4), 0) for i in range(8)]")
    assert repl.eval("errno(hal.wire_open, bytes(4), 0)") == 24
    repl.run("for i in w:\n    hal.wire_close(i)")


def test_a_wire_never_leads_into_a_network(repl):
    repl.run("import network\nnetwork.wait()\n" + WIRES)
    # A network that has the wire's whole neighbourhood as its subnet, and the way to everywhere.
    repl.run(
        "n = hal.nic_add(bytes([2, 0, 0, 0, 0, 1]), 2800)\n"
        "hal.nic_addr(n, bytes([10, 0, 2, 99]), 16, True)\n"
        "hal.nic_route(n, bytes(4), 0, bytes([10, 0, 0, 1]), True)\n"
        "frame, head = bytearray(3000), bytearray(8)\n"
        "def types():\n"
        "    found = []\n"
        "    while hal.nic_recv(frame, head):\n"
        "        found.append(frame[12] << 8 | frame[13])\n"
        "    return [t for t in found if t != 0x86DD]"  # it reports its IPv6 groups by itself
    )
    repl.run("types()")  # it has told everybody its address
    for to in ("10, 0, 2, 2", "10, 0, 9, 9", "192, 0, 2, 1"):
        assert repl.eval("hal.wire_send(a, bytes([%s]), 9, b'x' * 200, 200, 0)" % to) == 0
        assert repl.eval("hal.wire_send(b, bytes([%s]), 9, b'x' * 200, 200, 0)" % to) == 0
    # The network's interface was asked for nothing, not even by ARP.
    assert repl.eval("types()") == []
    assert repl.eval("errno(hal.wire_open, bytes([10, 0, 2, 99]), 1)") == 22
    ours = repl.eval("[ip for _, ip, _ in hal.interfaces()]")
    assert bytes([10, 0, 2, 99]) not in ours
    # An ordinary socket does go there.
    repl.run("import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)")
    repl.run("s.sendto(b'x', ('192.0.2.1', 9))\ns.close()")
    assert repl.eval("types()") == [0x0806]
    repl.run("hal.nic_remove(n)\nhal.wire_close(a)\nhal.wire_close(b)")


def test_without_ethernet_there_is_no_way(repl):
    repl.run("import network\nnetwork.wait()\n" + WIRES)
    repl.run("network.LAN().active(False)")
    before = repl.eval("hal.wire_drops()['tx_route']")
    assert repl.eval("hal.wire_send(a, bytes([10, 0, 2, 2]), 9, b'x', 1, 0)") == 101
    assert repl.eval("hal.wire_drops()['tx_route']") > before
    repl.run("hal.wire_close(a)\nhal.wire_close(b)\nnetwork.wait()")
