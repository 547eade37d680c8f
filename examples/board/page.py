# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# A web page with a button that only members of the network can see. On a board that boot.py brings
# onto the network, with an LED at PIN:
#     mpremote mip install github:miguelgrinberg/microdot/src/microdot/microdot.py
#     mpremote cp examples/board/page.py :main.py
#     mpremote reset
#     mpremote repl
# It prints the page's address; open it on another member.

import asyncio

import machine
from microdot import Microdot
from zt import card

PIN = 2
PORT = 8080

nic = card.active()
led = machine.Pin(PIN, machine.Pin.OUT)
app = Microdot()


@app.get("/")
async def index(request):
    page = "<h1>%s</h1><p>LED: %s</p><form method=post><button>switch</button></form>"
    return page % (nic.config("address"), "on" if led.value() else "off"), {
        "Content-Type": "text/html"
    }


@app.post("/")
async def switch(request):
    led.value(not led.value())
    return await index(request)


async def main():
    while not nic.isconnected():
        await asyncio.sleep_ms(200)
    # Bound to the address on the network: from the Wi-Fi side nothing answers.
    address = nic.ifconfig()[0]
    print("page: http://%s:%d/" % (address, PORT))
    await app.start_server(host=address, port=PORT)


asyncio.run(main())
