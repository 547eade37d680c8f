# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What the node takes of the emulated board, with one network and eight peers that talk to it:
# statics of firmware/, tables of the data plane, and the heap that lib/zt holds after a
# collection. BOUND is what it takes today and a little, so that it cannot grow unseen; the target
# of 64 KB is missed (docs/boards.md says by what).

import json
import select
import subprocess
import sys
import time

import boards
import pytest
from lab import Lab

PEERS = 8
BOUND = 132 * 1024
APPLICATION = 128 * 1024

BARE = "import gc\ngc.collect()\ngc.collect()\nprint(gc.mem_alloc())"


def start_crowd(net, folder):
    words = [sys.executable, str(boards.TOP) + "/tests/embedded/crowd.py"]
    words += ["--home", str(folder / "crowd"), "--peers", str(PEERS)]
    words += ["--address", net.ipv4("crowd")]
    child = net.popen(
        "crowd", words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    return child, json.loads(child.stdout.readline())


def answered(child, least, seconds):
    """Wait until each member has had so many answers."""
    end = time.monotonic() + seconds
    counts = []
    while time.monotonic() < end:
        if select.select([child.stdout], [], [], 1)[0]:
            counts = json.loads(child.stdout.readline())["answered"]
            if min(counts) >= least:
                return
    raise AssertionError("after %d s: %s" % (seconds, counts))


def measure(tmp_path):
    with Lab("crowd") as net:
        child, told = start_crowd(net, tmp_path)
        planet = tmp_path / "planet"
        planet.write_bytes(bytes.fromhex(told["planet"]))
        board = boards.Board(net, tmp_path)
        board.provision(tmp_path / "identity", planet, told["nwid"])
        # Without main.py nothing of ours is imported.
        board.start()
        board.prompt()
        board.run("import os\nos.rename('/main.py', '/later.py')")
        board.stop()
        board.start()
        board.prompt()
        bare = int(board.run(BARE))
        board.run("exec(open('/later.py').read())")
        child.stdin.write(board.eval("nic.config('address')") + "\n")
        child.stdin.flush()
        board.wait("nic.isconnected()", 60)
        answered(child, 10, 60)
        found = board.json("zt.memory()")
        board.stop()
        child.stdin.close()
    found["node_heap"] = found["heap_used"] - bare
    found["node"] = found["node_heap"] + found["static"] + found["plane"]
    return found


@pytest.mark.usefixtures("a_board_is_possible")
def test_a_node_with_eight_peers_keeps_within_its_bounds(tmp_path):
    found = measure(tmp_path)
    print(json.dumps(found, sort_keys=True))
    assert found["peers"] == PEERS + 1 and found["networks"] == 1
    assert found["static"] > 0 and found["plane"] > 0
    assert found["heap_free"] >= APPLICATION
    assert found["node"] <= BOUND
