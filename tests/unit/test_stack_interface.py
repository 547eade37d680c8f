# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# An interface of the stack: its addresses, routes and groups, and how many there can be.
# micropython-only: CPython has no stack of ours.

import errno

import _needs_stack  # noqa: F401
import lwip
from _mirror import FAR4, IP4, MAC, Mirror
from _raised import raised
from zt import hal


def test_a_managed_route_goes_through_its_gateway():
    mirror = Mirror()
    target4, gateway4 = bytes([172, 20, 0, 0]), bytes([10, 9, 0, 9])
    target6, gateway6 = b"\xfd\x55" + bytes(14), b"\xfd\x00" + bytes(13) + b"\x09"
    cases = (
        (target4, 16, gateway4, bytes([172, 20, 5, 6])),
        (target6, 32, gateway6, b"\xfd\x55" + bytes(13) + b"\x06"),
    )
    for target, bits, gateway, host in cases:
        assert raised(OSError, hal.ping_send, host, 1, 1, b"").errno == errno.EHOSTUNREACH
        hal.nic_route(mirror.n, target, bits, gateway, True)
        mirror.asked.clear()
        hal.ping_send(host, 1, 1, b"")
        hal.wait(20)
        assert mirror.asked == [gateway], mirror.asked
        assert hal.ping_recv(bytearray(10))[0] == host
        hal.nic_route(mirror.n, target, bits, gateway, False)
        assert raised(OSError, hal.ping_send, host, 1, 1, b"").errno == errno.EHOSTUNREACH
        assert (
            raised(OSError, hal.nic_route, mirror.n, target, bits, gateway, False).errno
            == errno.ENOENT
        )
    mirror.close()


def test_a_route_on_the_link_asks_for_the_host_itself():
    mirror = Mirror()
    for target, bits, host in (
        (bytes([172, 21, 0, 0]), 16, bytes([172, 21, 5, 6])),
        (b"\xfc" + bytes(15), 8, b"\xfc\x11" + bytes(13) + b"\x06"),
    ):
        hal.nic_route(mirror.n, target, bits, None, True)
        mirror.asked.clear()
        hal.ping_send(host, 1, 1, b"")
        hal.wait(20)
        assert mirror.asked == [host], mirror.asked
    mirror.close()


def test_the_longest_prefix_wins_between_interfaces():
    mirror = Mirror()
    other = hal.nic_add(b"\x32\x01\x02\x03\x04\x99", 1500)
    hal.nic_addr(other, bytes([10, 50, 0, 1]), 24, True)
    hal.nic_route(mirror.n, bytes([172, 16, 0, 0]), 12, None, True)
    hal.nic_route(other, bytes([172, 20, 0, 0]), 16, None, True)
    hal.set_pump(None)
    buf, meta = bytearray(3000), bytearray(1)
    while hal.nic_recv(buf, meta):
        pass
    for host, n in ((bytes([172, 17, 0, 1]), mirror.n), (bytes([172, 20, 0, 1]), other)):
        hal.ping_send(host, 1, 1, b"")
        assert hal.nic_recv(buf, meta) and meta[0] == n
    hal.nic_remove(other)
    mirror.close()


def test_an_address_prefix_other_than_64_is_on_the_link():
    mirror = Mirror()
    hal.nic_addr(mirror.n, b"\xfc\x01" + bytes(13) + b"\x01", 40, True)
    host = b"\xfc\x01\x00\x00\x00\xaa" + bytes(9) + b"\x02"
    mirror.asked.clear()
    hal.ping_send(host, 1, 1, b"")
    hal.wait(20)
    assert mirror.asked == [host]
    hal.nic_addr(mirror.n, b"\xfc\x01" + bytes(13) + b"\x01", 40, False)
    assert raised(OSError, hal.ping_send, host, 1, 1, b"").errno == errno.EHOSTUNREACH
    mirror.close()


def test_addresses_come_and_go():
    mirror = Mirror()
    assert raised(OSError, hal.nic_addr, mirror.n, FAR4, 24, True).errno == errno.ENOBUFS
    assert raised(OSError, hal.nic_addr, mirror.n, FAR4, 24, False).errno == errno.ENOENT
    hal.nic_addr(mirror.n, IP4, 24, False)
    assert raised(OSError, hal.ping_send, FAR4, 1, 1, b"").errno == errno.EHOSTUNREACH
    hal.nic_addr(mirror.n, FAR4, 24, True)
    hal.nic_addr(mirror.n, FAR4, 16, True)  # only the prefix changes
    raised(ValueError, hal.nic_addr, mirror.n, IP4, 33, True)
    raised(ValueError, hal.nic_addr, mirror.n, b"\x01\x02\x03", 8, True)
    for i in range(6):  # with the mirror's own, seven
        hal.nic_addr(mirror.n, b"\xfd\x01" + bytes(13) + bytes([i]), 64, True)
    e = raised(OSError, hal.nic_addr, mirror.n, b"\xfd\x01" + bytes(13) + b"\x77", 64, True)
    assert e.errno == errno.ENOBUFS
    mirror.close()
    assert raised(OSError, hal.nic_addr, mirror.n, IP4, 24, True).errno == errno.ENODEV


def test_interfaces_are_bounded_and_reusable():
    for _ in range(3):
        made = []
        while True:
            try:
                made.append(hal.nic_add(MAC, 2800))
            except OSError as e:
                assert e.errno == errno.ENOBUFS
                break
        assert made == list(range(16))
        for n in made:
            hal.nic_remove(n)
    raised(ValueError, hal.nic_add, b"\x01\x02\x03\x04\x05\x06", 2800)  # a multicast MAC
    raised(ValueError, hal.nic_add, MAC[:5], 2800)


def test_groups_follow_addresses_and_memberships():
    mirror = Mirror()
    serial = hal.nic_serial()
    groups = hal.nic_groups(mirror.n)
    # All-systems of IPv4, all-nodes, and the solicited-node groups of the link-local and fd00::1.
    assert b"\x01\x00\x5e\x00\x00\x01" in groups
    assert b"\x33\x33\x00\x00\x00\x01" in groups
    assert b"\x33\x33\xff" + MAC[3:] in groups
    assert b"\x33\x33\xff\x00\x00\x01" in groups
    assert len(groups) == 4
    s = lwip.socket(lwip.AF_INET, lwip.SOCK_DGRAM)
    member = bytes([239, 129, 2, 3]) + IP4
    s.setsockopt(lwip.IPPROTO_IP, lwip.IP_ADD_MEMBERSHIP, member)
    assert b"\x01\x00\x5e\x01\x02\x03" in hal.nic_groups(mirror.n)
    assert hal.nic_serial() != serial
    s.setsockopt(lwip.IPPROTO_IP, lwip.IP_DROP_MEMBERSHIP, member)
    assert b"\x01\x00\x5e\x01\x02\x03" not in hal.nic_groups(mirror.n)
    s.close()
    hal.wait(20)
    mirror.close()
