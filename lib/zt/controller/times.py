# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The controller's time of issue: never lower than any before, not after a restart and not when the
# wall clock is set back. It reads the wall clock it is given; members compare these times only
# with each other.

from .. import log
from .._compat import const, ticks_diff

# An upper bound is stored ahead, so that not every configuration costs a write to flash.
_AHEAD_MS = const(60000)
_WRAP_MS = const(86400000)


class Times:
    def __init__(self, db, clock):
        self._db = db
        self._clock = clock
        self._bound = db.load_time()
        self._last = self._bound + 1 if self._bound else 0
        self._base = self._last
        self._base_ticks = None
        self._behind = False

    def issue(self, now):
        """The time for something to be signed; OSError when it cannot be kept, then none is."""
        t = max(self._flow(now), self._last)
        if t > self._bound:
            self._db.save_time(t + _AHEAD_MS)
            self._bound = t + _AHEAD_MS
        self._last = t
        return t

    def _flow(self, now):
        wall = self._clock()
        if wall >= self._last:
            self._base = wall
            self._base_ticks = now
            self._behind = False
            return wall
        # The wall clock was set back, or we restarted early: go on at half speed until it catches
        # up.
        if self._base_ticks is None:
            self._base_ticks = now
        passed = max(ticks_diff(now, self._base_ticks), 0)
        t = self._base + passed // 2
        if passed > _WRAP_MS:
            self._base = t
            self._base_ticks = now
        if not self._behind and self._last - wall > _AHEAD_MS + 1000:
            self._behind = True
            log.warn(
                "controller",
                "the wall clock is %d s behind the last timestamp issued; going on from that"
                % ((self._last - wall) // 1000),
            )
        return t

    def after(self, t):
        """Make every later time greater than `t`, which was issued."""
        self._last = max(self._last, t + 1)

    def tick(self, now):
        """Call at least once a day."""
        self._flow(now)

    def close(self):
        """Store the exact time, so that the next start need not begin ahead."""
        if self._last:
            self._db.save_time(self._last)
            self._bound = self._last
