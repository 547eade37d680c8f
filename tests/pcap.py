# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Reads the UDP datagrams of a pcap file: Ethernet, IPv4 and IPv6, IP fragments put together. Knows
# nothing of what is in the datagrams.

import struct

ETHERNET = 1
IPV4, IPV6 = 0x0800, 0x86DD
UDP, FRAGMENT = 17, 44
_EXTENSIONS = (0, 43, 60)
_MAGIC = {
    b"\xd4\xc3\xb2\xa1": "<",
    b"\xa1\xb2\xc3\xd4": ">",
    b"\x4d\x3c\xb2\xa1": "<",
    b"\xa1\xb2\x3c\x4d": ">",
}


class Datagram:
    """One UDP datagram: seconds since the first record, (ip bytes, port) of both ends, payload."""

    def __init__(self, seconds, source, dest, payload):
        self.seconds = seconds
        self.source = source
        self.dest = dest
        self.payload = payload


def records(data):
    """(seconds, bytes) of each record; ValueError if the file is none or is cut short."""
    order = _MAGIC.get(data[:4])
    if order is None:
        raise ValueError("not a pcap file")
    if struct.unpack(order + "I", data[20:24])[0] & 0xFFFF != ETHERNET:
        raise ValueError("not a capture of Ethernet")
    nano = data[:4] in (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d")
    at = 24
    while at < len(data):
        if at + 16 > len(data):
            raise ValueError("pcap file cut short")
        seconds, part, kept, whole = struct.unpack(order + "IIII", data[at : at + 16])
        if kept != whole or at + 16 + kept > len(data):
            raise ValueError("pcap record cut short")
        yield seconds + part / (1e9 if nano else 1e6), data[at + 16 : at + 16 + kept]
        at += 16 + kept


class _Joiner:
    """IP fragments by (source, destination, id)."""

    def __init__(self):
        self.parts = {}

    def add(self, key, offset, more, data):
        parts = self.parts.setdefault(key, {})
        parts[offset] = (data, more)
        at = 0
        out = b""
        while at in parts:
            data, more = parts[at]
            out += data
            at += len(data)
            if not more:
                del self.parts[key]
                return out
        return None


def _ipv4(p, joiner):
    size = (p[0] & 15) * 4
    total, ident, offset = struct.unpack(">HHH", p[2:8])
    source, dest, data = p[12:16], p[16:20], p[size:total]
    if offset & 0x3FFF:
        key = source, dest, ident, p[9]
        data = joiner.add(key, (offset & 0x1FFF) * 8, bool(offset & 0x2000), data)
    return source, dest, p[9], data


def _ipv6(p, joiner):
    source, dest = p[8:24], p[24:40]
    proto, data = p[6], p[40 : 40 + struct.unpack(">H", p[4:6])[0]]
    while proto in _EXTENSIONS:
        proto, data = data[0], data[8 + 8 * data[1] :]
    if proto == FRAGMENT:
        proto, word = data[0], struct.unpack(">H", data[2:4])[0]
        data = joiner.add((source, dest, data[4:8]), word & 0xFFF8, bool(word & 1), data[8:])
    return source, dest, proto, data


def datagrams(path):
    """(list of Datagrams, number of fragments whose other pieces are missing)."""
    with open(path, "rb") as f:
        data = f.read()
    joiner = _Joiner()
    found = []
    start = None
    for seconds, frame in records(data):
        start = seconds if start is None else start
        kind = struct.unpack(">H", frame[12:14])[0]
        if kind not in (IPV4, IPV6):
            continue
        source, dest, proto, data = (_ipv4 if kind == IPV4 else _ipv6)(frame[14:], joiner)
        if data is None or proto != UDP:
            continue
        ports = struct.unpack(">HHH", data[:6])
        ends = (source, ports[0]), (dest, ports[1])
        found.append(Datagram(seconds - start, ends[0], ends[1], data[8 : ports[2]]))
    return found, len(joiner.parts)
