# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# zt run: a node in the foreground with its HTTP API, one line per event. SIGINT and SIGTERM stop
# it with the state saved.

import asyncio

from . import aio, hal, jsontext
from ._compat import ticks_diff, ticks_ms
from .cli import Command
from .options import NODE, open_host
from .osutil import EADDRINUSE, Failure, errtext, out

_PORT_TRIES = 8


class Printer:
    """Events as lines on stdout: JSON for programs, words for people."""

    def __init__(self, as_json):
        self._json = as_json
        self._last = ticks_ms()
        self._ms = 0

    def seconds(self):
        # Summed in small steps: the ticks of a long run wrap.
        now = ticks_ms()
        self._ms += ticks_diff(now, self._last)
        self._last = now
        return self._ms / 1000

    def show(self, event):
        t = self.seconds()
        if self._json:
            if event["event"] in _PUBLIC:
                if event["event"] != "listening":
                    event["t"] = round(t, 3)
                out(jsontext.dumps(event))
        else:
            out("%9.3f  %s" % (t, in_words(event)))


_PUBLIC = ("listening", "online", "offline", "network", "address", "peer", "stopped")


def in_words(e):
    name = e["event"]
    if name == "listening":
        return "address %s, UDP port %d" % (e["address"], e["port"])
    if name == "network":
        return "network %s %s%s" % (e["nwid"], e["status"], _advice(e))
    if name == "address":
        return "network %s address %s %s" % (
            e["nwid"],
            e["ip"],
            "added" if e["added"] else "removed",
        )
    if name == "peer":
        return "peer %s %s" % (e["address"], e["path"])
    if name == "trying":
        return e["reason"]
    return {"online": "ONLINE", "offline": "OFFLINE", "stopped": "stopped, state saved"}.get(
        name, name
    )


def _advice(e):
    if e["status"] == "ACCESS_DENIED":
        return ": waiting for authorization by the controller"
    return ""


async def _serve(host):
    from . import api

    for attempt in range(_PORT_TRIES):
        try:
            return await api.serve(host, hal.random)
        except OSError as e:
            random_port = host.driver.settings.port == 0
            if not random_port or e.errno != EADDRINUSE or attempt == _PORT_TRIES - 1:
                raise Failure("TCP port %d: %s" % (host.driver.port, errtext(e)))
            host.driver.reopen()


async def _main(host, printer):
    await _serve(host)
    node = aio.Node(host)
    printer.show({"event": "listening", "port": host.driver.port, "address": host.address()})
    if not printer._json:
        nwids = [n["nwid"] for n in host.node.networks()]
        if nwids:
            out(
                "           authorize %s on the controller of %s"
                % (node.address, ", ".join(nwids))
            )
    node.attach()
    while True:
        printer.show(await node.next_event())


def run(args):
    hal.sigterm_as_interrupt()
    printer = Printer(args.json)
    host = open_host(args)
    try:
        asyncio.run(_main(host, printer))
    except (KeyboardInterrupt, asyncio.CancelledError):
        pass
    finally:
        host.store.put("port", None)
        events = host.driver.events
        host.close()
        for event in events:
            printer.show(event)
    printer.show({"event": "stopped"})


COMMANDS = {
    ("run",): Command(run, "", "Run a node in the foreground until SIGINT or SIGTERM.", NODE),
}
