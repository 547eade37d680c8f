# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# TAP devices in the data plane of the unix port. The device is a connected UDP socket, whose reads
# and writes are whole frames too; the member on the wire is the one of test_plane_port.py. With a
# kernel's devices it is tests/interop/test_tap.py.
# micropython-only: CPython has no plane.

import gc
import socket
from array import array

import _needs_stack  # noqa: F401
import _ztplane
import _zttap
import test_plane_port
from test_plane_port import IP_A, IP_B, LOOP, MAC_A, MAC_B, NWID, echo
from zt import hal
from zt._compat import be16

NIC = 20  # beyond those of the stack in the process


def pair():
    """Two sockets of which each hears the other only."""
    a, b = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    hal_port = []
    for s in (a, b):
        h = hal.wire_open(LOOP, 0)
        hal_port.append(hal.wire_port(h))
        hal.wire_close(h)
        s.bind(socket.getaddrinfo("127.0.0.1", hal_port[-1])[0][-1])
    a.connect(socket.getaddrinfo("127.0.0.1", hal_port[1])[0][-1])
    b.connect(socket.getaddrinfo("127.0.0.1", hal_port[0])[0][-1])
    a.setblocking(False)
    b.settimeout(2)
    return a, b


class World(test_plane_port.World):
    """The same with a device in the place of the stack: what the host says goes into `host`."""

    def __init__(self, flags=test_plane_port.BOTH):
        super().__init__(flags=flags)
        _ztplane.network_del(self.index)
        hal.nic_remove(self.nic)
        self.nic = None
        while hal.nic_recv(self.buf, self.meta):
            pass  # what it said in the end
        self.device, self.host = pair()
        self.fd = self.device.fileno()
        hal.watch(self.fd)
        assert _zttap.give(NIC, self.fd) == 0
        self.index = _ztplane.network_set(NWID, NIC, 0, 0, 0, b"\x01\x00", b"")
        assert self.index >= 0
        self.set_member(flags=flags)

    def say(self, frame):
        """The host sends."""
        self.host.send(frame)

    def close(self):
        _zttap.give(NIC, -1)
        hal.unwatch(self.fd)
        self.device.close()
        self.host.close()
        super().close()


def ip_frame(data, kind=b"\x08\x00"):
    return MAC_B + MAC_A + kind + data


def test_frames_go_both_ways():
    w = World()
    for n in (1, 60, 1400, 2700):
        data = bytes([i & 0xFF for i in range(n)])
        w.say(ip_frame(data))
        got = w.receive()
        assert got[27] & 0x1F == 0x06 and bytes(got[28:]) == NWID + b"\x08\x00" + data, n
    data = echo(1300)
    w.send(w.frame(0x0800, data))
    hal.wait(20)
    assert w.host.recv(4000) == MAC_A + MAC_B + b"\x08\x00" + data
    assert w.counter("tap_reads") >= 4 and w.counter("tap_writes") >= 1
    w.close()


def test_frames_cost_the_interpreter_nothing():
    w = World()
    calls = array("i", [0])

    def pump():
        calls[0] += 1
        return 6000

    hal.set_pump(pump)
    hal.wait(1)
    packets = [w.frame(0x0800, echo(1300, i)) for i in range(40)]
    frames = [ip_frame(echo(1300, i)) for i in range(40)]
    before = w.sent()
    gc.collect()
    gc.disable()
    heap = gc.mem_alloc()
    before_calls = calls[0]
    for i in range(40):
        w.send(packets[i])
        w.say(frames[i])
    sending = gc.mem_alloc()
    hal.wait(50)
    hal.wait(50)
    hal.wait(50)
    grown = gc.mem_alloc() - sending
    gc.enable()
    assert w.sent() - before == 40
    assert calls[0] == before_calls, "the interpreter was entered"
    assert grown == 0, (heap, sending, grown)
    for i in range(40):
        assert w.host.recv(4000)[14:] == echo(1300, i), i
        assert bytes(w.receive())[38:] == echo(1300, i), i
    w.close()


def test_a_tag_stays_in_the_frame():
    w = World()
    tagged = b"\x00\x05\x08\x00" + echo(20)
    w.say(ip_frame(tagged, b"\x81\x00"))
    assert bytes(w.receive()[28:]) == NWID + b"\x81\x00" + tagged
    w.send(w.frame(0x8100, tagged))
    hal.wait(20)
    assert w.host.recv(4000) == MAC_A + MAC_B + b"\x81\x00" + tagged
    w.close()


def test_frames_too_long_or_too_short_are_counted():
    w = World()
    long, short = w.counter("frame_long"), w.counter("frame_short")
    w.say(ip_frame(bytes(10100)))
    w.say(ip_frame(bytes(20000)))
    w.say(bytes(13))
    w.say(ip_frame(b"last"))
    assert bytes(w.receive()[38:]) == b"last"
    assert w.counter("frame_long") == long + 2 and w.counter("frame_short") == short + 1
    w.close()


def test_what_a_device_does_not_take_is_counted():
    w = World()
    refused, written = w.counter("tap_refused"), w.counter("tap_writes")
    lost = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # knows nobody to write to
    hal.watch(lost.fileno())
    assert _zttap.give(NIC, lost.fileno()) == 0
    for i in range(3):
        w.send(w.frame(0x0800, echo(10, i)))
        hal.wait(20)
    assert w.counter("tap_refused") == refused + 3 and w.counter("tap_writes") == written
    hal.unwatch(lost.fileno())
    lost.close()
    w.close()


def test_a_device_whose_network_is_not_in_the_plane_is_pythons():
    w = World()
    assert _zttap.held(NIC) and not _zttap.held(NIC + 1)
    _ztplane.network_del(w.index)
    assert not _zttap.held(NIC)
    calls = array("i", [0])
    buf = bytearray(4000)
    got = []

    def pump():
        calls[0] += 1
        n = _zttap.read(w.fd, buf)
        if n:
            got.append(bytes(buf[:n]))
        return 6000

    hal.set_pump(pump)
    hal.wait(1)
    w.say(ip_frame(b"one"))
    w.say(ip_frame(b"two"))
    hal.wait(20)
    hal.wait(20)
    assert got == [ip_frame(b"one"), ip_frame(b"two")]
    before = calls[0]
    hal.wait(30)
    assert calls[0] - before <= 1, "nothing left and yet awake"
    # What Python writes meanwhile goes to the device.
    assert _zttap.write(w.fd, ip_frame(b"three")) == 0
    assert w.host.recv(100) == ip_frame(b"three")
    w.close()


def test_a_frame_for_a_stranger_is_an_event_and_those_behind_it_wait():
    w = World(flags=1)
    for i in range(3):
        w.say(ip_frame(be16(i)))
    assert w.event() == (2, 0)
    assert bytes(w.buf[: w.n]) == ip_frame(be16(0)) and w.meta[5] == NIC
    w.set_member()
    for i in range(1, 3):
        assert bytes(w.receive()[38:]) == be16(i)
    assert w.event() is None
    w.close()


def udp(source, port):
    v4 = len(source) == 4
    head = b"\x45" + bytes(8) + b"\x11" + bytes(2) if v4 else b"\x60" + bytes(5) + b"\x11\x40"
    body = head + source + bytes(len(source)) + be16(port) + bytes(6)
    return ip_frame(body, b"\x08\x00" if v4 else b"\x86\xdd")


def test_the_nodes_own_packets_are_not_carried():
    w = World()
    port = hal.wire_port(w.wire)
    looped = _zttap.looped()
    own = udp(LOOP, port)
    for _ in range(5):
        w.say(own)
    others = [udp(LOOP, port ^ 1), udp(IP_A, port), udp(b"\xfd" + bytes(15), port), own[:41]]
    for f in others:
        w.say(f)
    for f in others:
        assert bytes(w.receive()[38:]) == f[14:]
    assert _zttap.looped() - looped == 5 and w.counter("tap_looped") == _zttap.looped()
    # One that is bound to any address: all of its port.
    any_wire = hal.wire_open(bytes(4), 0)
    w.say(udp(IP_B, hal.wire_port(any_wire)))
    w.say(ip_frame(b"last"))
    assert bytes(w.receive()[38:]) == b"last"
    assert _zttap.looped() - looped == 6
    hal.wire_close(any_wire)
    w.close()


def test_what_is_only_watched_gives_python_a_turn():
    w = World()
    a, b = pair()
    hal.watch(a.fileno())
    buf = bytearray(100)
    turns = []

    def pump():
        turns.append(_zttap.read(a.fileno(), buf))
        return 6000

    hal.set_pump(pump)
    hal.wait(1)
    del turns[:]
    b.send(b"hello")
    hal.wait(20)
    hal.wait(20)
    assert 5 in turns and len(turns) < 4, turns
    hal.unwatch(a.fileno())
    b.send(b"hello")
    del turns[:]
    hal.wait(20)
    assert turns == []
    a.close()
    b.close()
    w.close()


def test_more_descriptors_than_are_slept_on_one_by_one():
    w = World()
    wires = [hal.wire_open(LOOP, 0) for _ in range(20)]
    w.say(ip_frame(b"many"))
    assert bytes(w.receive()[38:]) == b"many"
    for h in wires:
        hal.wire_close(h)
    w.say(ip_frame(b"few"))
    assert bytes(w.receive()[38:]) == b"few"
    w.close()
    w = World()
    w.say(ip_frame(b"again"))
    assert bytes(w.receive()[38:]) == b"again"
    w.close()


def test_a_device_is_given_and_taken():
    w = World()
    assert _zttap.give(64, w.fd) != 0 and _zttap.give(-1, w.fd) != 0
    assert _zttap.give(NIC, -1) == 0 and not _zttap.held(NIC)
    w.say(ip_frame(b"not read"))
    assert w.event() is None
    buf = bytearray(100)
    assert _zttap.read(w.fd, buf) == 14 + 8
    assert _zttap.give(NIC, w.fd) == 0 and _zttap.held(NIC)
    w.say(ip_frame(b"read"))
    assert bytes(w.receive()[38:]) == b"read"
    w.close()
