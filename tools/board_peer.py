# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The other end of tools/board_test.py: our node on this computer, run by `zt exec`. Takes JSON
# lines on stdin (ping, sink, source, state) and answers in JSON lines; ends with its stdin.

import asyncio
import json
import sys
import time

import zt
from zt import aio

_PIECE = bytes(1400)
_LAST = b"\1" + bytes(1399)


async def ping(ip, count):
    """ms of each echo, None for one without an answer."""
    times = []
    for _ in range(count):
        times.append(await zt.node.ping(ip, 5))
        await asyncio.sleep(0.1)
    return {"ms": times}


async def sink(port):
    """Take one connection and count what it brings."""
    result = {}
    over = asyncio.Event()

    async def taken(reader, writer):
        n = 0
        start = None
        while True:
            data = await reader.read(4096)
            if not data:
                break
            start = time.ticks_ms() if start is None else start
            n += len(data)
        result["bytes"] = n
        result["ms"] = time.ticks_diff(time.ticks_ms(), start) if n else 0
        writer.close()
        await writer.wait_closed()
        over.set()

    server = await aio.start_server(taken, "0.0.0.0", port)
    answer("sink", {"listening": port})
    await over.wait()
    server.close()
    return result


async def source(ip, port, ms):
    """Send for so long, then end the connection and wait for the other side to do the same."""
    reader, writer = await aio.open_connection(ip, port)
    start = time.ticks_ms()
    n = 0
    while time.ticks_diff(time.ticks_ms(), start) < ms:
        writer.write(_PIECE)
        await writer.drain()
        n += len(_PIECE)
    writer.write(_LAST)
    await writer.drain()
    await reader.read(1)
    writer.close()
    await writer.wait_closed()
    return {"bytes": n + len(_LAST)}


async def state():
    peers = {p["address"]: p["state"] for p in zt.node.peers()}
    return {"online": zt.node.online, "addresses": zt.node.addresses(), "peers": peers}


def answer(name, value):
    print(json.dumps({name: value}))


async def perform(name, arguments):
    try:
        value = await {"ping": ping, "sink": sink, "source": source, "state": state}[name](
            *arguments
        )
    except (OSError, ValueError, asyncio.TimeoutError) as e:
        value = {"error": "%s: %s" % (type(e).__name__, e)}
    answer(name + " done", value)


async def main():
    stdin = asyncio.StreamReader(sys.stdin)
    while True:
        line = await stdin.readline()
        if not line:
            break
        words = json.loads(line)
        asyncio.create_task(perform(words[0], words[1:]))
    await zt.node.close()


asyncio.run(main())
