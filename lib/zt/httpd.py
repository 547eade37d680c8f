# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Serves a microdot application on host sockets with bounds: size of head and body, time per
# request, connections at once, who may connect. Knows HTTP clients, not what they ask for.

import asyncio
import sys

try:
    from microdot import microdot as _microdot
except ImportError:
    raise ImportError("the HTTP API needs the Python package microdot (pip install microdot)")

from . import inet, log
from ._compat import MICROPYTHON

_HEAD_MAX = 16384  # our choice: request line and headers
_REQUEST_S = 10  # our choice: a client slower than this is cut off
_CONNECTIONS = 16  # our choice: further ones are closed at once
_V6_ONLY = (41, 26, 1)  # IPPROTO_IPV6, IPV6_V6ONLY of Linux: IPv4 has a socket of its own


def _log_exception(e):
    # microdot prints tracebacks, on MicroPython to stdout, where results belong.
    log.warn("api", "request failed: %s" % type(e).__name__)
    if log.level >= log.DEBUG and not MICROPYTHON:
        sys.excepthook(type(e), e, e.__traceback__)


_microdot.print_exception = _log_exception


class _Reader:
    """The part of a stream reader that microdot uses, with a bound on the head."""

    def __init__(self, reader):
        self._reader = reader
        self._buf = b""
        self._head = 0

    async def readline(self):
        while b"\n" not in self._buf:
            part = await self._reader.read(1024)
            if not part:
                line = self._buf
                self._buf = b""
                return line
            self._buf += part
            if self._head + len(self._buf) > _HEAD_MAX:
                raise ValueError("request head too long")
        i = self._buf.find(b"\n") + 1
        line = self._buf[:i]
        self._buf = self._buf[i:]
        self._head += i
        return line

    async def readexactly(self, n):
        if n < 0:
            raise ValueError("negative content length")
        while len(self._buf) < n:
            part = await self._reader.read(4096)
            if not part:
                raise ValueError("request body cut short")
            self._buf += part
        data = self._buf[:n]
        self._buf = self._buf[n:]
        return data

    async def read(self, n=-1):
        return await self.readexactly(len(self._buf))


class _Writer:
    """A stream writer with microdot's two calls on both interpreters."""

    def __init__(self, writer):
        self._writer = writer
        self._closed = False

    def get_extra_info(self, name):
        return self._writer.get_extra_info(name)

    async def awrite(self, data):
        self._writer.write(data)
        await self._writer.drain()

    async def aclose(self):
        # Once only: the second close of a descriptor on MicroPython may be somebody else's.
        if not self._closed:
            self._closed = True
            self._writer.close()
            await self._writer.wait_closed()

    def abandon(self):
        """Close at once, whatever is still to be sent; nothing after aclose()."""
        if not self._closed:
            self._closed = True
            if MICROPYTHON:
                self._writer.s.close()  # its close() leaves that to wait_closed()
            else:
                self._writer.transport.abort()


def client_ip(peername):
    """The client's IP as bytes: CPython tells text, MicroPython's host sockets a raw sockaddr."""
    if isinstance(peername, (bytes, bytearray, memoryview)):
        family = peername[0] | peername[1] << 8
        ip = bytes(peername[4:8]) if family == 2 else bytes(peername[8:24])
    elif isinstance(peername, tuple):
        ip = inet.parse_ip(peername[0].split("%")[0])
    else:
        return None
    if len(ip) == 16 and ip[:12] == b"\0" * 10 + b"\xff\xff":
        ip = ip[12:]
    return ip


class Server:
    """Listens for `app` on several addresses of one port; clients must satisfy allow(ip)."""

    def __init__(self, app, allow):
        self._app = app
        self._allow = allow
        self._servers = []
        self._busy = 0

    async def listen(self, host, port):
        """One more address to listen on; OSError where that cannot be."""
        if MICROPYTHON:
            import socket

            from . import streams

            options = (_V6_ONLY,) if ":" in host else ()
            server = await streams.serve(socket, self._serve, host, port, options=options)
        else:
            server = await asyncio.start_server(self._serve, host, port)
        self._servers.append(server)

    async def _serve(self, reader, writer):
        wrapped = _Writer(writer)
        if self._busy >= _CONNECTIONS or not self._permitted(writer):
            wrapped.abandon()
            return
        self._busy += 1
        try:
            await asyncio.wait_for(self._app.handle_request(_Reader(reader), wrapped), _REQUEST_S)
        except (asyncio.TimeoutError, OSError, EOFError):
            pass
        finally:
            self._busy -= 1
            wrapped.abandon()

    def _permitted(self, writer):
        try:
            ip = client_ip(writer.get_extra_info("peername"))
        except ValueError:
            return False
        return ip is not None and self._allow(ip)

    async def close(self):
        for server in self._servers:
            server.close()
        for server in self._servers:
            try:
                await asyncio.wait_for(server.wait_closed(), 1)
            except asyncio.TimeoutError:
                pass
        self._servers = []
