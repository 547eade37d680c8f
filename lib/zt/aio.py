# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The asyncio face: a running node with waits and events, and streams over the virtual network. On
# MicroPython the node is pumped by every wait of the process, on CPython by a small task. The
# protocol below never sees asyncio.

import asyncio
import sys

from . import hal, inet, log
from ._compat import MICROPYTHON, hexs, ticks_ms
from .host import Host, network_id
from .osutil import now_us, us_since
from .sockets import module as _sockets

_BACKLOG = 8
_AFTER_ERROR_MS = 250

# What a waiter waits for. MicroPython's loop looks at nothing but its streams while it polls, and
# there the node runs: a ThreadSafeFlag is a stream to it. A plain Event would be seen at the next
# timer.
_Flag = asyncio.ThreadSafeFlag if MICROPYTHON else asyncio.Event


def end_on_signals():
    """SIGINT and SIGTERM cancel the calling task, instead of ending whatever task happens to run.

    MicroPython passes a KeyboardInterrupt on to asyncio.run() by itself.
    """
    if MICROPYTHON:
        return
    import signal

    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def end(number, frame):
        # Not loop.add_signal_handler: the end of the loop would restore the default action, and
        # the next signal lose the state that is being saved.
        if not loop.is_closed():
            loop.call_soon_threadsafe(task.cancel)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


class Node:
    """A running node under asyncio; made by start() or around a Host."""

    def __init__(self, host):
        self.host = host
        self.core = host.node
        self._waiters = []
        self._wake = None if MICROPYTHON else asyncio.Event()
        self._task = None
        self._closed = False
        self._complained = False
        host.driver.on_event = self._notify

    @property
    def address(self):
        """Our address as 10 hex digits."""
        return self.host.address()

    @property
    def online(self):
        return self.core.online

    def networks(self):
        """As /network of the HTTP API has them, with the `problems` of each."""
        return self.host.driver.networks()

    def peers(self):
        return self.core.peers()

    def join(self, nwid, settings=None):
        """Join a network given as 16 hex digits or 8 bytes."""
        self.core.join(ticks_ms(), _id(nwid), settings)
        self._kick()

    def leave(self, nwid):
        self.core.leave(ticks_ms(), _id(nwid))
        self._kick()

    def network(self, nwid):
        """The JSON-shaped dict of one joined network, or None."""
        text = hexs(_id(nwid))
        for n in self.networks():
            if n["nwid"] == text:
                return n
        return None

    def addresses(self, nwid=None):
        """Our addresses as text without the prefix length, of one network or of all."""
        found = []
        for n in self.core.networks():
            if nwid is None or n["nwid"] == hexs(_id(nwid)):
                found.extend([a.partition("/")[0] for a in n["assignedAddresses"]])
        return found

    # Running.

    def attach(self):
        """Keep the node going: MicroPython does it in every wait of the process, for CPython a
        task of the running loop does."""
        if not MICROPYTHON:
            self._task = asyncio.get_running_loop().create_task(self._pump())
        return self

    def _step(self):
        """A turn of the node. What it must not raise ends neither it nor the application."""
        try:
            return self.host.driver.step()
        except Exception as e:
            if not self._complained:
                self._complained = True
                log.error("pump", "internal error, please report it:")
                sys.excepthook(type(e), e, e.__traceback__)
            return _AFTER_ERROR_MS

    async def _pump(self):
        loop = asyncio.get_running_loop()
        wake = self._wake
        watched = ()
        try:
            while not self._closed:
                wake.clear()
                ms = self._step()
                fds = tuple(hal.fds())
                if fds != watched:
                    for fd in watched:
                        loop.remove_reader(fd)
                    for fd in fds:
                        loop.add_reader(fd, wake.set)
                    watched = fds
                try:
                    await asyncio.wait_for(wake.wait(), max(ms, 0) / 1000)
                except asyncio.TimeoutError:
                    pass
        finally:
            for fd in watched:
                loop.remove_reader(fd)

    def _kick(self):
        if MICROPYTHON:
            hal.kick()
        else:
            self._wake.set()

    def _notify(self):
        for flag in self._waiters:
            flag.set()

    async def _changed(self):
        flag = _Flag()
        self._waiters.append(flag)
        try:
            await flag.wait()
        finally:
            self._waiters.remove(flag)

    # Waiting.

    async def _until(self, done, timeout):  # noqa: ASYNC109
        async def loop():
            while not done():
                await self._changed()

        if timeout is None:
            await loop()
        else:
            await asyncio.wait_for(loop(), timeout)

    async def wait_online(self, timeout=None):  # noqa: ASYNC109
        """Return when a root has answered; asyncio.TimeoutError after `timeout` seconds."""
        await self._until(lambda: self.core.online, timeout)

    async def wait_network(self, nwid, status="OK", timeout=None):  # noqa: ASYNC109
        """Return the network's dict once its status is `status`."""
        nwid = _id(nwid)

        def done():
            found = self.network(nwid)
            return found is not None and found["status"] == status

        await self._until(done, timeout)
        return self.network(nwid)

    async def next_event(self):
        """The next event dict, as `zt run --json` prints them. One consumer at a time."""
        events = self.host.driver.events
        while not events:
            await self._changed()
        return events.pop(0)

    def events(self):
        """`async for event in node.events()`."""
        return _Events(self)

    async def ping(self, host, timeout=5):  # noqa: ASYNC109
        """Ping an IP address (text) over the network: milliseconds, or None without an answer."""
        _sockets()
        flag = _Flag()
        answered = []

        def answer():
            answered.append(us_since(start))
            flag.set()

        start = now_us()
        nics = self.host.driver.nics
        seq = nics.ping(inet.parse_ip(host), answer)
        try:
            await asyncio.wait_for(flag.wait(), timeout)
        except asyncio.TimeoutError:
            nics.forget(seq)
            return None
        return answered[0] // 10 / 100

    async def close(self):
        """Stop, save the state, give up the sockets; idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            try:
                await self._task
            except asyncio.CancelledError:
                pass
        self.host.close()


class _Events:
    def __init__(self, node):
        self._node = node

    def __aiter__(self):
        return self

    async def __anext__(self):
        return await self._node.next_event()


def _id(nwid):
    if isinstance(nwid, str):
        return network_id(nwid)
    if len(nwid) != 8:
        raise ValueError("a network id is 16 hex digits or 8 bytes")
    return bytes(nwid)


async def start(home=None, **options):
    """Bring a node up and attach it to the running loop. Without `home` it has a temporary one.

    Options: port, planet (a file), join (list of ids), controller, allow_loopback, profile.
    """
    return Node(Host(home, **options)).attach()


# Streams over the virtual network.


async def open_connection(host, port):
    """asyncio's open_connection over zt.socket: (reader, writer)."""
    socket = _sockets()
    from . import streams

    return await streams.connect(socket, host, port)


async def start_server(callback, host, port, backlog=_BACKLOG):
    """asyncio's start_server over zt.socket; the Server has close() and wait_closed()."""
    socket = _sockets()
    from . import streams

    return await streams.serve(socket, callback, host, port, backlog)
