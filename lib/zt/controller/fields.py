# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The fields of the controller's network and member objects (VL2 7.6 and 7.7): their defaults, and
# how a body that a user posted is merged into them. It knows JSON values; it signs, stores and
# sends nothing. Wrong entries of a list are left out and named in the log, as the original leaves
# them out; a list beyond its bound and a value of the wrong kind are refused with ValueError.

from .. import inet, log, rulesjson
from .._compat import const
from ..jsontext import boolean, integer, leading_int, text

MAX_RULES = const(1024)  # these six: protocol, VL2 0.2
MAX_CAPABILITIES = const(128)
MAX_CAPABILITY_RULES = const(64)
MAX_TAGS = const(128)
MAX_ROUTES = const(128)
MAX_IPS = const(32)
MAX_DNS_SERVERS = const(4)  # protocol
MAX_POOLS = const(64)  # our choice, as are those below
MAX_TOKENS = const(256)
MAX_TEXT = const(127)

_U32 = 0xFFFFFFFF


def new_network(nwid, now):
    return {
        "id": nwid,
        "nwid": nwid,
        "objtype": "network",
        "creationTime": now,
        "revision": 0,
        "name": "",
        "private": True,
        "enableBroadcast": True,
        "multicastLimit": 32,
        "mtu": 2800,
        "v4AssignMode": {"zt": False},
        "v6AssignMode": {"rfc4193": False, "zt": False, "6plane": False},
        "routes": [],
        "ipAssignmentPools": [],
        "rules": [{"type": "ACTION_ACCEPT", "not": False, "or": False}],
        "capabilities": [],
        "tags": [],
        "authTokens": [None],
        "dns": [],
        "remoteTraceTarget": None,
        "remoteTraceLevel": 0,
        "rulesSource": "",
        "ssoEnabled": False,
        "clientId": "",
        "authorizationEndpoint": "",
    }


def new_member(nwid, address, now):
    return {
        "id": address,
        "address": address,
        "nwid": nwid,
        "objtype": "member",
        "creationTime": now,
        "revision": 0,
        "authorized": False,
        "activeBridge": False,
        "noAutoAssignIps": False,
        "ipAssignments": [],
        "tags": [],
        "capabilities": [],
        "authenticationExpiryTime": 0,
        "lastAuthorizedTime": 0,
        "lastDeauthorizedTime": 0,
        "lastAuthorizedCredentialType": None,
        "lastAuthorizedCredential": None,
        "remoteTraceTarget": None,
        "remoteTraceLevel": 0,
        "ssoExempt": False,
        "vMajor": -1,
        "vMinor": -1,
        "vRev": -1,
        "vProto": -1,
    }


def restore(record, template):
    """A stored object made whole. ValueError if it is not of the kind of `template`, a new object.

    The fields that it lacks are added, those that users set are checked as if posted.
    """
    if not isinstance(record, dict) or record.get("id", template["id"]) != template["id"]:
        raise ValueError("not the object its name says")
    setters = _NETWORK_FIELDS if template["objtype"] == "network" else _MEMBER_FIELDS
    out = dict(record)
    for key in template:
        if key not in record:
            out[key] = template[key]
        elif key in setters:
            out[key] = setters[key](record, key)
            if key == "rules" and len(out[key]) == len(record[key]):
                out[key] = record[key]  # the rule of a new network is written with more fields
        elif not _alike(record[key], template[key]):
            raise ValueError("%s has a wrong value" % key)
    if not isinstance(out.get("identity", ""), str):
        raise ValueError("identity has a wrong value")
    return out


def _alike(value, pattern):
    if isinstance(pattern, bool) or isinstance(value, bool):
        return isinstance(pattern, bool) and isinstance(value, bool)
    if isinstance(pattern, int):
        return isinstance(value, int)
    return value is None or isinstance(value, str)


def _items(body, key, most):
    value = body[key]
    if not isinstance(value, (list, tuple)):
        raise ValueError("%s: must be a list" % key)
    if len(value) > most:
        raise ValueError("%s: at most %d" % (key, most))
    return value


def _left_out(key, item):
    if log.level >= log.WARN:
        kind = item.get("type") if isinstance(item, dict) else None
        what = " of type " + text(kind, "?")[:32] if kind is not None else ""
        log.warn("controller", "%s: an entry%s is not valid and was left out" % (key, what))


def ip_of(value):
    """(ip, number) of a text such as "10.0.0.1/24"; (None, 0) if it is none."""
    try:
        return inet.parse(value) if isinstance(value, str) else (None, 0)
    except ValueError:
        return None, 0


def merge_network(network, body):
    """A new network object: `network` with the fields that `body` has."""
    if not isinstance(body, dict):
        raise ValueError("the body must be a JSON object")
    out = dict(network)
    out["remoteTraceLevel"] = 0  # the original forgets it unless it is sent again (VL2 7.6)
    for key in _NETWORK_FIELDS:
        if key in body:
            out[key] = _NETWORK_FIELDS[key](body, key)
    return out


def merge_member(member, body, now):
    """A new member object: `member` with the fields that `body` has."""
    if not isinstance(body, dict):
        raise ValueError("the body must be a JSON object")
    out = dict(member)
    out["remoteTraceLevel"] = 0
    for key in _MEMBER_FIELDS:
        if key in body:
            out[key] = _MEMBER_FIELDS[key](body, key)
    if out["authorized"] != member["authorized"]:
        if out["authorized"]:
            authorize(out, now, "api", None)
        else:
            out["lastDeauthorizedTime"] = now
    return out


def authorize(member, now, kind, credential):
    member["authorized"] = True
    member["lastAuthorizedTime"] = now
    member["lastAuthorizedCredentialType"] = kind
    member["lastAuthorizedCredential"] = credential


def _boolean(body, key):
    return boolean(body[key], False)


def _name(body, key):
    return cut(text(body[key], ""), MAX_TEXT)


def cut(s, most):
    """The longest start of a text that takes at most `most` bytes in UTF-8."""
    while len(s.encode()) > most:
        s = s[: len(s) - max(1, (len(s.encode()) - most) // 4)]
    return s


def _private(body, key):
    return boolean(body[key], True)


def _multicast_limit(body, key):
    return min(max(integer(body[key], 32), 0), _U32)


def _mtu(body, key):
    return min(max(integer(body[key], 2800), 1280), 10000)


def _trace_target(body, key):
    value = body[key]
    if isinstance(value, str) and len(value) == 10:
        return "%010x" % (leading_int(value, 16) & 0xFFFFFFFFFF)
    return None


def _u32(body, key):
    return integer(body[key]) & _U32


def _time(body, key):
    return min(max(integer(body[key]), 0), 0x7FFFFFFFFFFFFFFF)


def _v4_mode(body, key):
    value = body[key]
    if isinstance(value, dict):
        return {"zt": boolean(value.get("zt"))}
    return {"zt": value == "zt"}


def _v6_mode(body, key):
    value = body[key]
    modes = ("rfc4193", "zt", "6plane")
    if isinstance(value, dict):
        return {m: boolean(value[m]) for m in modes if m in value}
    words = [w.strip() for w in value.split(",")] if isinstance(value, str) else []
    return {m: m in words for m in modes}


def _routes(body, key):
    routes = []
    for item in _items(body, key, MAX_ROUTES):
        target, bits = ip_of(item.get("target") if isinstance(item, dict) else None)
        if target is None or bits > 8 * len(target):
            _left_out(key, item)
            continue
        via, _ = ip_of(item.get("via"))
        if via is not None and len(via) != len(target):
            via = None
        routes.append(
            {"target": inet.text(target, bits), "via": inet.ip_text(via) if via else None}
        )
    return routes


def _pools(body, key):
    pools = []
    for item in _items(body, key, MAX_POOLS):
        start = end = None
        if isinstance(item, dict):
            start, _ = ip_of(item.get("ipRangeStart"))
            end, _ = ip_of(item.get("ipRangeEnd"))
        if start is None or end is None or len(start) != len(end):
            _left_out(key, item)
            continue
        pools.append({"ipRangeStart": inet.ip_text(start), "ipRangeEnd": inet.ip_text(end)})
    return pools


def _rule_list(items, key, most):
    raw = rulesjson.list_from_json(items, most, lambda i, item: _left_out(key, item))
    return rulesjson.to_json(raw)


def _rules(body, key):
    return _rule_list(_items(body, key, MAX_RULES), key, MAX_RULES)


def _network_capabilities(body, key):
    found = {}
    for item in _items(body, key, MAX_CAPABILITIES):
        if not isinstance(item, dict):
            _left_out(key, item)
            continue
        rules = _items(item, "rules", MAX_CAPABILITY_RULES) if "rules" in item else ()
        number = integer(item.get("id")) & _U32
        found[number] = {
            "id": number,
            "default": boolean(item.get("default")),
            "rules": _rule_list(rules, "capability rules", MAX_CAPABILITY_RULES),
        }
    return [found[k] for k in sorted(found)]


def _network_tags(body, key):
    found = {}
    for item in _items(body, key, MAX_TAGS):
        if not isinstance(item, dict):
            _left_out(key, item)
            continue
        number = integer(item.get("id")) & _U32
        default = item.get("default")
        if default is not None:
            default = integer(default) & _U32
        found[number] = {"id": number, "default": default}
    return [found[k] for k in sorted(found)]


def _tokens(body, key):
    value = body[key]
    if not isinstance(value, dict):
        return [None]
    if len(value) > MAX_TOKENS:
        raise ValueError("%s: at most %d" % (key, MAX_TOKENS))
    # 0 means for ever, so what is below it must not become 0.
    return {
        k: _time(value, k) or (1 if value[k] else 0)
        for k in value
        if isinstance(value[k], (int, float))
    }


def _dns(body, key):
    value = body[key]
    if not isinstance(value, dict):
        return []
    servers = []
    if isinstance(value.get("servers"), (list, tuple)):
        for item in _items(value, "servers", MAX_DNS_SERVERS):
            ip, _ = ip_of(item)
            if ip is None:
                _left_out("dns servers", item)
            else:
                servers.append(inet.ip_text(ip))
    return {"domain": cut(text(value.get("domain"), ""), MAX_TEXT), "servers": servers}


def _assignments(body, key):
    ips = []
    for item in _items(body, key, MAX_IPS):
        ip, _ = ip_of(item)
        if ip is None:
            _left_out(key, item)
        elif inet.ip_text(ip) not in ips:
            ips.append(inet.ip_text(ip))
    return ips


def _member_tags(body, key):
    found = {}
    for item in _items(body, key, MAX_TAGS):
        if not isinstance(item, (list, tuple)) or len(item) != 2:
            _left_out(key, item)
            continue
        found[integer(item[0]) & _U32] = integer(item[1]) & _U32
    return [[k, found[k]] for k in sorted(found)]


def _member_capabilities(body, key):
    found = {}
    for item in _items(body, key, MAX_CAPABILITIES):
        if isinstance(item, (int, float, str)):
            found[integer(item) & _U32] = True
        else:
            _left_out(key, item)
    return sorted(found)


_NETWORK_FIELDS = {
    "name": _name,
    "private": _private,
    "enableBroadcast": _boolean,
    "multicastLimit": _multicast_limit,
    "mtu": _mtu,
    "remoteTraceTarget": _trace_target,
    "remoteTraceLevel": _u32,
    "v4AssignMode": _v4_mode,
    "v6AssignMode": _v6_mode,
    "routes": _routes,
    "ipAssignmentPools": _pools,
    "rules": _rules,
    "capabilities": _network_capabilities,
    "tags": _network_tags,
    "authTokens": _tokens,
    "dns": _dns,
}

_MEMBER_FIELDS = {
    "authorized": _boolean,
    "activeBridge": _boolean,
    "noAutoAssignIps": _boolean,
    "ipAssignments": _assignments,
    "tags": _member_tags,
    "capabilities": _member_capabilities,
    "name": _name,
    "authenticationExpiryTime": _time,
    "remoteTraceTarget": _trace_target,
    "remoteTraceLevel": _u32,
}
