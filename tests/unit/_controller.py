# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# A controller on a fake clock with its answers in a list, for the controller tests.

from _vectors import load
from zt._compat import ticks_add
from zt.controller import Controller
from zt.identity import Identity
from zt.store import MemoryStore

VECTORS = load("vl2.json")
NWID = bytes.fromhex(VECTORS["network_id"])
METADATA = b"v=0000000000000007\npv=000000000000000b\nrevr=0000000000000001"


def identity(name):
    return Identity.parse(VECTORS["identities"][name]["secret"])


class Out:
    """Records what leaves the controller as tuples."""

    def __init__(self):
        self.events = []

    def config(self, now, dest, nwid, packet_id, chunks):
        self.events.append(("config", dest, packet_id, chunks))

    def error(self, now, dest, nwid, packet_id, code, extra):
        self.events.append(("error", dest, packet_id, code))

    def credentials(self, now, dest, payload):
        self.events.append(("credentials", dest, None, payload))

    def take(self):
        events = self.events
        self.events = []
        return events


class Lab:
    """`wall` and `now` are the two clocks; ask() lets a named node of the vectors ask."""

    def __init__(self, wall=1700000000000, store=None):
        self.wall = wall
        self.now = 0
        self.store = store or MemoryStore()
        self.count = 0
        self.start()

    def start(self):
        self.out = Out()
        self.c = Controller(identity("controller"), self.store, self.clock, self.random, self.out)

    def clock(self):
        return self.wall

    def random(self, n):
        self.count += 1
        return self.count.to_bytes(n, "big")

    def wait(self, ms):
        self.now = ticks_add(self.now, ms)
        self.wall += ms

    def ask(self, name, metadata=METADATA, nwid=NWID, wait=2000):
        """Events that answer a request of node `name`, made `wait` ms later."""
        self.wait(wait)
        self.out.take()
        self.count += 1
        node = name if isinstance(name, Identity) else identity(name)
        self.c.request(self.now, nwid, node, self.count.to_bytes(8, "big"), memoryview(metadata))
        return self.out.take()


def address(name):
    return bytes.fromhex(VECTORS["identities"][name]["address"])


def dictionary(chunks):
    """The dictionary that chunks carry; their form has tests of its own."""
    return b"".join([bytes(c[10 : 10 + int.from_bytes(bytes(c[8:10]), "big")]) for c in chunks])
