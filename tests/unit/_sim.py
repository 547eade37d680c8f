# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Several nodes in one process on a wire made of a list: a fake clock, exact delivery, and filters
# that lose, block or record datagrams. Used by the protocol tests; runs on both interpreters.

from zt import store, world
from zt._compat import ticks_add, ticks_diff
from zt.identity import Identity
from zt.node import Node


class Callbacks:
    def __init__(self, sim, name):
        self.sim = sim
        self.name = name
        self.events = []
        self.frames = []
        self.changes = []
        self.hints = {}

    def wire_send(self, local_socket, remote, data, ttl):
        self.sim.sent(self.name, remote, bytes(data), ttl)
        return 0

    def frame(self, nwid, source, dest, ethertype, vlan, data):
        self.frames.append((nwid, source, dest, ethertype, bytes(data)))

    def network(self, nwid, what):
        self.changes.append((nwid, what))

    def event(self, name, info):
        self.events.append((name, info))

    def path_check(self, address, local_socket, remote):
        return True

    def path_lookup(self, address, family):
        return self.hints.get((address, family))


class Sim:
    """`start` is where the ticks begin: near the wrap, if a test wants to cross it."""

    def __init__(self, start=1000):
        self.now = start
        self.wall = 1700000000000
        self.nodes = {}
        self.where = {}
        self.wire = []
        self.log = []
        self.block = None  # f(source name, dest name, data) -> True to lose it
        self._seed = 1
        self._due = {}

    def random(self, n):
        out = bytearray(n)
        for i in range(n):
            self._seed = (self._seed * 1103515245 + 12345) & 0x3FFFFFFF
            out[i] = self._seed >> 16 & 0xFF
        return bytes(out)

    def clock(self):
        return self.wall

    def add(self, name, identity_text, ip, planet=None, storage=None, port=9993, **kw):
        if storage is None:
            storage = store.MemoryStore()
            storage.put("identity.secret", identity_text.encode())
            if planet is not None:
                storage.put("planet", planet)
        cb = Callbacks(self, name)
        node = Node(cb, storage, self.clock, self.random, **kw)
        node.cb = cb
        self.nodes[name] = node
        self.where[name] = (ip, port)
        node.set_local_addresses([(ip, port)])
        self._due[name] = self.now
        return node

    def remove(self, name):
        node = self.nodes.pop(name)
        node.close(self.now)
        self.where.pop(name)
        return node.storage

    def sent(self, name, remote, data, ttl):
        if ttl:
            return
        for other, at in self.where.items():
            if at == remote:
                self.wire.append((name, other, data))

    def deliver(self):
        """Everything on the wire, and what that causes, until it is quiet."""
        n = 0
        while self.wire:
            src, dst, data = self.wire.pop(0)
            n += 1
            if n > 100000:
                raise RuntimeError("the wire does not fall silent")
            if self.block is not None and self.block(src, dst, data):
                continue
            self.log.append((src, dst, data))
            if dst in self.nodes and src in self.where:
                node = self.nodes[dst]
                node.process_wire_packet(
                    self.now, 1, self.where[src], memoryview(bytearray(data))
                )

    def run(self, ms):
        """Advance the clock, calling each node when it wants to be called."""
        end = ticks_add(self.now, ms)
        while True:
            for name in list(self.nodes):
                if ticks_diff(self.now, self._due[name]) >= 0 or self.wire:
                    wait = self.nodes[name].process_background_tasks(self.now)
                    self._due[name] = ticks_add(self.now, max(wait, 1))
            self.deliver()
            left = ticks_diff(end, self.now)
            if left <= 0:
                return
            step = left
            for name in self.nodes:
                step = min(step, max(ticks_diff(self._due[name], self.now), 1))
            self.now = ticks_add(self.now, step)
            self.wall += step

    def until(self, condition, ms=20000):
        """Run until condition() is true; how long it took, None if it never was."""
        t = 0
        while not condition():
            if t >= ms:
                return None
            self.run(10)
            t += 10
        return t


def make_planet(root_text, endpoints, private64=None):
    """A planet signed with the root's own key (tests only)."""
    root = Identity.parse(root_text)
    w = world.World.make(
        world.PLANET,
        bytes(7) + b"\x2a",
        (1700000000000).to_bytes(8, "big"),
        private64 or root.private,
        root.public,
        [(root, endpoints)],
    )
    return w.pack()
