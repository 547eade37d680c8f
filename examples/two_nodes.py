# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Two nodes in memory, without socket or clock: A is root, controller and member, B a member. Run
#     build/microzt examples/two_nodes.py
# It shows what each is told, then "A received b'hello'": a frame that crossed their network.
import os

from zt import Node, identity, mac, store, world
from zt.controller import Controller

REMOTE = {"A": (b"\x0a\0\0\1", 9993), "B": (b"\x0a\0\0\2", 9993)}
wire, nodes, now = [], {}, 0


class Edge:  # what a driver is to its node
    def __init__(self, name):
        self.name = name

    def wire_send(self, local_socket, remote, data, ttl):
        wire.append((self.name, remote, bytearray(data)))
        return 0

    def frame(self, nwid, source, dest, ethertype, vlan, data):
        print(self.name, "received", bytes(data))

    def network(self, nwid, what):
        print(self.name, "network", what)

    def event(self, name, info):
        print(self.name, name)

    def path_check(self, address, local_socket, remote):
        return True

    def path_lookup(self, address, family):
        return None


def run(ms):
    global now
    for _ in range(ms // 10):
        now += 10
        for node in nodes.values():
            node.process_background_tasks(now)
        while wire:
            sender, remote, data = wire.pop(0)
            target = nodes["A" if remote == REMOTE["A"] else "B"]
            target.process_wire_packet(now, 0, REMOTE[sender], memoryview(data))


ids = {name: identity.generate(os.urandom) for name in "AB"}
a = ids["A"]
roots = [(a, [REMOTE["A"]])]
planet = world.World.make(world.PLANET, b"example1", bytes(8), a.private, a.public, roots)
for name in "AB":
    home = store.MemoryStore()
    home.put("identity.secret", ids[name].text(True).encode())
    home.put("planet", planet.pack())
    nodes[name] = Node(Edge(name), home, lambda: 1700000000000 + now, os.urandom)
boss = Controller(a, nodes["A"].storage, nodes["A"].clock, os.urandom)
nodes["A"].attach_controller(boss)
nwid = bytes.fromhex(boss.put_network(now, None, {"private": True})["nwid"])
for name in "AB":
    boss.put_member(now, nwid, ids[name].address, {"authorized": True})
    nodes[name].join(now, nwid)
run(2000)
source, dest = [mac.from_address(ids[name].address, nwid) for name in "BA"]
nodes["B"].process_virtual_network_frame(now, nwid, source, dest, 0x0800, 0, b"hello")
run(100)
