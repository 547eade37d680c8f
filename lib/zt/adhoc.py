# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Networks without a controller: their configuration follows from the network id and our address
# (VL2 1.5).

from . import mac
from ._compat import be64, const, u16
from .netconf import FLAG_NDP_EMULATION, NetworkConfig

_CTMD_MS = const(7200000)
_MULTICAST_LIMIT = const(1024)

_ACCEPT = b"\x01\x00"
# Rules of the form with a port range, up to the range and after it (VL2 4.1 has the codes).
_BEFORE = (
    b"\xa5\x02\x86\xdd\x00\x00"  # NOT ethertype IPv6: drop
    b"\x24\x01\x3a\x01\x00"  # ICMPv6: accept
    b"\x24\x01\x11\x64\x01\x06\x28\x04"  # UDP OR TCP, destination port within
)
_AFTER = (
    b"\x01\x00"  # : accept
    b"\xa9\x08\0\0\0\0\0\0\0\x02\x01\x00"  # NOT SYN: accept
    b"\x29\x08\0\0\0\0\0\0\0\x02\x29\x08\0\0\0\0\0\0\0\x10\x01\x00"  # SYN and ACK: accept
    b"\x00\x00"  # drop
)


def config(nwid, address, clock_ms):
    """The configuration a node makes for itself, issued at `clock_ms` (int) of its own wall clock.
    None for an id of neither form, which stays without; ValueError for one that says there is no
    such network.
    """
    if nwid[0] != 0xFF:
        return None
    c = NetworkConfig()
    c.nwid = bytes(nwid)
    c.timestamp = be64(clock_ms)
    c.ctmd = _CTMD_MS
    c.revision = 1
    c.issued_to = bytes(address)
    c.flags = FLAG_NDP_EMULATION
    c.type = 1
    c.static_ips = [(mac.sixplane(nwid, address), mac.SIXPLANE_BITS)]
    if not nwid[5] and not nwid[6] and not nwid[7]:
        first = u16(nwid, 1)
        last = u16(nwid, 3)
        if last < first:
            raise ValueError("ad-hoc network with its port range upside down")
        c.name = "adhoc-%04x-%04x" % (first, last)
        c.rules = _BEFORE + c.nwid[1:5] + _AFTER
        return c
    if nwid[7] == 1:
        c.multicast_limit = _MULTICAST_LIMIT
        c.name = "adhoc-%d.0.0.0" % nwid[1]
        c.rules = _ACCEPT
        c.static_ips += [(bytes((nwid[1],)) + c.issued_to[2:], 8)]
        hub = c.nwid[2:7]
        if hub != bytes(5):
            # Without a role, as the original has it: the hub is then like anybody else.
            c.specialists = [(hub, 0)]
        return c
    return None
