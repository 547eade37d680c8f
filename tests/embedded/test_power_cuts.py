# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The emulated board loses its power in the middle of a write or an erase of its flash, again and
# again while its node writes all it ever writes: it boots each time with its own identity, and
# comes back to its network. ZT_POWER_CUTS says how often (50; 1000 for the long run), ZT_SEED
# repeats a run. cpython-only: needs namespaces and an emulator

import os
import random
import time

import pytest
from boards import DENIED, Scene, qemu_board
from lab import Lab

pytestmark = pytest.mark.usefixtures("a_board_is_possible")

CUTS = int(os.environ.get("ZT_POWER_CUTS") or 50)
SEED = int(os.environ.get("ZT_SEED") or random.SystemRandom().randrange(1 << 30))

# Waits for a configuration that its controller gave it in this run, not the one in the flash.
# Then it writes what a node writes, and more often than it would: settings that are replaced
# (the identity by itself), a second network that comes and goes, configurations, peers.
STRESS = """
import time
import zt
from zt._compat import ticks_ms
try:
    with open("/.zt/identity.secret", "rb") as f:
        print("secret %d" % hash(f.read()))
    nic = zt.NIC()
    nic.active(True)
    print("address", nic.config("address"))
    start = time.ticks_ms()
    while nic.status() != 1010 or not nic._net().request.fresh:
        time.sleep_ms(2)
        if time.ticks_diff(time.ticks_ms(), start) > 60000:
            raise OSError("not back: %s" % nic.status("networks"))
    print("joined")
    nic.store.every_ms = 0
    while True:
        nic.settings.set("identity.secret", nic.settings.get("identity.secret"))
        nic.config(hostname="board%d" % time.ticks_ms())
        nic.join("fedcba9876543210")
        config = nic._net()
        nic.store.put("network", nic.store.get("network", config.nwid), config.nwid)
        for peer in list(nic.node.topology.peers.values()):
            nic.node.topology.save_peer(ticks_ms(), peer)
        nic.store.tick(ticks_ms())
        time.sleep_ms(1)
        nic.leave("fedcba9876543210")
        print("round")
except Exception as e:
    import sys
    sys.print_exception(e)
    print("FAILED")
    import _board
    _board.halt(3)
"""


def test_power_cuts(tmp_path):
    draw = random.Random(SEED)
    began = time.monotonic()
    joined = rounds = early = 0
    with Lab("root", "control") as net:
        scene = Scene(net, tmp_path)
        board = scene.board
        address = scene.boot()
        board.wait("nic.status() == %d" % DENIED, 30)
        scene.authorize(address)
        secret = board.eval("hash(open('/.zt/identity.secret', 'rb').read())")
        board.repl.put("/main.py", STRESS.encode())
        board.stop()
        for i in range(CUTS):
            # Some in the first writes after the start, most while it works.
            after = draw.randrange(1, 12 if i % 4 == 0 else 160)
            what = "cut %d of %d (ZT_SEED=%d): after %d" % (i + 1, CUTS, SEED, after)
            board.start("cut=%d seed=%d" % (after, draw.randrange(1, 1 << 31)), hold=True)
            said, status = board.said_until_exit(240)
            board.stop()
            assert status == qemu_board.CUT, "%s: status %s: %s" % (what, status, said[-2000:])
            assert "secret %d\r\n" % secret in said, "%s: %s" % (what, said)
            assert "address %s\r\n" % address in said, "%s: %s" % (what, said)
            assert "FAILED" not in said, "%s: %s" % (what, said)
            joined += "joined" in said
            early += "joined" not in said
            rounds += said.count("round")
        # And once more without a cut.
        board.start(hold=True)
        said, status = board.said_until_exit(120, b"round")
        assert status is None and "joined" in said and "FAILED" not in said, said
        board.stop()
    print(
        "%d power cuts in %.0f s: %d after it was back on its network, %d before; %d rounds"
        % (CUTS, time.monotonic() - began, joined, early, rounds)
    )
    assert joined > CUTS // 2


def test_power_cut_in_the_first_formatting(tmp_path):
    # However far the formatting of a new flash came, the next start has a file system.
    disk = str(tmp_path / "disk")
    for after in range(1, 40):
        qemu_board.make_disk(disk)
        with qemu_board.Board(disk=disk, append="cut=%d seed=%d" % (after, after)) as machine:
            status = machine.exit_status(1 if after > 1 else 10)
        if status is None:
            assert after > 4, "formatting takes some writes"
            return  # it was done before the cut
        assert status == qemu_board.CUT
        with qemu_board.Board(disk=disk) as machine:
            repl = machine.connect()
            said = repl.enter_idle()
            assert "flash" not in said, (after, said)
            repl.put("/x", b"works")
            assert repl.eval("open('/x').read()") == "works"
    raise AssertionError("formatting never ended")


def test_the_last_write_is_torn_at_a_random_byte(tmp_path):
    # What the tests above rest on: the write stops somewhere, in the middle of a byte.
    disk = str(tmp_path / "disk")
    qemu_board.make_disk(disk)
    with qemu_board.Board(disk=disk) as machine:
        machine.connect().enter_idle()  # formatted
    places, torn = set(), 0
    draw = random.Random(1)
    for seed in [draw.randrange(1, 1 << 31) for _ in range(6)]:
        with open(disk, "r+b") as f:
            f.seek(120 * 4096)
            f.write(b"\xff" * 4096)
        with qemu_board.Board(disk=disk, append="cut=1 seed=%d" % seed) as machine:
            repl = machine.connect()
            repl.enter_idle()
            repl.start("import _board\n_board.Flash().writeblocks(120, bytes(256), 0)")
            assert machine.exit_status(10) == qemu_board.CUT
        with open(disk, "rb") as f:
            f.seek(120 * 4096)
            found = f.read(4096)
        whole = len(found) - len(found.lstrip(b"\0"))
        assert whole < 256 and found[whole + 1 :] == b"\xff" * (4095 - whole), seed
        places.add(whole)
        torn += found[whole] not in (0, 0xFF)
    assert len(places) > 3 and torn > 3, (places, torn)
