# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# `zt run --tap`: the host's own programs (ping, plain sockets) over TAP devices between two of our
# nodes, what the controller changes, and the life of a device.

import json
import os
import signal
import subprocess
import sys
import time

import client
from client import Run, patience, wait_for
from lab import Lab
from taps import (
    MIB,
    PROGRAM,
    admit,
    api,
    bypassed,
    devices,
    four,
    ips,
    log,
    needs_tap,
    network,
    on_device,
    ping,
    plane,
    reaches,
    set_network,
    start,
    tcp,
)
from test_interop import World
from zt import mac
from zt.inet import ip_text
from zt.tap import device_name

pytestmark = needs_tap


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
    tcp(net, "first", four(first, nwid), "second", 7001)
    tcp(net, "second", sixes[0], "first", 7002)


def test_what_the_controller_changes_is_followed(pair):
    world, first, second = pair
    net = world.net
    nwid = world.nwid
    name = device_name(bytes.fromhex(nwid))
    member = "/controller/network/%s/member/%s" % (nwid, second.address)
    old = four(second, nwid)
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
    one = four(first, nwid)
    ways = (("first", "10.99.0.222"), ("second", one))

    # Who is told has nothing of the network any more, not even its address.
    wait_for("no address", lambda: "10.99.0.222" not in on_device(net, "second", nwid), 20)
    assert "10.98.0.0/16" not in routes()

    def lost(host, target):
        done = ping(net, host, target)
        return "100% packet loss" in done.stdout or "unreachable" in done.stderr

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
        one, two = [four(n, world.nwid) for n in (first, second)]
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
    one, two = [four(n, nwid) for n in (first, second)]

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
    one, two = [four(n, world.nwid) for n in (first, second)]
    hearing = net.popen(
        "first", [*PROGRAM, "join", "239.7.7.7", one, "7100"], stdout=subprocess.PIPE, text=True
    )
    assert hearing.stdout.readline() == "listening\n"
    shouting = net.popen("second", [*PROGRAM, "shout", "239.7.7.7", two, "7100"])
    assert hearing.wait(patience(40)) == 0
    shouting.kill()
    groups = [g["mac"] for g in network(second, world.nwid)["multicastSubscriptions"]]
    assert "33:33:00:00:00:01" in groups and "01:00:5e:07:07:07" not in groups


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
