# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What the edge needs of an operating system and MicroPython's os lacks: paths, whole files, error
# text, "is this a terminal". Knows nothing of the node.

import errno
import os
import sys
import time

from ._compat import MICROPYTHON, const, hexs

ENOENT = const(2)
EAGAIN = const(11)
EACCES = const(13)
EEXIST = const(17)
EADDRINUSE = const(98)
EADDRNOTAVAIL = const(99)

_FILE_MAX = const(4194304)  # our choice
_TEXT = {
    1: "operation not permitted",
    2: "no such file or directory",
    13: "permission denied",
    16: "device or resource busy",
    17: "file exists",
    20: "not a directory",
    21: "is a directory",
    27: "file too large",
    28: "no space left on device",
    30: "read-only file system",
    98: "address already in use",
    99: "address not available",
    101: "network is unreachable",
    110: "timed out",
    111: "connection refused",
    113: "no route to host",
}


class Failure(Exception):  # not on boards
    """What the command line reports as one line and exit status 1."""


def errtext(e):
    """The reason in an OSError, the same words on both interpreters."""
    n = e.errno
    if n in _TEXT:
        return _TEXT[n]
    if n is None:
        return e.args[0] if e.args else "failed"
    return str(errno.errorcode.get(n, n))


def join(*parts):
    return "/".join(parts)


def dirname(path):
    i = path.rfind("/")
    if i < 0:
        return "."
    return path[:i] or "/"


def exists(path):
    try:
        os.stat(path)
        return True
    except OSError:
        return False


def read_file(path):
    """The whole file as bytes; OSError as open gives it, EFBIG for more than any of ours has."""
    f = open(path, "rb")
    try:
        stat = os.stat(path)
        if stat[0] & 0xF000 == 0x8000 and stat[6] <= _FILE_MAX:
            return f.read()
        # A device, a pipe: its end may never come.
        data = b""
        while len(data) <= _FILE_MAX:
            part = f.read(65536)
            if not part:
                return data
            data += part
        raise OSError(27, _TEXT[27])
    finally:
        f.close()


def makedirs(path, mkdir):
    """Make `path` and what is missing above it with mkdir(path) calls."""
    if exists(path):
        return
    parent = dirname(path)
    if parent not in (path, "."):
        makedirs(parent, mkdir)
    try:
        mkdir(path)
    except OSError as e:
        if e.errno != EEXIST:
            raise


def rmtree(path):  # not on boards
    """Remove a folder of ours with what is in it; what is gone already is fine."""
    try:
        names = os.listdir(path)
    except OSError:
        names = []
    for name in names:
        p = join(path, name)
        try:
            os.remove(p)  # a link too, never what it points to
        except OSError:
            rmtree(p)
    try:
        os.rmdir(path)
    except OSError:
        pass


def default_home():  # not on boards
    home = os.getenv("ZT_HOME")
    if home:
        return home
    return join(os.getenv("HOME") or ".", ".zt")


def temp_path(random):  # not on boards
    """A fresh name for a temporary folder; the caller makes and removes it."""
    return join(os.getenv("TMPDIR") or "/tmp", "zt-" + hexs(random(8)))


def is_terminal(fd):  # not on boards
    """True when file descriptor `fd` is a terminal (a character device that is not /dev/null)."""
    if not MICROPYTHON:
        try:
            return os.isatty(fd)
        except OSError:
            return False
    try:
        s = os.stat("/proc/self/fd/%d" % fd)
        null = os.stat("/dev/null")
    except OSError:
        return False
    return s[0] & 0xF000 == 0x2000 and s[1] != null[1]


def now_us():  # not on boards
    """Microseconds for us_since(); wraps."""
    return time.ticks_us() if MICROPYTHON else time.perf_counter_ns() // 1000


def us_since(then):  # not on boards
    now = now_us()
    return time.ticks_diff(now, then) if MICROPYTHON else now - then


def clean(text):  # not on boards
    """The text without characters that drive a terminal: what others named may be shown."""
    for c in text:
        if c < " " or "\x7f" <= c <= "\x9f":
            break
    else:
        return text
    return "".join(["?" if c < " " or "\x7f" <= c <= "\x9f" else c for c in text])


def _write(stream, text):  # not on boards
    stream.write("\n".join([clean(line) for line in text.split("\n")]) + "\n")
    if not MICROPYTHON:
        stream.flush()


def out(text):  # not on boards
    """Lines on stdout, at once."""
    _write(sys.stdout, text)


def err(text):  # not on boards
    """Lines on stderr, at once."""
    _write(sys.stderr, text)


def err_line(text):  # not on boards
    """One line on stderr, whatever is in the text."""
    _write(sys.stderr, clean(text))
