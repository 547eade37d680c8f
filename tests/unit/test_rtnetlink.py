# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Our messages mean what those of ip(8) mean: the expected bytes are what iproute2 6.1 sent for the
# command beside them (strace -e write=all), device number 3, on a little-endian machine.

import sys

from zt import rtnetlink
from zt._compat import unhex

ONE = bytes((10, 9, 0, 1))
SIX = b"\xfd\x00" + bytes(13) + b"\x09"

# ip addr add 10.9.0.1/24 broadcast 10.9.0.255 dev ztx
ADD4 = "30000000140005060000000000000000021800000300000008000200" + (
    "0a09000108000400" + "0a0900ff080001000a090001"
)
# ip addr add fd00::9/88 dev ztx nodad
ADD6 = "400000001400050600000000000000000a5802000300000014000200" + (
    "fd00" + "00" * 13 + "09" + "14000100" + "fd00" + "00" * 13 + "09"
)
# ip addr del fd00::9/88 dev ztx
DEL6 = ADD6.replace("14000506", "15000500").replace("0a580200", "0a580000")
# ip route add 10.20.0.0/16 via 10.9.0.2 dev ztx proto static
VIA4 = "34000000180005060000000000000000021" + (
    "00000fe0400010000000008000100" + "0a140000080005000a0900020800040003000000"
)
# ip route add 10.30.0.0/16 dev ztx proto static
LINK4 = "2c000000180005060000000000000000021" + (
    "00000fe04fd010000000008000100" + "0a1e00000800040003000000"
)
# ip -6 route add fd07::/16 dev ztx proto static
LINK6 = "380000001800050600000000000000000a1" + (
    "00000fe0400010000000014000100" + "fd07" + "00" * 14 + "0800040003000000"
)
# ip link set dev ztx mtu 1400
MTU = "28000000100005000000000000000000000000000300000000000000000000000800040078050000"


class Skip(Exception):
    pass


def parts(message, fixed):
    """(length and type and flags, fixed part, attributes in no order)."""
    assert int.from_bytes(message[:4], "little") == len(message)
    found = []
    at = 16 + fixed
    while at < len(message):
        n = int.from_bytes(message[at : at + 2], "little")
        found.append(bytes(message[at + 2 : at + n]))
        assert bytes(message[at + n : at + (n + 3 & ~3)]) == bytes(-n & 3)
        at += n + 3 & ~3
    return message[:8], message[16 : 16 + fixed], sorted(found)


def same(ours, hers, fixed, but_flags=False):
    if sys.byteorder != "little":
        raise Skip("the expected bytes are those of a little-endian machine")
    ours = parts(ours, fixed)
    hers = parts(unhex(hers), fixed)
    assert ours[1:] == hers[1:], (ours, hers)
    assert ours[0] == hers[0] or but_flags, (ours[0], hers[0])


def test_addresses_are_added_and_deleted_as_ip_does():
    same(rtnetlink.address(3, ONE, 24, True), ADD4, 8)
    same(rtnetlink.address(3, SIX, 88, True), ADD6, 8)
    # NODAD says nothing on deletion.
    deleted = bytearray(rtnetlink.address(3, SIX, 88, False))
    assert deleted[18] == 2
    deleted[18] = 0
    same(bytes(deleted), DEL6, 8)


def test_routes_are_added_as_ip_does():
    same(rtnetlink.route(3, bytes((10, 20, 0, 0)), 16, bytes((10, 9, 0, 2)), True), VIA4, 12)
    same(rtnetlink.route(3, bytes((10, 30, 0, 0)), 16, None, True), LINK4, 12)
    same(rtnetlink.route(3, b"\xfd\x07" + bytes(14), 16, None, True), LINK6, 12)


def test_a_route_is_deleted_by_the_same_fields():
    add = rtnetlink.route(3, bytes((10, 30, 0, 0)), 16, None, True)
    delete = rtnetlink.route(3, bytes((10, 30, 0, 0)), 16, None, False)
    assert add[8:] == delete[8:] and delete[4:8] != add[4:8]
    assert delete[4:6] == (25).to_bytes(2, sys.byteorder)


def test_the_mtu_is_set_as_ip_does():
    same(rtnetlink.link(3, None, 1400), MTU, 16)


def test_up_changes_that_flag_only():
    body = rtnetlink.link(3, b"\x02zt\0\0\1", 2800, True)[16:]
    assert body[8:12] == body[12:16] == (1).to_bytes(4, sys.byteorder)
    assert b"\x02zt\0\0\1\0\0" in body  # an attribute is filled up to four bytes


def test_bits_behind_the_prefix_are_cleared():
    assert rtnetlink.first(bytes((10, 9, 7, 255)), 23) == bytes((10, 9, 6, 0))
    assert rtnetlink.first(bytes((255, 255, 255, 255)), 0) == bytes(4)
    assert rtnetlink.first(bytes((1, 2, 3, 4)), 32) == bytes((1, 2, 3, 4))
    assert rtnetlink.first(b"\xff" * 16, 65) == b"\xff" * 8 + b"\x80" + bytes(7)
    route = rtnetlink.route(3, bytes((10, 20, 3, 4)), 16, None, True)
    assert route == rtnetlink.route(3, bytes((10, 20, 0, 0)), 16, None, True)


def test_a_point_to_point_address_has_no_broadcast():
    assert len(rtnetlink.address(3, ONE, 24, True)) == 48
    assert len(rtnetlink.address(3, ONE, 31, True)) == 40
    assert len(rtnetlink.address(3, ONE, 32, True)) == 40
