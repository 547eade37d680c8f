# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# zt ping: ICMP echo to an address on a network, or the protocol's own ECHO to a node.

from . import hal, inet, jsontext, mac
from ._compat import const, hexs, ticks_add, ticks_diff, ticks_ms
from .args import INT
from .cli import Command
from .host import node_address
from .options import NODE, open_host
from .osutil import Failure, err, errtext, now_us, out, us_since

_INTERVAL_MS = const(1000)
_TIMEOUT_MS = const(2000)
_READY_MS = const(60000)


class Result:
    """What came back; printed as it comes unless JSON is wanted."""

    def __init__(self, target, quiet):
        self.target = target
        self.sent = 0
        self.rtt_ms = []
        self.path = "unreachable"
        self._quiet = quiet

    def reply(self, us):
        rtt = us // 10 / 100
        self.rtt_ms.append(rtt)
        if not self._quiet:
            out("%s: %s ms" % (self.target, rtt))

    def lost(self):
        if not self._quiet:
            out("%s: no answer" % self.target)

    def finish(self, as_json):
        if as_json:
            out(
                jsontext.dumps(
                    {
                        "sent": self.sent,
                        "received": len(self.rtt_ms),
                        "rtt_ms": self.rtt_ms,
                        "path": self.path,
                    }
                )
            )
        else:
            out("%d sent, %d received, %s" % (self.sent, len(self.rtt_ms), self.path))
        return 0 if self.rtt_ms else 1


def _target(text):
    """("ip", bytes) or ("node", address)."""
    if len(text) == 10 and "." not in text and ":" not in text:
        return "node", node_address(text)
    try:
        return "ip", inet.parse_ip(text)
    except ValueError:
        raise Failure("%s is neither an IP address nor a node address" % text)


def wait_ready(host, quiet):
    """Run until online and every network has its configuration; Failure with the reason."""
    if host.run_until(host.ready, 5000):
        return
    if not quiet:
        err("zt: %s" % host.why_not_ready())
    if not host.run_until(host.ready, _READY_MS):
        raise Failure(host.why_not_ready())


def path_of(host, address):
    for p in host.node.peers():
        if p["address"] == hexs(address):
            return p["state"]
    return "unreachable"


def _pause(host, started):
    rest = _INTERVAL_MS - ticks_diff(ticks_ms(), started)
    if rest > 0:
        host.run_until(lambda: False, rest)


def _ping_node(host, address, count, result):
    got = []

    def answered(rtt, remote, hops):
        got.append(rtt)

    for i in range(count):
        started = ticks_ms()
        start_us = now_us()
        got.clear()
        result.sent += 1
        sent = host.node.echo(started, address, answered)
        if sent and host.run_until(lambda: got, _TIMEOUT_MS):
            result.reply(us_since(start_us))
        else:
            result.lost()
        if i + 1 < count:
            _pause(host, started)
    result.path = path_of(host, address)


def _await(got):
    """Wait for the answer and nothing else: the node has its turns in the waits."""
    end = ticks_add(ticks_ms(), _TIMEOUT_MS)
    hal.wait(0)  # the request leaves at once
    while not got:
        left = ticks_diff(end, ticks_ms())
        if left <= 0:
            return False
        hal.wait(left)
    return True


def _ping_ip(host, ip, count, result):
    nics = host.driver.nics
    inside = [a for a in nics.addresses() if len(a[1]) == len(ip) and inet.in_net(ip, a[1], a[2])]
    if not inside and not [c for c in nics.by_nwid.values() if c.routes]:
        raise Failure("%s is on none of the joined networks" % inet.ip_text(ip))
    nics.watch = ip
    got = []
    for i in range(count):
        started = ticks_ms()
        start_us = now_us()
        result.sent += 1
        try:
            seq = nics.ping(ip, lambda at=start_us: got.append(us_since(at)))
        except OSError as e:
            raise Failure("%s: %s" % (inet.ip_text(ip), errtext(e)))
        if _await(got):
            result.reply(got[0])
        else:
            nics.forget(seq)
            result.lost()
        got.clear()
        if i + 1 < count:
            _pause(host, started)
    sender = nics.sender(ip)
    if sender and inside:
        result.path = path_of(host, mac.to_address(sender, inside[0][0]))


def ping(args):
    kind, target = _target(args.rest[0])
    if kind == "ip" and not hal.HAS_STACK:
        raise Failure("ping of an IP address needs the unix port (./zt): no network stack here")
    count = 4 if args.count is None else args.count
    if count < 1:
        raise Failure("--count must be at least 1")
    hal.sigterm_as_interrupt()
    host = open_host(args)
    try:
        wait_ready(host, args.json)
        result = Result(args.rest[0], args.json)
        if kind == "ip":
            _ping_ip(host, target, count, result)
        else:
            _ping_node(host, target, count, result)
        return result.finish(args.json)
    finally:
        host.close()


COMMANDS = {
    ("ping",): Command(
        ping,
        "TARGET",
        "Ping an IP address on a network (ICMP) or a 10-digit node address (ECHO).",
        ((("--count",), INT, "N", "how many (default 4)"),) + NODE,
        1,
        1,
        False,
    ),
}
