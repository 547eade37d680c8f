# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# asyncio streams on MicroPython over a socket module of the caller's choice: the host's or the
# virtual network's. MicroPython's own know the host's IPv4 only, spin where the process has no
# descriptor left, and forget a socket whose wait was given up.

import asyncio
from asyncio.stream import Server, Stream
from errno import EAGAIN, EINPROGRESS

_ACCEPT_PAUSE_MS = 200  # our choice: after an accept that failed for want of something


class _Ready:
    """Awaitable: until the socket can be read, or written."""

    def __init__(self, queue, s):
        self._queue = queue
        self._s = s

    def __await__(self):
        self._queue(self._s)
        yield

    __iter__ = __await__


def _readable(s):
    return _Ready(asyncio.core._io_queue.queue_read, s)


def _writable(s):
    return _Ready(asyncio.core._io_queue.queue_write, s)


async def connect(socket, host, port):
    """(reader, writer) of a connection; OSError when it is refused."""
    info = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0]
    s = socket.socket(info[0], socket.SOCK_STREAM)
    try:
        s.setblocking(False)
        try:
            s.connect(info[-1])
        except OSError as e:
            if e.errno != EINPROGRESS:
                raise
        await _writable(s)
        # Nothing is sent by this; a connection that failed says so.
        s.send(b"")
    except BaseException:
        s.close()
        raise
    stream = Stream(s)
    return stream, stream


class _Server(Server):
    def __init__(self, s, callback):
        self._s = s
        self._callback = callback
        self.state = False
        self.task = asyncio.create_task(self._accept())

    async def _accept(self):
        s = self._s
        try:
            while True:
                await _readable(s)
                try:
                    peer, address = s.accept()
                except OSError as e:
                    if e.errno != EAGAIN:
                        await asyncio.sleep_ms(_ACCEPT_PAUSE_MS)
                    continue
                peer.setblocking(False)
                stream = Stream(peer, {"peername": address})
                asyncio.create_task(self._callback(stream, stream))
        except asyncio.CancelledError:
            if not self.state:  # not by close()
                raise
        finally:
            s.close()


async def serve(socket, callback, host, port, backlog=8, options=()):
    """A Server with close() and wait_closed(). `options`: setsockopt arguments to set first."""
    info = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0]
    s = socket.socket(info[0], socket.SOCK_STREAM)
    try:
        s.setblocking(False)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for option in options:
            s.setsockopt(*option)
        s.bind(info[-1])
        s.listen(backlog)
    except OSError:
        s.close()
        raise
    server = _Server(s, callback)
    await asyncio.sleep_ms(0)  # from here on close() finds the task waiting
    return server
