# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What others see as our physical address (VL1 7.10), learned from direct HELLOs and OK(HELLO)s. It
# tells when our address changed; what to do about it is the caller's.

from . import inet
from ._compat import const, elapsed

LIFETIME_MS = const(600000)


class Surface:
    def __init__(self, size):
        self.size = size
        # (reporter, local socket, reporter ip, scope) -> [address, time, trusted]
        self.entries = {}

    def learn(self, now, reporter, local_socket, reporter_ip, mine, trusted, loopback=False):
        """Note that `reporter` sees us as `mine`. True if a trusted reporter saw our IP change."""
        scope = inet.scope(mine[0])
        if scope != inet.scope(reporter_ip) or scope < (2 if loopback else 3):
            return False
        key = (reporter, local_socket, reporter_ip, scope)
        e = self.entries.get(key)
        fresh = e is not None and not elapsed(now, e[1], LIFETIME_MS)
        changed = fresh and trusted and e[0][0] != mine[0]
        if changed:
            for k in list(self.entries):
                if k[3] == scope and k[2] != reporter_ip:
                    del self.entries[k]
        if e is None and len(self.entries) >= self.size:
            self._drop_oldest(now)
        self.entries[key] = [mine, now, trusted]
        return changed

    def _drop_oldest(self, now):
        self.expire(now)
        while len(self.entries) >= self.size:
            del self.entries[next(iter(self.entries))]

    def expire(self, now):
        for k in list(self.entries):
            if elapsed(now, self.entries[k][1], LIFETIME_MS):
                del self.entries[k]

    def addresses(self, now):
        """Distinct (ip, port) others see us at."""
        out = []
        for e in self.entries.values():
            if e[0] not in out and not elapsed(now, e[1], LIFETIME_MS):
                out.append(e[0])
        return out
