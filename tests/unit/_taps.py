# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Stand-ins for the tests of TAP devices: the system calls, recorded.

import sys

from _edge import Hal
from zt import log, tap
from zt._compat import unhex

NWID = unhex("8056c2e21c000001")
ONE = bytes((10, 9, 0, 1))
TWO = bytes((10, 9, 0, 2))
NET = bytes((10, 20, 0, 0))
EBUSY, EBADFD, EIO = 16, 77, 5


class Raw:
    """The system calls, recorded."""

    def __init__(self):
        self.names = {}
        self.taken = []
        self.asked = []
        self.refuse = {}  # message -> errno
        self.frames = {}  # fd -> frames or errnos
        self.written = []
        self.write_error = 0
        self.closed = []
        self._fd = 40

    def open(self, name):
        if name in self.taken:
            raise OSError(EBUSY, "taken")
        self._fd += 1
        self.names[name] = self._fd
        self.frames[self._fd] = []
        return self._fd

    def close(self, fd):
        self.closed.append(fd)

    def index(self, name):
        return self.names[name] - 40

    def read(self, fd, buf):
        queue = self.frames[fd]
        if not queue:
            return 0
        frame = queue.pop(0)
        if isinstance(frame, int):
            raise OSError(frame, "no frame")
        buf[: len(frame)] = frame
        return len(frame)

    def write(self, fd, frame):
        self.written.append((fd, bytes(frame)))
        return self.write_error

    def netlink(self, message):
        self.asked.append(message)
        return self.refuse.get(message, 0)


class PlaneRaw(Raw):
    """The same where a data plane may have the devices."""

    def __init__(self):
        super().__init__()
        self.given = {}
        self.known = []  # interfaces whose network the plane has
        self.looping = 0

    def give(self, n, fd):
        self.given[n] = fd
        return 0

    def held(self, n):
        return n in self.known

    def looped(self):
        return self.looping


class WatchedHal(Hal):
    def watch(self, fd):
        self.calls.append(("watch", fd))

    def unwatch(self, fd):
        self.calls.append(("unwatch", fd))


def make():
    raw = Raw()
    hal = WatchedHal()
    return tap.TapStack(hal, raw), raw, hal


def quiet(f, *args):
    """Run f with the log's lines put aside."""
    sink = []
    log.set_sink(sink.append)
    try:
        return f(*args)
    finally:
        log.set_sink(lambda line: sys.stderr.write(line + "\n"))
