# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Runs one example of examples/board on the unix port, with a stand-in for zt.NIC and the modules
# of this folder in the place of a board's. Prints one line of JSON: what the example did.
#
#   run_example.py EXAMPLE SCENARIO

import json
import socket as host
import sys

path, scenario = sys.argv[1:3]
sys.path.insert(0, path[: path.index("/examples/")] + "/tests/embedded/standins")

import _webrepl  # noqa: E402
import machine  # noqa: E402
import network  # noqa: E402
import zt  # noqa: E402
from umqtt import simple  # noqa: E402
from zt import settings  # noqa: E402

events = []
sleeps = [0]


class Enough(Exception):
    pass


class NIC:
    """The manners of zt.NIC; the network is on loopback and there after some questions."""

    made = []

    def __init__(self, carried=None):
        self.settings = settings.Memory(
            {"wifi.ssid": "home", "wifi.psk": "secret", "hostname": "sensor", "webrepl": "abcd"}
        )
        if scenario == "bare":
            self.settings = settings.Memory()
        if scenario == "went-back":
            self.settings.set("ota.trial", "ota_1")  # and the stand-in runs ota_0
        self.carried = carried
        self.asked = 0
        self.up = False
        self.made.append(self)
        events.append(("NIC", carried))

    def active(self, on=None):
        if on:
            if scenario == "bare":
                raise OSError("no identity: give this board one with tools/provision.py")
            self.up = True
            events.append("active")
        return self.up

    def isconnected(self):
        self.asked += 1
        # Once there it goes away for a while and comes back.
        return self.up and self.asked > 3 and not 6 <= self.asked <= 7

    def status(self, what):
        return True

    def config(self, name):
        return {"address": "89e92ceee5", "networks": ["8056c2e21c000001"]}[name]

    def ifconfig(self):
        return ("127.0.0.1", "255.0.0.0", "0.0.0.0", "0.0.0.0")

    def suspend(self):
        self.up = False
        return b"carried on"


class Card:
    NIC = NIC

    @staticmethod
    def active():
        return NIC.made[-1]


class Clock:
    """time for the example: nothing waits, and what waits too often has been seen enough."""

    now = 0

    @staticmethod
    def sleep_ms(ms):
        Clock.now += ms
        sleeps[0] += 1
        if sleeps[0] > 400:
            raise Enough()

    @staticmethod
    def sleep(s):
        Clock.sleep_ms(1000 * s)
        if sleeps[0] > 12:
            raise Enough()

    @staticmethod
    def ticks_ms():
        return Clock.now

    @staticmethod
    def ticks_diff(a, b):
        return a - b


class Listener:
    def setsockopt(self, level, option, value):
        if option == 20:
            events.append("accepts" if callable(value) else "does not accept")

    def bind(self, at):
        events.append(("bind", at))

    def listen(self, backlog):
        pass

    def close(self):
        events.append("closed")


class Sockets:
    socket = Listener
    AF_INET, SOCK_DGRAM = host.AF_INET, host.SOCK_DGRAM
    SOL_SOCKET, SO_REUSEADDR = host.SOL_SOCKET, host.SO_REUSEADDR


class Datagrams(Sockets):
    class socket:
        def __init__(self, family, kind):
            pass

        def sendto(self, data, to):
            if scenario == "interrupted":
                raise KeyboardInterrupt
            if scenario == "broken":
                raise TypeError("broken")
            events.append(("sendto", data.decode(), to))

        def close(self):
            pass


sys.modules["zt.card"] = Card
if not path.endswith("page.py"):
    sys.modules["time"] = Clock
if path.endswith("remote.py"):
    sys.modules["socket"] = Sockets
if path.endswith("sleeper.py"):
    sys.modules["socket"] = Datagrams
if scenario == "no-wifi":
    network.answers_after[0] = None
if not path.endswith(("boot.py", "sleeper.py")):
    zt.NIC().active(True)
    events.clear()
if path.endswith("page.py"):
    import microdot
    from microdot.microdot import NoCaseDict

    async def visit(self, host, port):
        """In the place of microdot's start_server: two requests."""
        events.append(("serves", host, port))
        for method in ("GET", "POST"):
            res = await self.dispatch_request(
                microdot.Request(self, None, method, "/", "1.0", NoCaseDict())
            )
            events.append((method, res.status_code, res.body.decode()))

    microdot.Microdot.start_server = visit

ended = "returned"
with open(path) as f:
    source = f.read()
try:
    exec(compile(source, path, "exec"), {"__name__": "__main__"})
except (Enough, KeyboardInterrupt, machine.Asleep) as e:
    ended = type(e).__name__
said = {"events": events, "network": network.said, "mqtt": simple.said, "webrepl": _webrepl.said}
said.update({"machine": machine.said, "memory": machine.memory[0].decode(), "ended": ended})
print(json.dumps(said))
