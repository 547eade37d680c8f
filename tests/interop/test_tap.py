# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# `zt run --tap`: the host's own programs (ping, plain sockets) over TAP devices, between two of our
# nodes and with a real libzt node, each on a host of its own.

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import client
import pytest
from client import Libzt, Run, wait_for
from lab import Lab
from test_interop import World

from zt import mac
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


pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


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
    net.run(client_host, connect, check=True, timeout=90)
    assert listening.wait(20) == 0


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


def start(world, host):
    return Run(world.net, host, world.home(host), world.planet, "--tap")


@pytest.fixture
def pair(tmp_path):
    """(world, first, second): both with --tap, members of the network, with all address modes."""
    with Lab("root", "control", "first", "second") as net:
        world = World(net, tmp_path, "ours")
        set_network(world, v6AssignMode={"6plane": True, "rfc4193": True, "zt": False})
        nodes = [start(world, host) for host in ("first", "second")]
        admit(world, *nodes)
        yield world, nodes[0], nodes[1]


def test_programs_of_two_hosts_talk(pair):
    world, first, second = pair
    net = world.net
    nwid = world.nwid
    shown = network(second, nwid)
    name = device_name(bytes.fromhex(nwid))
    assert shown["portDeviceName"] == name and shown["portError"] == 0
    device = devices(net, "second")[name]
    assert device["mtu"] == 2800 and device["address"] == shown["mac"]
    mine = [ip for ip in ips(second, nwid) if "." in ip]
    sixes = [ip for ip in ips(second, nwid) if ":" in ip]
    # One of each kind: fd..:99:93.. (RFC 4193), fc.. (6PLANE).
    assert len(mine) == 1 and sorted(ip[:2] for ip in sixes) == ["fc", "fd"]
    assert set(on_device(net, "second", nwid)) > set(mine + sixes)
    reaches(net, "first", mine[0])
    reaches(net, "first", mine[0], "-s", "4000")
    for ip in sixes:
        reaches(net, "first", ip)
        reaches(net, "first", ip, "-s", "4000")
    local = mac.link_local(mac.parse(shown["mac"]))
    local = [a for a in on_device(net, "second", nwid) if a.startswith("fe80")][0]
    reaches(net, "first", local + "%" + name)
    tcp(net, "second", mine[0], "first", 7000)
    tcp(net, "first", [ip for ip in ips(first, nwid) if "." in ip][0], "second", 7001)
    tcp(net, "second", sixes[0], "first", 7002)
