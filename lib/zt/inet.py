# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# IP addresses: the InetAddress blob, the `ip/number` text form, scopes. An IP is 4 or 16 bytes;
# the number beside it is a port or a prefix length, whichever the caller means. Knows no socket
# and no name lookup.

from ._compat import be16, u16

SCOPE_NONE = 0
SCOPE_MULTICAST = 1
SCOPE_LOOPBACK = 2
SCOPE_PSEUDO_PRIVATE = 3
SCOPE_GLOBAL = 4
SCOPE_LINK_LOCAL = 5
SCOPE_SHARED = 6
SCOPE_PRIVATE = 7

# /8 blocks that are assigned but not routed on the internet (VL1 7.2).
_PSEUDO_PRIVATE = b"\x06\x0b\x15\x16\x19\x1a\x1c\x1d\x1e\x33\x37\x38"
_ZERO12 = b"\0" * 12
_MAPPED = b"\0\0\0\0\0\0\0\0\0\0\xff\xff"


def pack(ip, port):
    """The blob of an address; `ip` None is the nil address."""
    if ip is None:
        return b"\0"
    n = len(ip)
    if n == 4:
        return b"\x04" + bytes(ip) + be16(port)
    if n == 16:
        return b"\x06" + bytes(ip) + be16(port)
    raise ValueError("ip must be 4 or 16 bytes")


def unpack(buf, off):
    """((ip, number) or None, next offset). None for nil and for the address types that are only
    skipped.
    """
    end = len(buf)
    if off >= end:
        raise ValueError("address cut short")
    kind = buf[off]
    if kind == 4:
        nxt = off + 7
    elif kind == 6:
        nxt = off + 19
    elif kind == 0:
        return None, off + 1
    elif kind == 1 or kind == 2:
        nxt = off + 7
    elif kind == 3:
        if off + 3 > end:
            raise ValueError("address cut short")
        nxt = off + 3 + u16(buf, off + 1)
    else:
        raise ValueError("unknown address type")
    if nxt > end:
        raise ValueError("address cut short")
    if kind < 4:
        return None, nxt
    return (bytes(buf[off + 1 : nxt - 2]), u16(buf, nxt - 2)), nxt


def ip_text(ip):
    """Text of an IP, IPv6 as RFC 5952 writes it; the empty string for None."""
    if ip is None:
        return ""
    if len(ip) == 4:
        return "%d.%d.%d.%d" % (ip[0], ip[1], ip[2], ip[3])
    if bytes(ip[:12]) == _MAPPED:
        return "::ffff:%d.%d.%d.%d" % (ip[12], ip[13], ip[14], ip[15])
    best = 0
    best_len = 1  # a single zero group is not shortened
    run = 0
    for i in range(8):
        if u16(ip, 2 * i):
            run = 0
        else:
            run += 1
            if run > best_len:
                best = i + 1 - run
                best_len = run
    groups = ["%x" % u16(ip, 2 * i) for i in range(8)]
    if best_len == 1:
        return ":".join(groups)
    return ":".join(groups[:best]) + "::" + ":".join(groups[best + best_len :])


def text(ip, port):
    """`ip/number`; the empty string for ip None."""
    if ip is None:
        return ""
    return "%s/%d" % (ip_text(ip), port)


def _decimal(s, limit):
    # isdigit() of MicroPython and CPython differ beyond ASCII, so look at the characters.
    if not 0 < len(s) <= 5:
        raise ValueError("bad number in address")
    n = 0
    for c in s:
        d = ord(c) - 48
        if not 0 <= d <= 9:
            raise ValueError("bad number in address")
        n = n * 10 + d
    if n > limit or (s[0] == "0" and len(s) > 1):
        raise ValueError("bad number in address")
    return n


def _parse_v4(s):
    parts = s.split(".")
    if len(parts) != 4:
        raise ValueError("bad IPv4 address")
    return bytes([_decimal(p, 255) for p in parts])


def _groups(s):
    out = b""
    if not s:
        return out
    parts = s.split(":")
    for i in range(len(parts)):
        p = parts[i]
        if "." in p and i == len(parts) - 1:
            out += _parse_v4(p)
            break
        if not 0 < len(p) <= 4:
            raise ValueError("bad IPv6 address")
        n = 0
        for c in p:
            d = "0123456789abcdef".find(c.lower())
            if d < 0:
                raise ValueError("bad IPv6 address")
            n = n << 4 | d
        out += be16(n)
    return out


def parse_ip(s):
    """The bytes of an IPv4 or IPv6 address; no names, no zones, no short or octal forms."""
    if ":" not in s:
        return _parse_v4(s)
    halves = s.split("::")
    if len(halves) == 1:
        out = _groups(s)
    elif len(halves) == 2:
        if "." in halves[0]:
            raise ValueError("bad IPv6 address")
        head = _groups(halves[0])
        tail = _groups(halves[1])
        if len(head) + len(tail) > 14:
            raise ValueError("bad IPv6 address")
        out = head + b"\0" * (16 - len(head) - len(tail)) + tail
    else:
        raise ValueError("bad IPv6 address")
    if len(out) != 16:
        raise ValueError("bad IPv6 address")
    return out


def parse(s):
    """(ip, number) of `ip/number`; the number is 0 when there is none."""
    parts = s.split("/")
    if len(parts) > 2:
        raise ValueError("bad address")
    return parse_ip(parts[0]), _decimal(parts[1], 65535) if len(parts) == 2 else 0


def _scope4(a, b, c):
    if a == 0 or a == 255:
        return SCOPE_NONE
    if a == 127:
        return SCOPE_LOOPBACK
    if a >= 240:
        return SCOPE_PSEUDO_PRIVATE
    if a >= 224:
        return SCOPE_MULTICAST
    if a == 169 and b == 254:
        return SCOPE_LINK_LOCAL
    if (
        a == 10
        or (a == 172 and b & 0xF0 == 16)
        or (a == 192 and (b == 168 or (b == 0 and c == 2)))
        or (a == 100 and b & 0xC0 == 64)
        or (a == 198 and (b & 0xFE == 18 or (b == 51 and c == 100)))
        or (a == 203 and b == 0 and c == 113)
    ):
        return SCOPE_PRIVATE
    if a in _PSEUDO_PRIVATE:
        return SCOPE_PSEUDO_PRIVATE
    return SCOPE_GLOBAL


def scope(ip):
    """Which kind of address this is, one of SCOPE_* (VL1 7.2)."""
    if ip is None:
        return SCOPE_NONE
    if len(ip) == 4:
        return _scope4(ip[0], ip[1], ip[2])
    a = ip[0]
    b = ip[1]
    if a == 0xFF:
        return SCOPE_MULTICAST
    if a == 0xFE and b & 0xC0 == 0x80:
        low = bytes(ip[2:])
        if b == 0x80 and low == b"\0\0\0\0\0\0\0\0\0\0\0\0\0\x01":
            return SCOPE_LOOPBACK
        return SCOPE_LINK_LOCAL
    if a & 0xFE == 0xFC:
        return SCOPE_PRIVATE
    if a == 0:
        head = bytes(ip[:12])
        if head == _ZERO12 and not ip[12] and not ip[13] and not ip[14] and ip[15] < 2:
            return SCOPE_LOOPBACK if ip[15] else SCOPE_NONE
        if head == _MAPPED and ip[12] == 127:
            return SCOPE_LOOPBACK
    return SCOPE_GLOBAL


def valid_for_path(ip):
    """May this IP be the physical address of a peer?"""
    s = scope(ip)
    if s < SCOPE_PSEUDO_PRIVATE or s == SCOPE_LINK_LOCAL:
        return False
    return not (len(ip) == 16 and bytes(ip[:4]) == b"\x20\x01\x04\x70")


def in_net(ip, net_ip, bits):
    """Is `ip` within net_ip/bits? Never across families; more bits than the address has is no
    match.
    """
    n = len(ip)
    if n != len(net_ip) or bits > 8 * n or bits < 0:
        return False
    whole = bits >> 3
    if bytes(ip[:whole]) != bytes(net_ip[:whole]):
        return False
    rest = bits & 7
    return not rest or (ip[whole] ^ net_ip[whole]) >> (8 - rest) == 0
