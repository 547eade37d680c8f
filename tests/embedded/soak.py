# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Runs inside the board: an hour on a fake wire and clock. A root, a controller and the node of the
# board are three Node objects; members come, talk to it and go. Prints the heap after each round.
# IDS and MINUTES are set by test_soak.py, which brings the modules that no board has and judges
# what is printed.

import gc

import zt.card  # noqa: F401 - what a board has loaded
from zt import controlport, crypto, identity, mac, store, world  # noqa: F401
from zt._compat import be64, ticks_add, ticks_diff
from zt.controller import Controller
from zt.crypto import public_key
from zt.node import Node
from zt.usage import heap

# Nobody here can really run the hash: its result is known for the identities of the tests.
_known = [identity.Identity.parse(text) for text in IDS.values()]  # noqa: F821
_known = {bytes(i.public): bytes(59) + i.address for i in _known}
crypto.idhash = lambda public, progress=None: _known[bytes(public)]

KEYS = bytes(range(64))
PUBLIC = public_key(KEYS)
IPV4 = 0x0800
PAYLOAD = bytes(100)


class Field:
    """Nodes by name, datagrams between them, one clock."""

    def __init__(self):
        self.now = 1073741824 - 300000  # the ticks wrap after five minutes
        self.wall = 1700000000000
        self.nodes = {}
        self.wire = []
        self.due = {}

    def random(self, n):
        from os import urandom

        return urandom(n)

    def clock(self):
        return self.wall

    def add(self, name, planet):
        home = store.MemoryStore()
        home.put("identity.secret", IDS[name].encode())  # noqa: F821
        home.put("planet", planet)
        edge = Edge(self, name)
        # Root and controller stand for machines that can run the hash.
        can = name in "RS"
        node = edge.node = Node(edge, home, self.clock, self.random, "small", idhash=can)
        node.set_local_addresses([(edge.ip, 9993)])
        self.nodes[name] = edge
        self.due[name] = self.now
        return edge

    def remove(self, name):
        edge = self.nodes.pop(name)
        edge.node.close(self.now)
        del self.due[name]

    def run(self, ms):
        end = ticks_add(self.now, ms)
        while True:
            for name in list(self.nodes):
                if ticks_diff(self.now, self.due[name]) >= 0 or self.wire:
                    wait = self.nodes[name].node.process_background_tasks(self.now)
                    self.due[name] = ticks_add(self.now, max(wait, 1))
            while self.wire:
                source, remote, data = self.wire.pop(0)
                for edge in self.nodes.values():
                    if (edge.ip, 9993) == remote:
                        packet = memoryview(bytearray(data))
                        edge.node.process_wire_packet(self.now, 1, (source, 9993), packet)
            left = ticks_diff(end, self.now)
            if left <= 0:
                return
            for name in self.due:
                left = min(left, max(ticks_diff(self.due[name], self.now), 1))
            self.now = ticks_add(self.now, left)
            self.wall += left


class Edge:
    def __init__(self, field, name):
        self.field = field
        self.ip = bytes((10, 9, 0, ord(name)))
        self.frames = 0

    def wire_send(self, local_socket, remote, data, ttl):
        self.field.wire.append((self.ip, remote, bytes(data)))
        return 0

    def frame(self, nwid, source, dest, ethertype, vlan, data):
        self.frames += 1

    def network(self, nwid, what):
        pass

    def event(self, name, info):
        pass

    def path_check(self, address, local_socket, remote):
        return True

    def path_lookup(self, address, family):
        return None


def main():
    field = Field()
    root = identity.Identity.parse(IDS["R"])  # noqa: F821
    roots = [(root, [(bytes((10, 9, 0, ord("R"))), 9993)])]
    planet = world.World.make(world.PLANET, b"soaktest", be64(1), KEYS, PUBLIC, roots).pack()
    field.add("R", planet)
    boss = field.add("S", planet)
    chief = Controller(boss.node.identity, boss.node.storage, field.clock, field.random)
    boss.node.attach_controller(chief)
    me = field.add("A", planet)
    nwid = chief.put_network(field.now, None, {"private": True})["nwid"]
    nwid = bytes.fromhex(nwid)
    for name in "ABCD":
        address = identity.Identity.parse(IDS[name]).address  # noqa: F821
        chief.put_member(field.now, nwid, address, {"authorized": True})
    me.node.join(field.now, nwid)
    field.run(5000)
    print("joined", me.node.network(nwid).describe()["status"])
    mine = mac.from_address(me.node.address, nwid)
    minutes = 0
    while minutes < MINUTES:  # noqa: F821
        names = "BCD"
        for name in names:
            field.add(name, planet).node.join(field.now, nwid)
        for second in range(120):
            field.run(1000)
            if second > 5:
                for name in names:
                    other = field.nodes[name].node
                    theirs = mac.from_address(other.address, nwid)
                    at = field.now
                    other.process_virtual_network_frame(at, nwid, theirs, mine, IPV4, 0, PAYLOAD)
                    other = me.node
                    other.process_virtual_network_frame(at, nwid, mine, theirs, IPV4, 0, PAYLOAD)
        heard = [field.nodes[name].frames for name in names]
        for name in names:
            field.remove(name)
        other = None
        field.run(480000)
        minutes += 10
        gc.collect()
        used, free, largest = heap()
        print("round", minutes, used, free, largest, me.frames, min(heard))


main()
