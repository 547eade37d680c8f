# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What a node costs with 1, 10, 100 and 1,000 peers: throughput and memory of one real node (bench
# build, on its own core) whose peers are all in use, against a program on the other core that is
# all of them at once (bench_crowd.c). Each peer has an address of its own and a burst of 32 frames
# in its turn. And the plane alone in C (bench_plane.c), where the peer changes with each frame.
#
# A rate is frames per second of the node's core: what it moved while offered more than it could,
# by the processor time it used, so that what else runs on the machine does not count. Sizes take
# turns, and the median of the turns counts.

import statistics
import subprocess
import time

import bench_lab
from bench_lab import Unmeasured, ask, child_of, cores, cpu_s, note, pinned
from bench_row import row

SIZES = (1, 10, 100, 1000)
FRAMES = (64, 1400)
BURST = 32
FIRST_PORT = 20000
SINK = 7000
SETTLE_S = 0.3
UPKEEP_S = 4
WARM_S = 1.5  # the node's own once-a-second work on them has begun
COMMAND = "python3 tools/bench.py --only curve"


class Crowd:
    """The node on host a, its peers on host b."""

    def __init__(self, world, nwid):
        self.lab = world.lab
        self.program = bench_lab.compile_with_core("bench_crowd")
        here, self.there = cores()
        self.peers = None
        self.node, self.ip = bench_lab.agent(world, "a", here, world.fresh(), nwid)
        self.pid = child_of(self.node.pid)
        end = time.monotonic() + bench_lab.WAIT_S
        while ask(self.node, "about")["direct"] < 1:  # the root
            if time.monotonic() > end:
                raise Unmeasured("the node does not come online")
            time.sleep(0.2)
        self.about = ask(self.node, "about")
        ask(self.node, "sink", SINK)

    def become(self, n, frame):
        """n peers that send frames of this size."""
        self.end_peers()
        a = self.about
        argv = [self.program, str(n), self.lab.ipv4("b"), str(FIRST_PORT), self.lab.ipv4("a")]
        argv += [str(a["port"]), a["address"], a["nwid"], self.ip]
        pipe = subprocess.PIPE
        argv = pinned(self.there, argv)
        self.peers = self.lab.popen("b", argv, stdin=pipe, stdout=pipe, text=True)
        ask(self.peers, "frames", frame)
        self.n = n
        self.know()

    def know(self):
        """Have the node know them all."""
        known = ask(self.node, "crowd", self.n, self.lab.ipv4("b"), FIRST_PORT)["installed"]
        if known < self.n * 0.98:
            raise Unmeasured("only %d of %d peers are in the plane" % (known, self.n))
        self.generation = ask(self.node, "about")["generation"]
        time.sleep(WARM_S)

    def rate(self, way, frame, ms):
        """By tx() or rx(). Once a minute a new configuration comes, which voids what the plane
        holds of members; in a loop in C nothing would put them there again, so that is measured
        anew."""
        while True:
            failed = None
            try:
                found = getattr(self, way)(frame, ms)
            except Unmeasured as e:
                failed = e
            if ask(self.node, "about")["generation"] == self.generation:
                if failed:
                    raise failed
                return found
            self.know()

    def rx(self, frame, ms):
        """Frames the node received per second of its core."""
        ask(self.node, "counted")
        before = cpu_s(self.pid)
        ask(self.peers, "send", 0, ms)
        took = cpu_s(self.pid) - before
        return ask(self.node, "counted")["received"] / took

    def tx(self, frame, ms):
        """Frames the node sent per second of its core."""
        ask(self.peers, "counted")
        before = cpu_s(self.pid)
        sent = ask(self.node, "crowd_send", frame, BURST, 0, ms)["sent"]
        took = cpu_s(self.pid) - before
        time.sleep(SETTLE_S)
        got = ask(self.peers, "counted")["received"]
        if got < sent / 2:
            raise Unmeasured("of %d frames %d came" % (sent, got))
        return sent / took

    def upkeep(self):
        """Percent of a core the node needs while each peer says something once a second."""
        began, before = time.monotonic(), cpu_s(self.pid)
        time.sleep(UPKEEP_S)
        return 100 * (cpu_s(self.pid) - before) / (time.monotonic() - began)

    def end_peers(self):
        if self.peers:
            self.peers.stdin.close()
            self.peers.wait(20)
            self.peers = None

    def close(self):
        self.end_peers()
        self.node.stdin.close()
        self.node.wait(20)


def with_sockets(crowd, ms, turns):
    """{(direction, frame, size): rate}, {size: (resident KB, percent of a core at rest)}"""
    found, memory = {}, {}
    for turn in range(turns):
        for frame in FRAMES:
            for n in SIZES:
                note("%d peers, %d-byte frames, turn %d of %d ..." % (n, frame, turn + 1, turns))
                crowd.become(n, frame)
                for way in ("tx", "rx"):
                    rate = crowd.rate(way, frame, ms)
                    found.setdefault((way, frame, n), []).append(rate)
                if n not in memory:
                    memory[n] = ask(crowd.node, "about")["rss_kb"], crowd.upkeep()
    return {key: statistics.median(rates) for key, rates in found.items()}, memory


def plane_alone():
    """{(direction, frame, size): rate}, {size: bytes of the tables}"""
    note("the plane alone, 1 to 1,000 peers ...")
    program = bench_lab.compile_with_core("bench_plane")
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    rates, tables = {}, {}
    for line in done.stdout.splitlines():
        n, way, frame, rate, table = line.split()
        rates[(way, int(frame), int(n))] = float(rate)
        tables[int(n)] = int(table)
    return rates, tables


def curve(prefix, rates):
    """A row for each point, and each end of a curve against its beginning."""
    out = []
    for way in ("rx", "tx"):
        for frame in FRAMES:
            name = "%s_%s_%d" % (prefix, way, frame)
            first, last = rates[(way, frame, SIZES[0])], rates[(way, frame, SIZES[-1])]
            ratio = round(last / first, 3)
            out.append(row(name + "_ratio", ratio, "1000 peers of 1", 0.9, command=COMMAND))
            for n in SIZES:
                rate = round(rates[(way, frame, n)])
                out.append(row("%s_%d" % (name, n), rate, "frames/s", command=COMMAND))
    return out


def rows(world, quick):
    rates, tables = plane_alone()
    out = curve("plane", rates)
    for n in SIZES:
        out.append(row("plane_tables_%d" % n, tables[n], "bytes", command=COMMAND))
    if world is None:
        return out
    bench_lab.bench_build()
    made = (
        "network",
        "new",
        "--public",
        "--pool",
        "10.50.1.2-10.50.1.99",
        "--route",
        "10.50.1.0/24",
    )
    crowd = Crowd(world, world.root.zt(*made))
    try:
        rates, memory = with_sockets(crowd, 400 if quick else 1000, 1 if quick else 5)
    finally:
        crowd.close()
    out += curve("node", rates)
    for n in SIZES:
        resident, upkeep = memory[n]
        out.append(row("node_memory_%d" % n, round(resident / 1024, 2), "MB", command=COMMAND))
        out.append(row("node_upkeep_%d" % n, round(upkeep, 2), "% of a core", command=COMMAND))
    return out
