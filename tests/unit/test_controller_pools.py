# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Address assignment: what the controller vectors do not reach, such as pools that run out.

from _controller import NWID, Lab, address, dictionary, identity
from zt.controller import pools
from zt.identity import Identity
from zt.inet import parse, parse_ip
from zt.netconf import NetworkConfig


def _routes(*texts):
    out = []
    for text in texts:
        target, _, via = text.partition("@")
        ip, bits = parse(target)
        out.append((ip, bits, parse_ip(via) if via else None))
    return out


def _pool(first, last):
    return (parse_ip(first), parse_ip(last))


def test_the_last_address_of_a_pool_and_255_are_never_used():
    pool = [_pool("10.0.0.250", "10.0.1.3")]
    routes = _routes("10.0.0.0/16")
    taken = set()
    for i in range(20):
        pick = pools.pick_v4(bytes((0, 0, 0, 0, i)), pool, routes, taken)
        if pick is None:
            break
        assert pick[1] == 16
        assert pick[0] not in taken
        taken.add(pick[0])
    # 250..254 and 0..2: nine addresses of the span but .255
    want = [parse_ip("10.0.0.%d" % i) for i in range(250, 255)]
    want += [parse_ip("10.0.1.%d" % i) for i in range(3)]
    assert sorted(taken) == sorted(want)


def test_a_second_pool_is_used_when_the_first_is_full():
    two = [_pool("10.0.0.1", "10.0.0.1"), _pool("10.0.9.9", "10.0.9.9")]
    taken = {parse_ip("10.0.0.1")}
    got = pools.pick_v4(b"\1\2\3\4\5", two, _routes("10.0.0.0/16"), taken)
    assert got == (parse_ip("10.0.9.9"), 16)


def test_pools_that_cannot_serve_are_passed_over():
    routes = _routes("10.0.0.0/16", "0.0.0.0/0")
    for pool in (
        _pool("10.0.0.9", "10.0.0.1"),  # backwards
        _pool("0.0.0.0", "0.0.0.9"),  # begins at 0
        _pool("192.168.0.1", "192.168.0.9"),  # only on the default route, which has no bits
        _pool("fd00::1", "fd00::9"),
    ):
        assert pools.pick_v4(b"\1\2\3\4\5", [pool], routes, set()) is None
    assert pools.pick_v4(b"\1\2\3\4\5", [], routes, set()) is None


def test_ipv6_holds_the_member_address_if_the_pool_is_wide():
    routes = _routes("fd07::/64")
    wide = [_pool("fd07::", "fd07::ff:ffff:ffff")]
    got = pools.pick_v6(b"\1\2\3\4\5", wide, routes, set(), None)
    assert got == (parse_ip("fd07::1:203:405"), 64)


def test_ipv6_of_a_narrow_pool_is_random_within_it():
    routes = _routes("fd07::/64", "fd07::/48@fd07::1")
    narrow = [_pool("fd07::10", "fd07::20")]
    drawn = [b"\0" * 7 + bytes((i,)) for i in (3, 3, 5)]
    got = pools.pick_v6(
        b"\1\2\3\4\5", narrow, routes, {parse_ip("fd07::13")}, lambda n: drawn.pop(0)
    )
    assert got == (parse_ip("fd07::15"), 64)
    assert drawn == []
    one = [_pool("fd07::10", "fd07::10")]
    assert pools.pick_v6(b"\1\2\3\4\5", one, routes, {parse_ip("fd07::10")}, None) is None
    # A route through another member is not a place for addresses.
    via = _routes("fd07::/64@fd07::1")
    assert pools.pick_v6(b"\1\2\3\4\5", one, via, set(), None) is None


def test_members_beyond_the_pool_get_a_configuration_without_address():
    lab = Lab()
    lab.c.put_network(
        lab.now,
        NWID,
        {
            "private": False,
            "v4AssignMode": "zt",
            "routes": [{"target": "10.1.0.0/24"}],
            "ipAssignmentPools": [{"ipRangeStart": "10.1.0.1", "ipRangeEnd": "10.1.0.4"}],
        },
    )
    seen = []
    for i in range(5):
        node = Identity(bytes((1, 2, 3, 4, i)), identity("A").public)
        [(kind, _, _, chunks)] = lab.ask(node)
        assert kind == "config"
        seen += NetworkConfig.parse(dictionary(chunks)).static_ips
    assert sorted(seen) == [(bytes((10, 1, 0, i)), 24) for i in (1, 2, 3)]
    # Freed addresses are given out again, kept ones stay.
    lab.c.delete_member(lab.now, NWID, bytes((1, 2, 3, 4, 0)))
    node = Identity(bytes((1, 2, 3, 4, 4)), identity("A").public)
    [(_, _, _, chunks)] = lab.ask(node)
    [got] = NetworkConfig.parse(dictionary(chunks)).static_ips
    assert got not in seen[1:]
    [(_, _, _, chunks)] = lab.ask(node)
    assert NetworkConfig.parse(dictionary(chunks)).static_ips == [got]


def test_assigned_addresses_take_the_longest_route():
    lab = Lab()
    lab.c.put_network(
        lab.now,
        NWID,
        {"routes": [{"target": "10.0.0.0/8"}, {"target": "10.1.0.0/16", "via": "10.0.0.1"}]},
    )
    lab.c.put_member(
        lab.now,
        NWID,
        address("A"),
        {"authorized": True, "ipAssignments": ["10.1.2.3/31", "10.9.9.9", "11.0.0.1", "x"]},
    )
    [(_, _, _, chunks)] = lab.ask("A")
    config = NetworkConfig.parse(dictionary(chunks))
    assert config.static_ips == [(bytes((10, 1, 2, 3)), 16), (bytes((10, 9, 9, 9)), 8)]
    assert lab.c.member(NWID, address("A"))["ipAssignments"] == [
        "10.1.2.3",
        "10.9.9.9",
        "11.0.0.1",
    ]
