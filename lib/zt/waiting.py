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
    """One queued packet. `peer` is the address it waits for; `origin` is (local socket, remote) of
    an inbound one; `opened` says that it is authentic and already in the clear.
    """

    def __init__(self, now, peer, data, origin=None, opened=False):
        self.began = now
        self.peer = peer
        self.data = data
        self.origin = origin
        self.opened = opened


class Queue:
    """A bounded FIFO of Waiting; add() returns False when one had to go.

    That is the oldest; but where anybody can fill the queue (inbound packets of unknown senders),
    what is known to be authentic stays longer.
    """

    def __init__(self, size):
        self.size = size
        self.items = []

    def add(self, item):
        self.items.append(item)
        if len(self.items) <= self.size:
            return True
        victim = 0
        for i, w in enumerate(self.items):
            if not w.opened:
                victim = i
                break
        self.items.pop(victim)
        return False

    def take(self, want):
        """Remove and return the entries for which want(item) is true, in their order."""
        if not self.items:
            return ()
        taken = []
        left = []
        for i in self.items:
            (taken if want(i) else left).append(i)
        if taken:
            self.items = left
        return taken

    def expire(self, now):
        """Drop what waited too long; how many went."""
        before = len(self.items)
        self.items = [i for i in self.items if not elapsed(now, i.began, LIFETIME_MS)]
        return before - len(self.items)


class Whois:
    """Addresses we want identities of; each is asked for at most every 500 ms.

    Those only strangers made us want (the sender of a packet may be invented) have a smaller
    bound, give way to our own and are not prolonged, so that a flood neither becomes one at the
    root nor stops others from asking.
    """

    def __init__(self, strangers):
        self.strangers = strangers
        self.wanted = {}  # address -> [last asked or None, last wanted, is it our own wish, times]
        self.foreign = 0

    def want(self, now, address, own=True):
        """True if the question should go out now."""
        e = self.wanted.get(address)
        if e is None:
            if not own and self.foreign >= self.strangers:
                return False
            if len(self.wanted) >= _WHOIS_MAX and not (own and self._make_room()):
                return False
            e = self.wanted[address] = [None, now, own, 0]
            if not own:
                self.foreign += 1
        elif own:
            if not e[2]:
                e[2] = True
                self.foreign -= 1
            e[1] = now
        return elapsed(now, e[0], RETRY_MS)

    def _make_room(self):
        for address in self.wanted:
            if not self.wanted[address][2]:
                self._forget(address)
                return True
        return False

    def asked(self, now, address):
        """The question goes out; how many times it did before."""
        e = self.wanted.get(address)
        if e is None:
            return 0
        e[0] = now
        e[3] += 1
        return e[3] - 1

    def due(self, now):
        """Addresses to ask for again; forgets those nobody wanted for five seconds."""
        out = []
        for address in list(self.wanted):
            e = self.wanted[address]
            if elapsed(now, e[1], LIFETIME_MS):
                self._forget(address)
            elif elapsed(now, e[0], RETRY_MS):
                out.append(address)
        return out

    def learned(self, address):
        if address in self.wanted:
            self._forget(address)

    def _forget(self, address):
        if not self.wanted.pop(address)[2]:
            self.foreign -= 1
