# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# zt status | peers | networks | join | leave: questions to the node running on a home. JSON comes
# as the node's HTTP API gives it, text is for people.

from . import jsontext
from ._compat import hexs
from .args import FLAG
from .cli import Command
from .client import Client
from .osutil import Failure, clean, out


def _network_id(text):
    from .host import network_id

    return hexs(network_id(text))


def table(rows):
    """Lines of left-aligned columns; the first row is the heading."""
    rows = [[clean(cell) for cell in row] for row in rows]
    widths = [max([len(row[i]) for row in rows]) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[i] + " " * (widths[i] - len(row[i])) for i in range(len(row))]
        lines.append("  ".join(cells).rstrip())
    return lines


def status(args):
    client = Client(args.home)
    s = client.get("/status")
    if args.json:
        out(jsontext.dumps(s))
        return
    from . import statustext

    out("%s %s %s" % (s["address"], s["version"], "ONLINE" if s["online"] else "OFFLINE"))
    for line in statustext.lines(s, client.get("/network"), client.get("/peer"), args.counters):
        out(line)


def _path_of(peer):
    for p in peer["paths"]:
        if p["preferred"]:
            return p["address"]
    return "relayed" if not peer["paths"] else peer["paths"][0]["address"]


def peers(args):
    found = Client(args.home).get("/peer")
    if args.json:
        out(jsontext.dumps(found))
        return
    rows = [("ADDRESS", "VERSION", "ROLE", "LATENCY", "PATH")]
    for p in sorted(found, key=lambda p: p["address"]):
        version = "-" if p["version"] == "-1.-1.-1" else p["version"]
        rows.append((p["address"], version, p["role"], str(p["latency"]), _path_of(p)))
    for line in table(rows):
        out(line)


def networks(args):
    found = Client(args.home).get("/network")
    if args.json:
        out(jsontext.dumps(found))
        return
    rows = [("NETWORK", "NAME", "MAC", "STATUS", "TYPE", "ADDRESSES")]
    for n in sorted(found, key=lambda n: n["nwid"]):
        addresses = ",".join(n["assignedAddresses"]) or "-"
        rows.append((n["nwid"], n["name"] or "-", n["mac"], n["status"], n["type"], addresses))
    for line in table(rows):
        out(line)
    for n in found:
        for problem in n["problems"] + n["unsupportedRules"]:
            out("%s: %s" % (n["nwid"], clean(problem)))


def join(args):
    nwid = _network_id(args.rest[0])
    settings = {}
    for name, value in (
        ("allowGlobal", args.allow_global),
        ("allowDefault", args.allow_default),
        ("allowDNS", args.allow_dns),
    ):
        if value:
            settings[name] = True
    if args.no_managed:
        settings["allowManaged"] = False
    found = Client(args.home).post("/network/" + nwid, settings)
    out(jsontext.dumps(found) if args.json else "joined %s: %s" % (nwid, found["status"]))


def leave(args):
    nwid = _network_id(args.rest[0])
    result = Client(args.home).delete("/network/" + nwid)
    if args.json:
        out(jsontext.dumps(result))
    if not result.get("result"):
        raise Failure("network %s is not joined" % nwid)
    if not args.json:
        out("left %s" % nwid)


COMMANDS = {
    ("status",): Command(
        status,
        "",
        "Address, version and state of the running node, and what it has counted.",
        ((("--counters",), FLAG, "", "all peers, not only the busiest"),),
    ),
    ("peers",): Command(peers, "", "The nodes the running node knows."),
    ("networks",): Command(networks, "", "The networks the running node has joined."),
    ("join",): Command(
        join,
        "NWID",
        "Join a network; with options also set what it may do here.",
        (
            (("--allow-global",), FLAG, "", "accept managed addresses of the public internet"),
            (("--allow-default",), FLAG, "", "accept a default route"),
            (("--allow-dns",), FLAG, "", "accept DNS servers"),
            (("--no-managed",), FLAG, "", "accept no managed addresses and routes"),
        ),
        1,
        1,
    ),
    ("leave",): Command(leave, "NWID", "Leave a network.", (), 1, 1),
}
