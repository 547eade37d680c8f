# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# zt run: a node in the foreground with its HTTP API, one line per event. SIGINT and SIGTERM stop
# it with the state saved.

import asyncio

from . import aio, hal, jsontext
from .args import FLAG
from .cli import Command
from .options import NODE, open_host
from .osutil import EADDRINUSE, Failure, err, errtext, out

_PORT_TRIES = 8


class Printer:
    """Events as lines on stdout: JSON for programs, words for people."""

    def __init__(self, as_json):
        self.as_json = as_json

    def show(self, event):
        if not self.as_json:
            out("%9.3f  %s" % (event["t"], in_words(event)))
        elif event["event"] in _PUBLIC:
            if event["event"] == "listening":
                del event["t"]
            out(jsontext.dumps(event))
        elif event["event"] == "trying":
            err("zt: " + event["reason"])


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
    aio.end_on_signals()
    await _serve(host)
    node = aio.Node(host)
    listening = {"event": "listening", "port": host.driver.port, "address": host.address()}
    listening["t"] = host.driver.uptime()
    printer.show(listening)
    if not printer.as_json:
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
    try:
        from . import api  # noqa: F401
    except ImportError as e:
        raise Failure(str(e))
    hal.sigterm_as_interrupt()
    printer = Printer(args.json)
    host = open_host(args)
    try:
        asyncio.run(_main(host, printer))
    except (KeyboardInterrupt, asyncio.CancelledError):
        pass
    finally:
        host.close()
    for event in host.driver.events:
        printer.show(event)
    printer.show({"event": "stopped", "t": host.driver.uptime()})


_TAP = (("--tap",), FLAG, "", "networks are TAP devices of the host (Linux, CAP_NET_ADMIN)")

COMMANDS = {
    ("run",): Command(
        run, "", "Run a node in the foreground until SIGINT or SIGTERM.", NODE + (_TAP,)
    ),
}
