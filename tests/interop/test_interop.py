# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Our root, controller and node with real libzt 1.8.4 nodes, each on a host of its own: admission
# to a private network, TCP and UDP relayed and direct, restarts. What the switch counts proves
# which way the data went.

import os
import subprocess
import time

import client
import pytest
from client import Libzt, Ours, Run, patience, wait_for
from lab import Lab

MIB = 1 << 20
ROOTS = ("ours", "libzt")


class World:
    """A root, our controller, and a private network on it."""

    def __init__(self, net, folder, root_kind):
        self.net = net
        self.folder = folder
        self.planet = folder / "planet"
        home = folder / "root"
        zt("id", "new", "--out", str(home))
        ends = "%s/%d,%s/%d" % (net.ipv4("root"), client.PORT, net.ipv6("root"), client.PORT)
        root = "%s@%s" % (home / "identity.secret", ends)
        zt(
            "planet",
            "new",
            "--root",
            root,
            "--keys",
            str(folder / "keys"),
            "--out",
            str(self.planet),
        )
        if root_kind == "libzt":
            os.unlink(home / "identity.public")
            self.root = Libzt(net, "root", home, self.planet)
            self.root.start()
        else:
            self.root = Run(net, "root", home, self.planet)
        self.controller = Run(net, "control", folder / "control", self.planet, "--controller")
        self.controller.wait("online", 30)
        made = self.controller.zt(
            "network",
            "new",
            "--name",
            "lab",
            "--pool",
            "10.99.0.1-10.99.0.200",
            "--route",
            "10.99.0.0/24",
        )
        self.nwid = made["id"]

    def home(self, name):
        return self.folder / name

    def through_root(self):
        """Bytes the root has put on the wire so far."""
        return self.net.counters("root")[0]


def zt(*words):
    done = subprocess.run([client.ZT] + list(words), capture_output=True, text=True)
    assert done.returncode == 0, "zt %s: %s" % (" ".join(words), done.stderr)
    return done.stdout


@pytest.fixture(params=ROOTS)
def pair(request, tmp_path):
    """(world, our node, libzt node), both nodes online, not joined, unable to reach one another
    directly.
    """
    with Lab("root", "control", "first", "second") as net:
        world = World(net, tmp_path, request.param)
        net.isolate("first", "second")
        ours = Ours(net, "first", world.home("first"), world.planet)
        theirs = Libzt(net, "second", world.home("second"), world.planet)
        ours.start()
        theirs.start()
        yield world, ours, theirs


def admit(world, *nodes):
    """Join, be refused, be authorized, be ready; the nodes' IPv4 addresses."""
    for node in nodes:
        node.join(world.nwid)

    def members():
        return {
            m["address"]: m["authorized"]
            for m in world.controller.zt("member", "list", world.nwid)
        }

    wanted = {node.address: False for node in nodes}
    wait_for("all have asked", lambda: members() == wanted, 30)
    for node in nodes:
        if isinstance(node, Ours):
            node.wait_status(world.nwid, "ACCESS_DENIED")
    # libzt shows a refusal only as the configuration that does not come.
    time.sleep(6)
    for node in nodes:
        status = node.call("status", nwid=world.nwid)
        assert status["status"] != "OK" and not status["ready"], status
    for node in nodes:
        world.controller.zt("member", "authorize", world.nwid, node.address)
    return [node.wait_ready(world.nwid) for node in nodes]


def tcp(server, client_node, ip, port, size=MIB):
    """`size` checked bytes each way over one connection."""
    server.call("tcp_listen", port=port)
    accepted = server.begin(
        "tcp_accept", port=port, receive=size, receive_seed="up", send=size, send_seed="down"
    )
    answer = client_node.call(
        "tcp_connect",
        ip=ip,
        port=port,
        send=size,
        send_seed="up",
        receive=size,
        receive_seed="down",
        timeout=int(patience(60)),
    )
    assert answer["received"] == size and answer["good"], answer
    answer = accepted()
    assert answer["received"] == size and answer["good"], answer


def udp(server, client_node, ip, port):
    echoed = server.begin("udp_echo", port=port, count=3)
    answer = client_node.call(
        "udp_exchange", ip=ip, port=port, size=1200, count=3, tries=int(patience(20))
    )
    assert answer["good"], answer
    echoed()


def both_ways(world, first, second, ips, port, size=MIB):
    """TCP and UDP with each of the two as the one that begins; bytes that went through the root
    meanwhile.
    """
    before = world.through_root()
    tcp(first, second, ips[0], port, size)
    tcp(second, first, ips[1], port + 1, size)
    udp(first, second, ips[0], port + 2)
    udp(second, first, ips[1], port + 3)
    return world.through_root() - before


def wait_direct(world, first, second, ips, port):
    """Let the two meet, and exchange data until it no longer takes the way through the root."""
    world.net.isolate()
    used = iter(range(port, port + 1000))
    size = 64 << 10

    def direct():
        before = world.through_root()
        tcp(first, second, ips[0], next(used), size)
        return world.through_root() - before < size // 4

    wait_for("direct path", direct, 90, 1)


def test_private_network_relayed_then_direct_and_restarts(pair):
    world, ours, theirs = pair
    ips = admit(world, ours, theirs)
    assert both_ways(world, ours, theirs, ips, 7000) > 4 * MIB
    assert ours.path(theirs.address) == "relayed"

    wait_direct(world, ours, theirs, ips, 8000)
    assert both_ways(world, ours, theirs, ips, 7010) < MIB // 4
    assert ours.path(theirs.address) == "direct"

    # Our node comes back from its state alone: same address, network and IP without being told to
    # join.
    ours.stop()
    address = ours.address
    ours.start()
    assert ours.address == address
    assert ours.wait_ready(world.nwid, 30) == ips[0]
    both_ways(world, ours, theirs, ips, 7020)

    theirs.stop()
    theirs.start()
    theirs.join(world.nwid)
    assert theirs.wait_ready(world.nwid) == ips[1]
    both_ways(world, ours, theirs, ips, 7030)


def test_libzt_to_libzt_through_our_root_and_controller(tmp_path):
    with Lab("root", "control", "first", "second") as net:
        world = World(net, tmp_path, "ours")
        net.isolate("first", "second")
        nodes = [Libzt(net, name, world.home(name), world.planet) for name in ("first", "second")]
        for node in nodes:
            node.start()
        ips = admit(world, *nodes)
        assert both_ways(world, nodes[0], nodes[1], ips, 7000) > 4 * MIB
        wait_direct(world, nodes[0], nodes[1], ips, 8000)
        assert both_ways(world, nodes[0], nodes[1], ips, 7010) < MIB // 4


def test_our_controller_shuts_a_real_member_out(pair):
    world, ours, theirs = pair
    ips = admit(world, ours, theirs)
    udp(ours, theirs, ips[0], 7000)
    world.controller.zt("member", "deauthorize", world.nwid, theirs.address)
    used = iter(range(7001, 8000))

    def shut_out(sender, receiver, ip, tries):
        # The echo of a port that was answered is over.
        port = next(used)
        receiver.begin("udp_echo", port=port, count=1)
        answer = sender.call("udp_exchange", ip=ip, port=port, size=100, count=1, tries=tries)
        return not answer["good"]

    # The word of it is on its way to both; once it has come nothing passes any more.
    ways = ((theirs, ours, ips[0]), (ours, theirs, ips[1]))
    for way in ways:
        wait_for("%s is cut off" % way[0].host, lambda way=way: shut_out(*way, 1), 10)
    for way in ways:
        assert shut_out(*way, 3), way[0].host
