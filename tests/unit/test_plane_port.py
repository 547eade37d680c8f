# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The data plane of the unix port over real sockets and the stack in the process: a member that
# this file plays (a UDP socket of the host) pings us and is answered without the interpreter.
# micropython-only: CPython has neither.

import gc
import os
import socket
from array import array

import _needs_stack  # noqa: F401
import _ztplane
from _inet import checksum
from zt import crypto, hal, plane
from zt import mac as macs
from zt._compat import be16, ticks_diff, ticks_ms

A = b"\x11\x22\x33\x44\x55"
B = b"\x66\x77\x88\x99\xaa"
KEY = bytes(range(48))
NWID = bytes.fromhex("8056c2e21c000001")
MAC_A = macs.from_address(A, NWID)
MAC_B = macs.from_address(B, NWID)
IP_A = bytes((10, 77, 0, 1))
IP_B = bytes((10, 77, 0, 2))
LOOP = bytes((127, 0, 0, 1))
BOTH = 3
NAMES = _ztplane.names()


def echo(n, seq=1):
    """An IPv4 echo request from B to A with n bytes."""
    icmp = b"\x08\x00\x00\x00\x12\x34" + be16(seq) + bytes([i & 0xFF for i in range(n)])
    icmp = icmp[:2] + be16(checksum(icmp)) + icmp[4:]
    ip = b"\x45\0" + be16(20 + len(icmp)) + be16(seq) + b"\0\0\x40\x01\0\0" + IP_B + IP_A
    return ip[:10] + be16(checksum(ip)) + ip[12:] + icmp


ARP = b"\0\1\x08\0\6\4\0\1" + MAC_B + IP_B + bytes(6) + IP_A


class World:
    """The plane with one network, one member and its socket."""

    def __init__(self, ttl=6000, flags=BOTH):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(socket.getaddrinfo("127.0.0.1", 0)[0][-1])
        self.sock.settimeout(2)
        self.wire = hal.wire_open(LOOP, 0)
        self.to = socket.getaddrinfo("127.0.0.1", hal.wire_port(self.wire))[0][-1]
        self.nic = hal.nic_add(MAC_A, 2800)
        hal.nic_addr(self.nic, IP_A, 24, True)
        _ztplane.start(A, plane._LIMITS["unix"], hal.random(16))
        # Without multicast: what the stack says of its groups would be events among ours.
        self.index = _ztplane.network_set(NWID, self.nic, 0, 0, 0, b"\x01\x00", b"")
        assert self.index >= 0
        # Its port is not known to Python; what the wire says of a first datagram is.
        self.id = 0
        self.buf = bytearray(10240)
        self.meta = bytearray(40)
        while hal.nic_recv(self.buf, self.meta):
            pass  # what the interface said before the plane knew it
        self.sock.sendto(self.sealed(0x08, b"hello"), self.to)
        assert self.event() == (1, 0)
        self.place = bytes(self.meta[11:30]) + bytes((self.wire,))
        self.set_peer(ttl)
        self.set_member(ttl, flags)

    def set_peer(self, ttl=6000):
        assert _ztplane.peer_set(B, KEY, self.place + self.place + bytes(20), ttl)

    def set_member(self, ttl=6000, flags=BOTH):
        assert _ztplane.member_set(self.index, B, flags, ttl, b"")

    def sealed(self, verb, payload):
        self.id += 1
        p = bytearray(self.id.to_bytes(8, "big") + A + B + bytes(9) + bytes((verb,)) + payload)
        if len(p) > 1432:
            p[18] = 0x40
        crypto.seal(KEY, p, len(p), 1)
        return p

    def frame(self, ethertype, data):
        return self.sealed(0x06, NWID + be16(ethertype) + data)

    def send(self, p):
        self.sock.sendto(p, self.to)

    def event(self):
        """(kind, flags) of the next event, its length in self.n; None if there is none."""
        for _ in range(20):
            _ztplane.drain()
            self.n = _ztplane.event(self.buf, self.meta)
            if self.n >= 0:
                return self.meta[0], self.meta[1]
            hal.wait(10)
        return None

    def receive(self):
        """The next packet B gets, opened; its pieces are put together."""
        hal.wait(20)
        p, _ = self.sock.recvfrom(2000)
        whole = bytearray(p)
        if whole[18] & 0x40:
            more, _ = self.sock.recvfrom(2000)
            assert more[13] == 0xFF and more[14] == 0x21 and more[:8] == p[:8], more[:16]
            assert len(p) == 1432
            whole = bytearray(p + more[16:])
        assert crypto.open(KEY, whole, len(whole))
        return whole

    def known(self):
        """B's MAC is known to the stack."""
        self.send(self.frame(0x0806, ARP))
        assert self.receive()[28:38] == NWID + b"\x08\x06"
        return self

    def counter(self, name):
        out = array("Q", [0] * len(NAMES))
        _ztplane.counters(out)
        return out[NAMES.index(name)]

    def sent(self):
        n = array("Q", [0] * 10)
        assert _ztplane.network_stats(self.index, n)
        return n[2]

    def close(self):
        _ztplane.stop()
        if self.nic is not None:
            hal.nic_remove(self.nic)
        hal.wire_close(self.wire)
        self.sock.close()
        hal.set_pump(None)


def test_a_member_is_answered_by_the_stack_through_the_plane():
    w = World().known()
    for n in (10, 1300, 2700):
        p = w.frame(0x0800, echo(n))
        if len(p) > 1432:
            head = bytes(p[:1432])
            rest = bytes(p[0:8]) + A + b"\xff\x21\x00" + bytes(p[1432:])
            w.send(rest)  # in any order
            w.send(head)
        else:
            w.send(p)
        got = w.receive()
        assert got[27] & 0x1F == 0x06 and got[28:38] == NWID + b"\x08\x00"
        answer = bytes(got[38:])
        assert answer[12:20] == IP_A + IP_B and answer[20] == 0 and len(answer) == 28 + n
        assert answer[28:] == echo(n)[28:]
        assert checksum(answer[20:]) == 0
    assert hal.nic_mac(w.nic, IP_B) == MAC_B
    assert hal.nic_mac(w.nic, IP_A[:3] + b"\x63") is None
    w.close()


def test_frames_cost_the_interpreter_nothing():
    w = World().known()
    calls = array("i", [0])

    def pump():
        calls[0] += 1
        return 6000

    hal.set_pump(pump)
    hal.wait(1)
    packets = [w.frame(0x0800, echo(1300, i)) for i in range(60)]
    for p in packets:
        w.send(p)
    before_calls = calls[0]
    before = w.sent()
    gc.collect()
    gc.disable()
    heap = gc.mem_alloc()
    hal.wait(50)
    hal.wait(50)
    hal.wait(50)
    grown = gc.mem_alloc() - heap
    gc.enable()
    assert w.sent() - before == 60
    assert calls[0] == before_calls, "the interpreter was entered"
    assert grown == 0, grown
    for i in range(60):
        got = bytes(w.receive())
        assert got[-1300:] == echo(1300)[-1300:] and got[64:66] == be16(i), i
    w.close()


def test_a_pump_that_fails_has_a_pause_while_events_wait():
    w = World()
    calls = array("i", [0])

    def failing():
        calls[0] += 1
        raise ValueError("on purpose, by test_plane_port.py")

    hal.set_pump(failing)
    start = ticks_ms()
    w.send(w.sealed(0x08, b"for Python"))
    for _ in range(60):
        hal.wait(1)
    # One to begin with, one for what was asked or came meanwhile, then one each 250 ms.
    assert 1 <= calls[0] <= 3 + ticks_diff(ticks_ms(), start) // 250, calls[0]
    assert w.event() is not None
    w.close()


def test_what_has_expired_goes_to_python():
    w = World(ttl=60)
    start = ticks_ms()
    while ticks_diff(ticks_ms(), start) < 80:
        hal.wait(20)
    w.send(w.frame(0x0800, echo(10)))
    assert w.event() == (1, 0), "an unknown peer's is not opened"
    w.set_peer()
    p = w.frame(0x0800, echo(10))
    w.send(p)
    assert w.event() == (1, 1)
    assert bytes(w.meta[6:11]) == B and bytes(w.buf[28:38]) == NWID + b"\x08\x00"
    assert bytes(w.buf[38 : w.n]) == echo(10)
    w.close()


def test_an_event_longer_than_the_buffer_waits_for_a_longer_one():
    w = World().known()
    for n in (900, 10, 901, 20):
        w.send(w.sealed(0x0A, bytes(n)))
    short = bytearray(500)
    assert w.event() == (1, 1) and w.n == 928
    assert w.event() == (1, 1) and w.n == 38
    for _ in range(3):
        _ztplane.drain()
        hal.wait(10)
        assert _ztplane.event(short, w.meta) == -1 - 929
    whole = bytearray(929)
    assert _ztplane.event(whole, w.meta) == 929 and whole[27] == 0x0A
    assert _ztplane.event(short, w.meta) == 48
    w.send(w.sealed(0x0A, bytes(700)))
    w.send(w.sealed(0x0A, bytes(30)))
    hal.wait(20)
    _ztplane.drain()
    assert _ztplane.event(short, w.meta) == -1 - 728
    _ztplane.event_drop()
    _ztplane.drain()
    assert _ztplane.event(short, w.meta) == 58
    assert _ztplane.event(short, w.meta) == -1
    w.close()


def test_what_was_deleted_or_flushed_goes_to_python():
    for drop in (
        lambda w: _ztplane.peer_del(B),
        lambda w: _ztplane.flush(1, -1),
        lambda w: _ztplane.member_del(w.index, B),
        lambda w: _ztplane.flush(4, w.index),
        lambda w: _ztplane.network_del(w.index),
    ):
        w = World().known()
        drop(w)
        w.send(w.frame(0x0800, echo(10)))
        assert w.event()[0] == 1
        assert not _ztplane.peer_renew(B, 1000) or not _ztplane.member_renew(w.index, B, 1000)
        w.close()


def test_a_revocation_in_the_wire_stops_what_follows_it():
    w = World().known()
    before = w.sent()
    w.send(w.sealed(0x0A, b"whatever the credentials are"))
    for _ in range(5):
        w.send(w.frame(0x0800, echo(10)))
    assert w.event() == (1, 1) and w.buf[27] == 0x0A
    assert w.sent() == before, "a frame was taken before Python saw what came first"
    _ztplane.member_del(w.index, B)
    for _ in range(5):
        assert w.event() == (1, 1) and w.buf[27] == 0x06
    assert w.sent() == before
    w.close()


def test_a_forged_packet_is_counted_and_dropped():
    w = World().known()
    p = w.frame(0x0800, echo(10))
    p[-1] ^= 1
    w.send(p)
    assert w.event() is None
    assert w.counter("mac") == 1
    w.close()


def test_frames_for_a_member_not_sendable_are_events_and_without_a_network_in_the_ring():
    w = World().known()
    w.set_member(6000, 1)
    hal.ping_send(IP_B, 1, 1, b"data")
    assert w.event() == (2, 0)
    assert bytes(w.buf[:14]) == MAC_B + MAC_A + b"\x08\x00"
    assert w.meta[4] == w.index and w.meta[5] == w.nic
    _ztplane.network_del(w.index)
    hal.ping_send(IP_B, 1, 2, b"data")
    assert hal.nic_recv(w.buf, w.meta) == 14 + 20 + 8 + 4
    w.close()


def test_ages_and_counts_can_be_read():
    w = World().known()
    w.send(w.frame(0x0800, echo(10)))
    w.receive()
    s = array("Q", [0] * 9)
    assert _ztplane.peer_stats(B, s)
    assert s[0] == 2 and s[2] == 2
    assert s[4] < 5000 and s[5] < 5000 and s[6] < 5000 and s[7] < 5000
    assert s[8] == 0xFFFFFFFF
    n = array("Q", [0] * 10)
    assert _ztplane.network_stats(w.index, n)
    assert n[0] == 2 and n[2] == 2 and n[1] == n[3] == 28 + 38
    assert not _ztplane.peer_stats(A, s)
    w.close()


def test_a_burst_beyond_the_blocks_is_copied_and_none_is_lost():
    # Datagrams that the stack keeps: a UDP socket nobody reads, so that all blocks are held.
    import lwip

    w = World().known()
    s = lwip.socket(lwip.AF_INET, lwip.SOCK_DGRAM)
    s.bind(("0.0.0.0", 7777))
    s.settimeout(2)

    def udp(i):
        body = be16(1000) + be16(7777) + be16(8 + 1200) + b"\0\0" + be16(i) * 600
        ip = b"\x45\0" + be16(20 + len(body)) + be16(i) + b"\0\0\x40\x11\0\0" + IP_B + IP_A
        return ip[:10] + be16(checksum(ip)) + ip[12:] + body

    for i in range(60):
        w.send(w.frame(0x0800, udp(i)))
        if i % 4 == 3:
            hal.wait(5)
    hal.wait(20)
    for i in range(60):
        data, _ = s.recvfrom(2000)
        assert data == be16(i) * 600, i
    s.close()
    w.known()
    w.close()


def test_without_offloads_of_the_kernel_the_same_goes_datagram_by_datagram():
    messages = {}
    for word in ("0", "1"):
        os.putenv("ZT_UDP_OFFLOAD", word)
        w = World().known()
        before = w.counter("tx_messages"), w.counter("rx_messages"), w.counter("rx_datagrams")
        for i in range(8):
            p = w.frame(0x0800, echo(2700, i))
            w.send(p[:1432])
            w.send(bytes(p[0:8]) + A + b"\xff\x21\x00" + bytes(p[1432:]))
            assert w.receive()[66:] == echo(2700, i)[28:], i
        for i in range(8):
            w.send(w.frame(0x0800, echo(100, i)))
        for i in range(8):
            assert w.receive()[66:] == echo(100, i)[28:], i
        messages[word] = w.counter("tx_messages") - before[0]
        received = w.counter("rx_messages") - before[1]
        assert w.counter("rx_datagrams") - before[2] == 24
        assert received == 24 or word == "1"
        w.close()
    # Eight of two pieces and a run of eight: 24 messages, or 8 and a few.
    assert messages["0"] == 24 and 9 <= messages["1"] <= 16, messages


def test_credentials_as_python_packs_them_are_taken_and_judged():
    from zt import planesync
    from zt.credential import Ownership

    coo = Ownership(NWID, bytes(8), 1, [(2, IP_B + bytes(12)), (1, MAC_B + bytes(10))], B)

    class Capability:
        rules = b"\x01\x00"

    packed = planesync.pack_credentials({7: 1, 3: 2}, [Capability], [coo])
    w = World().known()
    # Drop what comes from a member whose tag 7 is not 5 (match 49, the sender's tag, inverted).
    rules = b"\xb1\x08" + b"\0\0\0\7" + b"\0\0\0\5" + b"\0\0" + b"\x01\x00"
    w.index = _ztplane.network_set(NWID, w.nic, 0, 0, 0, rules, packed)
    assert w.index >= 0
    n = array("Q", [0] * 10)
    for value, taken in ((1, 0), (5, 1)):
        assert _ztplane.network_stats(w.index, n)
        before = n[0]
        own = planesync.pack_credentials({7: value, 3: 2}, [], [coo])
        assert _ztplane.member_set(w.index, B, BOTH, 6000, own)
        w.send(w.frame(0x0800, echo(10)))
        hal.wait(20)
        assert _ztplane.network_stats(w.index, n)
        assert n[0] - before == taken, value
    assert not _ztplane.member_set(w.index, B, BOTH, 6000, packed[:-1]), "cut short"
    w.close()
