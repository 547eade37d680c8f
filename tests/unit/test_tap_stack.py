# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# TAP devices without the kernel: names, what is asked of netlink and when, whose frame is next.
# With a kernel it is tests/interop/test_tap.py. On MicroPython this needs the unix port.

import sys

from _raised import raised
from _taps import EBADFD, EBUSY, EIO, NET, NWID, ONE, TWO, PlaneRaw, WatchedHal, make, quiet
from zt import log, rtnetlink, tap
from zt._compat import unhex

OTHER = unhex("8056c2e21c000002")
MAC = b"\x02zt\0\0\1"
SUBNET = bytes((10, 9, 0, 0))
EEXIST = 17


def test_a_name_is_the_network_id_in_base_32():
    assert tap.device_name(bytes(8)) == "zt" + "a" * 13
    assert tap.device_name(b"\xff" * 8) == "ztp" + "7" * 12
    assert tap.device_name(bytes(7) + b"\x20") == "zt" + "a" * 11 + "ba"
    assert len(tap.device_name(NWID)) == 15
    # Every bit counts: nothing else has the same name.
    names = [tap.device_name(unhex("%016x" % (1 << bit))) for bit in range(64)]
    assert len(set(names)) == 64


def test_a_device_is_made_with_its_mac_and_watched():
    stack, raw, hal = make()
    n = stack.nic_add(MAC, 2800, NWID)
    assert raw.asked == [rtnetlink.link(1, MAC, 2800, True)]
    assert hal.calls == [("watch", 41)]
    assert stack.nic_name(n) == tap.device_name(NWID)
    stack.nic_mtu(n, 1400)
    assert raw.asked[-1] == rtnetlink.link(1, None, 1400)
    stack.nic_remove(n)
    assert raw.closed == [41] and hal.calls[-1] == ("unwatch", 41)


def test_a_device_that_is_there_already_is_refused():
    stack, raw, hal = make()
    raw.taken.append(tap.device_name(NWID))
    assert raised(OSError, stack.nic_add, MAC, 2800, NWID).errno == EBUSY
    assert hal.calls == []


def test_a_device_that_cannot_be_set_up_is_not_kept():
    stack, raw, hal = make()
    raw.refuse[rtnetlink.link(1, MAC, 2800, True)] = 1
    assert raised(OSError, stack.nic_add, MAC, 2800, NWID).errno == 1
    assert raw.closed == [41] and hal.calls == []


def test_the_kernels_own_route_is_not_set_again():
    stack, raw, _ = make()
    n = stack.nic_add(MAC, 2800, NWID)
    stack.nic_addr(n, ONE, 24, True)
    del raw.asked[:]
    stack.nic_route(n, SUBNET, 24, None, True)
    stack.nic_route(n, SUBNET, 24, None, False)
    assert raw.asked == []
    stack.nic_route(n, SUBNET, 16, None, True)
    stack.nic_route(n, NET, 16, TWO, True)
    assert raw.asked == [
        rtnetlink.route(1, SUBNET, 16, None, True),
        rtnetlink.route(1, NET, 16, TWO, True),
    ]


def test_what_went_with_an_address_is_set_again():
    stack, raw, _ = make()
    n = stack.nic_add(MAC, 2800, NWID)
    stack.nic_addr(n, ONE, 24, True)
    stack.nic_addr(n, TWO, 24, True)
    stack.nic_route(n, NET, 16, TWO, True)
    del raw.asked[:]
    stack.nic_addr(n, ONE, 24, False)
    assert raw.asked == [
        rtnetlink.address(1, ONE, 24, False),
        rtnetlink.address(1, TWO, 24, True),
        rtnetlink.route(1, NET, 16, TWO, True),
    ]


def test_the_hosts_own_route_stays():
    stack, raw, _ = make()
    n = stack.nic_add(MAC, 2800, NWID)
    raw.refuse[rtnetlink.route(1, NET, 16, None, True)] = EEXIST
    assert raised(OSError, stack.nic_route, n, NET, 16, None, True).errno == EEXIST
    del raw.asked[:]
    stack.nic_route(n, NET, 16, None, False)
    assert raw.asked == []  # what is not ours is not deleted
    assert not stack.routed(NET)


def test_a_default_route_is_refused_by_name():
    stack, raw, _ = make()
    n = stack.nic_add(MAC, 2800, NWID)
    del raw.asked[:]
    for ip, bits in ((bytes(4), 0), (bytes((128, 0, 0, 0)), 1), (b"\x20" + bytes(15), 3)):
        e = raised(OSError, stack.nic_route, n, ip, bits, TWO if len(ip) == 4 else bytes(16), True)
        assert "allowDefault" in e.args[0]
        stack.nic_route(n, ip, bits, None, False)
    assert raw.asked == [] and not stack.routed(TWO)


def test_frames_of_devices_take_turns():
    stack, raw, _ = make()
    a = stack.nic_add(MAC, 2800, NWID)
    b = stack.nic_add(MAC, 2800, OTHER)
    raw.frames[41] = [b"a" * 60 for _ in range(100)]
    raw.frames[42] = [b"b" * 61 for _ in range(3)]
    buf, meta = bytearray(100), bytearray(8)
    got = []
    while True:
        n = stack.nic_recv(buf, meta)
        if not n:
            break
        assert bytes(buf[:n]) == (b"a" * 60 if meta[0] == a else b"b" * 61)
        got.append(meta[0])
    assert len(got) == 103 and got.count(b) == 3
    assert got.index(b) <= 16


def test_a_deleted_device_is_told_and_a_device_that_is_down_is_not():
    stack, raw, hal = make()
    n = stack.nic_add(MAC, 2800, NWID)
    lost = []
    stack.attach(None, lost.append)
    raw.frames[41] = [EIO]
    assert stack.nic_recv(bytearray(100), bytearray(8)) == 0
    assert lost == []
    raw.frames[41] = [EBADFD]
    assert quiet(stack.nic_recv, bytearray(100), bytearray(8)) == 0
    assert lost == [n] and raw.closed == [41] and hal.calls[-1] == ("unwatch", 41)
    assert stack.nic_recv(bytearray(100), bytearray(8)) == 0
    stack.nic_input(n, b"late")
    assert stack.nic_drops() == 1 and raw.written == []


def test_the_plane_gets_the_devices_and_reads_what_it_knows():
    stack, _, _ = make()
    assert not stack.use_plane()
    raw = PlaneRaw()
    stack = tap.TapStack(WatchedHal(), raw)
    assert stack.use_plane()
    a = stack.nic_add(MAC, 2800, NWID)
    b = stack.nic_add(MAC, 2800, OTHER)
    assert raw.given == {a: 41, b: 42}
    raw.known = [a]
    raw.frames[41] = [b"a" * 60]
    raw.frames[42] = [b"b" * 60]
    buf, meta = bytearray(100), bytearray(8)
    assert stack.nic_recv(buf, meta) == 60 and meta[0] == b
    assert stack.nic_recv(buf, meta) == 0
    raw.known = []
    assert stack.nic_recv(buf, meta) == 60 and meta[0] == a
    stack.nic_remove(a)
    assert raw.given == {a: -1, b: 42}


def test_what_the_plane_found_going_round_is_told_once():
    raw = PlaneRaw()
    stack = tap.TapStack(WatchedHal(), raw)
    stack.use_plane()
    lines = []
    log.set_sink(lines.append)
    try:
        assert stack.stack_poll() == -1
        assert not lines
        raw.looping = 3
        stack.stack_poll()
        stack.stack_poll()
    finally:
        log.set_sink(lambda line: sys.stderr.write(line + "\n"))
    assert len(lines) == 1 and "own packets" in lines[0]


def test_a_frame_the_kernel_does_not_take_is_counted():
    stack, raw, _ = make()
    n = stack.nic_add(MAC, 2800, NWID)
    stack.nic_input(n, b"frame")
    assert raw.written == [(41, b"frame")] and stack.nic_drops() == 0
    raw.write_error = EIO
    stack.nic_input(n, b"frame")
    assert stack.nic_drops() == 1


def test_groups_are_those_of_the_device():
    table = (
        "2    eth0            1     0     333300000001\n"
        "37   ztqblmfysy4aaab 1     0     333300000001\n"
        "37   ztqblmfysy4aaab 2     0     01005e070707\n"
        "38   ztqblmfysy4aaac 1     0     33330000000f\n"
    )
    groups = tap.groups_in(table, "ztqblmfysy4aaab")
    assert groups == [b"\x33\x33\0\0\0\1", b"\x01\x00\x5e\x07\x07\x07"]
    assert tap.groups_in(table, "ztqblmfysy4aaa") == []
    assert tap.groups_in("", "eth0") == []


def test_the_capability_is_read_from_the_effective_set():
    assert tap.may_administer("Name:\tzt\nCapPrm:\t0\nCapEff:\t000001ffffffffff\nCapBnd:\t0\n")
    assert tap.may_administer("CapEff:\t0000000000001000\n")
    assert not tap.may_administer("CapPrm:\t000001ffffffffff\nCapEff:\t000001ffffffefff\n")
    assert not tap.may_administer("")
