#!/usr/bin/env python3
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# make bench: our figures beside those of the real libzt 1.8.4, same machine, same run. Prints a
# table and writes build/bench.json: a list of {name, value, unit, target, peer, peer_value,
# command}. Nodes run in network namespaces without a default route (tests/interop/lab.py).
#
# usage: bench.py [--only crypto|nodes] [--quick]

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TOP, "tests", "interop"), os.path.join(TOP, "lib")]
ZT = os.path.join(TOP, "zt")
PEER = "libzt 1.8.4"


def note(text):
    print(text, file=sys.stderr, flush=True)


def row(name, value, unit, target=None, peer=None, peer_value=None, command="make bench"):
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "target": target,
        "peer": peer,
        "peer_value": peer_value,
        "command": command,
    }


def crypto_rows():
    note("crypto core ...")
    tool = os.path.join("tools", "bench_crypto.py")
    done = subprocess.run(
        [sys.executable, tool], cwd=TOP, capture_output=True, text=True, check=True
    )
    return [
        row(
            r["name"],
            r["value"],
            r["unit"],
            r.get("target"),
            r.get("peer"),
            r.get("peer_value"),
            "python3 " + tool,
        )
        for r in json.loads(done.stdout)
    ]


def rss_mb(pid):
    with open("/proc/%d/status" % pid) as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return None


def child_of(pid):
    """The process that does the work below wrappers such as ip netns exec."""
    while True:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            children = f.read().split()
        if not children:
            return pid
        pid = int(children[0])


class OurNode:
    """./zt run on a host of the lab; its JSON lines are read as they come."""

    def __init__(self, lab, host, home, planet, *options):
        self.lab = lab
        self.host = host
        self.home = home
        self.argv = [ZT, "run", "--json", "--home", home, "--planet", planet, *options]

    def start(self):
        self.began = time.monotonic()
        self.process = self.lab.popen(self.host, self.argv, stdout=subprocess.PIPE, text=True)
        first = self.wait("listening")
        self.address = first["address"]
        return self

    def wait(self, name, **fields):
        """The next event `name` with these fields, with the seconds since the start."""
        for line in self.process.stdout:
            e = json.loads(line)
            if e["event"] == name and all(e.get(k) == v for k, v in fields.items()):
                e["seconds"] = time.monotonic() - self.began
                return e
        raise SystemExit("bench: %s ended before '%s'" % (self.host, name))

    def zt(self, *words):
        argv = [ZT, *words, "--home", self.home]
        done = self.lab.run(self.host, argv, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit("bench: zt %s: %s" % (" ".join(words), done.stderr.strip()))
        return done.stdout.strip()

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


def make_identity(folder):
    subprocess.run([ZT, "id", "new", "--out", folder], check=True, capture_output=True)
    with open(os.path.join(folder, "identity.public")) as f:
        return f.read()[:10]


class World:
    """Our root and controller on one host, a planet for everybody, one private network."""

    def __init__(self, lab, folder):
        self.lab = lab
        self.folder = folder
        home = os.path.join(folder, "root")
        make_identity(home)
        self.planet = os.path.join(folder, "planet")
        public = os.path.join(home, "identity.public")
        where = "%s@%s/9993,%s/9993" % (public, lab.ipv4("root"), lab.ipv6("root"))
        keys = os.path.join(folder, "planet.keys")
        subprocess.run(
            [ZT, "planet", "new", "--root", where, "--keys", keys, "--out", self.planet],
            check=True,
            capture_output=True,
        )
        self.root = OurNode(lab, "root", home, self.planet, "--controller").start()
        self.nwid = self.root.zt(
            "network", "new", "--pool", "10.50.0.1-10.50.0.99", "--route", "10.50.0.0/24"
        )

    def authorize(self, address):
        self.root.zt("member", "authorize", self.nwid, address)

    def fresh(self, name):
        """A home with an identity, authorized, and no other state."""
        home = os.path.join(self.folder, name)
        self.authorize(make_identity(home))
        return home

    def forget(self, home):
        for folder, _, files in os.walk(home):
            for f in files:
                if not f.startswith("identity."):
                    os.unlink(os.path.join(folder, f))

    def address_of(self, node):
        nets = json.loads(node.zt("networks", "--json"))
        return [a for a in nets[0]["assignedAddresses"] if ":" not in a][0].split("/")[0]


def start_rows(world, runs):
    from client import Libzt

    home = world.fresh("a")
    online = []
    ok = []
    for i in range(runs):
        note("our start %d of %d ..." % (i + 1, runs))
        world.forget(home)
        node = OurNode(world.lab, "a", home, world.planet, "--join", world.nwid).start()
        online.append(node.wait("online")["seconds"])
        ok.append(node.wait("network", status="OK")["seconds"])
        ours_mb = rss_mb(child_of(node.process.pid))
        node.stop()
        time.sleep(1.2)  # a controller answers one request of a member per second
    note("libzt's start ...")
    peer_online, peer_ok = libzt_start(world, Libzt)
    cmd = "./zt run --json --home H --planet P --join NWID"
    return [
        row(
            "start_to_online",
            round(statistics.median(online), 3),
            "s",
            1.0,
            PEER,
            peer_online,
            cmd,
        ),
        row("start_to_network_ok", round(statistics.median(ok), 3), "s", 1.0, PEER, peer_ok, cmd),
    ], ours_mb


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


def our_tcp(world, seconds):
    note("TCP, ours to ours ...")
    homes = [world.fresh("p%d" % i) for i in range(2)]
    options = ["--planet", world.planet, "--join", world.nwid, "--port", "9993"]
    server = world.lab.popen(
        "a",
        [ZT, "perf", "server", "--json", "--home", homes[0], "--listen", "5201", *options],
        stdout=subprocess.PIPE,
        text=True,
    )
    member = json.loads(world.root.zt("member", "list", world.nwid, "--json"))
    ip = None
    end = time.monotonic() + 30
    with open(os.path.join(homes[0], "identity.public")) as f:
        address = f.read()[:10]
    while ip is None and time.monotonic() < end:
        member = json.loads(world.root.zt("member", "list", world.nwid, "--json"))
        for m in member:
            if m.get("address", m.get("id")) == address and m.get("ipAssignments"):
                ip = m["ipAssignments"][0]
        time.sleep(0.2)
    time.sleep(1)
    done = world.lab.run(
        "b",
        [
            ZT,
            "perf",
            "client",
            ip,
            "5201",
            "--json",
            "--seconds",
            str(seconds),
            "--home",
            homes[1],
            *options,
        ],
        capture_output=True,
        text=True,
    )
    mb = rss_mb(child_of(server.pid))
    server.terminate()
    if done.returncode:
        raise SystemExit("bench: zt perf client: " + done.stderr.strip())
    return json.loads(done.stdout)["bits_per_second"] / 1e6, mb


def libzt_tcp(world, mib):
    from client import Libzt

    note("TCP, libzt to libzt ...")
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
    size = mib * 1048576
    taken = nodes[0].begin("tcp_accept", port=5001, receive=size, receive_seed="x")
    began = time.monotonic()
    done = nodes[1].call("tcp_connect", ip=ips[0], port=5001, send=size, send_seed="x")
    got = taken()
    seconds = min(done["seconds"], time.monotonic() - began)
    mb = rss_mb(child_of(nodes[1].process.pid))
    for n in nodes:
        n.stop()
    if not got["good"]:
        raise SystemExit("bench: libzt's data arrived damaged")
    return size * 8 / seconds / 1e6, mb


def node_rows(quick):
    import lab as labs

    missing = labs.missing()
    if missing:
        note("nodes are not measured: " + missing)
        return []
    done = subprocess.run([os.path.join(TOP, "tools", "fetch_libzt.sh")], cwd=TOP)
    if done.returncode:
        raise SystemExit("bench: libzt could not be fetched")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        with labs.Lab("root", "a", "b", "la", "lb") as lab:
            world = World(lab, folder)
            started, _ = start_rows(world, 1 if quick else 5)
            rows.extend(started)
            mbit, ours_mb = our_tcp(world, 3 if quick else 10)
            peer_mbit, peer_mb = libzt_tcp(world, 16 if quick else 64)
    rows.append(
        row("tcp_one_stream", round(mbit, 1), "Mbit/s", None, PEER, round(peer_mbit, 1),
            "./zt perf server; ./zt perf client IP"),
    )  # fmt: skip
    rows.append(
        row("resident_memory", round(ours_mb, 1), "MB", 6, PEER + " in CPython", round(peer_mb, 1),
            "VmRSS of ./zt perf server after the transfer"),
    )  # fmt: skip
    return rows


def main():
    parser = argparse.ArgumentParser(description="Measure microzt beside libzt.")
    parser.add_argument("--only", choices=("crypto", "nodes"))
    parser.add_argument("--quick", action="store_true", help="fewer runs, shorter transfers")
    args = parser.parse_args()
    rows = []
    if args.only != "nodes":
        rows += crypto_rows()
    if args.only != "crypto":
        rows += node_rows(args.quick)
    out = os.path.join(TOP, "build", "bench.json")
    os.makedirs(os.path.dirname(out), exist_ok=True)
    with open(out, "w") as f:
        json.dump(rows, f, indent=1)
    show = "%-28s %12s %-8s %10s   %s"
    print(show % ("name", "value", "unit", "target", "peer"))
    for r in rows:
        peer = "%s: %s" % (r["peer"], r["peer_value"]) if r["peer"] else ""
        target = "" if r["target"] is None else r["target"]
        print(show % (r["name"], r["value"], r["unit"], target, peer))
    print("written to build/bench.json")


if __name__ == "__main__":
    main()
