# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The messages of rtnetlink(7) that set up a network device of Linux: link, addresses, routes.
# Bytes only, in the machine's byte order; sending them is somebody else's business.

import struct
import sys

_ORDER = "<" if sys.byteorder == "little" else ">"

_NEWLINK, _NEWADDR, _DELADDR, _NEWROUTE, _DELROUTE = 16, 20, 21, 24, 25
_REQUEST, _ACK, _EXCL, _CREATE = 0x001, 0x004, 0x200, 0x400

_UNSPEC, _INET, _INET6 = 0, 2, 10
_IFF_UP = 1
_IFLA_ADDRESS, _IFLA_MTU = 1, 4
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST = 1, 2, 4
_IFA_F_NODAD = 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY = 1, 4, 5
_RT_TABLE_MAIN, _RTPROT_STATIC, _RTN_UNICAST = 254, 4, 1
_SCOPE_UNIVERSE, _SCOPE_LINK = 0, 253


def _attribute(kind, data):
    n = 4 + len(data)
    return struct.pack(_ORDER + "HH", n, kind) + data + bytes(-n & 3)


def _u32(n):
    return struct.pack(_ORDER + "I", n)


def _message(kind, flags, body):
    head = struct.pack(_ORDER + "IHHII", 16 + len(body), kind, flags | _REQUEST | _ACK, 1, 0)
    return head + body


def _family(ip):
    return _INET if len(ip) == 4 else _INET6


def link(index, mac=None, mtu=None, up=False):
    """Set the MAC and the MTU of a device, and bring it up; what is None stays."""
    flag = _IFF_UP if up else 0
    body = struct.pack(_ORDER + "BBHiII", _UNSPEC, 0, 0, index, flag, flag)
    if mac is not None:
        body += _attribute(_IFLA_ADDRESS, bytes(mac))
    if mtu is not None:
        body += _attribute(_IFLA_MTU, _u32(mtu))
    return _message(_NEWLINK, 0, body)


def address(index, ip, bits, add):
    """Add or delete an address. IPv6 without duplicate detection: the controller assigns them."""
    ip = bytes(ip)
    v4 = len(ip) == 4
    head = struct.pack(
        _ORDER + "BBBBI", _family(ip), bits, 0 if v4 else _IFA_F_NODAD, _SCOPE_UNIVERSE, index
    )
    body = head + _attribute(_IFA_LOCAL, ip) + _attribute(_IFA_ADDRESS, ip)
    if v4 and bits < 31:
        body += _attribute(_IFA_BROADCAST, _last(ip, bits))
    return _message(_NEWADDR if add else _DELADDR, _CREATE | _EXCL if add else 0, body)


def route(index, ip, bits, via, add):
    """Add or delete a route of the main table; EEXIST if another has the same target."""
    scope = _SCOPE_LINK if via is None and len(ip) == 4 else _SCOPE_UNIVERSE
    head = struct.pack(
        _ORDER + "BBBBBBBBI",
        _family(ip),
        bits,
        0,
        0,
        _RT_TABLE_MAIN,
        _RTPROT_STATIC,
        scope,
        _RTN_UNICAST,
        0,
    )
    body = head + _attribute(_RTA_DST, first(ip, bits)) + _attribute(_RTA_OIF, _u32(index))
    if via is not None:
        body += _attribute(_RTA_GATEWAY, bytes(via))
    return _message(_NEWROUTE if add else _DELROUTE, _CREATE | _EXCL if add else 0, body)


def first(ip, bits):
    """The first address of ip/bits; the kernel refuses a route whose target has more bits set."""
    out = bytearray(ip)
    for i in range(len(out)):
        left = min(8, max(0, bits - 8 * i))
        out[i] &= 0xFF00 >> left & 0xFF
    return bytes(out)


def _last(ip, bits):
    out = bytearray(first(ip, bits))
    for i in range(len(out)):
        left = min(8, max(0, bits - 8 * i))
        out[i] |= 0xFF >> left
    return bytes(out)
