# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What others see as our physical address (VL1 7.10), learned from direct HELLOs and OK(HELLO)s. It
# tells when our address changed; what to do about it is the caller's.

from . import inet
from ._compat import const, elapsed, ticks_diff

LIFETIME_MS = const(600000)
_UNTRUSTED = const(8)  # addresses we offer that only ordinary peers reported

# What learn() found out
SAME = const(0)
CHANGED = const(1)  # a trusted reporter sees us at another IP than before
DOUBTFUL = const(2)  # a report that proves nothing contradicts a trusted one


class Surface:
    def __init__(self, size):
        self.size = size
        # (reporter, local socket, reporter ip, scope) -> [address, time, trusted]
        self.entries = {}

    def learn(self, now, reporter, local_socket, reporter_ip, mine, trusted, loopback=False):
        """Note that `reporter` sees us as `mine`. `trusted` is for an answer of a root."""
        scope = inet.scope(mine[0])
        if scope != inet.scope(reporter_ip) or scope < (2 if loopback else 3) or not mine[1]:
            return SAME
        key = (reporter, local_socket, reporter_ip, scope)
        e = self.entries.get(key)
        if e is not None and elapsed(now, e[1], LIFETIME_MS):
            e = None
        other = e is not None and e[0][0] != mine[0]
        if other and e[2] and not trusted:
            # It must not take the place of the answer it contradicts: the change would go unseen.
            return DOUBTFUL
        changed = other and trusted
        if changed:
            for k in list(self.entries):
                if k[3] == scope and k[2] != reporter_ip:
                    del self.entries[k]
        if key not in self.entries and len(self.entries) >= self.size:
            self._make_room(now)
        for known in self.entries.values():
            if known[0] == mine:
                mine = known[0]  # most see us alike; it need not be there for each of them
        self.entries[key] = [mine, now, trusted or (e is not None and e[2])]
        return CHANGED if changed else SAME

    def _make_room(self, now):
        """Give up what is oldest, ordinary peers' reports first."""
        self.expire(now)
        if len(self.entries) < self.size:
            return
        victim = None
        rank = None
        for k in self.entries:
            e = self.entries[k]
            r = (0 if e[2] else 1, max(ticks_diff(now, e[1]), 0))
            if rank is None or r > rank:
                victim = k
                rank = r
        del self.entries[victim]

    def expire(self, now):
        for k in list(self.entries):
            if elapsed(now, self.entries[k][1], LIFETIME_MS):
                del self.entries[k]

    def addresses(self, now):
        """Distinct (ip, port) others see us at: what roots say, then a few of what peers say."""
        out = []
        rest = []
        for e in self.entries.values():
            if not elapsed(now, e[1], LIFETIME_MS):
                which = out if e[2] else rest
                if e[0] not in which:
                    which.append(e[0])
        rest = [a for a in rest if a not in out]
        return out + rest[:_UNTRUSTED]
