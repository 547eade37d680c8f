# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Our nodes and libzt's in the same lab: how soon they are on their network, TCP from one to the
# other (in the process, and over TAP devices under iperf3), what a ping takes, what stays
# resident. Each function returns rows and raises Unmeasured with the reason where one cannot be
# had.

import json
import os
import re
import statistics
import subprocess
import time

from bench_lab import (
    PEER,
    ZT,
    OurNode,
    Unmeasured,
    child_of,
    need,
    note,
    read_line,
    rss_mb,
)
from bench_row import row

PORT = "5201"
GIB = 1 << 30


def start_rows(world, quick):
    from client import Libzt

    home = world.fresh()
    online, ok = [], []
    runs = 1 if quick else 5
    for i in range(runs):
        note("our start %d of %d ..." % (i + 1, runs))
        world.forget(home)
        node = OurNode(world.lab, "a", home, world.planet, "--join", world.nwid).start()
        online.append(node.wait("online")["seconds"])
        ok.append(node.wait("network", status="OK")["seconds"])
        node.stop()
        time.sleep(1.2)  # a controller answers one request of a member per second
    note("libzt's start ...")
    peer_online, peer_ok = libzt_start(world, Libzt)
    cmd = "./zt run --json --home H --planet P --join NWID"
    online, ok = [round(statistics.median(x), 3) for x in (online, ok)]
    return [
        row("start_to_online", online, "s", 0.3, PEER, peer_online, cmd),
        row("start_to_network_ok", ok, "s", 0.3, PEER, peer_ok, cmd),
    ]


def libzt_start(world, Libzt):
    """Seconds of a libzt node with an identity and no other state, already authorized."""
    home = os.path.join(world.folder, "la")
    node = Libzt(world.lab, "la", home, world.planet)
    node.start()
    world.authorize(node.address)
    node.stop()
    world.forget(home)
    began = time.monotonic()
    node = Libzt(world.lab, "la", home, world.planet)
    node.start()
    node.join(world.nwid)
    online = None
    while True:
        s = node.call("status", nwid=world.nwid)
        if online is None and s["online"]:
            online = time.monotonic() - began
        if s["ready"]:
            break
        time.sleep(0.02)
    ok = time.monotonic() - began
    node.stop()
    return round(online, 2), round(ok, 2)


# ---- TCP in the process


class Perf:
    """./zt perf server on host a, and clients on host b."""

    def __init__(self, world):
        self.world = world
        home = world.fresh()
        self.home = world.fresh()
        argv = [ZT, "perf", "server", "--json", "--listen", PORT, *world.options(home)]
        pipe = subprocess.PIPE
        self.server = world.lab.popen("a", argv, stdout=pipe, text=True)
        self.ip = world.ip_of(home)
        self.client_mb = 0
        time.sleep(1)

    def run(self, seconds):
        """(bytes, bits a second) of one stream."""
        argv = [ZT, "perf", "client", self.ip, PORT, "--json", "--seconds", str(seconds)]
        argv += self.world.options(self.home)
        pipe = subprocess.PIPE
        client = self.world.lab.popen("b", argv, stdout=pipe, stderr=pipe, text=True)
        end = time.monotonic() + seconds + 60
        while client.poll() is None:
            if time.monotonic() > end:
                client.kill()
                raise Unmeasured("zt perf client does not end")
            try:
                self.client_mb = rss_mb(child_of(client.pid)) or self.client_mb
            except (OSError, ValueError):
                pass  # it ended meanwhile
            time.sleep(0.1)
        if client.returncode:
            raise Unmeasured("zt perf client: " + client.stderr.read().strip())
        done = json.loads(client.stdout.read())
        read_line(self.server)  # its report of this stream
        return done["bytes"], done["bits_per_second"]

    def memory(self):
        return rss_mb(child_of(self.server.pid))

    def close(self):
        self.server.terminate()
        self.server.wait(20)


def libzt_pair(world):
    from client import Libzt

    nodes = []
    for host in ("la", "lb"):
        n = Libzt(world.lab, host, os.path.join(world.folder, "t" + host), world.planet)
        n.start()
        world.authorize(n.address)
        n.join(world.nwid)
        nodes.append(n)
    ips = [n.wait_ready(world.nwid) for n in nodes]
    nodes[0].call("tcp_listen", port=5001)
    # A first exchange makes them find the direct path.
    warm = nodes[0].begin("tcp_accept", port=5001, receive=65536, receive_seed="w")
    nodes[1].call("tcp_connect", ip=ips[0], port=5001, send=65536, send_seed="w")
    warm()
    time.sleep(5)
    return nodes, ips


def libzt_tcp(nodes, ips, mib):
    size = mib * 1048576
    taken = nodes[0].begin("tcp_accept", port=5001, receive=size, receive_seed="x")
    began = time.monotonic()
    done = nodes[1].call("tcp_connect", ip=ips[0], port=5001, send=size, send_seed="x")
    got = taken()
    seconds = min(done["seconds"], time.monotonic() - began)
    if not got["good"]:
        raise Unmeasured("libzt's data arrived damaged")
    return size * 8 / seconds


def tcp_rows(world, quick):
    """TCP in turns with libzt; then our server's memory after a GiB in all."""
    turns = 1 if quick else 3
    perf = Perf(world)
    nodes, ips = libzt_pair(world)
    try:
        total, _ = perf.run(1)
        first_mb = perf.memory()
        ours, theirs = [], []
        for i in range(turns):
            note("TCP, ours to ours, %d of %d ..." % (i + 1, turns))
            n, rate = perf.run(3 if quick else 8)
            total += n
            ours.append(rate / 1e6)
            note("TCP, libzt to libzt, %d of %d ..." % (i + 1, turns))
            theirs.append(libzt_tcp(nodes, ips, 16 if quick else 64) / 1e6)
        while total < GIB:
            note("TCP, on to 1 GiB, %d MiB so far ..." % (total >> 20))
            total += perf.run(5)[0]
        mb = perf.memory()
        client_mb = perf.client_mb
        peer_mb = rss_mb(child_of(nodes[1].process.pid))
    finally:
        perf.close()
        for n in nodes:
            n.stop()
    rate, peer_rate = statistics.median(ours), statistics.median(theirs)
    cmd = "./zt perf server; ./zt perf client IP"
    mem = "VmRSS of ./zt perf server after %.1f GB" % (total / 1e9)
    libzt_mem = PEER + " in CPython"
    return [
        row("tcp_ratio", round(rate / peer_rate, 2), "of libzt's", 3, command=cmd),
        row("tcp_one_stream", round(rate, 1), "Mbit/s", 504, PEER, round(peer_rate, 1), cmd),
        row("resident_memory", round(mb, 2), "MB", 3, libzt_mem, round(peer_mb, 1), mem),
        row(
            "resident_growth", round(mb - first_mb, 2), "MB", 0.1, command=mem + " less after 1 s"
        ),
        row(
            "resident_memory_sender",
            round(client_mb, 2),
            "MB",
            3,
            command="the same of its client",
        ),
    ]


# ---- over TAP devices


class Taps:
    """./zt run --tap on hosts a and b, with a direct path between them."""

    def __init__(self, world):
        if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
            raise Unmeasured("TAP devices need root and /dev/net/tun")
        self.lab = world.lab
        self.nodes = []
        homes = [world.fresh(), world.fresh()]
        for host, home in zip(("a", "b"), homes):
            words = ["--join", world.nwid, "--port", "9993", "--tap"]
            node = OurNode(world.lab, host, home, world.planet, *words).start()
            self.nodes.append(node)
            node.wait("network", status="OK")
        self.ips = [world.ip_of(home) for home in homes]
        need("ping", "iputils-ping")
        for _ in range(20):
            self.lab.run(
                "a", ["ping", "-c", "3", "-i", "0.2", "-W", "1", self.ips[1]], capture_output=True
            )
            peers = json.loads(self.nodes[0].zt("peers", "--json"))
            if [
                p
                for p in peers
                if p["address"] == self.nodes[1].address and p["state"] == "direct"
            ]:
                return
        raise Unmeasured("the nodes found no direct path")

    def close(self):
        for node in self.nodes:
            node.stop()


def iperf(lab, ip, seconds):
    """Mbit/s of one stream from host a to an address of host b."""
    server = lab.popen("b", ["iperf3", "-s", "-1", "-p", PORT], stdout=subprocess.DEVNULL)
    time.sleep(0.5)
    argv = ["iperf3", "-c", ip, "-p", PORT, "-t", str(seconds), "-J"]
    done = lab.run("a", argv, capture_output=True, text=True, timeout=seconds + 60)
    server.wait(20)
    result = json.loads(done.stdout)
    if "error" in result:
        raise Unmeasured("iperf3: " + result["error"])
    return result["end"]["sum_received"]["bits_per_second"] / 1e6


def tap_rows(world, quick):
    need("iperf3", "iperf3")
    taps = Taps(world)
    rates, mb = [], 0
    try:
        turns = 1 if quick else 3
        for i in range(turns):
            note("TCP over TAP devices, %d of %d ..." % (i + 1, turns))
            rates.append(iperf(world.lab, taps.ips[1], 3 if quick else 8))
        mb = max(rss_mb(node.pid) for node in taps.nodes)
    finally:
        taps.close()
    bare = iperf(world.lab, world.lab.ipv4("b"), 2)
    cmd = "./zt run --tap on both hosts; iperf3 -c IP"
    rate = round(statistics.median(rates), 1)
    return [
        row("tcp_tap", rate, "Mbit/s", 504, "iperf3 over the bare veth", round(bare), cmd),
        row(
            "resident_memory_tap",
            round(mb, 2),
            "MB",
            3,
            command="VmRSS of ./zt run --tap after it",
        ),
    ]


# ---- ping


def host_ping(lab, ip, count):
    """Round trips in ms by the host's ping, without the first two."""
    argv = ["ping", "-n", "-c", str(count + 2), "-i", "0.2", "-W", "2", ip]
    done = lab.run("a", argv, capture_output=True, text=True)
    times = [float(x) for x in re.findall(r"time=([0-9.]+) ms", done.stdout)]
    if len(times) < count:
        raise Unmeasured("pings to %s are lost" % ip)
    return times[2:]


def ping_rows(world, quick):
    need("ping", "iputils-ping")
    count = 10 if quick else 40
    taps = Taps(world)
    tap, bare = [], []
    try:
        for _ in range(2):
            note("ping over TAP devices, and bare ...")
            tap += host_ping(world.lab, taps.ips[1], count // 2)
            bare += host_ping(world.lab, world.lab.ipv4("b"), count // 2)
    finally:
        taps.close()
    note("ping in the process ...")
    inside = zt_ping(world, 8 if quick else 20)
    bare += host_ping(world.lab, world.lab.ipv4("b"), count // 2)
    veth = statistics.median(bare) * 1000

    def added(name, times, command):
        us = statistics.median(times) * 1000
        best = (min(times) - min(bare)) * 1000
        return [
            row(name, round(us - veth), "us", 60, "bare veth", round(veth), command),
            row(
                name + "_least",
                round(best),
                "us",
                None,
                "bare veth",
                round(min(bare) * 1000),
                command,
            ),
        ]

    return added("ping_added_tap", tap, "ping IP, with ./zt run --tap on both hosts") + added(
        "ping_added", inside, "./zt ping IP"
    )


def zt_ping(world, count):
    there = world.fresh()
    node = OurNode(world.lab, "b", there, world.planet, "--join", world.nwid, "--port", "9993")
    node.start()
    try:
        node.wait("network", status="OK")
        argv = [ZT, "ping", world.ip_of(there), "--json", "--count", str(count + 3)]
        argv += world.options(world.fresh())
        done = world.lab.run("a", argv, capture_output=True, text=True)
        if done.returncode:
            raise Unmeasured("zt ping: " + done.stderr.strip())
        result = json.loads(done.stdout)
    finally:
        node.stop()
    if result["path"] != "direct" or result["received"] < count:
        raise Unmeasured("zt ping: %s" % done.stdout.strip())
    return result["rtt_ms"][3:]  # the first ones find the path
