# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What a network grants becomes what the stack has: addresses, routes, MTU, DNS, groups, frames,
# pings.

from _edge import FakeNetwork, FakeNode, Hal
from zt import log, mac
from zt._compat import hexs, unhex
from zt.driver import Driver, Settings

NWID = unhex("8056c2e21c000001")
OTHER = unhex("8056c2e21c000002")
ONE = bytes((10, 9, 0, 1))
TWO = bytes((10, 9, 0, 2))
SIX = b"\xfd\x00" + bytes(13) + b"\x09"
NET = bytes((10, 20, 0, 0))
HER = b"\x02her\0\1"


def make(stack=True):
    hal = Hal(stack)
    driver = Driver(hal, Settings())
    driver.open()
    node = FakeNode()
    driver.attach(node)
    net = node.joined[NWID] = FakeNetwork(NWID)
    return driver, hal, node, net


def up(driver, net, *addresses):
    net.addresses = list(addresses)
    net.status = "OK"
    driver.network(NWID, "up")


def told(driver, kind):
    return [e for e in driver.events if e["event"] == kind]


def test_a_configuration_makes_an_interface_with_its_addresses():
    driver, hal, _, net = make()
    up(driver, net, (ONE, 24), (SIX, 88))
    assert ("add", net.mac, 2800) in hal.calls
    assert ("addr", 3, ONE, 24, True) in hal.calls
    assert ("addr", 3, SIX, 88, True) in hal.calls
    assert net.device == "zt3"
    assert [(e["ip"], e["added"]) for e in told(driver, "address")] == [
        ("10.9.0.1/24", True),
        ("fd00::9/88", True),
    ]
    assert [e["status"] for e in told(driver, "network")] == ["OK"]
    assert told(driver, "network")[0]["nwid"] == hexs(NWID)


def test_a_change_touches_only_what_changed():
    driver, hal, _, net = make()
    up(driver, net, (ONE, 24), (SIX, 88))
    del hal.calls[:]
    del driver.events[:]
    net.addresses = [(TWO, 24), (SIX, 88)]
    net.mtu = 1400
    driver.network(NWID, "config")
    assert ("addr", 3, ONE, 24, False) in hal.calls
    assert ("addr", 3, TWO, 24, True) in hal.calls
    assert ("mtu", 3, 1400) in hal.calls
    assert len(hal.calls) == 3
    assert [(e["ip"], e["added"]) for e in told(driver, "address")] == [
        ("10.9.0.1/24", False),
        ("10.9.0.2/24", True),
    ]
    assert told(driver, "network") == []


def test_routes_follow_and_those_through_ourselves_are_left_out():
    driver, hal, _, net = make()
    net.routes = [(NET, 16, TWO, 0, 0), (NET, 24, ONE, 0, 0), (NET, 8, None, 0, 0)]
    up(driver, net, (ONE, 24))
    routes = [c for c in hal.calls if c[0] == "route"]
    assert routes == [("route", 3, NET, 16, TWO, True), ("route", 3, NET, 8, None, True)]
    del hal.calls[:]
    net.routes = [(NET, 8, None, 0, 0)]
    driver.network(NWID, "config")
    assert hal.calls == [("route", 3, NET, 16, TWO, False)]


def test_dns_is_set_and_taken_back():
    driver, hal, _, net = make()
    net.dns = ("home.arpa", [ONE])
    up(driver, net, (ONE, 24))
    assert ("dns", "home.arpa", [ONE]) in hal.calls
    net.dns = None
    driver.network(NWID, "config")
    assert hal.calls[-1] == ("dns", "", [])


def test_every_address_and_every_group_of_the_stack_is_subscribed():
    driver, hal, node, net = make()
    hal.groups = [b"\x33\x33\0\0\0\1"]
    up(driver, net, (ONE, 24))
    assert mac.group_for_ip(ONE) in node.groups
    assert (b"\x33\x33\0\0\0\1", 0) in node.groups
    net.addresses = [(TWO, 24)]
    hal.groups = []
    driver.network(NWID, "config")
    assert node.groups == [mac.group_for_ip(TWO)]


def test_leaving_takes_everything_back():
    driver, hal, node, net = make()
    up(driver, net, (ONE, 24))
    del driver.events[:]
    del node.joined[NWID]
    driver.network(NWID, "down")
    assert ("remove", 3) in hal.calls
    assert [e["added"] for e in told(driver, "address")] == [False]
    assert told(driver, "network")[0]["status"] == "DOWN"
    driver.network(NWID, "down")
    assert len(told(driver, "network")) == 1


def test_frames_go_both_ways_with_their_ethernet_header():
    driver, hal, node, net = make()
    up(driver, net, (ONE, 24))
    driver.frame(NWID, HER, net.mac, 0x0800, 0, memoryview(b"payload"))
    assert hal.calls[-1] == ("input", 3, net.mac + HER + b"\x08\x00payload")
    hal.frames = [HER + net.mac + b"\x86\xddanswer"]
    driver.step()
    assert node.frames == [(NWID, net.mac, HER, 0x86DD, 0, b"answer")]


def test_frames_that_cannot_be_are_dropped():
    driver, hal, _, net = make()
    driver.frame(NWID, HER, net.mac, 0x0800, 0, b"too early")
    up(driver, net, (ONE, 24))
    del hal.calls[:]
    driver.frame(bytes(8), HER, net.mac, 0x0800, 0, b"other network")
    driver.frame(NWID, HER, net.mac, 0x0800, 5, b"tagged")
    driver.frame(NWID, HER, net.mac, 0x0800, 0, bytes(20000))
    assert hal.calls == []


def test_without_a_stack_the_events_are_the_same():
    driver, hal, _, net = make(False)
    up(driver, net, (ONE, 24))
    driver.frame(NWID, HER, net.mac, 0x0800, 0, b"x")
    driver.step()
    assert hal.calls == []
    assert [e["ip"] for e in told(driver, "address")] == ["10.9.0.1/24"]


def test_an_interface_that_cannot_be_made_is_a_port_error():
    driver, hal, _, net = make()

    def full(mac, mtu):
        raise OSError(105, "full")

    make_one = hal.nic_add
    hal.nic_add = full
    net.on_port_error = lambda: driver.network(NWID, "status")  # as the network itself tells
    up(driver, net, (ONE, 24))
    assert net.port_error == 105
    assert told(driver, "address") == []
    assert [e["status"] for e in told(driver, "network")] == ["PORT_ERROR"]
    # It is told once, and over when an interface can be had again.
    driver.network(NWID, "config")
    assert len(told(driver, "network")) == 1
    hal.nic_add = make_one
    driver.network(NWID, "config")
    assert net.port_error == 0
    assert [e["status"] for e in told(driver, "network")] == ["PORT_ERROR", "OK"]
    assert [e["ip"] for e in told(driver, "address")] == ["10.9.0.1/24"]


def test_a_refusal_of_any_kind_is_a_port_error():
    driver, hal, _, net = make()

    def no(mac, mtu):
        raise ValueError("bad argument")

    hal.nic_add = no
    up(driver, net, (ONE, 24))
    assert net.port_error == 22


def test_leaving_a_network_makes_room_for_one_that_waits():
    driver, hal, node, net = make()
    up(driver, net, (ONE, 24))

    def full(mac, mtu):
        raise OSError(105, "full")

    make_one = hal.nic_add
    hal.nic_add = full
    other = node.joined[OTHER] = FakeNetwork(OTHER)
    other.addresses = [(TWO, 24)]
    driver.network(OTHER, "up")
    assert other.port_error == 105
    hal.nic_add = make_one
    del node.joined[NWID]
    driver.network(NWID, "down")
    assert other.port_error == 0
    assert told(driver, "address")[-1]["ip"] == "10.9.0.2/24"


def test_a_second_ipv4_address_is_named_and_takes_over_when_the_first_goes():
    driver, hal, _, net = make()
    set_one = hal.nic_addr
    lines = []
    log.set_sink(lines.append)

    def one_only(n, ip, bits, add):
        have = [c for c in hal.calls if c[0] == "addr" and len(c[2]) == 4]
        if add and len(ip) == 4 and len([c for c in have if c[4]]) > len(have) // 2:
            raise OSError(105, "full")
        set_one(n, ip, bits, add)

    hal.nic_addr = one_only
    up(driver, net, (ONE, 24), (TWO, 24), (SIX, 88))
    assert [e["ip"] for e in told(driver, "address")] == ["10.9.0.1/24", "fd00::9/88"]
    problem = "address 10.9.0.2/24 is not in use: a network has one IPv4 address here"
    assert driver.nics.problems(NWID) == [problem]
    driver.network(NWID, "config")
    assert len([line for line in lines if problem in line]) == 1
    assert (ONE, 24) in [(a[1], a[2]) for a in driver.nics.addresses()]
    assert (TWO, 24) not in [(a[1], a[2]) for a in driver.nics.addresses()]
    net.addresses = [(TWO, 24), (SIX, 88)]
    driver.network(NWID, "config")
    log.set_sink(None)
    assert driver.nics.problems(NWID) == []
    assert [(e["ip"], e["added"]) for e in told(driver, "address")[2:]] == [
        ("10.9.0.1/24", False),
        ("10.9.0.2/24", True),
    ]


def test_a_route_the_stack_does_not_take_is_named():
    driver, hal, _, net = make()
    real = hal.nic_route

    def full(n, ip, bits, via, add):
        raise OSError(105, "full")

    hal.nic_route = full
    net.routes = [(NET, 16, None, 0, 0)]
    up(driver, net, (ONE, 24))
    assert driver.nics.problems(NWID) == ["route 10.20.0.0/16 is not in use: ENOBUFS"]
    hal.nic_route = real
    driver.network(NWID, "config")
    assert driver.nics.problems(NWID) == []
    assert ("route", 3, NET, 16, None, True) in hal.calls


def test_name_servers_are_those_of_one_network_and_go_with_it():
    driver, hal, node, net = make()
    net.dns = ("one.arpa", [ONE])
    up(driver, net, (ONE, 24))
    other = node.joined[OTHER] = FakeNetwork(OTHER)
    other.dns = ("two.arpa", [TWO])
    driver.network(OTHER, "up")
    assert [c for c in hal.calls if c[0] == "dns"] == [("dns", "one.arpa", [ONE])]
    del node.joined[NWID]
    driver.network(NWID, "down")
    assert hal.calls[-1] == ("dns", "two.arpa", [TWO])
    del node.joined[OTHER]
    driver.network(OTHER, "down")
    assert hal.calls[-1] == ("dns", "", [])


def test_a_ping_is_answered_by_its_own_number_only():
    driver, hal, _, net = make()
    up(driver, net, (ONE, 24))
    got = []
    first = driver.nics.ping(TWO, lambda: got.append("first"))
    second = driver.nics.ping(TWO, lambda: got.append("second"))
    ident = [c for c in hal.calls if c[0] == "ping"][0][2]
    driver.nics.forget(first)
    hal.pongs = [
        (TWO, ident, first, 56),
        (TWO, ident ^ 1, second, 56),
        (TWO, ident, second, 56),
        (TWO, ident, second, 56),
    ]
    driver.step()
    assert got == ["second"]


def test_the_sender_of_a_watched_address_is_remembered():
    driver, hal, _, net = make()
    up(driver, net, (ONE, 24))
    driver.nics.watch = TWO
    packet = bytes(12) + ONE + ONE
    driver.frame(NWID, HER, net.mac, 0x0800, 0, packet)
    assert driver.nics.watched_mac is None
    packet = bytes(12) + TWO + ONE
    driver.frame(NWID, HER, net.mac, 0x0800, 0, packet)
    assert driver.nics.watched_mac == HER
