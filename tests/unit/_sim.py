# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Several nodes in one process on a wire made of a list: a fake clock, exact delivery, and filters
# that lose, delay, double, block or record datagrams. A node may have several sockets and may
# move. Used by the protocol tests; runs on both interpreters.

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
        return self.sim.sent(self.name, local_socket, remote, bytes(data), ttl)

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
        self.passing = None  # while block() runs: (source, dest, data, source remote, dest socket)
        self.block = None  # f(source name, dest name, data) -> True to lose it
        self.loss = 0  # per cent of datagrams that vanish,
        self.double = 0  # come twice,
        self.delay = 0  # or come up to 200 ms late
        self.late = []
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
        self.where[name] = [(1, (ip, port))]
        node.set_local_addresses([(ip, port)])
        self._due[name] = self.now
        return node

    def remove(self, name):
        node = self.nodes.pop(name)
        node.close(self.now)
        self.where.pop(name)
        return node.storage

    def also(self, name, ip, port=9993):
        """One more socket for a node; its number."""
        number = len(self.where[name]) + 1
        self.where[name].append((number, (ip, port)))
        return number

    def move(self, name, ip, port=9993, tell=False):
        """The first socket is now reached at another address (a NAT, or a new interface)."""
        self.where[name][0] = (1, (ip, port))
        if tell:
            self.nodes[name].set_local_addresses([(ip, port)])

    def kick(self, name):
        """Call the node at the next step, as a driver does after it asked for something."""
        self._due[name] = self.now

    def sent(self, name, local_socket, remote, data, ttl):
        """A datagram from one socket, or from all of the family if local_socket is None."""
        status = 101
        for number, own in self.where.get(name, ()):
            if len(own[0]) != len(remote[0]) or local_socket not in (None, number):
                continue
            status = 0
            if ttl:
                continue
            for other in self.where:
                for to, at in self.where[other]:
                    if at == remote:
                        self.wire.append((name, other, data, own, to))
        return status

    def chance(self, percent):
        return percent and self.random(1)[0] * 100 < percent * 256

    def deliver(self):
        """Everything on the wire, and what that causes, until it is quiet."""
        n = 0
        while self.wire:
            item = self.wire.pop(0)
            src, dst, data, own, to = item
            n += 1
            if n > 100000:
                raise RuntimeError("the wire does not fall silent")
            self.passing = item
            if self.block is not None and self.block(src, dst, data):
                continue
            if self.chance(self.loss):
                continue
            if self.chance(self.double):
                self._late(item)
            if self.chance(self.delay):
                self._late(item)
            else:
                self._arrive(item)

    def _late(self, item):
        self.late.append((ticks_add(self.now, self.random(1)[0] * 200 // 256), item))

    def _arrive(self, item):
        src, dst, data, own, to = item
        self.log.append((src, dst, data))
        if dst in self.nodes:
            self.nodes[dst].process_wire_packet(self.now, to, own, memoryview(bytearray(data)))

    def _arrive_late(self):
        due = [i for t, i in self.late if ticks_diff(self.now, t) >= 0]
        if due:
            self.late = [e for e in self.late if ticks_diff(self.now, e[0]) < 0]
            for item in due:
                self._arrive(item)

    def run(self, ms):
        """Advance the clock, calling each node when it wants to be called."""
        end = ticks_add(self.now, ms)
        while True:
            for name in list(self.nodes):
                if ticks_diff(self.now, self._due[name]) >= 0 or self.wire:
                    wait = self.nodes[name].process_background_tasks(self.now)
                    self._due[name] = ticks_add(self.now, max(wait, 1))
            self._arrive_late()
            self.deliver()
            left = ticks_diff(end, self.now)
            if left <= 0:
                return
            step = left
            for t, _ in self.late:
                step = min(step, max(ticks_diff(t, self.now), 1))
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


def make_planet(root_text, endpoints, private64=None, more=(), timestamp=1700000000000):
    """A planet signed with the root's own key (tests only); `more` are (text, endpoints)."""
    root = Identity.parse(root_text)
    roots = [(root, endpoints)]
    for text, at in more:
        roots.append((Identity.parse(text), at))
    w = world.World.make(
        world.PLANET,
        bytes(7) + b"\x2a",
        timestamp.to_bytes(8, "big"),
        private64 or root.private,
        root.public,
        roots,
    )
    return w.pack()
