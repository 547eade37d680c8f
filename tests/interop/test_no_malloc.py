# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# A node that has started does not call malloc: two of our nodes, linked so that each call is
# counted (tools/build_counted.sh), send each other TCP and UDP, whole and in pieces, while the
# counters stand still.

import os
import struct
import subprocess

import client
from client import Ours
from lab import Lab
from test_interop import MIB, World, admit, both_ways, wait_direct

NAMES = ("malloc", "calloc", "realloc", "free", "others")


def counts(home):
    with open(str(home) + ".calls", "rb") as f:
        numbers = struct.unpack("6Q", f.read())
    return dict(zip(NAMES, numbers)), numbers[5]


def caller(program, address):
    """Which line that was, for the one who has to find it."""
    done = subprocess.run(
        ["addr2line", "-fe", program, "%x" % address], capture_output=True, text=True
    )
    return done.stdout.replace("\n", " ")


def test_traffic_between_two_nodes_costs_no_call_of_malloc(tmp_path, monkeypatch):
    build = [os.path.join(client.TOP, "tools", "build_counted.sh")]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    counted = os.path.join(client.TOP, "build", "unix", "microzt-counted")
    program = tmp_path / "zt"
    program.write_text(
        "#!/bin/sh\n"
        'for w; do [ "$before" = --home ] && home=$w; before=$w; done\n'
        "ZT_MALLOC_COUNT=$home.calls exec %s -c 'from zt.cli import run; run()' \"$@\"\n" % counted
    )
    program.chmod(0o755)
    with Lab("root", "control", "first", "second") as net:
        world = World(net, tmp_path, "ours")
        monkeypatch.setattr(client, "ZT", str(program))
        nodes = [Ours(net, name, world.home(name), world.planet) for name in ("first", "second")]
        for node in nodes:
            node.start()
        assert counts(world.home("first"))[0]["malloc"] > 0, "nothing is counted"
        ips = admit(world, *nodes)
        # Python's heap grows to its size, by malloc, and stays there.
        wait_direct(world, *nodes, ips, 8000)
        both_ways(world, *nodes, ips, 7000, 4 * MIB)
        before = [counts(node.home) for node in nodes]
        both_ways(world, *nodes, ips, 7010, 8 * MIB)
        for node, (first, _) in zip(nodes, before):
            now, last = counts(node.home)
            assert now == first, "%s: last in %s" % (node.host, caller(counted, last))
