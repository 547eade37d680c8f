# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What a frame costs the interpreter, on the unix port with the stack in the process: nothing, in
# and out, for UDP and TCP, in pieces, compressed, broadcast. The interpreter's heap must not grow
# by a byte and its pump must not be called while the frames go through.
# micropython-only: CPython has neither plane nor stack.

import gc
from array import array

import _needs_stack  # noqa: F401
import _ztplane
import lwip
from _inet import checksum
from test_plane_port import ARP, IP_A, IP_B, KEY, NWID, B, World, echo
from zt import crypto, hal
from zt._compat import be16, ticks_diff, ticks_ms

COUNT = 20
ALL = b"\xff" * 6
UDP_PORT = 7070
TCP_PORT = 7071


class Measured:
    """A world whose pump only counts, so that what Python is needed for shows."""

    def __init__(self):
        self.w = World()
        self.w.known()
        self.calls = array("i", [0])
        hal.set_pump(self.pump)
        hal.wait(1)

    def pump(self):
        self.calls[0] += 1
        return 6000

    def costs_nothing(self, packets, act=None):
        """Send these datagrams to the node and let it work; act() is called in between."""
        for p in packets:
            self.w.send(p)
        calls = self.calls[0]
        gc.collect()
        gc.disable()
        heap = gc.mem_alloc()
        hal.wait(30)
        if act:
            act()
        hal.wait(30)
        hal.wait(30)
        grown = gc.mem_alloc() - heap
        gc.enable()
        assert grown == 0, grown
        assert self.calls[0] == calls, "the interpreter was entered"

    def frames(self):
        n = array("Q", [0] * 10)
        assert _ztplane.network_stats(self.w.index, n)
        return n[0], n[2]

    def answers(self, count):
        """As many packets of the node, opened, whole."""
        return [bytes(self.w.receive()) for _ in range(count)]

    def segment(self, n):
        """The next n bytes of TCP; acknowledgements alone are passed over."""
        while True:
            got = bytes(self.w.receive())
            assert got[47] == 6
            if len(got) > 38 + 20 + 20:
                assert len(got) == 78 + n
                return got[78:]


def ip(proto, body, ident=1, to=IP_A):
    head = b"\x45\0" + be16(20 + len(body)) + be16(ident) + b"\0\0\x40" + bytes((proto,))
    head = head + b"\0\0" + IP_B + to
    return head[:10] + be16(checksum(head)) + head[12:] + body


def udp(n, i, port=UDP_PORT, to=IP_A):
    body = bytes((i & 0xFF,)) * n
    return ip(17, be16(4000) + be16(port) + be16(8 + n) + b"\0\0" + body, i, to)


def tcp(seq, ack, flags, data=b""):
    head = be16(4001) + be16(TCP_PORT) + seq.to_bytes(4, "big") + ack.to_bytes(4, "big")
    head = head + bytes((0x50, flags)) + be16(60000) + b"\0\0\0\0"
    pseudo = IP_B + IP_A + b"\0\6" + be16(len(head) + len(data))
    head = head[:16] + be16(checksum(pseudo + head + data)) + head[18:]
    return ip(6, head + data, seq & 0xFFFF)


def in_pieces(p):
    """The datagrams of a sealed packet, head last."""
    if len(p) <= 1432:
        return [p]
    rest = bytes(p[0:8]) + bytes(p[8:13]) + b"\xff\x21\x00" + bytes(p[1432:])
    return [rest, bytes(p[:1432])]


def literals(data):
    """An LZ4 block of literals only."""
    n = len(data) - 15
    return b"\xf0" + b"\xff" * (n // 255) + bytes((n % 255,)) + data


def test_echoes_whole_and_in_pieces():
    m = Measured()
    for n in (100, 1300, 2700):
        packets = [m.w.frame(0x0800, echo(n, i)) for i in range(COUNT)]
        before = m.frames()
        m.costs_nothing([d for p in packets for d in in_pieces(p)])
        after = m.frames()
        assert after[0] - before[0] == COUNT and after[1] - before[1] == COUNT, n
        for i, got in enumerate(m.answers(COUNT)):
            assert got[28:38] == NWID + b"\x08\x00" and got[-n:] == echo(n, i)[-n:], i
    m.w.close()


def test_compressed_frames():
    m = Measured()
    packets = [m.w.sealed(0x86, literals(NWID + b"\x08\x00" + echo(900, i))) for i in range(COUNT)]
    before = m.frames()
    m.costs_nothing(packets)
    assert m.frames()[0] - before[0] == COUNT
    for i, got in enumerate(m.answers(COUNT)):
        assert got[-900:] == echo(900, i)[-900:], i
    m.w.close()


def test_broadcasts_in_and_out():
    m = Measured()
    # With broadcasts allowed, and a group that B is in; once the stack has said what groups it is
    # in itself (twice within 0.5 s), which would be Python's.
    start = ticks_ms()
    while ticks_diff(ticks_ms(), start) < 700:
        hal.wait(50)
    m.w.index = _ztplane.network_set(NWID, m.w.nic, 2, 8, 0, b"\x01\x00", b"")
    m.w.set_member()
    assert _ztplane.group_set(m.w.index, ALL + bytes(4), 0, 6000, B)
    request = NWID + b"\0" + ALL + IP_A + b"\x08\x06" + ARP  # the address asked for is the group's
    packets = [m.w.sealed(0x0E, request) for _ in range(COUNT)]
    before = m.frames()
    m.costs_nothing(packets)
    after = m.frames()
    assert after[0] - before[0] == COUNT and after[1] - before[1] == COUNT
    for got in m.answers(COUNT):
        assert got[27] & 0x1F == 6 and got[36:38] == b"\x08\x06" and got[44:46] == b"\0\2"
    # Out: a datagram to everybody.
    s = lwip.socket(lwip.AF_INET, lwip.SOCK_DGRAM)
    s.setsockopt(lwip.SOL_SOCKET, getattr(lwip, "SO_BROADCAST", 0x20), 1)
    to = lwip.getaddrinfo("10.77.0.255", UDP_PORT)[0][-1]
    data = bytes(200)

    def send():
        for _ in range(COUNT):
            s.sendto(data, to)

    before = m.frames()
    m.costs_nothing([], send)
    assert m.frames()[1] - before[1] == COUNT
    for got in m.answers(COUNT):
        assert got[27] & 0x1F == 0x0E and got[37:43] == ALL and got[-200:] == data
    s.close()
    m.w.close()


def test_udp_in_and_out_whole_and_in_pieces():
    m = Measured()
    s = lwip.socket(lwip.AF_INET, lwip.SOCK_DGRAM)
    s.bind(("0.0.0.0", UDP_PORT))
    s.settimeout(1)
    to = lwip.getaddrinfo("10.77.0.2", 4000)[0][-1]
    for n in (64, 1200, 2600):
        data = bytes(n)

        def send(data=data):
            for _ in range(COUNT):
                s.sendto(data, to)

        # lwIP keeps a bounded number of datagrams for a socket; none of them is Python's yet.
        packets = [m.w.frame(0x0800, udp(n, i)) for i in range(4)]
        before = m.frames()
        m.costs_nothing([d for p in packets for d in in_pieces(p)], send)
        after = m.frames()
        assert after[0] - before[0] == 4 and after[1] - before[1] == COUNT, (before, after)
        for i in range(4):
            assert s.recvfrom(3000)[0] == bytes((i,)) * n
        for got in m.answers(COUNT):
            assert got[47] == 17 and got[-n:] == data
    s.close()
    m.w.close()


def test_a_tcp_connection_in_both_directions():
    m = Measured()
    server = lwip.socket()
    server.setsockopt(lwip.SOL_SOCKET, lwip.SO_REUSEADDR, 1)
    server.bind(("0.0.0.0", TCP_PORT))
    server.listen(1)
    m.w.send(m.w.frame(0x0800, tcp(1000, 0, 0x02)))
    got = m.w.receive()
    assert got[47] == 6 and got[71] & 0x12 == 0x12, bytes(got[38:])
    theirs = int.from_bytes(got[62:66], "big") + 1
    m.w.send(m.w.frame(0x0800, tcp(1001, theirs, 0x10)))
    hal.wait(20)
    s, _ = server.accept()
    s.settimeout(2)
    seq = 1001
    data = bytes([i & 0xFF for i in range(2000)])
    into = bytearray(4000)
    # In: segments in pieces, each acknowledged by the stack.
    packets = []
    for _ in range(COUNT):
        packets.append(m.w.frame(0x0800, tcp(seq, theirs, 0x18, data)))
        seq += len(data)
    before = m.frames()
    m.costs_nothing([d for p in packets for d in in_pieces(p)])
    assert m.frames()[0] - before[0] == COUNT and m.frames()[1] > before[1]
    taken = b""
    while len(taken) < COUNT * 2000:
        n = s.readinto(into)
        taken += bytes(into[:n])
    assert taken == data * COUNT
    m.w.sock.settimeout(0)
    acknowledged = 0
    try:
        while True:
            p = bytearray(m.w.sock.recvfrom(2000)[0])
            assert crypto.open(KEY, p, len(p))
            acknowledged = int.from_bytes(p[66:70], "big")
    except OSError:
        pass
    assert acknowledged == seq
    m.w.sock.settimeout(2)
    # Out: a full segment, and what follows it when it is acknowledged.
    sent = m.frames()[1]
    room = bytes(500)

    def send():
        s.write(room)

    m.costs_nothing([], send)
    assert m.segment(500) == room and m.frames()[1] > sent
    theirs += 500
    m.costs_nothing([m.w.frame(0x0800, tcp(seq, theirs, 0x10))], send)
    assert m.segment(500) == room
    m.w.send(m.w.frame(0x0800, tcp(seq, theirs + 500, 0x14)))  # reset
    hal.wait(20)
    s.close()
    server.close()
    m.w.close()
