# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Random cases for the rules engines, from any object with the methods of random.Random (hypothesis
# has one that it can shrink). Frames and rules draw on the same few addresses, ports and tags, so
# that rules match often enough. CPython only, as its users.

from _core_rules import Case, Credentials
from zt import mac

NWID = Case.nwid
ME = Case.me
OTHER, THIRD = bytes.fromhex("af6760cd7e"), bytes.fromhex("0123456789")
ADDRESSES = (ME, OTHER, THIRD, bytes(5))
MACS = (
    mac.from_address(ME, NWID),
    mac.from_address(OTHER, NWID),
    b"\x02\1\2\3\4\5",
    b"\x33\x33\xff\1\2\3",
    b"\xff\xff\xff\xff\xff\xfe",
    mac.BROADCAST,
)
IPV4 = (b"\x0a\0\1\1", b"\x0a\0\1\2", b"\xc0\xa8\x01\x02", b"\x8a\0\1\1")
IPV6 = (
    mac.sixplane(NWID, ME),
    mac.sixplane(NWID, OTHER),
    mac.rfc4193(NWID, ME),
    mac.rfc4193(NWID, OTHER),
    bytes.fromhex("fe80000000000000de6f67fffe0ee708"),
    bytes.fromhex("20010db8000000000000000000000001"),
)
PORTS = (0, 22, 80, 443, 5353, 65535)
ETHERTYPES = (0x0800, 0x0806, 0x86DD, 0x88B5)
TAGS = (0, 1, 1000, 0xFFFFFFFF)
TAG_VALUES = (0, 1, 2, 3, 0xFFFFFFFF)
TRANSPORT = (6, 17, 132, 136)
ACTIONS = (0, 1, 2, 3, 4, 5, 6, 7, 15)
MATCHES = tuple(range(24, 52))
UNKNOWN_MATCHES = (16, 23, 52, 63)


def blob(r, n):
    return bytes(r.getrandbits(8) for _ in range(n))


def chance(r, one_in):
    return r.randrange(one_in) == 0


def be(n, x):
    return (x & ((1 << 8 * n) - 1)).to_bytes(n, "big")


# ---- frames


def _transport(r, proto):
    if proto in TRANSPORT:
        flags = r.choice((0, 2, 0x10, 0x12, 0xFF))
        reserved = r.choice((0x50, 0x51, 0x58, 0x5F))
        head = be(2, r.choice(PORTS)) + be(2, r.choice(PORTS))
        return head + blob(r, 8) + bytes((reserved, flags)) + blob(r, r.randrange(9))
    if proto == 1:
        return bytes((r.choice((0, 3, 8)), r.choice((0, 1)))) + blob(r, r.randrange(9))
    if proto == 58:
        kind = r.choice((0x80, 0x86, 0x87, 0x88))
        return bytes((kind, r.choice((0, 1)))) + blob(r, 6) + r.choice(IPV6)
    return blob(r, r.randrange(12))


def _ipv4(r):
    proto = r.choice((1, 1, 1, 1, 2, 6, 6, 17, 58, 132, 136))
    words = r.choice((5, 5, 5, 6, 15, 0, 4))
    head = bytes((0x40 | words, r.choice((0, 0x10, 0xB8)))) + blob(r, 7) + bytes((proto,))
    head += blob(r, 2) + r.choice(IPV4) + r.choice(IPV4) + bytes(max(0, words * 4 - 20))
    return head + _transport(r, proto)


def _ipv6(r):
    chain = [r.choice((0, 43, 60, 135, 44, 50, 51)) for _ in range(r.choice((0, 0, 0, 1, 2, 3)))]
    proto = r.choice((1, 6, 6, 17, 58, 58, 58, 58, 59, 132, 136))
    traffic = r.choice((0, 0x10, 0xB8))
    chain.append(proto)
    body = b""
    for following in chain[1:]:
        size = r.choice((0, 0, 1, 2))
        says = 255 if chance(r, 20) else size
        body += bytes((following, says)) + blob(r, 6 + 8 * size)
    head = bytes((0x60 | traffic >> 4, (traffic & 15) << 4)) + blob(r, 4) + bytes((chain[0], 64))
    return head + r.choice(IPV6) + r.choice(IPV6) + body + _transport(r, proto)


def frame(r):
    """(ethertype, payload)."""
    kind = r.choice(ETHERTYPES + (0x0800, 0x86DD))
    if kind == 0x0800:
        payload = _ipv4(r)
    elif kind == 0x86DD:
        payload = _ipv6(r)
    elif kind == 0x0806:
        payload = b"\0\1\x08\0\x06\x04\0\1" + r.choice(MACS) + r.choice(IPV4) + blob(r, 10)
    else:
        payload = blob(r, r.randrange(80))
    if chance(r, 4):
        # Anywhere, or in what is likely the transport header.
        n = len(payload)
        payload = payload[: r.choice((r.randrange(n + 1), max(0, n - r.randrange(24))))]
    if chance(r, 20):
        kind = r.choice(ETHERTYPES)
    return kind, payload


# ---- rules


def _range(r, n, near, top):
    """Two numbers of n bytes, often around `near`."""
    low = r.choice((0, near, near - 1 if near else 0, near + 1, r.randrange(top)))
    high = r.choice((top - 1, near, near - 1 if near else 0, near + 1, r.randrange(top)))
    return be(n, low) + be(n, high)


def _ip_bits(r, addresses, widest):
    address = r.choice(addresses)
    bits = r.choice((0, 1, 7, 8, 12, 24, widest - 1, widest, widest, widest + 1, 255))
    if widest == 128 and chance(r, 2):
        value = int.from_bytes(address, "big")
        free = max(0, widest - bits)
        address = be(16, value >> free << free)
    return address + bytes((bits,))


def _integer_range(r, payload):
    n = len(payload)
    bits = r.choice((1, 3, 8, 12, 16, 31, 32, 33, 40, 57, 63, 64, r.randrange(1, 65)))
    little = r.choice((0, 0x80))
    size = (bits + 7) // 8
    at = r.choice((0, 1, r.randrange(n + 1), max(0, n - size), max(0, n - 8), n, 65535))
    start = at if little else at + 8 - size
    field = payload[start : start + size]
    value = 0
    if len(field) == size:
        if little:
            value = int.from_bytes(field, "little") >> (8 * size - bits)
        else:
            value = int.from_bytes(field, "big") % (1 << bits)
    spare = r.choice((0, 0, 0x40))
    return _range(r, 8, value, 1 << 64) + be(2, at) + bytes((little | spare | bits - 1,))


def _characteristics(r):
    high = r.choice((0x80, 0x40, 0x20, 0x10, 0x10, 0x08, 0x08, 0, 0xFF, 7))
    low = r.choice((0, 0, 1, 2, 0x10, 0x100, 0x800, 0xFFF, 0xF000))
    return bytes((high,)) + blob(r, 5) + be(2, low)


def _fields(r, kind, payload):
    if 2 <= kind <= 4:
        most = r.choice((0, 0, 1, 10, 5000))
        return blob(r, 3) + r.choice(ADDRESSES + (THIRD, THIRD)) + blob(r, 4) + be(2, most)
    if kind in (24, 25):
        return r.choice(ADDRESSES)
    if kind == 26:
        return r.choice((b"\0\0", b"\0\1", b"\1\0"))
    if kind in (27, 28):
        return bytes((r.randrange(2),))
    if kind in (29, 30):
        return r.choice(MACS)
    if kind in (31, 32):
        return _ip_bits(r, IPV4, 32)
    if kind in (33, 34):
        return _ip_bits(r, IPV6, 128)
    if kind == 35:
        return r.choice((b"\xff\0\x10", b"\xfc\x10\xb8", b"\xff\x11\xff", b"\x10\x10\x10"))
    if kind == 36:
        return bytes((r.choice((0, 1, 6, 17, 44, 58, 136)),))
    if kind == 37:
        return be(2, r.choice(ETHERTYPES))
    if kind == 38:
        return bytes(
            (r.choice((0, 8, 0x80, 0x87, 0x88)), r.choice((0, 1)), r.choice((0, 1, 2, 3)))
        )
    if kind in (39, 40):
        return _range(r, 2, r.choice(PORTS), 65536)
    if kind == 41:
        return _characteristics(r)
    if kind == 42:
        return _range(r, 2, len(payload), 65536)
    if kind == 43:
        return be(4, r.choice((0, 1 << 30, 1 << 31, 3 << 30, 0xFFFFFFFF, r.getrandbits(32))))
    if 44 <= kind <= 50:
        return be(4, r.choice(TAGS)) + be(4, r.choice(TAG_VALUES))
    if kind == 51:
        return _integer_range(r, payload)
    return b""


def rule(r, kind, payload):
    fields = _fields(r, kind, payload)
    if chance(r, 25):
        # The fields of a rule are read where they should be, whatever its length.
        n = r.randrange(24)
        fields = (fields + blob(r, 24))[:n]
    elif kind in UNKNOWN_MATCHES or 7 <= kind < 16:
        fields = blob(r, r.choice((0, 0, 3)))
    bits = r.choice((0, 0, 0x40, 0x80, 0xC0))
    return bytes((kind | bits, len(fields))) + fields


def rule_list(r, payload, longest):
    out = b""
    if chance(r, 10):
        # Copies, and on to the next list.
        return b"".join([rule(r, r.choice((2, 3, 4)), payload) for _ in range(r.randrange(4))])
    if chance(r, 3):
        # All hangs on one match.
        return rule(r, r.choice(MATCHES + (38, 39, 40, 41, 41, 41)), payload) + b"\1\0"
    for _ in range(r.randrange(longest + 1)):
        if chance(r, 3):
            kind = r.choice(ACTIONS + (2, 3, 4))
        elif chance(r, 15):
            kind = r.choice(UNKNOWN_MATCHES)
        else:
            kind = r.choice(MATCHES)
        out += rule(r, kind, payload)
    if out and chance(r, 20):
        out = damaged(r, out)
    return out


def damaged(r, raw):
    how = r.randrange(3)
    if how == 0:
        return raw[: r.randrange(len(raw))]
    if how == 1:
        return raw + blob(r, 1 + r.randrange(3))
    at = r.randrange(len(raw))
    return raw[:at] + blob(r, 1) + raw[at + 1 :]


def _whose(r):
    """A frame and rules that ask for whom its sender may speak."""
    if chance(r, 3):
        kind, payload = frame(r)
    else:
        kind = 0x86DD
        head = b"\x60" + bytes(5) + b"\x3a\xff" + r.choice(IPV6) + r.choice(IPV6)
        body = bytes((r.choice((0x87, 0x88, 0x88, 0x89)),)) + bytes(7) + r.choice(IPV6)
        payload = (head + body)[: r.choice((63, 64, 64))]
    return kind, payload, b"\x29\x08" + r.choice((b"\x10", b"\x18")) + bytes(7) + b"\1\0"


def _cut(r):
    """A TCP segment cut near its flags or ports, and rules that ask for them."""
    kind = r.choice((0x0800, 0x86DD))
    if kind == 0x0800:
        head = b"\x45" + bytes(8) + b"\x06" + bytes(10)
    else:
        head = b"\x60" + bytes(5) + b"\x06" + bytes(33)
    body = b"\0\x16\0\x50" + bytes(8) + b"\x5f\xff" + bytes(6)
    if chance(r, 2):
        n = r.randrange(10, 18)
        asks = b"\x29\x08" + bytes(6) + r.choice((b"\x0f\0", b"\0\xff", b"\1\0"))
    else:
        n = r.randrange(7)
        asks = r.choice((b"\x27", b"\x28")) + b"\4\0\1\xff\xff"
    return kind, head + body[:n], asks + b"\1\0"


# ---- whole cases


def credentials(r, payload, tables):
    tags = {i: r.choice(TAG_VALUES) for i in TAGS if chance(r, 2)}
    lists = [rule_list(r, payload, 5) for _ in range(r.choice((0, 0, 1, 3)))] if tables else ()
    things = []
    for _ in range(r.choice((0, 1, 3, 20))):
        kind = r.choice((1, 2, 3, 9))
        value = r.choice((None, MACS, IPV4, IPV6)[kind % 9] or IPV4)
        things.append((kind, value + bytes(16 - len(value))))
    return Credentials(tags, lists, things)


def case(r, longest=8):
    theme = r.randrange(10)
    if theme == 0:
        ethertype, payload, listed = _whose(r)
    elif theme == 1:
        ethertype, payload, listed = _cut(r)
    else:
        ethertype, payload = frame(r)
        listed = rule_list(r, payload, longest)
    inbound = chance(r, 2)
    statics = [(ip, 88) for ip in (mac.sixplane(NWID, ME), mac.rfc4193(NWID, ME)) if chance(r, 2)]
    if inbound:
        source, dest = OTHER, ME
    else:
        source, dest = ME, r.choice((OTHER, OTHER, None))
    if chance(r, 10):
        source, dest = r.choice(ADDRESSES), r.choice(ADDRESSES)
    mac_dest = r.choice(MACS)
    if chance(r, 10):
        at = r.randrange(6)
        mac_dest = mac.BROADCAST[:at] + b"\xfd" + mac.BROADCAST[at + 1 :]
    remote = None if dest is None or chance(r, 10) else credentials(r, payload, inbound)
    return Case(
        flags=r.choice((0, 4, 8, 12)) | 2,
        rules=listed,
        own=credentials(r, payload, not inbound),
        remote=remote,
        static_ips=statics,
        inbound=inbound,
        payload=payload,
        ethertype=ethertype,
        mac_source=r.choice(MACS),
        mac_dest=mac_dest,
        source=source,
        dest=dest,
        no_tee=chance(r, 4),
        random=r.getrandbits(32),
    )
