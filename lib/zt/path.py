# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# A path: one of our sockets and one remote physical address (VL1 7.1). It remembers when it was
# last used and how good it is; it does not know which peers use it.

from . import inet
from ._compat import const, elapsed, ticks_diff

ALIVE_MS = const(19000)  # heartbeat + 5 s, VL1 1.3
EXPIRE_MS = const(243000)
TRUST_MS = const(600000)
_AGE_CAP = const(140000)
_FORGET_MS = const(3600000)
LATENCY_UNKNOWN = const(0xFFFF)
_TIMES = ("last_in", "last_out", "last_trusted", "last_echo_answer", "last_confirm")


class Path:
    # An attribute takes memory once it is set.
    last_out = None
    # Only authentic direct packets count, where the reference counts any datagram: nobody can
    # make a dead path look alive by sending rubbish from its address.
    last_in = None
    last_trusted = None
    last_echo_answer = None
    last_confirm = None
    latency = LATENCY_UNKNOWN

    def __init__(self, local_socket, remote):
        self.local_socket = local_socket
        self.remote = remote
        self.scope = inet.scope(remote[0])

    def age(self, now):
        if self.last_in is None:
            return _AGE_CAP
        a = ticks_diff(now, self.last_in)
        return a if 0 <= a < _AGE_CAP else _AGE_CAP

    def alive(self, now):
        return self.last_in is not None and not elapsed(now, self.last_in, ALIVE_MS)

    def trusted(self, now):
        return self.last_trusted is not None and not elapsed(now, self.last_trusted, TRUST_MS)

    def forget_stale(self, now):
        """Drop times so old that the wrapping counter could make them look recent again."""
        for name in _TIMES:
            then = getattr(self, name)
            if then is not None and elapsed(now, then, _FORGET_MS):
                setattr(self, name, None)

    def quality(self, now):
        """Lower is better (VL1 7.7)."""
        age = self.age(now)
        q = self.latency if age < ALIVE_MS else self.latency + 65535 + age
        return q * (8 - self.scope)

    def sample(self, ms):
        """Feed one round-trip time in ms."""
        ms = min(max(ms, 0), LATENCY_UNKNOWN - 1)
        self.latency = ms if self.latency == LATENCY_UNKNOWN else (self.latency + ms) // 2
