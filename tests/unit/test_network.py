# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# One joined network by itself: ad-hoc networks, neighbour emulation, local permissions, what is
# shown of it, what it learns.

from _vl2 import (
    BASE,
    CONFIG,
    NOW,
    NWID,
    Host,
    V,
    Wire,
    answer,
    identity,
    mac_bytes,
    requests_of,
    status_of,
)
from zt import const, inet, mac
from zt._compat import be64
from zt.adhoc import config as adhoc_config
from zt.netconf import NetworkConfig

A = identity("A")
B = identity("B")
C = identity("C")
CONTROLLER = identity("controller")
IPV4 = 0x0800
ARP = 0x0806


# --- networks without a controller


def test_adhoc_networks_of_the_reference():
    for case in V["adhoc"]:
        nwid = bytes.fromhex(case["network_id"])
        host = Host(A)
        assert A.address.hex() == case["address"]
        net = host.vl2.join(NOW, nwid)
        assert net.status == case["status"]
        assert [v for _, v, _ in host.take() if v != const.VERB_MULTICAST_LIKE] == []
        assert host.store[("network", nwid)] == b"\n"
        if "dictionary" in case:
            assert net.config.pack().hex() == case["dictionary"]
            host.now_ms += 60000
            host.vl2.tick(NOW + 60000)
            assert net.config.timestamp == be64(BASE + 60000)


def test_adhoc_id_of_neither_form_keeps_requesting():
    nwid = bytes.fromhex("ff00000000000002")
    host = Host(A)
    host.vl2.join(NOW, nwid)
    assert status_of(host, nwid) == "REQUESTING_CONFIGURATION"
    assert not host.take() and not host.asked


def test_adhoc_members_exchange_frames():
    nwid = bytes.fromhex("ff0a000000000001")
    wire = Wire()
    a = Host(A)
    b = Host(B)
    for host in (a, b):
        wire.add(host)
        host.vl2.join(NOW, nwid)
    mine = mac.from_address(A.address, nwid)
    a.vl2.tap_frame(NOW, nwid, mine, mac.from_address(B.address, nwid), 0x86DD, b"ping")
    wire.run(NOW)
    assert [f[3] for f in b.delivered] == [b"ping"]
    assert adhoc_config(nwid, A.address, 1).static_ips[1][0] == b"\x0a" + A.address[2:]


def test_neighbour_solicitations_are_answered_here():
    for case in V["ndp_emulation"]:
        config = NetworkConfig.parse(CONFIG)
        config.flags = int(case["flags"], 16)
        config.static_ips = [inet.parse(s) for s in case["static_ips"]]
        host = Host(A, [CONTROLLER])
        host.with_config(NOW, config.pack())
        frame = bytes.fromhex(case["frame"])
        host.vl2.tap_frame(
            NOW, NWID, mac_bytes(case["from"]), mac_bytes(case["to"]), case["ethertype"],
            memoryview(frame),
        )  # fmt: skip
        wanted = [
            (mac_bytes(r["from"]), mac_bytes(r["to"]), r["ethertype"], bytes.fromhex(r["frame"]))
            for r in case["emulated_reply"]
        ]
        assert host.delivered == wanted, case["name"]
        sent = [v for _, v, _ in host.take()]
        assert (const.VERB_MULTICAST_GATHER in sent) == (not wanted), case["name"]


# --- what is shown and allowed


def test_permissions_filter_addresses_and_routes():
    ips = ["10.0.0.5/24", "8.8.4.4/24", "127.0.0.9/8", "169.254.1.1/16", "0.0.0.0/0"]
    ips.append("fc00::5/64")
    config = NetworkConfig.parse(CONFIG)
    config.static_ips = [inet.parse(s) for s in ips]
    config.routes = [
        (bytes(4), 0, b"\x0a\0\0\x01", 0, 0),
        (b"\x0a\0\0\0", 24, None, 0, 0),
        (b"\x0a\x01\0\0", 16, b"\x0a\0\0\x05", 0, 0),
        (b"\x08\x08\0\0", 16, b"\x0a\0\0\x01", 0, 9),
    ]
    config.dns_domain = "home.arpa"
    config.dns_servers = [(b"\x0a\0\0\x02", 0)]
    host = Host(A, [CONTROLLER])
    net = host.with_config(NOW, config.pack())

    def shown():
        d = net.describe()
        return d["assignedAddresses"], [r["target"] for r in d["routes"]]

    assert shown() == (["10.0.0.5/24", "fc00::5/64"], ["10.0.0.0/24"])
    assert net.dns is None
    host.vl2.join(NOW, NWID, {"allowGlobal": True, "allowDNS": True})
    assert host.changes[-1] == (NWID, "config")
    assert shown() == (
        ["10.0.0.5/24", "8.8.4.4/24", "fc00::5/64"],
        ["10.0.0.0/24", "8.8.0.0/16"],
    )
    assert net.dns == ("home.arpa", [b"\x0a\0\0\x02"])
    host.vl2.join(NOW, NWID, {"allowDefault": True})
    assert "0.0.0.0/0" in shown()[1]
    host.vl2.join(NOW, NWID, {"allowManaged": False})
    assert shown() == ([], [])
    # The settings outlive the node, the whitelist form is read.
    host.store[("network.local", NWID)] = b"allowManaged=10.0.0.0/8\nallowGlobal=1\n"
    again = Host(A, [CONTROLLER])
    again.store = host.store
    net = again.with_config(NOW, config.pack())
    assert net.describe()["assignedAddresses"] == ["10.0.0.5/24"]


def test_local_settings_must_be_booleans():
    host = Host(A, [CONTROLLER])
    try:
        host.vl2.join(NOW, NWID, {"allowGlobal": "yes"})
    except ValueError:
        pass
    else:
        raise AssertionError("took a string")
    assert not host.vl2.networks and not host.store


def test_description_has_the_fields_of_the_original():
    names = (
        "allowDNS allowDefault allowGlobal allowManaged assignedAddresses bridge broadcastEnabled "
        "dhcp dns id mac mtu multicastSubscriptions name netconfRevision nwid portDeviceName "
        "portError routes status type"
    ).split()
    host = Host(A, [CONTROLLER])
    net = host.vl2.join(NOW, NWID)
    d = net.describe()
    for name in names:
        assert name in d, name
    assert (d["type"], d["mtu"], d["name"], d["netconfRevision"]) == ("PRIVATE", 2800, "", 0)
    assert d["mac"] == "de:04:aa:cc:46:1c"
    host.vl2.subscribe(NOW, NWID, b"\xff" * 6, 0x0A000001)
    answer(host, NOW, CONFIG)
    d = net.describe()
    assert d["multicastSubscriptions"] == [{"adi": 0x0A000001, "mac": "ff:ff:ff:ff:ff:ff"}]
    assert (d["status"], d["netconfRevision"], d["broadcastEnabled"]) == ("OK", 7, True)


def test_online_again_repeats_request_and_announcements():
    host = Host(A, [CONTROLLER])
    host.roots = [B.address]
    host.with_config(NOW, CONFIG)
    host.vl2.came_online(NOW + 2000)
    assert len(requests_of(host)) == 1
    host.vl2.tick(NOW + 2000)
    likes = [d for d, v, _ in host.take() if v == const.VERB_MULTICAST_LIKE]
    assert sorted(likes) == sorted([B.address, CONTROLLER.address])


def test_learned_routes_are_bounded():
    host = Host(A, [CONTROLLER])
    host.limits.bridge_routes = 4
    net = host.with_config(NOW, CONFIG)
    net.learn_route(b"\x02\0\0\0\0\x01", C.address)
    for i in range(20):
        net.learn_route(b"\x02\0\0\0\x01" + bytes([i]), B.address)
        assert len(net.routes) <= 4
    assert net.routes[b"\x02\0\0\0\0\x01"] == C.address
