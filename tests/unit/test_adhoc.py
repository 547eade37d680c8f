# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

from _vectors import load, refuses, unhex
from zt import adhoc, inet, rules
from zt.const import NET_NOT_FOUND
from zt.netconf import NetworkConfig

NOW = 1700000000000
ME = unhex("c4aaa26c6a")


def test_configs_of_the_vectors():
    for case in load("vl2.json")["adhoc"]:
        nwid, address = unhex(case["network_id"]), unhex(case["address"])
        if case["status"] == NET_NOT_FOUND:
            assert refuses(lambda n, a=address: adhoc.config(n, a, NOW), nwid)
            continue
        c = adhoc.config(nwid, address, NOW)
        assert c.pack() == unhex(case["dictionary"]), case["network_id"]
        want = case["config"]
        assert c.name == want["name"] and c.public and c.issued_to == address
        assert [inet.text(ip, bits) for ip, bits in c.static_ips] == want["static_ips"]
        assert NetworkConfig.parse(c.pack()).pack() == c.pack()
        assert rules.check(c.rules) == []


def test_other_networks_of_the_reserved_prefix_have_no_config():
    for nwid in ("ff00160016000002", "ff00160016000100", "ff00160016010000", "ff000000000000ff"):
        assert adhoc.config(unhex(nwid), ME, NOW) is None


def test_ordinary_networks_are_none_of_its_business():
    assert adhoc.config(unhex("6af0762a6e000000"), ME, NOW) is None
    assert adhoc.config(unhex("6af0762a6e000001"), ME, NOW) is None


def test_a_hub_gets_no_role():
    c = adhoc.config(unhex("ff0a112233445501"), ME, NOW)
    assert c.specialists == [(unhex("1122334455"), 0)]
    assert not c.anchors and not c.active_bridges and not c.replicators
    assert adhoc.config(unhex("ff0a000000000001"), ME, NOW).specialists == ()


def test_equal_ports_are_a_range():
    assert adhoc.config(unhex("ffffffffff000000"), ME, NOW).name == "adhoc-ffff-ffff"
    assert refuses(lambda n: adhoc.config(n, ME, NOW), unhex("ff00010000000000"))
