# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Our node in a test, run by `zt exec`: the same JSON lines on stdin and stdout as libzt_node.py,
# so that a test need not care who is at the other end. Uses only zt.node, zt.aio and zt.socket, as
# a user's program would.

import asyncio
import json
import sys
from errno import EAGAIN

import zt
from zt import aio, crypto

PAGE = 4096


def page(seed, i):
    return crypto.sha512(("%s %d" % (seed, i)).encode()) * 64


def piece(seed, start, n):
    """Bytes start..start + n of the pattern; n reaches no further than the end of a page."""
    at = start % PAGE
    return page(seed, start // PAGE)[at : at + n]


async def send(writer, seed, n):
    sent = 0
    while sent < n:
        data = piece(seed, sent, min(PAGE - sent % PAGE, n - sent))
        writer.write(data)
        await writer.drain()
        sent += len(data)


async def receive(reader, seed, n):
    """(bytes received, whether all were as expected)."""
    got = 0
    good = True
    while got < n:
        data = await reader.read(min(PAGE - got % PAGE, n - got))
        if not data:
            return got, False
        good = good and bytes(data) == piece(seed, got, len(data))
        got += len(data)
    return got, good


async def finish(reader, writer):
    # The other side ends first, so that nothing under way is lost.
    try:
        while await asyncio.wait_for(reader.read(256), 5):
            pass
    except (asyncio.TimeoutError, OSError):
        pass
    writer.close()
    await writer.wait_closed()


class Agent:
    def __init__(self):
        self.waiting = {}

    async def do_start(self, timeout=60):  # noqa: ASYNC109 - a field of the command
        await zt.node.wait_online(timeout)
        return {"online": True, "address": zt.node.address}

    async def do_status(self, nwid=None):
        answer = {"online": zt.node.online, "address": zt.node.address}
        net = zt.node.network(nwid) if nwid else None
        if nwid:
            answer["status"] = net["status"] if net else "NOT_JOINED"
            answer["ips"] = zt.node.addresses(nwid) if net else []
            answer["ready"] = answer["status"] == "OK" and len(answer["ips"]) > 0
        return answer

    async def do_peers(self):
        return {"peers": {p["address"]: p["state"] for p in zt.node.peers()}}

    async def do_join(self, nwid):
        zt.node.join(nwid)
        return {}

    async def do_leave(self, nwid):
        zt.node.leave(nwid)
        return {}

    async def do_tcp_listen(self, port, ip="0.0.0.0"):
        arrived = self.waiting[port] = ([], asyncio.Event())

        async def accepted(reader, writer):
            done = asyncio.Event()
            arrived[0].append((reader, writer, done))
            arrived[1].set()
            await done.wait()

        await aio.start_server(accepted, ip, port)
        return {}

    async def do_tcp_accept(self, port, receive_seed="", send_seed="", **sizes):
        arrived, bell = self.waiting[port]
        await bell.wait()
        bell.clear()
        reader, writer, done = arrived.pop(0)
        n = sizes.get("send", 0)
        got, good = await receive(reader, receive_seed, sizes.get("receive", 0))
        await send(writer, send_seed, n)
        await finish(reader, writer)
        done.set()
        return {"received": got, "sent": n, "good": good}

    async def do_tcp_connect(self, ip, port, receive_seed="", send_seed="", **sizes):
        connecting = aio.open_connection(ip, port)
        reader, writer = await asyncio.wait_for(connecting, sizes.get("timeout", 60))
        n = sizes.get("send", 0)
        await send(writer, send_seed, n)
        got, good = await receive(reader, receive_seed, sizes.get("receive", 0))
        await finish(reader, writer)
        return {"received": got, "sent": n, "good": good}

    async def do_ping(self, ip, timeout=5):  # noqa: ASYNC109 - a field of the command
        return {"ms": await zt.node.ping(ip, timeout)}

    async def do_http_get(self, ip, port, path="/"):
        """The whole answer as text."""
        reader, writer = await asyncio.wait_for(aio.open_connection(ip, port), 60)
        writer.write(("GET %s HTTP/1.0\r\nHost: %s\r\n\r\n" % (path, ip)).encode())
        await writer.drain()
        answer = await reader.read(-1)
        await finish(reader, writer)
        return {"answer": answer.decode()}

    async def do_http_serve(self, port, body):
        """Serve one page from now on."""

        async def serve(reader, writer):
            while (await reader.readline()).strip():
                pass
            writer.write(("HTTP/1.0 200 OK\r\n\r\n" + body).encode())
            await writer.drain()
            await finish(reader, writer)

        await aio.start_server(serve, "0.0.0.0", port)
        return {}

    async def do_udp_echo(self, port, count, ip="0.0.0.0"):
        s = zt.socket.socket(zt.socket.AF_INET, zt.socket.SOCK_DGRAM)
        s.setblocking(False)
        s.bind(zt.socket.getaddrinfo(ip, port)[0][-1])
        done = 0
        while done < count:
            try:
                data, source = s.recvfrom(2048)
                s.sendto(data, source)
                done += 1
            except OSError as e:
                if e.errno != EAGAIN:
                    raise
                await asyncio.sleep(0.005)
        s.close()
        return {"echoed": done}

    async def do_udp_exchange(self, ip, port, size=100, count=3, tries=20, seed="udp"):
        s = zt.socket.socket(zt.socket.AF_INET, zt.socket.SOCK_DGRAM)
        s.setblocking(False)
        where = zt.socket.getaddrinfo(ip, port)[0][-1]
        good = 0
        for i in range(count):
            data = piece("%s %d" % (seed, i), 0, size)
            for _ in range(tries):
                s.sendto(data, where)
                if await self.came_back(s, data):
                    good += 1
                    break
        s.close()
        return {"good": good == count, "answered": good}

    async def came_back(self, s, data):
        for _ in range(100):
            try:
                if s.recvfrom(2048)[0] == data:
                    return True
            except OSError as e:
                if e.errno != EAGAIN:
                    raise
                await asyncio.sleep(0.01)
        return False

    async def do_stop(self):
        return {}


def answer(ident, value):
    value["id"] = ident
    print(json.dumps(value))


async def perform(agent, command, stop):
    ident = command.pop("id", None)
    name = command.pop("cmd")
    try:
        value = await getattr(agent, "do_" + name)(**command)
        value["ok"] = True
    except Exception as e:  # the test is told, whatever it was
        value = {"ok": False, "error": "%s: %s" % (type(e).__name__, e)}
    answer(ident, value)
    if name == "stop":
        stop.set()


async def commands(agent, stop):
    stdin = asyncio.StreamReader(sys.stdin)
    while True:
        line = await stdin.readline()
        if not line:
            stop.set()
            return
        asyncio.create_task(perform(agent, json.loads(line), stop))


async def main():
    stop = asyncio.Event()
    reading = asyncio.create_task(commands(Agent(), stop))
    await stop.wait()
    reading.cancel()
    await zt.node.close()


asyncio.run(main())
