# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The differences between MicroPython 1.25 and CPython 3.11 that the rest of lib/zt must not see:
# ticks, const, and byte-order helpers. Nothing here knows the protocol.

import sys
import time

MICROPYTHON = sys.implementation.name == "micropython"

if MICROPYTHON:
    from time import ticks_add, ticks_diff, ticks_ms

    from micropython import const
else:

    def const(x):
        return x

    # The period of a 32-bit MicroPython, so that desktop tests meet the same wrap as a board.
    _PERIOD = 1 << 30
    _HALF = 1 << 29

    def ticks_ms():
        return (time.monotonic_ns() // 1000000) & (_PERIOD - 1)

    def ticks_add(ticks, delta):
        return (ticks + delta) & (_PERIOD - 1)

    def ticks_diff(a, b):
        return ((a - b + _HALF) & (_PERIOD - 1)) - _HALF


def elapsed(now, then, ms):
    """True when `then` is None or at least `ms` before `now`.

    A `then` that seems to lie in the future is so old that the counter has wrapped past it.
    """
    if then is None:
        return True
    d = ticks_diff(now, then)
    return d >= ms or d < -1000


def u16(b, o):
    return b[o] << 8 | b[o + 1]


def u32(b, o):
    return b[o] << 24 | b[o + 1] << 16 | b[o + 2] << 8 | b[o + 3]


def be16(n):
    return n.to_bytes(2, "big")


def be32(n):
    return n.to_bytes(4, "big")


def be64(n):
    return n.to_bytes(8, "big")


def hexs(b):
    return bytes(b).hex()


def unhex(s):
    return bytes.fromhex(s)


def wall_ms():
    """Milliseconds since 1970 by the wall clock of the host."""
    return time.time_ns() // 1000000
