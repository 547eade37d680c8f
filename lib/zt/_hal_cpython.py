# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The host for CPython: the same functions as the C module `_zthal` of the unix port, over the
# standard library. There is no network stack in the process, so nothing joins a network here
# (HAS_STACK).

import ctypes
import errno
import fcntl
import os
import select
import signal
import socket
import sys
import time
import traceback

HAS_STACK = False

_META = 20
_BUFFER = 1 << 20
_AFTER_ERROR_MS = 250

_wires = {}
_watched = []
_next = 0
_epoll = select.epoll()
_kick_read, _kick_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
_epoll.register(_kick_read, select.EPOLLIN)
_pump = None
_in_pump = False
_held_interrupt = False
_complained = False


# ---- wires ----


class _Wire:
    def __init__(self, sock, v6, scope):
        self.sock = sock
        self.v6 = v6
        self.scope = scope

    def address(self, ip, port):
        """A socket address, or None when ip is not of this wire's family."""
        if len(ip) != (16 if self.v6 else 4):
            return None
        text = socket.inet_ntop(socket.AF_INET6 if self.v6 else socket.AF_INET, bytes(ip))
        if not self.v6:
            return (text, port)
        link_local = ip[0] == 0xFE and ip[1] & 0xC0 == 0x80
        return (text, port, 0, self.scope if link_local else 0)


def _scope_of(ip):
    for index, name in socket.if_nameindex():
        if any(n == name and i == ip for n, i, _ in interfaces()):
            return index
    return 0


def wire_open(ip, port):
    """Bind a UDP socket of ip's family; port 0 takes a free one. OSError if it cannot be had."""
    global _next
    ip = bytes(ip)
    if len(ip) not in (4, 16) or not 0 <= port <= 0xFFFF:
        raise ValueError("bad address")
    v6 = len(ip) == 16
    family = socket.AF_INET6 if v6 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        scope = 0
        if v6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if ip[0] == 0xFE and ip[1] & 0xC0 == 0x80:
                scope = _scope_of(ip)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        wire = _Wire(sock, v6, scope)
        sock.bind(wire.address(ip, port))
        _epoll.register(sock.fileno(), select.EPOLLIN)
    except OSError:
        sock.close()
        raise
    handle = _next
    _next += 1
    _wires[handle] = wire
    return handle


def _wire(handle):
    wire = _wires.get(handle)
    if wire is None:
        raise OSError(errno.EBADF, "no such wire")
    return wire


def wire_close(handle):
    wire = _wire(handle)
    del _wires[handle]
    _epoll.unregister(wire.sock.fileno())
    wire.sock.close()


def wire_port(handle):
    return _wire(handle).sock.getsockname()[1]


def wire_recv(handle, buf, meta):
    """Take one datagram into buf and its source into meta; its length, 0 when there is none."""
    wire = _wire(handle)
    if len(meta) < _META:
        raise ValueError("meta needs 20 bytes")
    while True:
        try:
            n, _, flags, source = wire.sock.recvmsg_into([buf])
        except OSError:
            # Nothing there, or an ICMP error about something sent earlier: the timers see to it.
            return 0
        if n == 0 or flags & socket.MSG_TRUNC:
            continue
        ip = socket.inet_pton(wire.sock.family, source[0].split("%")[0])
        meta[:_META] = bytes(_META)
        meta[0] = len(ip)
        meta[1 : 1 + len(ip)] = ip
        meta[17] = source[1] >> 8
        meta[18] = source[1] & 0xFF
        return n


def wire_send(handle, ip, port, buf, n, ttl):
    """Send buf[:n]; 0 or the errno. ttl 0 is the system's default. Never blocks."""
    wire = _wire(handle)
    if not 0 <= n <= len(buf) or not 0 <= port <= 0xFFFF or not 0 <= ttl <= 255:
        raise ValueError("bad argument")
    address = wire.address(ip, port)
    if address is None:
        return errno.EAFNOSUPPORT
    control = []
    if ttl:
        level, kind = socket.IPPROTO_IP, socket.IP_TTL
        if wire.v6:
            level, kind = socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT
        control.append((level, kind, ttl.to_bytes(4, sys.byteorder)))
    try:
        wire.sock.sendmsg([memoryview(buf)[:n]], control, socket.MSG_NOSIGNAL, address)
    except OSError as e:
        return e.errno
    return 0


def fds():
    """The descriptors that end a wait, for an event loop that waits by itself."""
    return [w.sock.fileno() for w in _wires.values()] + _watched


def watch(fd):
    """From now on `fd`, when readable, ends a wait as a wire does. unwatch() before it closes."""
    _epoll.register(fd, select.EPOLLIN)
    _watched.append(fd)


def unwatch(fd):
    _epoll.unregister(fd)
    _watched.remove(fd)


# ---- waiting ----


def kick():
    """End a wait, this one or the next. May be called from a signal handler or another thread."""
    try:
        os.write(_kick_write, b"k")
    except BlockingIOError:
        pass  # a kick is due already


def set_pump(f):
    """Call f() at every wait; it returns ms to its next deadline. None takes it away."""
    global _pump, _complained
    if f is not None and not callable(f):
        raise TypeError("pump must be callable")
    _pump = f
    _complained = False


def _turn():
    global _in_pump, _held_interrupt, _complained
    if _pump is None or _in_pump:
        return -1
    _in_pump = True
    try:
        ms = _pump()
    except Exception:
        if not _complained:
            _complained = True
            sys.stderr.write("error pump: internal error, please report it:\n")
            traceback.print_exc()
        ms = _AFTER_ERROR_MS
    finally:
        _in_pump = False
        if _held_interrupt:
            _held_interrupt = False
            raise KeyboardInterrupt
    return -1 if ms is None or ms < 0 else ms


def wait(ms):
    """Sleep until a wire is readable, a kick, or ms have passed (negative: no limit)."""
    end = time.monotonic() + ms / 1000
    while True:
        left = max(0.0, end - time.monotonic()) if ms >= 0 else None
        due = _turn()
        sleep = left if due < 0 else due / 1000 if left is None else min(left, due / 1000)
        ready = _epoll.poll(sleep)
        if ready:
            if any(fd == _kick_read for fd, _ in ready):
                os.read(_kick_read, 4096)
            _turn()
            return
        if left is not None and left <= 0:
            return


def _on_signal(_signum, _frame):
    global _held_interrupt
    if _in_pump and not _held_interrupt:
        _held_interrupt = True
        return
    raise KeyboardInterrupt


def sigterm_as_interrupt():
    """SIGTERM and SIGINT raise KeyboardInterrupt, after the pump if one is running."""
    signal.signal(signal.SIGTERM, _on_signal)
    signal.signal(signal.SIGINT, _on_signal)


# ---- the host's addresses, by getifaddrs(3) ----


class _Ifaddrs(ctypes.Structure):
    pass


_Ifaddrs._fields_ = [
    ("next", ctypes.POINTER(_Ifaddrs)),
    ("name", ctypes.c_char_p),
    ("flags", ctypes.c_uint),
    ("addr", ctypes.c_void_p),
    ("netmask", ctypes.c_void_p),
]
_IFF_UP = 1


def _sockaddr_ip(p):
    family = int.from_bytes(ctypes.string_at(p, 2), sys.byteorder)
    if family == socket.AF_INET:
        return ctypes.string_at(p + 4, 4)
    if family == socket.AF_INET6:
        return ctypes.string_at(p + 8, 16)
    return None


def interfaces():
    """(name, ip, bits) of every address of an interface that is up."""
    libc = ctypes.CDLL(None, use_errno=True)
    head = ctypes.POINTER(_Ifaddrs)()
    if libc.getifaddrs(ctypes.byref(head)) != 0:
        raise OSError(ctypes.get_errno(), "getifaddrs")
    out = []
    try:
        entry = head
        while entry:
            e = entry.contents
            if e.addr and e.netmask and e.flags & _IFF_UP:
                ip = _sockaddr_ip(e.addr)
                if ip is not None:
                    mask = ctypes.string_at(e.netmask + (4 if len(ip) == 4 else 8), len(ip))
                    bits = bin(int.from_bytes(mask, "big")).count("1")
                    out.append((e.name.decode(), ip, bits))
            entry = e.next
    finally:
        libc.freeifaddrs(head)
    return out


# ---- files and randomness ----


def save(path, data, mode):
    """Replace the file whole or not at all: temporary file, fsync, rename, fsync of the folder."""
    temporary = "%s.%d.tmp" % (path, os.getpid())
    try:
        os.unlink(temporary)  # left by a process that died
    except FileNotFoundError:
        pass
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(temporary, flags, mode & 0o777)
    try:
        try:
            os.fchmod(fd, mode & 0o777)
            rest = memoryview(data)
            while len(rest):
                rest = rest[os.write(fd, rest) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def lock(path):
    """Lock a file for this process; OSError EWOULDBLOCK if another holds it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd


def unlock(handle):
    os.close(handle)


def mkdir(path, mode):
    os.mkdir(path, mode)


def read(fd, buf):
    """Read what there is into buf, without filling it; 0 at the end."""
    return os.readv(fd, [buf])


def random(n):
    return os.urandom(n)
