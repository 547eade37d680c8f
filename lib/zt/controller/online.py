# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Who asked this controller for what, and when: the rate limit of requests, who is online to be
# pushed to, and who may gather multicast members through us. Memory only; a restart forgets it.

from .._compat import const, ticks_diff

# Our choice; beyond it those who got nothing are forgotten, else new ones are refused.
MAX_ENTRIES = const(4096)
_MIN_INTERVAL_MS = const(1000)  # protocol, VL2 7.2
_ONLINE_MS = const(120000)  # protocol, VL2 7.5
_CONFIGURED_MS = const(180000)  # protocol, VL2 7.2
_MAX_METADATA = const(1023)  # protocol, VL2 0.2


class Asker:
    def __init__(self, now):
        self.last = now
        self.identity = None
        self.metadata = b""
        self.configured = None  # ticks of the last configuration sent

    def remember(self, identity, metadata):
        self.identity = identity
        self.metadata = bytes(metadata[:_MAX_METADATA])


class Online:
    """Askers by network id + address."""

    def __init__(self):
        self.askers = {}

    def admit(self, now, key):
        """The asker of a request, or None if it came too soon or there is no room."""
        a = self.askers.get(key)
        if a is not None:
            if 0 <= ticks_diff(now, a.last) <= _MIN_INTERVAL_MS:
                return None
            a.last = now
            return a
        if len(self.askers) >= MAX_ENTRIES:
            self.sweep(now)
            if len(self.askers) >= MAX_ENTRIES:
                self._drop_idle(now)
            if len(self.askers) >= MAX_ENTRIES:
                return None
        a = self.askers[key] = Asker(now)
        return a

    def members(self, now, nwid):
        """Addresses that asked for this network in the last two minutes, ascending."""
        return sorted(
            [
                key[8:]
                for key in self.askers
                if key[:8] == nwid and ticks_diff(now, self.askers[key].last) < _ONLINE_MS
            ]
        )

    def get(self, now, key):
        """The asker if it is online, else None."""
        a = self.askers.get(key)
        if a is None or ticks_diff(now, a.last) >= _ONLINE_MS:
            return None
        return a

    def configured(self, now, key):
        a = self.askers.get(key)
        return (
            a is not None
            and a.configured is not None
            and ticks_diff(now, a.configured) < _CONFIGURED_MS
        )

    def forget(self, key):
        self.askers.pop(key, None)

    def sweep(self, now):
        """Forget the silent; call about once a minute, so that no tick grows old and wraps."""
        for key in list(self.askers):
            a = self.askers[key]
            if a.configured is not None and not self.configured(now, key):
                a.configured = None
            if a.configured is None and ticks_diff(now, a.last) >= _ONLINE_MS:
                del self.askers[key]

    def _drop_idle(self, now):
        for key in list(self.askers):
            a = self.askers[key]
            if a.configured is None and ticks_diff(now, a.last) > _MIN_INTERVAL_MS:
                del self.askers[key]
