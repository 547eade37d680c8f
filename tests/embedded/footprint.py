# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What the node takes of an emulated board's memory, at each stage of its life: alone, online,
# joined, and with peers that talk to it (crowd.py). Counted are the statics of firmware/, the C
# heap, in which only the plane's tables and interfaces are, and what lib/zt holds of Python's heap
# after a collection, and the wires' slots; not MicroPython, lwIP's pools besides, the drivers'
# rings, the stack.

import json
import os
import re
import select
import subprocess
import sys
import time

import boards

PEERS = 8
STAGES = ("boot", "online", "joined", "8_peers")

_CROWD = os.path.join(boards.HERE, "crowd.py")
_SLOT_HEAD = 128  # at most: pbuf, headers, block of memory
_BARE = "import gc\ngc.collect()\ngc.collect()\nprint(gc.mem_alloc())"


class Crowd:
    """crowd.py on a host of the lab."""

    def __init__(self, net, host, home):
        words = [sys.executable, _CROWD, "--home", str(home), "--peers", str(PEERS)]
        self.child = net.popen(
            host,
            words + ["--address", net.ipv4(host)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        told = json.loads(self.child.stdout.readline())
        self.planet, self.nwid = bytes.fromhex(told["planet"]), told["nwid"]

    def say(self, word):
        """An address is admitted; at "ping" the members begin to."""
        self.child.stdin.write(word + "\n")
        self.child.stdin.flush()

    def wait_answered(self, least, seconds):
        """Until each member has had so many answers."""
        end = time.monotonic() + seconds
        counts = []
        while time.monotonic() < end:
            if select.select([self.child.stdout], [], [], 1)[0]:
                counts = json.loads(self.child.stdout.readline())["answered"]
                if min(counts) >= least:
                    return
        raise AssertionError("after %d s: %s" % (seconds, counts))

    def close(self):
        self.child.stdin.close()
        self.child.wait(10)


def c_heap(image):
    """Bytes of the firmware's C heap."""
    done = subprocess.run(
        ["riscv64-unknown-elf-nm", image], capture_output=True, text=True, check=True
    )
    at = {words[-1]: int(words[0], 16) for words in map(str.split, done.stdout.splitlines())}
    return at["__heap_end"] - at["__heap_start"]


def slots():
    """Bytes of the wires' slots when all are at work, when they are in lwIP's packet memory."""
    path = os.path.join(boards.TOP, "firmware", "netif", "zt_netif_limits.h")
    with open(path) as f:
        sizes = dict(re.findall(r"#define (ZT_HAL_SLOTS?) (\d+)", f.read()))
    return int(sizes["ZT_HAL_SLOTS"]) * (int(sizes["ZT_HAL_SLOT"]) + _SLOT_HEAD)


def _weigh(board, bare):
    found = board.json("zt.memory()")
    never_used = board.eval("__import__('_board').memory()[1]")
    found["node_heap"] = found["heap_used"] - bare
    found["tables"] = c_heap(boards.qemu_board.IMAGE) - never_used
    found["slots"] = slots()
    found["node"] = found["node_heap"] + found["static"] + found["tables"] + found["slots"]
    return found


def measure(net, host, folder):
    """{stage: what zt.memory() says, and in bytes node_heap, tables and all of it as node}, of a
    new board on the lab `net`, with the crowd on `host`."""
    crowd = Crowd(net, host, folder / "crowd")
    planet = folder / "planet"
    planet.write_bytes(crowd.planet)
    board = boards.Board(net, folder)
    board.provision(folder / "identity", planet)
    # Without main.py nothing of ours is imported.
    board.start()
    board.prompt()
    board.run("import os\nos.rename('/main.py', '/later.py')")
    board.stop()
    board.start()
    board.prompt()
    bare = int(board.run(_BARE))
    found = {}
    board.cable(False)
    board.run("exec(open('/later.py').read())")
    found["boot"] = _weigh(board, bare)
    board.cable(True)
    board.wait("nic.status('online')", 60)
    found["online"] = _weigh(board, bare)
    crowd.say(board.eval("nic.config('address')"))
    board.run("nic.join(%r)" % crowd.nwid)
    board.wait("nic.isconnected()", 60)
    found["joined"] = _weigh(board, bare)
    crowd.say("ping")
    crowd.wait_answered(10, 60)
    found["8_peers"] = _weigh(board, bare)
    board.stop()
    crowd.close()
    return found
