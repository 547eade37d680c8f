# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Small frames a second between two of our nodes, each on its own core, beside a bare pair of
# sockets that moves datagrams of the same size on the wire (bench_wire.c) over the same veth pair.
# Packets are made and counted in C (ztbench/), above lwIP on both sides: each goes through lwIP's
# UDP, the plane and a socket, and back. A rate counts when less than 1 % of it is lost: it is
# searched from above, and the sides take turns, of which the median counts.

import json
import os
import subprocess
import time

import bench_lab
from bench_lab import BENCH, TOP, Unmeasured, ask, cores, note, pinned
from bench_row import row

FRAME = 64  # of Ethernet, without the checksum behind
UDP_PAYLOAD = FRAME - 14 - 20 - 8
WIRE = 28 + 10 + FRAME - 14  # packet header, network and EtherType, the frame without its MACs
PORT = 7000
SETTLE_S = 0.3
LOSS = 0.01
COMMAND = "python3 tools/bench.py --only udp"


def build_bare():
    os.makedirs(BENCH, exist_ok=True)
    program = os.path.join(BENCH, "bench_wire")
    source = os.path.join(TOP, "tools", "bench_wire.c")
    words = ["gcc", "-std=gnu99", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source]
    subprocess.run(words, check=True)
    return program


class Nodes:
    """Two nodes of the bench build on hosts a and b; a sends."""

    name = "microzt"

    def __init__(self, world):
        hosts = zip(("a", "b"), cores())
        both = [bench_lab.agent(world, h, core, world.fresh(), world.nwid) for h, core in hosts]
        self.procs = [p for p, _ in both]
        self.ips = [ip for _, ip in both]
        ask(self.procs[1], "sink", PORT)
        self.find()

    def find(self):
        """Talk until there is a direct path, in both of their eyes; the root counts as a peer."""
        end = time.monotonic() + bench_lab.WAIT_S
        while min(ask(p, "about")["direct"] for p in self.procs) < 2:
            if time.monotonic() > end:
                raise Unmeasured("the nodes found no direct path")
            self.run(200, 500)

    def run(self, rate, ms):
        """(sent, received, seconds) at so many a second, 0: as many as go."""
        a, b = self.procs
        ask(b, "counted")
        done = ask(a, "send", self.ips[1], PORT, UDP_PAYLOAD, rate, ms)
        time.sleep(SETTLE_S)
        return done["sent"], ask(b, "counted")["received"], done["us"] / 1e6

    def close(self):
        for p in self.procs:
            p.stdin.close()
            p.wait(20)


class Bare:
    """Sockets between the same hosts and cores."""

    def __init__(self, lab, program, segment):
        self.name = "bare UDP_SEGMENT/UDP_GRO pair" if segment else "bare sendmmsg/recvmmsg pair"
        self.lab = lab
        self.program = program
        self.segment = ["segment"] if segment else []
        self.port = str(PORT + 1 + segment)
        self.core, there = cores()
        argv = [program, "recv", self.port] + (["gro"] if segment else [])
        pipe = subprocess.PIPE
        self.sink = lab.popen("b", pinned(there, argv), stdin=pipe, stdout=pipe, text=True)

    def run(self, rate, ms):
        ask(self.sink, "counted")
        argv = [self.program, "send", self.lab.ipv4("b"), self.port, str(WIRE), str(rate), str(ms)]
        argv = pinned(self.core, argv + self.segment)
        done = self.lab.run("a", argv, capture_output=True, text=True, check=True)
        done = json.loads(done.stdout)
        time.sleep(SETTLE_S)
        return done["sent"], ask(self.sink, "counted")["received"], done["us"] / 1e6

    def close(self):
        self.sink.stdin.close()
        self.sink.wait(20)


def figures(result):
    """(offered a second, received a second, lost of 1)"""
    sent, received, seconds = result
    return sent / seconds, received / seconds, 1 - received / sent if sent else 1.0


def search(side, ms):
    """The highest rate to offer of which less than LOSS is lost; 0 if the sender is the limit."""
    offered, received, loss = figures(side.run(0, ms))
    if loss < LOSS:
        return 0
    high, low = offered, 0.0
    rate = received
    for _ in range(6):
        if figures(side.run(int(rate), ms))[2] < LOSS:
            low = rate
        else:
            high = rate
        rate = (low + high) / 2
    return int(low)


def median(results):
    """Of those with little loss, else of all."""
    good = sorted([r for r in results if r[2] < LOSS] or results, key=lambda r: r[1])
    return good[len(good) // 2]


def measure(sides, ms, turns):
    """(offered, received, lost) of each side, medians of turns taken one after the other."""
    rates = []
    for side in sides:
        note("64-byte frames, %s: searching the rate ..." % side.name)
        rates.append(search(side, ms))
    found = [[] for _ in sides]
    for turn in range(turns):
        note("64-byte frames, turn %d of %d ..." % (turn + 1, turns))
        for side, rate, results in zip(sides, rates, found):
            results.append(figures(side.run(rate, ms)))
    return [median(results) for results in found]


def rows(world, quick):
    bench_lab.bench_build()
    program = build_bare()
    sides = [Nodes(world)]
    try:
        sides += [Bare(world.lab, program, False), Bare(world.lab, program, True)]
        ours, bare, batched = measure(sides, 500 if quick else 2000, 3 if quick else 7)
    finally:
        for side in sides:
            side.close()
    pair, gso = sides[1].name, sides[2].name

    def one(name, value, unit, target=None, peer=None, peer_value=None):
        return row(name, value, unit, target, peer, peer_value, COMMAND)

    return [
        one("udp_64_ratio", round(ours[1] / bare[1], 2), "of the bare pair", 0.6),
        one("udp_64_received", round(ours[1]), "frames/s", None, pair, round(bare[1])),
        one("udp_64_offered", round(ours[0]), "frames/s", None, pair, round(bare[0])),
        one("udp_64_lost", round(100 * ours[2], 3), "%", 1, pair, round(100 * bare[2], 3)),
        one(
            "udp_64_of_batched",
            round(ours[1] / batched[1], 2),
            "of 1",
            None,
            gso,
            round(batched[1]),
        ),
    ]
