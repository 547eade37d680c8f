# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Asks a small node for more than it holds, of each kind, and says what it answered. Runs in the
# unit tests and inside the emulated board, so it needs nothing but the package.

from zt import log
from zt._compat import be64
from zt.identity import Identity
from zt.netconf import NetworkConfig, pack_chunks
from zt.node import Node
from zt.store import MemoryStore


class _Edge:
    def wire_send(self, local_socket, remote, data, ttl):
        return 0

    def frame(self, nwid, source, dest, ethertype, vlan, data):
        pass

    def network(self, nwid, what):
        pass

    def event(self, name, info):
        pass

    def path_check(self, address, local_socket, remote):
        return True

    def path_lookup(self, address, family):
        return None


def _config(nwid, address, **more):
    c = NetworkConfig()
    c.nwid = nwid
    c.issued_to = address
    c.timestamp = be64(1)
    c.type = 1
    c.rules = b"\x01\x00"
    for name in more:
        setattr(c, name, more[name])
    return c


def fill(secret, controller, random, now=1000):
    """`secret`, `controller`: identities as text. {what: what came of it}."""
    lines = []
    log.set_sink(lines.append)
    home = MemoryStore()
    home.put("identity.secret", secret.encode())
    node = Node(_Edge(), home, lambda: 1700000000000, random, "small", idhash=False)
    boss = Identity.parse(controller)
    lim = node.limits
    said = {}

    nwids = [boss.address + bytes((0, 0, i + 1)) for i in range(lim.networks + 1)]
    for nwid in nwids[:-1]:
        node.join(now, nwid)
    try:
        node.join(now, nwid=nwids[-1])
    except ValueError as e:
        said["networks"] = str(e)
    node.leave(now, nwids[0])
    node.join(now, nwids[-1])
    said["joined"] = len(node.networks())
    net = node.network(nwids[1])

    groups = [node.multicast_subscribe(now, net.nwid, b"\1\0\x5e\0\0" + bytes((i,)), 0)
              for i in range(lim.groups + 3)]  # fmt: skip
    said["groups"] = groups.count(True)

    node.topology.add_peer(now, boss)
    long = b"x" * (lim.config_bytes + 1)
    for chunk in pack_chunks(boss, net.nwid, long, be64(7)):
        net.request.chunk(now, boss.address, be64(9), chunk, True)
    try:
        net.apply(now, _config(net.nwid, node.address, rules=b"\x01\x00" * (lim.rules + 1)), True)
    except ValueError as e:
        said["rules"] = str(e)
    said["status"] = net.describe()["status"]

    peers = lim.peers + 5 - len(node.topology.peers) + len(node.topology.roots)
    for i in range(peers):
        node.topology.add_peer(now + i, Identity(b"peer" + bytes((i,)), boss.public))
    said["peers"] = len(node.topology.peers) - len(node.topology.roots)

    node.process_wire_packet(now, 1, (bytes(4), 1), memoryview(bytearray(lim.packet_bytes + 1)))
    for i in range(lim.multicast_groups + 1):
        node.vl2.multicast.add(now, net.nwid + bytes(8) + bytes((0, i)), boss.address)

    net.apply(now, _config(net.nwid, node.address), True)
    said["then"] = net.describe()["status"]
    node.process_background_tasks(now)
    said["refused"] = node.status()["counters"]["refused"]
    said["log"] = sorted([line.split(":")[1].strip() for line in lines if "limits:" in line])
    log.set_sink(None)
    return said
