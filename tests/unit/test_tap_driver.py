# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# A node whose networks are TAP devices, without the kernel: frames both ways, a device that is
# deleted, the node's own packets. On MicroPython this needs the unix port.

from _edge import FakeNetwork, FakeNode
from _taps import EBADFD, EBUSY, NET, NWID, ONE, TWO, make, quiet
from zt import rtnetlink, tap
from zt.driver import Driver, Settings


def driven():
    stack, raw, hal = make()
    settings = Settings()
    settings.tap = stack
    driver = Driver(hal, settings)
    driver.open()
    node = FakeNode()
    driver.attach(node)
    net = node.joined[NWID] = FakeNetwork(NWID)
    # The kernel has no such device, so no groups either.
    stack.nic_groups = lambda n: []
    net.status = "OK"
    net.addresses = [(ONE, 24)]
    return driver, stack, raw, node, net


def test_a_node_with_taps_names_the_device_and_moves_frames():
    driver, _, raw, node, net = driven()
    driver.network(NWID, "up")
    assert net.device == tap.device_name(NWID)
    assert rtnetlink.address(1, ONE, 24, True) in raw.asked
    driver.frame(NWID, b"\x02her\0\1", net.mac, 0x0800, 0, memoryview(b"payload"))
    assert raw.written == [(41, net.mac + b"\x02her\0\1" + b"\x08\x00payload")]
    raw.frames[41] = [b"\x02her\0\1" + net.mac + b"\x86\xddanswer"]
    driver.step()
    assert node.frames == [(NWID, net.mac, b"\x02her\0\1", 0x86DD, 0, b"answer")]
    driver.close()
    assert raw.closed == [41]


def test_a_node_makes_a_deleted_device_anew():
    driver, _, raw, _, net = driven()
    driver.network(NWID, "up")
    del raw.asked[:]
    raw.frames[41] = [EBADFD]
    quiet(driver.step)
    assert raw.asked[0] == rtnetlink.link(2, net.mac, 2800, True)
    assert rtnetlink.address(2, ONE, 24, True) in raw.asked[1:]
    assert net.port_error == 0


def test_a_deleted_devices_number_is_not_the_planes_any_more():
    driver, _, raw, node, net = driven()
    driver.network(NWID, "up")
    gone = []

    class Plane:
        def network_changed(self, network):
            gone.append((network, len(raw.closed)))

        def drain(self, now):
            return False

        def tick(self, now):
            return 1000

        def close(self):
            pass

    driver.plane = Plane()
    raw.frames[41] = [EBADFD]
    quiet(driver.step)
    assert gone == [(net, 1)]
    driver.close()


def test_a_node_shows_what_hinders_a_device_until_it_is_gone():
    driver, _, raw, _, net = driven()
    raw.taken.append(tap.device_name(NWID))
    quiet(driver.network, NWID, "up")
    assert net.port_error == EBUSY and net.device == ""
    del raw.taken[:]
    driver.network(NWID, "config")
    assert net.port_error == 0 and net.device == tap.device_name(NWID)


def udp(source, port):
    # Ethernet, IPv4 or IPv6 without options, UDP: the fields that matter.
    v4 = len(source) == 4
    head = b"\x45" + bytes(8) + b"\x11" + bytes(2) if v4 else b"\x60" + bytes(5) + b"\x11\x40"
    frame = bytes(12) + (b"\x08\x00" if v4 else b"\x86\xdd") + head + source + bytes(len(source))
    return frame + port.to_bytes(2, "big") + bytes(6)


def test_the_nodes_own_packets_are_not_carried():
    driver, _, raw, node, _ = driven()
    driver.network(NWID, "up")
    wire = driver.listening()[0]
    assert len(wire[0]) == 4 and wire[1]
    raw.frames[41] = [udp(*wire)] * 40
    for _ in range(3):
        quiet(driver.step)
    assert node.frames == [] and driver.nics._tap.nic_drops() == 40
    # Another port, another address: the host's.
    others = [udp(wire[0], wire[1] + 1), udp(ONE, wire[1]), udp(b"\xfd" + bytes(15), wire[1])]
    raw.frames[41] = others[:]
    driver.step()
    assert [f[5] for f in node.frames] == [f[14:] for f in others]
    driver.listening = lambda: [(wire[0], wire[1]), (b"\xfd" + bytes(15), wire[1])]
    raw.frames[41] = [others[2], others[1]]
    driver.step()
    assert [f[5] for f in node.frames[3:]] == [others[1][14:]]


def test_paths_never_lead_through_our_own_routes():
    driver, _, _, _, net = driven()
    net.routes = [(NET, 16, TWO, 0, 0)]
    driver.network(NWID, "up")
    assert driver.nics.inside(bytes((10, 20, 3, 4)))
    assert driver.nics.inside(TWO)
    assert not driver.nics.inside(bytes((10, 21, 3, 4)))
