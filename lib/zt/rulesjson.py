# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Rules between their wire bytes and the JSON of the controller (VL2 4.1 and 7.6). It knows names
# and fields; what a rule does is in rules.py.

from . import inet, mac
from .jsontext import boolean, dumps, integer, leading_int

_IPV4_BYTES = 4
_IPV6_BYTES = 16


def _int(width):
    """A field of `width` bytes that is a plain number; larger numbers wrap."""

    def put(out, value):
        out += (integer(value) & ((1 << 8 * width) - 1)).to_bytes(width, "big")

    def get(raw, at):
        return int.from_bytes(bytes(raw[at : at + width]), "big"), at + width

    return put, get


def _hex(width):
    """A field of `width` bytes that is shown as hex digits."""

    def put(out, value):
        n = leading_int(value, 16) if isinstance(value, str) else integer(value)
        out += (n & ((1 << 8 * width) - 1)).to_bytes(width, "big")

    def get(raw, at):
        return bytes(raw[at : at + width]).hex(), at + width

    return put, get


def _hex_mac():
    def put(out, value):
        n = leading_int(value.replace(":", ""), 16) if isinstance(value, str) else 0
        out += (n & 0xFFFFFFFFFFFF).to_bytes(6, "big")

    def get(raw, at):
        return mac.text(bytes(raw[at : at + 6])), at + 6

    return put, get


def _ip(width):
    def put(out, value):
        ip, bits = inet.parse(value if isinstance(value, str) else "")
        if len(ip) != width:
            raise ValueError("address of the other family")
        out += ip + bytes((min(bits, 8 * width),))

    def get(raw, at):
        text = "%s/%d" % (inet.ip_text(bytes(raw[at : at + width])), raw[at + width])
        return text, at + width + 1

    return put, get


_U8 = _int(1)
_U16 = _int(2)
_U32 = _int(4)
_ADDRESS = _hex(5)
_MASK = _hex(8)
_MAC = _hex_mac()
_IPV4 = _ip(_IPV4_BYTES)
_IPV6 = _ip(_IPV6_BYTES)

_RANGE = (("start", _U16), ("end", _U16))
_TAG = (("id", _U32), ("value", _U32))
_COPY = (("address", _MASK), ("flags", _U32), ("length", _U16))

# type -> (name, fields in wire order)
_TYPES = {
    0: ("ACTION_DROP", ()),
    1: ("ACTION_ACCEPT", ()),
    2: ("ACTION_TEE", _COPY),
    3: ("ACTION_WATCH", _COPY),
    4: ("ACTION_REDIRECT", _COPY),
    5: ("ACTION_BREAK", ()),
    6: ("ACTION_PRIORITY", ()),
    24: ("MATCH_SOURCE_ZEROTIER_ADDRESS", (("zt", _ADDRESS),)),
    25: ("MATCH_DEST_ZEROTIER_ADDRESS", (("zt", _ADDRESS),)),
    26: ("MATCH_VLAN_ID", (("vlanId", _U16),)),
    27: ("MATCH_VLAN_PCP", (("vlanPcp", _U8),)),
    28: ("MATCH_VLAN_DEI", (("vlanDei", _U8),)),
    29: ("MATCH_MAC_SOURCE", (("mac", _MAC),)),
    30: ("MATCH_MAC_DEST", (("mac", _MAC),)),
    31: ("MATCH_IPV4_SOURCE", (("ip", _IPV4),)),
    32: ("MATCH_IPV4_DEST", (("ip", _IPV4),)),
    33: ("MATCH_IPV6_SOURCE", (("ip", _IPV6),)),
    34: ("MATCH_IPV6_DEST", (("ip", _IPV6),)),
    35: ("MATCH_IP_TOS", (("mask", _U8), ("start", _U8), ("end", _U8))),
    36: ("MATCH_IP_PROTOCOL", (("ipProtocol", _U8),)),
    37: ("MATCH_ETHERTYPE", (("etherType", _U16),)),
    38: ("MATCH_ICMP", (("icmpType", _U8), ("icmpCode", _U8), (None, _U8))),
    39: ("MATCH_IP_SOURCE_PORT_RANGE", _RANGE),
    40: ("MATCH_IP_DEST_PORT_RANGE", _RANGE),
    41: ("MATCH_CHARACTERISTICS", (("mask", _MASK),)),
    42: ("MATCH_FRAME_SIZE_RANGE", _RANGE),
    43: ("MATCH_RANDOM", (("probability", _U32),)),
    44: ("MATCH_TAGS_DIFFERENCE", _TAG),
    45: ("MATCH_TAGS_BITWISE_AND", _TAG),
    46: ("MATCH_TAGS_BITWISE_OR", _TAG),
    47: ("MATCH_TAGS_BITWISE_XOR", _TAG),
    48: ("MATCH_TAGS_EQUAL", _TAG),
    49: ("MATCH_TAG_SENDER", _TAG),
    50: ("MATCH_TAG_RECEIVER", _TAG),
    51: ("INTEGER_RANGE", (("start", _MASK), ("end", _MASK), ("idx", _U16), (None, _U8))),
}
_BY_NAME = {_TYPES[t][0]: t for t in _TYPES}
# The original's parser does not take these two, so ours does not either (VL2 7.6).
_REFUSED = (6, 51)


def from_json(obj):
    """Wire bytes of one rule object; None if it is not one the controller accepts."""
    if not isinstance(obj, dict):
        return None
    name = obj.get("type")
    kind = _BY_NAME.get(name) if isinstance(name, str) else None
    if kind is None or kind in _REFUSED:
        return None
    first = kind
    if kind >= 16:
        first |= 0x80 if boolean(obj.get("not")) else 0
        first |= 0x40 if boolean(obj.get("or")) else 0
    out = bytearray((first, 0))
    for key, (put, _) in _TYPES[kind][1]:
        value = obj.get(key) if key else None
        if kind == 38 and key is None:
            value = obj.get("icmpCode") is not None
        elif key == "end" and value is None:
            value = obj.get("start")
        elif kind == 4 and key == "length":
            value = 0
        elif key == "address":
            value = _address(value)
        try:
            put(out, value)
        except ValueError:
            return None
    out[1] = len(out) - 2
    return bytes(out)


def refusal(obj):
    """Why from_json() gives None for this object; None if it does not."""
    if from_json(obj) is not None:
        return None
    if not isinstance(obj, dict):
        return "not an object"
    name = obj.get("type")
    if not isinstance(name, str):
        return "no type" if name is None else "its type is not a text"
    kind = _BY_NAME.get(name)
    if kind is None:
        return "no such type"
    return "controllers do not take this type" if kind in _REFUSED else "ip is not right"


def fields(name):
    """Names of the JSON fields of a rule of this type, in the order of the wire."""
    kind = _BY_NAME.get(name)
    if kind is None:
        return []
    names = [key for key, _ in _TYPES[kind][1] if key and not (kind == 4 and key == "length")]
    return names + (["little", "bits"] if kind == 51 else [])


def in_words(rule):
    """A rule object of to_json() in a line."""
    words = ["or"] if rule.get("or") else []
    words += ["not"] if rule.get("not") else []
    words.append(rule["type"])
    for key in fields(rule["type"]):
        if key in rule:
            value = rule[key]
            words.append("%s=%s" % (key, value if isinstance(value, str) else dumps(value)))
    return " ".join(words)


def _address(value):
    # The wire has 64 bits for the address of which 40 are used.
    n = leading_int(value, 16) if isinstance(value, str) else integer(value)
    return n & 0xFFFFFFFFFF


def to_json(raw):
    """List of rule objects; rules of a type without a name show its number."""
    rules = []
    p = 0
    while p + 1 < len(raw):
        kind = raw[p] & 0x3F
        name, fields = _TYPES.get(kind, ("UNKNOWN_%d" % kind, ()))
        rule = {"type": name}
        if kind >= 16:
            rule["not"] = bool(raw[p] & 0x80)
            rule["or"] = bool(raw[p] & 0x40)
        at = p + 2
        for key, (_, get) in fields:
            value, at = get(raw, at)
            if key == "address":
                value = value[6:]
            if key is None:
                _last(rule, kind, value)
            elif not (kind == 4 and key == "length"):
                rule[key] = value
        rules.append(rule)
        p += 2 + raw[p + 1]
    return rules


def _last(rule, kind, value):
    if kind == 38:
        if not value & 1:
            rule["icmpCode"] = None
    else:
        rule["little"] = bool(value & 0x80)
        rule["bits"] = (value & 0x3F) + 1


def list_from_json(items, limit, refused=None):
    """Wire bytes of the accepted rules of a JSON list, at most `limit` of them.

    `refused(index, item)` is told about the others.
    """
    out = bytearray()
    n = 0
    for i, item in enumerate(items if isinstance(items, (list, tuple)) else ()):
        raw = from_json(item) if n < limit else None
        if raw is None:
            if refused:
                refused(i, item)
            continue
        out += raw
        n += 1
    return bytes(out)
