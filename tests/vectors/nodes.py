# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# A Node of lib/zt on nothing: no sockets, a clock that tests move, everything it sends kept in a
# list.

from harness import need

HERE = (b"\x0a\x4d\x00\x01", 9993)
THERE = (b"\x0a\x4d\x00\x02", 9993)


class Callbacks:
    def __init__(self, lone):
        self.lone = lone

    def wire_send(self, local_socket, remote, data, ttl=0):
        self.lone.sent.append(bytes(data))
        return 0

    def frame(self, *args):
        self.lone.frames.append(args)

    def network(self, *args):
        pass

    def event(self, name, info):
        pass

    def path_check(self, *args):
        return True

    def path_lookup(self, *args):
        return None


class Lone:
    """A node with an identity and a planet, alone."""

    def __init__(self, secret_text, planet=None, clock=1700000000000, **limits):
        node = need("zt.node")
        store = need("zt.store")
        self.sent = []
        self.frames = []
        self.now = 1000
        self.count = 0
        self.storage = store.MemoryStore()
        self.storage.put("identity.secret", secret_text.encode())
        if planet:
            self.storage.put("planet", planet)
        self.node = node.Node(Callbacks(self), self.storage, lambda: clock, self.random, **limits)

    def random(self, n):
        """Different bytes at each call, the same in each run."""
        self.count += 1
        out = b""
        while len(out) < n:
            out += self.count.to_bytes(8, "big")
        return out[-n:] if n else b""

    def receive(self, datagram, remote=THERE, local_socket=0):
        buf = bytearray(datagram)
        return self.node.process_wire_packet(self.now, local_socket, remote, memoryview(buf))

    def tick(self, ms=0):
        self.now += ms
        return self.node.process_background_tasks(self.now)
