# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Makes a member's network configuration and its credentials (VL2 7.3). It fills in the member
# object (addresses, default tags and capabilities) but stores and sends nothing.

from .. import mac, rulesjson
from .._compat import be64, const, unhex
from ..capability import Capability
from ..com import COM
from ..credential import (
    MAX_THINGS,
    REVOKE_FAST_PROPAGATE,
    THING_IPV4,
    THING_IPV6,
    TYPE_COM,
    Ownership,
    Revocation,
    Tag,
)
from ..inet import ip_text, parse_ip
from ..jsontext import integer
from ..netconf import NetworkConfig
from . import fields, pools

_WINDOW_MS = const(1800000)
_WINDOW_MIN = const(300000)
_WINDOW_MAX = const(7200000)
_FLAG_BROADCAST = const(0x02)
_FLAG_NDP_EMULATION = const(0x04)
_ROLE_ACTIVE_BRIDGE = const(2)
_MAX_SPECIALISTS = const(256)
_ACCEPT = b"\x01\x00"


class Compiled:
    """A network object as the issuer needs it, made once per revision."""

    def __init__(self, network):
        self.rules = rulesjson.list_from_json(network["rules"], fields.MAX_RULES)
        self.capabilities = {}
        self.default_capabilities = []
        for c in network["capabilities"]:
            self.capabilities[c["id"]] = rulesjson.list_from_json(
                c["rules"], fields.MAX_CAPABILITY_RULES
            )
            if c["default"]:
                self.default_capabilities.append(c["id"])
        self.routes = []
        for r in network["routes"]:
            target, bits = fields.ip_of(r["target"])
            via, _ = fields.ip_of(r["via"])
            self.routes.append((target, bits, via))
        self.pools = [
            (parse_ip(p["ipRangeStart"]), parse_ip(p["ipRangeEnd"]))
            for p in network["ipAssignmentPools"]
        ]
        window = integer(network.get("certificateTimeoutWindowSize"), _WINDOW_MS)
        self.window_ms = min(max(window, _WINDOW_MIN), _WINDOW_MAX)


class Issuer:
    """`signer` is the controller's identity, `random(n)` gives n bytes."""

    def __init__(self, signer, random):
        self.signer = signer
        self.random = random

    def config(self, nwid, network, compiled, member, identity, ts, request, fresh, bridges, used):
        """The NetworkConfig for `member`, which is changed where something was assigned.

        `request` is the Dictionary of the member's request, `fresh` whether it never asked before,
        `bridges` the addresses of active bridges, `used()` gives the assigned IPs of the network.
        """
        address = identity.address
        when = be64(ts)
        c = NetworkConfig()
        c.nwid = nwid
        c.timestamp = when
        c.ctmd = compiled.window_ms
        c.revision = network["revision"]
        c.issued_to = address
        self._trace(c, network, member)
        c.flags = _FLAG_BROADCAST if network["enableBroadcast"] else 0
        c.mtu = network["mtu"]
        c.multicast_limit = network["multicastLimit"]
        c.type = 0 if network["private"] else 1
        c.name = network["name"]
        c.specialists = [(b, _ROLE_ACTIVE_BRIDGE) for b in bridges[:_MAX_SPECIALISTS]]
        c.routes = [(target, bits, via, 0, 0) for target, bits, via in compiled.routes]
        if network["dns"]:
            c.dns_domain = network["dns"]["domain"]
            c.dns_servers = [(parse_ip(s), 0) for s in network["dns"]["servers"]]
        self._defaults(network, compiled, member, fresh)
        if request.uint("revr"):
            c.rules = compiled.rules
            self._policy(c, compiled, member, address, when)
        else:
            c.rules = _ACCEPT
        c.static_ips = self._addresses(c, network, compiled, member, address, used)
        if c.static_ips:
            c.coos = [self._ownership(nwid, address, when, c.static_ips)]
        c.com = COM.issue(nwid, identity, when, compiled.window_ms)
        c.com.sign(self.signer)
        return c

    def _trace(self, c, network, member):
        for source in (member, network):
            target = source["remoteTraceTarget"]
            if target and len(target) == 10:
                c.trace_target = unhex(target)
                c.trace_level = source["remoteTraceLevel"]
                return

    def _defaults(self, network, compiled, member, fresh):
        if fresh:
            have = set(member["capabilities"])
            have.update(compiled.default_capabilities)
            member["capabilities"] = sorted(have)
        have = {t[0] for t in member["tags"]}
        missing = [
            [t["id"], t["default"]]
            for t in network["tags"]
            if t["default"] is not None and t["id"] not in have
        ]
        if missing:
            tags = sorted(list(member["tags"]) + missing)
            member["tags"] = tags[: fields.MAX_TAGS]

    def _policy(self, c, compiled, member, address, when):
        c.capabilities = []
        for number in member["capabilities"]:
            rules = compiled.capabilities.get(number)
            if rules is not None:
                capability = Capability(c.nwid, when, number, rules, address)
                capability.sign(self.signer)
                c.capabilities.append(capability)
        c.tags = []
        for number, value in member["tags"]:
            tag = Tag(c.nwid, when, number, value, address)
            tag.sign(self.signer)
            c.tags.append(tag)

    def _ownership(self, nwid, address, when, static_ips):
        things = []
        for ip, _ in static_ips[:MAX_THINGS]:
            things.append((THING_IPV4 if len(ip) == 4 else THING_IPV6, ip + bytes(16 - len(ip))))
        coo = Ownership(nwid, when, 1, things, address)
        coo.sign(self.signer)
        return coo

    def _addresses(self, c, network, compiled, member, address, used):
        found = []
        auto = not member["noAutoAssignIps"]
        v6 = network["v6AssignMode"]
        if auto:
            if v6.get("rfc4193"):
                found.append((mac.rfc4193(c.nwid, address), 88))
                c.flags |= _FLAG_NDP_EMULATION
            if v6.get("6plane"):
                found.append((mac.sixplane(c.nwid, address), 40))
                c.flags |= _FLAG_NDP_EMULATION
        have = {4: False, 16: False}
        for text in member["ipAssignments"]:
            ip, _ = fields.ip_of(text)
            bits = pools.bits_of(ip, compiled.routes) if ip else None
            if bits is not None:
                found.append((ip, bits))
                have[len(ip)] = True
        new = []
        if auto and v6.get("zt") and not have[16]:
            new.append(
                pools.pick_v6(address, compiled.pools, compiled.routes, used(), self.random)
            )
        if auto and network["v4AssignMode"].get("zt") and not have[4]:
            new.append(pools.pick_v4(address, compiled.pools, compiled.routes, used()))
        for pick in new:
            if pick and len(member["ipAssignments"]) < fields.MAX_IPS:
                found.append(pick)
                member["ipAssignments"] = member["ipAssignments"] + [ip_text(pick[0])]
        return found[: fields.MAX_IPS]

    def revocation(self, nwid, address, threshold):
        """A signed revocation of the member's certificate, passed on by every member."""
        number = int.from_bytes(self.random(4), "big")
        when = be64(threshold)
        r = Revocation(number, nwid, 0, when, REVOKE_FAST_PROPAGATE, address, TYPE_COM)
        r.sign(self.signer)
        return r
