# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The network configuration as a member holds it, its dictionary form, and what goes with asking
# for one (VL2 2.2, 2.6, 3.2, 3.3). Does not say what follows from a configuration; that is
# network.py.

from . import inet
from ._compat import be16, be64, const, u16
from .capability import Capability
from .com import COM
from .confchunk import MAX_CONFIG, Chunk, ChunkAssembler, pack_chunks  # noqa: F401 - offered
from .const import NETWORK_MTU_DEFAULT, NETWORK_MTU_MAX, NETWORK_MTU_MIN
from .credential import Ownership, Tag
from .dictionary import Dictionary, encode, hex40, hex64
from .rules import ACCEPT_ALL, validate

FLAG_BROADCAST = const(0x02)
FLAG_NDP_EMULATION = const(0x04)
FLAG_UNKNOWN_MATCHES = const(0x08)
FLAG_NO_COMPRESSION = const(0x10)

# Roles of a specialist, the high 24 bits of its entry.
ROLE_ACTIVE_BRIDGE = const(0x02)
ROLE_ANCHOR = const(0x04)
ROLE_REPLICATOR = const(0x08)

VERSION = const(7)
_VERSION_MIN = const(6)

# Protocol bounds, VL2 0.2; what is beyond them is not read.
MAX_RULES = const(1024)
MAX_CAPABILITIES = const(128)
MAX_TAGS = const(128)
MAX_OWNERSHIPS = const(4)
MAX_SPECIALISTS = const(256)
MAX_ROUTES = const(128)
MAX_STATIC_IPS = const(32)
MAX_DNS_SERVERS = const(4)
MAX_NAME = const(127)
MAX_METADATA = const(1023)
_DNS_DOMAIN = const(128)
_MAX_TEXT = const(2047)  # our choice, for the texts of single sign-on

_NOBODY = b"\0\0\0\0\0"
_U32 = 0xFFFFFFFF

# Attribute and key of the texts of single sign-on version 1.
_SSO1 = (
    ("issuer_url", "iurl"),
    ("central_url", "ssoce"),
    ("sso_nonce", "sson"),
    ("sso_state", "ssos"),
    ("sso_client_id", "ssocid"),
    ("sso_provider", "ssop"),
)


def text_of(b, limit=_MAX_TEXT):
    """What a C string field of `limit` bytes says, as str; bytes that are no UTF-8 show as '?'."""
    if not b:
        return ""
    end = b.find(b"\0")
    b = b[: limit if end < 0 else min(end, limit)]
    try:
        return str(b, "utf-8")
    except ValueError:
        return "".join([chr(c) if c < 0x80 else "?" for c in b])


def _addresses(blob, limit):
    """(ip, number) of addresses one after the other, with None for the nil ones."""
    out = []
    p = 0
    while p < len(blob) and len(out) < limit:
        a, p = inet.unpack(blob, p)
        out.append(a)
    return out


def _with_prefix(found):
    # A prefix that no address of its family can have is as good as no entry.
    return found is not None and found[1] <= 8 * len(found[0])


def _lenient(kind, blob, limit):
    """Capabilities or tags; a malformed one ends the list (VL2 3.3)."""
    out = []
    p = 0
    try:
        while p < len(blob) and len(out) < limit:
            item, p = kind.unpack(blob, p)
            out.append(item)
    except ValueError:
        pass
    out.sort(key=lambda item: item.id)
    return out


class NetworkConfig:
    """The fields of VL2 3.3 under their names in docs/internals.md; made with everything at its
    default.
    """

    # An attribute takes memory once it is set.
    nwid = bytes(8)
    timestamp = bytes(8)
    ctmd = 0
    revision = 0
    issued_to = _NOBODY
    trace_target = _NOBODY
    trace_level = 0
    flags = 0
    multicast_limit = 0
    type = 0
    name = ""
    mtu = NETWORK_MTU_DEFAULT
    com = None
    capabilities = ()
    tags = ()
    coos = ()
    specialists = ()  # (address, roles)
    routes = ()  # (target ip, bits, via ip or None, flags, metric)
    static_ips = ()  # (ip, bits)
    rules = b""
    dns_domain = ""
    dns_servers = ()  # (ip, port); the port is 0 in practice
    sso_version = 0
    sso_enabled = False
    auth_url = ""
    auth_expiry = 0
    issuer_url = central_url = sso_nonce = sso_state = sso_client_id = ""
    sso_provider = "default"

    def _set(self, name, value):
        if value != getattr(self, name):
            setattr(self, name, value)

    def _take(self, name, items):
        """A list; the common () if it is empty."""
        if items:
            setattr(self, name, items)

    def share(self, nwid, address, controller):
        """Take these bytes for one's own that are equal to them, here and in the credentials."""
        self.nwid = nwid
        self.issued_to = address
        for items in (self.capabilities, self.tags, self.coos):
            for c in items:
                if c.nwid == nwid:
                    c.nwid = nwid
                if c.issued_to == address:
                    c.issued_to = address
                if c.timestamp == self.timestamp:
                    c.timestamp = self.timestamp
        for items in ((self.com,) if self.com else (), self.tags, self.coos):
            for c in items:
                if c.signed_by == controller:
                    c.signed_by = controller

    # --- what the flags and roles say

    @property
    def public(self):
        return self.type == 1

    @property
    def broadcast(self):
        return bool(self.flags & FLAG_BROADCAST)

    @property
    def ndp_emulation(self):  # not on boards
        return bool(self.flags & FLAG_NDP_EMULATION)

    def _with_role(self, role):
        return [address for address, roles in self.specialists if roles & role]

    @property
    def active_bridges(self):
        return self._with_role(ROLE_ACTIVE_BRIDGE)

    @property
    def anchors(self):
        return self._with_role(ROLE_ANCHOR)

    @property
    def replicators(self):
        return self._with_role(ROLE_REPLICATOR)

    def is_active_bridge(self, address):  # not on boards
        for a, roles in self.specialists:
            if a == address and roles & ROLE_ACTIVE_BRIDGE:
                return True
        return False

    # --- dictionary form

    @staticmethod
    def parse(data):
        """From dictionary text; ValueError says why it is no configuration."""
        if len(data) > MAX_CONFIG:
            raise ValueError("network config: too long")
        d = Dictionary(data)
        if d.uint("v") < _VERSION_MIN:
            raise ValueError("network config: format version too old or missing")
        c = NetworkConfig()
        c.nwid = d.u64("nwid") or c.nwid
        if c.nwid == bytes(8):
            raise ValueError("network config: no network id")
        c.issued_to = (d.u64("id") or bytes(8))[3:]
        if c.issued_to == _NOBODY:
            raise ValueError("network config: issued to nobody")
        c.timestamp = d.u64("ts") or c.timestamp
        c._set("ctmd", d.uint("ctmd"))
        c._set("revision", d.uint("r"))
        c._set("trace_target", (d.u64("tt") or bytes(8))[3:])
        c._set("trace_level", d.uint("tl"))
        c._set("flags", d.uint("f"))
        c._set("multicast_limit", min(d.uint("ml"), _U32))
        c._set("type", d.uint("t"))
        c._set("name", text_of(d.get("n"), MAX_NAME))
        mtu = d.uint("mtu", NETWORK_MTU_DEFAULT)
        c._set("mtu", min(max(mtu, NETWORK_MTU_MIN), NETWORK_MTU_MAX))
        c._parse_credentials(d)
        c._parse_addresses(d)
        rules = d.get("R") or b""
        rules = rules[: validate(rules, MAX_RULES)]
        c.rules = ACCEPT_ALL if rules == ACCEPT_ALL else rules
        c._parse_sso(d)
        return c

    def _parse_credentials(self, d):
        blob = d.get("C")
        if blob:
            com = COM.unpack(blob, 0)[0]
            self.com = com if com else None
        self._take("capabilities", _lenient(Capability, d.get("CAP") or b"", MAX_CAPABILITIES))
        self._take("tags", _lenient(Tag, d.get("TAG") or b"", MAX_TAGS))
        blob = d.get("COO") or b""
        p = 0
        coos = []
        while p < len(blob) and len(coos) < MAX_OWNERSHIPS:
            coo, p = Ownership.unpack(blob, p)
            coos.append(coo)
        self._take("coos", coos)

    def _parse_addresses(self, d):
        blob = d.get("S") or b""
        most = min(len(blob) // 8, MAX_SPECIALISTS) * 8
        found = [blob[p : p + 8] for p in range(0, most, 8)]
        found = [(entry[3:], int.from_bytes(entry[:3], "big")) for entry in found]
        self._take("specialists", found)
        blob = d.get("RT") or b""
        routes = []
        p = n = 0
        while p < len(blob) and n < MAX_ROUTES:
            target, p = inet.unpack(blob, p)
            via, p = inet.unpack(blob, p)
            if p + 4 > len(blob):
                raise ValueError("network config: route cut short")
            if _with_prefix(target):
                routes.append(target + (via[0] if via else None, u16(blob, p), u16(blob, p + 2)))
            p += 4
            n += 1
        self._take("routes", routes)
        found = _addresses(d.get("I") or b"", MAX_STATIC_IPS)
        self._take("static_ips", [a for a in found if _with_prefix(a)])
        blob = d.get("DNS")
        if blob:
            if len(blob) < _DNS_DOMAIN:
                raise ValueError("network config: DNS cut short")
            self._set("dns_domain", text_of(blob, _DNS_DOMAIN - 1))
            p = _DNS_DOMAIN
            servers = []
            for _ in range(MAX_DNS_SERVERS):
                found, p = inet.unpack(blob, p)
                if found is not None:
                    servers.append(found)
            self._take("dns_servers", servers)

    def _parse_sso(self, d):
        self._set("sso_version", d.uint("ssov"))
        self._set("sso_enabled", d.boolean("ssoe"))
        if self.sso_version == 0 and self.sso_enabled:
            self.auth_url = text_of(d.get("aurl"))
            self.auth_expiry = d.uint("aexpt")
        elif self.sso_version == 1:
            for name, key in _SSO1:
                value = d.get(key)
                if value:
                    setattr(self, name, text_of(value))

    def pack(self):
        """The dictionary text, keys in the order of the original, so that it can be compared by
        bytes.
        """
        pairs = [
            ("v", hex64(VERSION)),
            ("nwid", hex64(self.nwid)),
            ("ts", hex64(self.timestamp)),
            ("ctmd", hex64(self.ctmd)),
            ("r", hex64(self.revision)),
            ("id", hex40(self.issued_to)),
            ("tt", hex40(self.trace_target)),
            ("tl", hex64(self.trace_level)),
            ("f", hex64(self.flags)),
            ("ml", hex64(self.multicast_limit)),
            ("t", hex64(self.type)),
            ("n", self.name.encode()),
            ("mtu", hex64(self.mtu)),
        ]
        if self.com:
            pairs.append(("C", self.com.pack()))
        for key, blob in (
            ("CAP", b"".join([x.pack() for x in self.capabilities])),
            ("TAG", b"".join([x.pack() for x in self.tags])),
            ("COO", b"".join([x.pack() for x in self.coos])),
            ("S", b"".join([be64(roles)[5:] + bytes(a) for a, roles in self.specialists])),
            ("RT", b"".join([_route(r) for r in self.routes])),
            ("I", b"".join([inet.pack(ip, bits) for ip, bits in self.static_ips])),
            ("R", bytes(self.rules)),
        ):
            if blob:
                pairs.append((key, blob))
        pairs.append(("DNS", self._dns()))
        pairs.append(("ssov", hex64(self.sso_version)))
        pairs.append(("ssoe", b"1" if self.sso_enabled else b"0"))
        if self.sso_version == 0 and self.sso_enabled:
            if self.auth_url:
                pairs.append(("aurl", self.auth_url.encode()))
            pairs.append(("aexpt", hex64(self.auth_expiry)))
        elif self.sso_version == 1:
            for name, key in _SSO1:
                pairs.append((key, getattr(self, name).encode()))
        return encode(pairs)

    def _dns(self):
        domain = self.dns_domain.encode()
        if len(domain) >= _DNS_DOMAIN or len(self.dns_servers) > MAX_DNS_SERVERS:
            raise ValueError("network config: too long a domain or too many DNS servers")
        out = domain + bytes(_DNS_DOMAIN - len(domain))
        for ip, port in self.dns_servers:
            out += inet.pack(ip, port)
        return out + bytes(MAX_DNS_SERVERS - len(self.dns_servers))


def _route(r):
    target, bits, via, flags, metric = r
    return inet.pack(target, bits) + inet.pack(via, 0) + be16(flags) + be16(metric)


def request_metadata(limits, vendor=0):
    """The dictionary of a configuration request (VL2 2.2): what a node with these Limits takes."""
    major, minor, revision = limits.version
    numbers = (
        ("v", VERSION),
        ("vend", vendor),
        ("pv", limits.proto_version),
        ("majv", major),
        ("minv", minor),
        ("revv", revision),
        ("mr", limits.rules),
        ("mc", limits.capabilities),
        ("mcr", limits.capability_rules),
        ("mt", limits.tags),
        ("f", 0),
        ("revr", 1),  # without it there would be no rules, tags or capabilities
    )
    pairs = [(key, hex64(value)) for key, value in numbers]
    pairs.append(("o", limits.platform.encode()))
    return encode(pairs)


_AUTH = (
    ("url", "aU", _MAX_TEXT),
    ("issuer_url", "iU", _MAX_TEXT),
    ("central_url", "aCU", _MAX_TEXT),
    ("nonce", "aN", 63),
    ("state", "aS", 127),
    ("client_id", "aCID", _MAX_TEXT),
    ("provider", "aSSOp", _MAX_TEXT),
)


def parse_error_auth(body):
    """What an ERROR 0x09 says of how to authenticate (VL2 2.6), as a dict; `body` begins with the
    network id. Texts are empty when absent; `provider` is then "default".
    """
    d = Dictionary(b"")
    if len(body) > 10:
        n = u16(body, 8)
        if 10 + n > len(body):
            raise ValueError("authentication data cut short")
        d = Dictionary(bytes(body[10 : 10 + n]))
    out = {"version": d.uint("aV")}
    for name, key, limit in _AUTH:
        out[name] = text_of(d.get(key), limit)
    out["provider"] = out["provider"] or "default"
    return out
