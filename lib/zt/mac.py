# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What follows from a network id and an address: MACs, the two managed IPv6 schemes, multicast
# groups of an IP, and answers to neighbour solicitations for addresses that spell out their owner
# (VL2 1.2-1.4, 6.4).

from ._compat import be16, u16, u32, unhex

BROADCAST = b"\xff\xff\xff\xff\xff\xff"
ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_ARP = 0x0806
ETHERTYPE_IPV6 = 0x86DD
RFC4193_BITS = 88
SIXPLANE_BITS = 40
_NDP_LEN = 64  # IPv6 header, solicitation, target


def first_octet(nwid):
    """First octet of the MAC of every member."""
    o = nwid[7] & 0xFE | 0x02
    return 0x32 if o == 0x52 else o


def _mask(nwid, five):
    return bytes(
        (
            five[0] ^ nwid[6],
            five[1] ^ nwid[5],
            five[2] ^ nwid[4],
            five[3] ^ nwid[3],
            five[4] ^ nwid[2],
        )
    )


def from_address(address, nwid):
    return bytes((first_octet(nwid),)) + _mask(nwid, address)


def to_address(mac, nwid):
    """The member a MAC belongs to; the first octet is not looked at."""
    return _mask(nwid, mac[1:6])


def rfc4193(nwid, address):
    """The member's RFC4193 address, a /88 on the interface."""
    return b"\xfd" + bytes(nwid) + b"\x99\x93" + bytes(address)


def _fold(nwid):
    return bytes(
        (0xFC, nwid[4] ^ nwid[0], nwid[5] ^ nwid[1], nwid[6] ^ nwid[2], nwid[7] ^ nwid[3])
    )


def sixplane(nwid, address):
    """The member's 6PLANE address, a /40 on the interface; the member owns the /80."""
    return _fold(nwid) + bytes(address) + b"\0\0\0\0\0\x01"


def link_local(mac):  # not on boards
    """EUI-64 link-local address; the universal bit is cleared, not inverted (VL2 1.3)."""
    return b"\xfe\x80\0\0\0\0\0\0" + bytes(
        (mac[0] & 0xFD, mac[1], mac[2], 0xFF, 0xFE, mac[3], mac[4], mac[5])
    )


def group_for_ip(ip):
    """The (mac, adi) under which others look for the owner of an IP."""
    if len(ip) == 4:
        return BROADCAST, u32(ip, 0)
    return b"\x33\x33\xff" + bytes(ip[13:16]), 0


def _owner(nwid, ip, bits, target):
    if bits == RFC4193_BITS:
        if ip[0] == 0xFD and ip[9] == 0x99 and ip[10] == 0x93 and target[:11] == ip[:11]:
            return target[11:16]
    elif bits == SIXPLANE_BITS:
        if ip[:5] == _fold(nwid) and target[:5] == ip[:5]:
            return target[5:10]
    return None


def _checksum(packet):
    # ICMPv6 of a packet whose IPv6 payload is 32 bytes, its checksum field zero.
    total = 0x20 + 0x3A
    for i in range(8, len(packet), 2):
        total += u16(packet, i)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def ndp_emulate(nwid, my_address, static_ips, frame):
    """(MAC of the peer, advertisement) if `frame`, a multicast IPv6 packet from our tap, asks for
    an address that names its owner; None if it must go out as it is. The caller has looked at the
    network's flag.
    """
    if len(frame) < _NDP_LEN or frame[6] != 0x3A or frame[40] != 0x87:
        return None
    target = bytes(frame[48:64])
    for ip, bits in static_ips:
        if len(ip) != 16:
            continue
        peer = _owner(nwid, ip, bits, target)
        if peer is None:
            continue
        if peer == my_address:
            return None
        mac = from_address(peer, nwid)
        out = bytearray(72)
        out[0:8] = b"\x60\0\0\0\0\x20\x3a\xff"
        out[8:24] = target
        out[24:40] = ip
        out[40] = 0x88
        out[44] = 0x60
        out[48:64] = target
        out[64] = 2
        out[65] = 1
        out[66:72] = mac
        out[42:44] = be16(_checksum(out))
        return mac, bytes(out)
    return None


def text(mac):
    return ":".join(["%02x" % b for b in mac])


def parse(s):
    """From `aa:bb:cc:dd:ee:ff`, either case."""
    h = s.replace(":", "").lower()
    if len(s) != 17 or len(h) != 12:
        raise ValueError("bad MAC address")
    for c in h:
        if c not in "0123456789abcdef":
            raise ValueError("bad MAC address")
    m = unhex(h)
    if text(m) != s.lower():
        raise ValueError("bad MAC address")
    return m
