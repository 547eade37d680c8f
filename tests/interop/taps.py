# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What the tests of `zt run --tap` share: nodes with TAP devices in a lab, and the host's own view
# of them (devices, ping, plain sockets).

import contextlib
import json
import os
import shutil
import subprocess
import sys

import pytest
from client import Run, patience, wait_for
from lab import Lab
from test_interop import World
from zt.tap import device_name

HERE = os.path.dirname(os.path.abspath(__file__))
MIB = 1 << 20
PROGRAM = [sys.executable, os.path.join(HERE, "host_program.py")]


def why_not():
    if os.geteuid() != 0:
        return "TAP devices need root"
    if not os.path.exists("/dev/net/tun"):
        return "no /dev/net/tun"
    if not shutil.which("ping"):
        return "no 'ping' (Debian: iputils-ping)"
    return None


needs_tap = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


def network(node, nwid):
    return [n for n in node.zt("networks") if n["nwid"] == nwid][0]


def ips(node, nwid):
    return [a.split("/")[0] for a in network(node, nwid)["assignedAddresses"]]


def devices(net, host):
    done = net.run(host, ["ip", "-j", "addr"], capture_output=True, text=True, check=True)
    return {d["ifname"]: d for d in json.loads(done.stdout) if d["ifname"].startswith("zt")}


def on_device(net, host, nwid):
    """The addresses the kernel has on the network's device."""
    found = devices(net, host)[device_name(bytes.fromhex(nwid))]
    return [a["local"] for a in found["addr_info"]]


def ping(net, host, target, *options):
    argv = ["ping", "-n", "-q", "-i", "0.2", "-c", "3", "-W", "2", *options, target]
    return net.run(host, argv, capture_output=True, text=True)


def reaches(net, host, target, *options):
    """Some of the first pings may be lost while addresses are being learned."""

    def answered():
        done = ping(net, host, target, *options)
        return " 0% packet loss" in done.stdout

    wait_for("%s reaches %s %s" % (host, target, options), answered, 20)


def tcp(net, server, ip, client_host, port, size=MIB):
    """`size` checked bytes each way over one connection of plain sockets."""
    listening = net.popen(
        server, [*PROGRAM, "listen", ip, str(port), str(size)], stdout=subprocess.PIPE, text=True
    )
    assert listening.stdout.readline() == "listening\n"
    connect = [*PROGRAM, "connect", ip, str(port), str(size)]
    net.run(client_host, connect, check=True, timeout=patience(90))
    assert listening.wait(patience(20)) == 0


def admit(world, *nodes):
    for node in nodes:
        node.zt("join", world.nwid)
        world.controller.zt("member", "authorize", world.nwid, node.address)
    for node in nodes:
        wait_for(
            "%s has addresses" % node.host,
            lambda node=node: network(node, world.nwid)["status"] == "OK",
            30,
        )


def set_network(world, **fields):
    words = ["%s=%s" % (key, json.dumps(fields[key])) for key in fields]
    world.controller.zt("network", "set", world.nwid, *words)


def api(node, path, body):
    """POST to the node's HTTP API."""
    with open(os.path.join(node.home, "authtoken.secret")) as f:
        token = f.read().strip()
    code = (
        "import http.client, sys; c = http.client.HTTPConnection('127.0.0.1', 9993);"
        " c.request('POST', sys.argv[1], sys.argv[2], {'X-ZT1-Auth': sys.argv[3]});"
        " r = c.getresponse(); sys.exit(r.status != 200)"
    )
    words = [sys.executable, "-c", code, path, json.dumps(body), token]
    node.lab.run(node.host, words, check=True)


def log(node):
    with open(node.log) as f:
        return f.read()


def plane(node):
    """The data plane's counters; of a node without it there are none."""
    return node.zt("status")["counters"].get("plane")


def bypassed(node, before, frames):
    """Did at least so many frames go to and from the device without the interpreter? What it was
    told of meanwhile (frames to be judged, packets of roots) are events."""
    if os.environ.get("ZT_PLANE") == "python":
        return plane(node) is None
    now = plane(node)
    moved = {k: now.get(k, 0) - before.get(k, 0) for k in ("tap_reads", "tap_writes", "events")}
    print(node.host, moved)
    both = min(moved["tap_reads"], moved["tap_writes"])
    return both >= frames and moved["events"] < 20 + both // 50


def start(world, host):
    return Run(world.net, host, world.home(host), world.planet, "--tap")


def four(node, nwid):
    """Its IPv4 address."""
    return [ip for ip in ips(node, nwid) if "." in ip][0]


@contextlib.contextmanager
def members(tmp_path, *hosts):
    """(world, node, ...) with --tap, members of the network, with all address modes."""
    with Lab("root", "control", *hosts) as net:
        world = World(net, tmp_path, "ours")
        set_network(world, v6AssignMode={"6plane": True, "rfc4193": True, "zt": False})
        nodes = [start(world, host) for host in hosts]
        admit(world, *nodes)
        yield (world, *nodes)
