# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# `zt run --tap`: the frames themselves. Tagged and long ones, devices that change under load, ways
# that refuse the kernel's offloads, more networks than the plane holds, other programs at the far
# end.

import os
import subprocess
import sys
import time

import client
import pytest
from client import patience, wait_for
from lab import Lab
from taps import (
    MIB,
    PROGRAM,
    admit,
    devices,
    four,
    log,
    members,
    needs_tap,
    network,
    ping,
    plane,
    reaches,
    start,
    tcp,
)
from test_interop import World
from zt.tap import device_name

pytestmark = needs_tap


def test_tagged_and_long_frames(pair):
    world, first, second = pair
    net = world.net
    name = device_name(bytes.fromhex(world.nwid))
    two = four(second, world.nwid)
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
    two = four(second, world.nwid)
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


def datagrams(sender, receiver, move):
    """(messages sent, datagrams that came) while `move` moves data."""
    before = plane(sender), plane(receiver)
    move()
    sent = plane(sender)["tx_messages"] - before[0]["tx_messages"]
    return sent, plane(receiver)["rx_datagrams"] - before[1]["rx_datagrams"]


def test_a_way_that_refuses_udp_segment_is_no_reason_not_to_use_it_on_others(tmp_path):
    with members(tmp_path, "first", "second", "third") as (world, first, second, third):
        net = world.net
        if plane(first) is None:
            pytest.skip("without the data plane nothing is sent by UDP_SEGMENT")
        two, three = four(second, world.nwid), four(third, world.nwid)
        reaches(net, "first", two)
        reaches(net, "first", three)
        # A datagram is longer than this: the kernel cuts it up, but only one that comes alone.
        ways = [net.ipv4("second") + "/32", net.ipv6("second") + "/128"]
        for way in ways:
            net.ip("-n", "first", "route", "add", way, "dev", "eth0", "mtu", "1300")

        def to_second():
            tcp(net, "second", two, "first", 7000, 2 * MIB)

        def to_third():
            tcp(net, "third", three, "first", 7000, 2 * MIB)

        sent, came = datagrams(first, second, to_second)
        print("refused:", sent, came)
        assert came > 1500 and sent > came * 3 // 4, (sent, came)
        sent, came = datagrams(first, third, to_third)
        print("not refused:", sent, came)
        assert came > 1500 and sent < came * 2 // 3, (sent, came)

        # The way is as wide as before: it is tried again.
        for way in ways:
            net.ip("-n", "first", "route", "del", way, "dev", "eth0")

        def in_runs_again():
            sent, came = datagrams(first, second, to_second)
            return sent < came * 2 // 3

        wait_for("runs again", in_runs_again, 30)


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
        targets = [four(second, nwid) for nwid in nwids]
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
        one, two = [four(n, world.nwid) for n in (first, second)]
        reaches(net, "first", two, "-s", "4000")
        tcp(net, "second", two, "first", 7000)
        tcp(net, "first", one, "second", 7001)
        first.stop()
        assert not devices(net, "first")
