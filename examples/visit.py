# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Pings a member of a virtual network five times and fetches its page, for instance page.py's. Make
# the node, authorize the address that this prints on the network's controller, and run it:
#     ./zt id new --out visit
#     ./zt exec --home visit --port 9994 --join NWID examples/visit.py IP
# It prints every event, every ping, and the page with its status as JSON lines.

import asyncio
import json
import sys

import zt


def show(**line):
    print(json.dumps(line))


async def events():
    async for event in zt.node.events():
        print(json.dumps(event))


async def fetch(host):
    reader, writer = await zt.aio.open_connection(host, 80)
    writer.write(b"GET / HTTP/1.0\r\nHost: %s\r\n\r\n" % host.encode())
    await writer.drain()
    status = await reader.readline()
    while await reader.readline() not in (b"\r\n", b""):
        pass
    page = await reader.read(-1)
    writer.close()
    await writer.wait_closed()
    return int(status.split()[1]), page.decode()


async def main():
    asyncio.create_task(events())
    await zt.node.wait_online()
    for network in zt.node.networks():
        await zt.node.wait_network(network["nwid"])
    host = sys.argv[1]
    for number in range(1, 6):
        show(event="ping", number=number, ms=await zt.node.ping(host))
        await asyncio.sleep(0.2)
    status, page = await fetch(host)
    show(event="page", status=status, text=page)


asyncio.run(main())
