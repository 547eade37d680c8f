# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# zt network new | set | list and zt member list | authorize | deauthorize: the controller of the
# node running on a home, through its HTTP API. Checks what a user typed; the controller judges the
# rest.

from . import inet, jsontext
from ._compat import hexs
from .args import FLAG, LIST, TEXT
from .cli import Command
from .client import Client, NotOK
from .cmd_node import table
from .osutil import Failure, err, out


def _network_id(text):
    from .host import network_id

    return hexs(network_id(text))


def _node_address(text):
    from .host import node_address

    return hexs(node_address(text))


def _ip(text, what):
    try:
        return inet.parse_ip(text)
    except ValueError:
        raise Failure("%s: %s is not an IP address" % (what, text))


def _pool(text):
    first, dash, last = text.partition("-")
    a = _ip(first, "--pool")
    b = _ip(last, "--pool")
    if not dash or len(a) != len(b) or a > b:
        raise Failure("--pool: %s is not FIRST-LAST" % text)
    return {"ipRangeStart": inet.ip_text(a), "ipRangeEnd": inet.ip_text(b)}, len(a) == 4


def _route(text):
    target, at, via = text.partition("@")
    ip, slash, bits = target.partition("/")
    ip = _ip(ip, "--route")
    if not slash or not bits.isdigit() or int(bits) > 8 * len(ip):
        raise Failure("--route: %s is not IP/BITS[@VIA]" % text)
    if at and len(_ip(via, "--route")) != len(ip):
        raise Failure("--route: %s mixes IPv4 and IPv6" % text)
    return {"target": inet.text(ip, int(bits)), "via": via if at else None}


def network_new(args):
    body = {"private": not args.public, "routes": [_route(t) for t in args.route]}
    if args.name:
        body["name"] = args.name
    if args.pool:
        pool, v4 = _pool(args.pool)
        body["ipAssignmentPools"] = [pool]
        if v4:
            body["v4AssignMode"] = {"zt": True}
        else:
            body["v6AssignMode"] = {"zt": True}
        if not args.route:
            err("zt: no --route covers the pool, so members will get no address from it")
    client = Client(args.home)
    _controller(client, "GET", "/network")
    address = client.get("/status")["address"]
    made = _controller(client, "POST", "/network/%s______" % address, body)
    out(jsontext.dumps(made) if args.json else made["id"])


def _controller(client, method, path, body=None):
    """One call below /controller; a node that is no controller says so plainly."""
    try:
        if method == "POST":
            return client.post("/controller" + path, body)
        return client.get("/controller" + path)
    except NotOK as e:
        if e.status == 404 and path != "/network":
            words = path.split("/")
            what = "member" if len(words) > 4 else "network"
            raise Failure("no such %s: %s" % (what, words[-1 if what == "member" else 2]))
        if e.status in (404, 503):
            raise Failure("the node on %s is not a controller" % client.home)
        raise


def network_set(args):
    nwid = _network_id(args.rest[0])
    body = {}
    for pair in args.rest[1:]:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise Failure("%s is not KEY=JSON" % pair)
        try:
            body[key] = jsontext.loads(value.encode())
        except ValueError:
            raise Failure("%s: not valid JSON: %s" % (key, value))
    client = Client(args.home)
    _controller(client, "GET", "/network/" + nwid)
    changed = _controller(client, "POST", "/network/" + nwid, body)
    for key in body:
        if key not in changed:
            err("zt: the controller does not know %s" % key)
    out(jsontext.dumps(changed) if args.json else "%s revision %d" % (nwid, changed["revision"]))


def network_list(args):
    client = Client(args.home)
    found = [
        _controller(client, "GET", "/network/" + nwid)
        for nwid in _controller(client, "GET", "/network")
    ]
    if args.json:
        out(jsontext.dumps(found))
        return
    rows = [("NETWORK", "NAME", "TYPE", "ROUTES")]
    for n in found:
        routes = ",".join([r["target"] for r in n["routes"]]) or "-"
        rows.append((n["id"], n["name"] or "-", "PRIVATE" if n["private"] else "PUBLIC", routes))
    for line in table(rows):
        out(line)


def member_list(args):
    nwid = _network_id(args.rest[0])
    client = Client(args.home)
    base = "/network/%s/member" % nwid
    found = [
        _controller(client, "GET", base + "/" + address)
        for address in sorted(_controller(client, "GET", base))
    ]
    if args.json:
        out(jsontext.dumps(found))
        return
    rows = [("ADDRESS", "AUTHORIZED", "ADDRESSES", "NAME")]
    for m in found:
        ips = ",".join(m["ipAssignments"]) or "-"
        rows.append((m["address"], "yes" if m["authorized"] else "no", ips, m.get("name") or "-"))
    for line in table(rows):
        out(line)


def _authorize(args, value):
    nwid = _network_id(args.rest[0])
    address = _node_address(args.rest[1])
    client = Client(args.home)
    path = "/network/%s/member/%s" % (nwid, address)
    _controller(client, "GET", "/network/" + nwid)
    member = _controller(client, "POST", path, {"authorized": value})
    word = "authorized" if value else "deauthorized"
    out(jsontext.dumps(member) if args.json else "%s %s on %s" % (word, address, nwid))


def member_authorize(args):
    _authorize(args, True)


def member_deauthorize(args):
    _authorize(args, False)


COMMANDS = {
    ("network", "new"): Command(
        network_new,
        "",
        "Create a network on the running controller; prints its id.",
        (
            (("--name",), TEXT, "N", "a name for people"),
            (("--public",), FLAG, "", "admit everybody (default: private)"),
            (("--pool",), TEXT, "A-B", "assign addresses from A to B"),
            (("--route",), LIST, "CIDR[@VIA]", "managed route (repeatable)"),
        ),
    ),
    ("network", "set"): Command(
        network_set, "NWID KEY=JSON ...", "Change fields of a network.", (), 2, 64
    ),
    ("network", "list"): Command(network_list, "", "The networks of the running controller."),
    ("member", "list"): Command(
        member_list, "NWID", "Who asked for admission, and who is admitted.", (), 1, 1
    ),
    ("member", "authorize"): Command(member_authorize, "NWID ADDRESS", "Admit a node.", (), 2, 2),
    ("member", "deauthorize"): Command(
        member_deauthorize, "NWID ADDRESS", "Shut a node out.", (), 2, 2
    ),
}
