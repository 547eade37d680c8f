# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# A web page that only the members of a virtual network can see. Make the node, authorize the
# address that this prints on the network's controller, and run it:
#     ./zt id new --out page
#     ./zt exec --home page --join NWID examples/page.py
# It prints every event as a JSON line; open http://<ip of the event "address">/ on another member.

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
