# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# `zt run --tap`: the host's own programs (ping, plain sockets) over TAP devices, between two of
# our nodes and with a real libzt node, each on a host of its own.

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import client
import pytest
from client import Libzt, Run, patience, wait_for
from lab import Lab
from test_interop import World
from zt import mac
from zt.inet import ip_text
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
    local = ip_text(mac.link_local(mac.parse(shown["mac"])))
    assert local in on_device(net, "second", nwid)
    reaches(net, "first", local + "%" + name)
    before = [plane(n) for n in (first, second)]
    tcp(net, "second", mine[0], "first", 7000, 4 * MIB)
    for n, b in zip((first, second), before):
        assert bypassed(n, b, 400)
    tcp(net, "first", [ip for ip in ips(first, nwid) if "." in ip][0], "second", 7001)
    tcp(net, "second", sixes[0], "first", 7002)


def test_what_the_controller_changes_is_followed(pair):
    world, first, second = pair
    net = world.net
    nwid = world.nwid
    name = device_name(bytes.fromhex(nwid))
    member = "/controller/network/%s/member/%s" % (nwid, second.address)
    old = [ip for ip in ips(second, nwid) if "." in ip][0]
    reaches(net, "first", old)

    # Another address; the route through a neighbour survives the change.
    set_network(
        world,
        mtu=1400,
        routes=[
            {"target": "10.99.0.0/24"},
            {"target": "10.98.0.0/16", "via": "10.99.0.77"},
            {"target": "0.0.0.0/0", "via": "10.99.0.77"},
        ],
    )

    def routes():
        return net.run("second", ["ip", "route"], capture_output=True, text=True).stdout

    wait_for("route", lambda: "10.98.0.0/16 via 10.99.0.77 dev " + name in routes(), 20)
    api(world.controller, member, {"ipAssignments": ["10.99.0.222"]})
    wait_for("new address", lambda: "10.99.0.222" in on_device(net, "second", nwid), 20)
    assert old not in on_device(net, "second", nwid)
    assert devices(net, "second")[name]["mtu"] == 1400
    assert "10.98.0.0/16 via 10.99.0.77 dev " + name in routes()
    reaches(net, "first", "10.99.0.222", "-s", "4000")
    tcp(net, "second", "10.99.0.222", "first", 7000, MIB // 4)

    # A default route is refused, even with permission.
    second.zt("join", nwid, "--allow-default")
    wait_for("a refusal", lambda: "allowDefault does not go with --tap" in log(second), 20)
    assert "default" not in routes()
    reaches(net, "first", "10.99.0.222")

    # Without allowManaged nothing of it is left.
    second.zt("join", nwid, "--no-managed")
    wait_for("gone", lambda: "10.99.0.222" not in on_device(net, "second", nwid), 20)
    assert "10.98.0.0/16" not in routes()
    second.zt("join", nwid)
    api(second, "/network/" + nwid, {"allowManaged": True})
    reaches(net, "first", "10.99.0.222")

    world.controller.zt("member", "deauthorize", nwid, second.address)
    wait_for("refused", lambda: network(second, nwid)["status"] == "ACCESS_DENIED", 20)
    one = [ip for ip in ips(first, nwid) if "." in ip][0]
    ways = (("first", "10.99.0.222"), ("second", one))

    def lost(host, target):
        return "100% packet loss" in ping(net, host, target).stdout

    # The first node's word of it is still on its way; once it has come nothing passes any more.
    for way in ways:
        wait_for("%s is cut off" % way[0], lambda way=way: lost(*way), 10)
    for way in ways:
        assert lost(*way), way


def sent_into(net, host, device):
    """Packets the host has sent into the device."""
    argv = ["ip", "-j", "-s", "link", "show", device]
    done = net.run(host, argv, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)[0]["stats64"]["tx"]["packets"]


def test_the_nodes_own_packets_never_go_round(tmp_path):
    with Lab("root", "control", "first", "second") as net:
        world = World(net, tmp_path, "ours")
        for host in ("first", "second"):
            net.ip(
                "-n", host, "addr", "flush", "dev", "eth0", "scope", "global", "to", "fd77::/64"
            )
        first, second = [start(world, host) for host in ("first", "second")]
        admit(world, first, second)
        one, two = [[ip for ip in ips(n, world.nwid) if "." in ip][0] for n in (first, second)]
        reaches(net, "first", two)

        # The controller claims everybody's address: each packet of the node would become another.
        name = device_name(bytes.fromhex(world.nwid))
        before = sent_into(net, "second", name)
        routes = [{"target": "10.99.0.0/24"}, {"target": "10.77.0.0/25", "via": one}]
        set_network(world, routes=routes)
        wait_for("own packets come", lambda: "own packets" in log(second), 40)
        assert "100% packet loss" in ping(net, "second", one).stdout
        time.sleep(5)
        assert sent_into(net, "second", name) - before < 500

        # The owner of the host has the last word.
        second.zt("join", world.nwid, "--no-managed")
        wait_for("online", lambda: second.zt("status")["online"], 90)


def test_devices_live_as_long_as_the_membership(pair):
    world, first, second = pair
    net = world.net
    nwid = world.nwid
    name = device_name(bytes.fromhex(nwid))
    assert list(devices(net, "first")) == [name]
    one, two = [[ip for ip in ips(n, nwid) if "." in ip][0] for n in (first, second)]

    # Somebody deletes it: it comes again as it was.
    index = devices(net, "second")[name]["ifindex"]
    net.run("second", ["ip", "link", "del", name], check=True)
    wait_for("a new device", lambda: name in devices(net, "second"), 10)
    wait_for("its address", lambda: two in on_device(net, "second", nwid), 10)
    assert devices(net, "second")[name]["ifindex"] != index
    reaches(net, "first", two)

    # Somebody takes it down and up.
    net.run("second", ["ip", "link", "set", name, "down"], check=True)
    assert "100% packet loss" in ping(net, "first", two).stdout
    net.run("second", ["ip", "link", "set", name, "up"], check=True)
    reaches(net, "first", two)

    # A second node on the host may not have the same device; leaving frees it.
    other = Run(net, "first", world.home("third"), world.planet, "--tap", "--port", "9994")
    other.zt("join", nwid)
    wait_for("clash", lambda: network(other, nwid)["status"] == "PORT_ERROR", 20)
    assert network(other, nwid)["portError"] == 16
    other.stop()
    reaches(net, "second", one)
    first.zt("leave", nwid)
    wait_for("gone", lambda: not devices(net, "first"), 10)
    first.zt("join", nwid)
    wait_for("back", lambda: name in devices(net, "first"), 10)

    # Signals: an end in order, and one without.
    first.stop()
    assert not devices(net, "first")
    second.process.send_signal(signal.SIGKILL)
    wait_for("gone", lambda: not devices(net, "second"), 10)

    # From its state alone it comes back.
    first = start(world, "first")
    second = start(world, "second")
    reaches(net, "first", two)
    first.stop()
    second.stop()


def test_a_group_the_host_joins_is_heard(pair):
    world, first, second = pair
    net = world.net
    one, two = [[ip for ip in ips(n, world.nwid) if "." in ip][0] for n in (first, second)]
    hearing = net.popen(
        "first", [*PROGRAM, "join", "239.7.7.7", one, "7100"], stdout=subprocess.PIPE, text=True
    )
    assert hearing.stdout.readline() == "listening\n"
    shouting = net.popen("second", [*PROGRAM, "shout", "239.7.7.7", two, "7100"])
    assert hearing.wait(patience(40)) == 0
    shouting.kill()
    groups = [g["mac"] for g in network(second, world.nwid)["multicastSubscriptions"]]
    assert "33:33:00:00:00:01" in groups and "01:00:5e:07:07:07" not in groups


def test_with_a_real_node(tmp_path):
    with Lab("root", "control", "first", "second") as net:
        world = World(net, tmp_path, "ours")
        ours = start(world, "first")
        theirs = Libzt(net, "second", world.home("second"), world.planet)
        theirs.start()
        theirs.join(world.nwid)
        world.controller.zt("member", "authorize", world.nwid, theirs.address)
        admit(world, ours)
        hers = theirs.wait_ready(world.nwid)
        mine = [ip for ip in ips(ours, world.nwid) if "." in ip][0]
        reaches(net, "first", hers)
        reaches(net, "first", hers, "-s", "4000")
        seeds = {"receive_seed": "up", "send_seed": "down", "receive": MIB, "send": MIB}
        before = plane(ours)
        theirs.call("tcp_listen", port=7000)
        accepted = theirs.begin("tcp_accept", port=7000, **seeds)
        net.run(
            "first",
            [*PROGRAM, "connect", hers, "7000", str(MIB)],
            check=True,
            timeout=patience(90),
        )
        assert accepted()["good"]
        listening = net.popen("first", [*PROGRAM, "listen", mine, "7001", str(MIB)])
        seeds = {"receive_seed": "down", "send_seed": "up", "receive": MIB, "send": MIB}
        answer = theirs.call("tcp_connect", ip=mine, port=7001, **seeds)
        assert answer["good"] and listening.wait(patience(20)) == 0
        assert bypassed(ours, before, 400)


def test_tagged_and_long_frames(pair):
    world, first, second = pair
    net = world.net
    name = device_name(bytes.fromhex(world.nwid))
    two = [ip for ip in ips(second, world.nwid) if "." in ip][0]
    reaches(net, "first", two)
    hearing = net.popen(
        "second", [*PROGRAM, "tagged", name, "5"], stdout=subprocess.PIPE, text=True
    )
    assert hearing.stdout.readline() == "listening\n"
    saying = net.popen("first", [*PROGRAM, "tag", name, network(second, world.nwid)["mac"], "5"])
    assert hearing.wait(patience(40)) == 0
    saying.kill()

    def set_mtu(mtu):
        for host in ("first", "second"):
            net.run(host, ["ip", "link", "set", name, "mtu", mtu], check=True)

    set_mtu("9500")
    reaches(net, "first", two, "-s", "9400", "-M", "do")
    tcp(net, "second", two, "first", 7000)
    # No packet of the protocol is long enough for this one.
    set_mtu("12000")
    assert "100% packet loss" in ping(net, "first", two, "-s", "10200", "-M", "do").stdout
    if plane(first) is not None:
        assert plane(first)["frame_long"] >= 3
    reaches(net, "first", two)


def test_devices_change_under_load(pair):
    world, first, second = pair
    net = world.net
    name = device_name(bytes.fromhex(world.nwid))
    two = [ip for ip in ips(second, world.nwid) if "." in ip][0]
    reaches(net, "first", two)
    flood = net.popen("first", ["ping", "-n", "-q", "-f", "-s", "1200", two],
                      stdout=subprocess.DEVNULL)  # fmt: skip
    for _ in range(3):
        net.run("second", ["ip", "link", "set", name, "down"], check=True)
        time.sleep(0.3)
        net.run("second", ["ip", "link", "set", name, "up"], check=True)
        time.sleep(0.3)
    if plane(second) is not None:
        assert plane(second)["tap_refused"] > 0
    for host, node in (("second", second), ("first", first)):
        net.run(host, ["ip", "link", "del", name], check=True)
        wait_for("a new device", lambda host=host: name in devices(net, host), 10)
        reaches(net, "first", two)
        assert network(node, world.nwid)["status"] == "OK"
    flood.kill()
    assert "error" not in log(first) + log(second)


def test_a_way_that_refuses_udp_segment(pair):
    world, first, second = pair
    net = world.net
    two = [ip for ip in ips(second, world.nwid) if "." in ip][0]
    reaches(net, "first", two)
    # A datagram is longer than this: the kernel cuts it up, but only one that comes alone.
    for host in ("first", "second"):
        net.run(host, ["ip", "link", "set", "eth0", "mtu", "1300"], check=True)
    before = plane(first), plane(second)
    tcp(net, "second", two, "first", 7000, 2 * MIB)
    if before[0] is not None:
        sent = plane(first)["tx_messages"] - before[0]["tx_messages"]
        came = plane(second)["rx_datagrams"] - before[1]["rx_datagrams"]
        assert came > 1500 and sent > came * 9 // 10, (sent, came)


def test_more_networks_than_the_plane_has_room_for(tmp_path):
    count = 18
    with Lab("root", "control", "first", "second") as net:
        world = World(net, tmp_path, "ours")
        first, second = [start(world, host) for host in ("first", "second")]
        nwids = []
        for i in range(count):
            made = world.controller.zt(
                "network", "new", "--pool", "10.60.%d.1-10.60.%d.9" % (i, i),
                "--route", "10.60.%d.0/24" % i,
            )  # fmt: skip
            nwids.append(made["id"])
            for node in (first, second):
                world.controller.zt("member", "authorize", made["id"], node.address)
                node.zt("join", made["id"])

        def addressed():
            found = second.zt("networks")
            return len(found) == count and all(n["assignedAddresses"] for n in found)

        wait_for("addresses", addressed, 60)
        targets = [[ip for ip in ips(second, nwid) if "." in ip][0] for nwid in nwids]
        assert len(set(targets)) == count
        for target in targets:
            reaches(net, "first", target)
        # Once more, now that the tables are full, and back and forth.
        before = plane(first)
        for target in targets:
            assert " 0% packet loss" in ping(net, "first", target, "-c", "2").stdout
        if before is not None:
            assert plane(first)["tap_writes"] > before["tap_writes"] + count
        first.zt("leave", nwids[0])
        reaches(net, "first", targets[-1])


def test_cpython_runs_it_too(tmp_path, monkeypatch):
    program = tmp_path / "zt"
    lib = os.path.join(client.TOP, "lib")
    program.write_text('#!/bin/sh\nPYTHONPATH=%s exec %s -m zt "$@"\n' % (lib, sys.executable))
    program.chmod(0o755)
    with Lab("root", "control", "first", "second") as net:
        world = World(net, tmp_path, "ours")
        second = start(world, "second")
        monkeypatch.setattr(client, "ZT", str(program))
        first = start(world, "first")
        admit(world, first, second)
        one, two = [[ip for ip in ips(n, world.nwid) if "." in ip][0] for n in (first, second)]
        reaches(net, "first", two, "-s", "4000")
        tcp(net, "second", two, "first", 7000)
        tcp(net, "first", one, "second", 7001)
        first.stop()
        assert not devices(net, "first")


def test_without_the_capability_it_says_so_in_one_line(tmp_path):
    less = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"]
    for program in ([client.ZT], [sys.executable, "-m", "zt"]):
        argv = less + program + ["run", "--tap", "--home", str(tmp_path / "home")]
        done = subprocess.run(
            ["unshare", "-n", *argv],
            capture_output=True,
            text=True,
            timeout=30,
            env=dict(os.environ, PYTHONPATH=os.path.join(client.TOP, "lib")),
        )
        assert done.returncode == 1
        assert done.stderr == "zt: --tap needs root or CAP_NET_ADMIN\n", done.stderr
        assert not (tmp_path / "home").exists()
