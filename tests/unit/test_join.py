# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The whole node in one process: root and controller R, members A and B, on the simulated wire. A
# private network from refusal to frames, deauthorization, and restart.

from _sim import Sim, make_planet
from _vectors import load
from zt import mac as macs
from zt.const import NET_ACCESS_DENIED, NET_OK, NET_REQUESTING_CONFIGURATION
from zt.controller import Controller

_IDS = {i["name"]: i["secret_string"] for i in load("vl1.json")["identities"]}
_IP_R = bytes((10, 9, 0, 1))
_IP_A = bytes((10, 9, 0, 2))
_IP_B = bytes((10, 9, 0, 3))
_ARP = bytes.fromhex("0001080006040001")


def _setup(private=True, own=False):
    sim = Sim()
    planet = make_planet(_IDS["R"], [(_IP_R, 9993)])
    r = sim.add("R", _IDS["R"], _IP_R, planet)
    r.attach_controller(Controller(r.identity, r.storage, sim.clock, sim.random))
    body = {
        "private": private,
        "v4AssignMode": {"zt": True},
        "v6AssignMode": {"rfc4193": True},
        "routes": [{"target": "10.121.0.0/16", "via": None}],
        "ipAssignmentPools": [{"ipRangeStart": "10.121.0.1", "ipRangeEnd": "10.121.255.254"}],
    }
    nwid = bytes.fromhex(r.controller.put_network(sim.now, None, body)["nwid"])
    a = sim.add("A", _IDS["A"], _IP_A, planet)
    b = sim.add("B", _IDS["B"], _IP_B, planet)
    for node in (a, b) + ((r,) if own else ()):
        node.join(sim.now, nwid)
    return sim, nwid, r, a, b


def _authorize(sim, r, nwid, *nodes):
    for n in nodes:
        r.controller.put_member(sim.now, nwid, n.address, {"authorized": True})


def _frames(node):
    return [f for f in node.cb.frames]


def test_a_private_network_refuses_then_admits():
    sim, nwid, r, a, b = _setup()
    assert a.network(nwid).status == NET_REQUESTING_CONFIGURATION
    sim.run(1000)
    assert a.network(nwid).status == NET_ACCESS_DENIED
    _authorize(sim, r, nwid, a)
    took = sim.until(lambda: a.network(nwid).status == NET_OK, 6000)
    assert took is not None
    assert a.network(nwid).config.com is not None
    assert b.network(nwid).status == NET_ACCESS_DENIED
    assert len(a.network(nwid).config.static_ips) == 2


def test_an_authorized_node_is_on_its_network_within_half_a_second():
    sim, nwid, r, a, b = _setup()
    _authorize(sim, r, nwid, a, b)
    assert sim.until(lambda: a.network(nwid).status == NET_OK, 500) is not None


def _joined(**kw):
    sim, nwid, r, a, b = _setup(**kw)
    _authorize(sim, r, nwid, a, b)
    assert sim.until(lambda: a.network(nwid).status == NET_OK, 8000) is not None
    assert sim.until(lambda: b.network(nwid).status == NET_OK, 8000) is not None
    return sim, nwid, r, a, b


def _ip4(node, nwid):
    return [ip for ip, bits in node.network(nwid).config.static_ips if len(ip) == 4][0]


def test_frames_pass_between_members_and_first_ones_are_not_lost():
    sim, nwid, r, a, b = _joined()
    mac_a = macs.from_address(a.address, nwid)
    mac_b = macs.from_address(b.address, nwid)
    a.process_virtual_network_frame(sim.now, nwid, mac_a, mac_b, 0x0800, 0, b"x" * 60)
    sim.run(1500)
    assert _frames(b) == [(nwid, mac_a, mac_b, 0x0800, b"x" * 60)]
    b.process_virtual_network_frame(sim.now, nwid, mac_b, mac_a, 0x0800, 0, b"y" * 2800)
    sim.run(1500)
    assert _frames(a) == [(nwid, mac_b, mac_a, 0x0800, b"y" * 2800)]
    # Common membership is trust, trust makes them exchange addresses, and that a direct path.
    assert a.topology.peers[b.address].best_path(sim.now).remote == (_IP_B, 9993)


def test_an_arp_request_finds_its_member():
    sim, nwid, r, a, b = _joined()
    for n in (a, b):
        group = macs.group_for_ip(_ip4(n, nwid))
        n.multicast_subscribe(sim.now, nwid, group[0], group[1])
    sim.run(200)
    mac_a = macs.from_address(a.address, nwid)
    arp = _ARP + mac_a + _ip4(a, nwid) + bytes(6) + _ip4(b, nwid)
    a.process_virtual_network_frame(sim.now, nwid, mac_a, b"\xff" * 6, 0x0806, 0, arp)
    sim.run(2000)
    assert (nwid, mac_a, b"\xff" * 6, 0x0806, arp) in _frames(b)


def test_a_deauthorized_member_knows_at_once_and_is_cut_off():
    sim, nwid, r, a, b = _joined()
    mac_a = macs.from_address(a.address, nwid)
    mac_b = macs.from_address(b.address, nwid)
    a.process_virtual_network_frame(sim.now, nwid, mac_a, mac_b, 0x0800, 0, b"x" * 60)
    sim.run(2000)
    assert len(_frames(b)) == 1
    r.controller.put_member(sim.now, nwid, a.address, {"authorized": False})
    assert sim.until(lambda: a.network(nwid).status == NET_ACCESS_DENIED, 500) is not None
    sim.run(2000)
    a.process_virtual_network_frame(sim.now, nwid, mac_a, mac_b, 0x0800, 0, b"z" * 60)
    sim.run(6000)
    assert len(_frames(b)) == 1
    _authorize(sim, r, nwid, a)
    assert sim.until(lambda: a.network(nwid).status == NET_OK, 8000) is not None
    sim.run(3000)
    a.process_virtual_network_frame(sim.now, nwid, mac_a, mac_b, 0x0800, 0, b"w" * 60)
    sim.run(3000)
    assert _frames(b)[-1][4] == b"w" * 60


def test_a_change_on_the_controller_reaches_members_at_once():
    sim, nwid, r, a, b = _joined()
    r.controller.put_network(sim.now, nwid, {"mtu": 1400, "name": "changed"})
    assert sim.until(lambda: a.network(nwid).config.mtu == 1400, 2000) is not None
    assert a.network(nwid).config.name == "changed"


def test_the_controller_joins_its_own_network():
    sim, nwid, r, a, b = _joined(own=True)
    assert r.network(nwid).status == NET_ACCESS_DENIED
    _authorize(sim, r, nwid, r)
    assert sim.until(lambda: r.network(nwid).status == NET_OK, 8000) is not None
    mac_r = macs.from_address(r.address, nwid)
    mac_b = macs.from_address(b.address, nwid)
    b.process_virtual_network_frame(sim.now, nwid, mac_b, mac_r, 0x0800, 0, b"x" * 60)
    sim.run(2000)
    assert _frames(r) == [(nwid, mac_b, mac_r, 0x0800, b"x" * 60)]


def test_a_public_network_admits_everybody():
    sim, nwid, r, a, b = _setup(private=False)
    assert sim.until(lambda: a.network(nwid).status == NET_OK, 2000) is not None
    assert not a.network(nwid).config.type == 0


def test_a_restarted_member_uses_its_stored_configuration():
    sim, nwid, r, a, b = _joined()
    state = sim.remove("A")
    a = sim.add("A", None, _IP_A, storage=state)
    a.join(sim.now, nwid)
    assert a.network(nwid).status == NET_OK
    sim.run(1000)
    mac_a = macs.from_address(a.address, nwid)
    mac_b = macs.from_address(b.address, nwid)
    b.process_virtual_network_frame(sim.now, nwid, mac_b, mac_a, 0x0800, 0, b"x" * 60)
    sim.run(2000)
    assert _frames(a) == [(nwid, mac_b, mac_a, 0x0800, b"x" * 60)]


def test_a_network_that_does_not_exist_is_not_found():
    sim, nwid, r, a, b = _setup()
    missing = nwid[:7] + bytes([nwid[7] ^ 1])
    a.join(sim.now, missing)
    sim.run(1000)
    assert a.network(missing).describe()["status"] == "NOT_FOUND"


def test_a_radio_lost_and_found_needs_no_new_join():
    # What the driver of a board does when its Wi-Fi is back, with the same address or another.
    for silent, ip in ((20000, _IP_A), (180000, _IP_A), (180000, bytes((10, 9, 0, 99)))):
        sim, nwid, r, a, b = _joined()
        mac_a = macs.from_address(a.address, nwid)
        mac_b = macs.from_address(b.address, nwid)
        for _ in range(5):
            a.process_virtual_network_frame(sim.now, nwid, mac_a, mac_b, 0x0800, 0, b"x" * 60)
            sim.run(1000)
        before = a.network(nwid).config
        sim.block = lambda src, dst, data: "A" in (src, dst)
        for _ in range(silent // 5000):
            a.process_virtual_network_frame(sim.now, nwid, mac_a, mac_b, 0x0800, 0, b"lost")
            sim.run(5000)
            assert a.network(nwid).status == NET_OK
        sim.block = None
        if ip != _IP_A:
            sim.move("A", ip, tell=True)
        else:
            a.network_changed_below(sim.now)
        sim.kick("A")
        del b.cb.frames[:]
        for _ in range(10):
            a.process_virtual_network_frame(sim.now, nwid, mac_a, mac_b, 0x0800, 0, b"again")
            sim.run(300)
            if b.cb.frames:
                break
        assert [f[4] for f in b.cb.frames][-1] == b"again", (silent, ip)
        assert a.network(nwid).config is before, "the configuration it had is the one it has"
        assert a.network(nwid).status == NET_OK
