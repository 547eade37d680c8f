# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Things that wait a few seconds for something else: packets to a peer nobody told us about yet,
# packets from one, packets whose credentials are still on the way, and the WHOIS questions
# themselves (VL1 4.9, 7.7, 8.1). Every queue is bounded and its entries live five seconds.

from ._compat import const, elapsed

LIFETIME_MS = const(5000)
RETRY_MS = const(500)
_WHOIS_MAX = const(256)


class Waiting:
    """One queued packet. `peer` is the address it waits for; `origin` is (local socket, remote,
    hops).
    """

    def __init__(self, now, peer, data, origin=None, opened=False):
        self.began = now
        self.tried = now
        self.peer = peer
        self.data = data
        self.origin = origin
        self.opened = opened


class Queue:
    """A bounded FIFO of Waiting; add() returns False when the oldest had to go."""

    def __init__(self, size):
        self.size = size
        self.items = []

    def add(self, item):
        self.items.append(item)
        if len(self.items) <= self.size:
            return True
        self.items.pop(0)
        return False

    def take(self, want):
        """Remove and return the entries for which want(item) is true."""
        if not self.items:
            return ()
        taken = [i for i in self.items if want(i)]
        if taken:
            self.items = [i for i in self.items if i not in taken]
        return taken

    def expire(self, now):
        """Drop what waited too long; how many went."""
        before = len(self.items)
        self.items = [i for i in self.items if not elapsed(now, i.began, LIFETIME_MS)]
        return before - len(self.items)


class Whois:
    """Addresses we want identities of; each is asked for at most every 500 ms."""

    def __init__(self):
        self.wanted = {}  # address -> [last asked or None, last wanted]

    def want(self, now, address):
        """True if the question should go out now."""
        e = self.wanted.get(address)
        if e is None:
            if len(self.wanted) >= _WHOIS_MAX:
                return False
            e = self.wanted[address] = [None, now]
        e[1] = now
        return elapsed(now, e[0], RETRY_MS)

    def asked(self, now, address):
        self.wanted[address][0] = now

    def due(self, now):
        """Addresses to ask for again; forgets those nobody wanted for five seconds."""
        out = []
        for address in list(self.wanted):
            e = self.wanted[address]
            if elapsed(now, e[1], LIFETIME_MS):
                del self.wanted[address]
            elif elapsed(now, e[0], RETRY_MS):
                out.append(address)
        return out

    def learned(self, address):
        self.wanted.pop(address, None)
