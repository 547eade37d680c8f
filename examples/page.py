# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# A web page that only the members of a virtual network can see. Run it with
#     ./zt exec --join NWID examples/page.py
# and open http://<the address it prints>/ on another member. It prints every event as a JSON line.

import asyncio
import json

import zt
from microdot import Microdot

app = Microdot()


@app.get("/")
async def index(request):
    return "<h1>Hello from node %s</h1>" % zt.node.address, {"Content-Type": "text/html"}


async def main():
    await zt.aio.start_server(app.handle_request, "0.0.0.0", 80)
    async for event in zt.node.events():
        print(json.dumps(event))


asyncio.run(main())
