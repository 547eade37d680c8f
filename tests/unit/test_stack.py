# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Sockets of the stack in the process, over an interface whose frames pass through a pump in
# Python.
# micropython-only: CPython has no stack of ours.

import errno
import gc
import time

import _needs_stack  # noqa: F401
import lwip
from _inet import checksum
from _mirror import FAR, FAR4, FAR6, MAC, Mirror
from _raised import raised
from zt import hal

PORT = 8080


def tcp_pair(host, listen_on):
    server = lwip.socket(lwip.AF_INET, lwip.SOCK_STREAM)
    server.setsockopt(lwip.SOL_SOCKET, lwip.SO_REUSEADDR, 1)
    server.bind((listen_on, PORT))
    server.listen(2)
    client = lwip.socket(lwip.AF_INET, lwip.SOCK_STREAM)
    client.settimeout(20)
    client.connect((host, PORT))
    server.settimeout(20)
    peer, address = server.accept()
    peer.settimeout(20)
    return server, client, peer, address


def close(*sockets):
    for s in sockets:
        s.close()
    hal.wait(20)


def exchange(client, peer):
    """1,400-byte pieces and a longer one, both ways; all bytes compared."""
    piece = bytes([i & 0xFF for i in range(1400)])
    for sender, receiver in ((client, peer), (peer, client)):
        sender.setsockopt(lwip.IPPROTO_TCP, lwip.TCP_NODELAY, 1)
        for _ in range(40):
            sender.sendall(piece)
            got = b""
            while len(got) < len(piece):
                got += receiver.recv(4096)
            assert got == piece
        long = piece * 30
        sender.sendall(long)
        got = b""
        while len(got) < len(long):
            got += receiver.recv(10000)
        assert got == long


def test_tcp_over_ipv4_and_ipv6():
    mirror = Mirror()
    for host, listen_on in (
        ("10.9.0.77", "0.0.0.0"),
        ("fd00::77", "::"),
        ("fd00::77", ""),
        ("10.9.0.77", ""),
        ("10.9.0.77", "10.9.0.1"),
        ("fd00::77", "fd00::1"),
    ):
        server, client, peer, address = tcp_pair(host, listen_on)
        assert address[0].lower() == host, address
        exchange(client, peer)
        client.close()
        assert peer.recv(1) == b""
        close(peer, server)
    assert FAR4 in mirror.asked and FAR6 in mirror.asked
    mirror.close()


def test_a_connection_refused_says_so():
    mirror = Mirror()
    for host in ("10.9.0.77", "fd00::77"):
        s = lwip.socket()
        s.settimeout(20)
        e = raised(OSError, s.connect, (host, 9))
        assert e.errno in (errno.ECONNREFUSED, errno.ECONNRESET), e.errno
        s.close()
    mirror.close()


def test_a_connection_to_nowhere_times_out():
    mirror = Mirror(pass_on=False)
    s = lwip.socket()
    s.settimeout(0.2)
    assert raised(OSError, s.connect, ("10.9.0.77", PORT)).errno == errno.ETIMEDOUT
    s.close()
    s = lwip.socket()
    e = raised(OSError, s.connect, ("192.0.2.1", PORT))
    assert e.errno == errno.EHOSTUNREACH
    s.close()
    mirror.close()


def test_udp_over_ipv4_and_ipv6_and_a_burst_is_queued():
    mirror = Mirror()
    for host, bind in (("10.9.0.77", "0.0.0.0"), ("fd00::77", "::"), ("fd00::77", "")):
        a = lwip.socket(lwip.AF_INET, lwip.SOCK_DGRAM)
        b = lwip.socket(lwip.AF_INET, lwip.SOCK_DGRAM)
        b.bind((bind, 5353))
        b.settimeout(20)
        for i in range(20):
            a.sendto(bytes([i]) * 2700, (host, 5353))
        for i in range(20):
            data, source = b.recvfrom(3000)
            assert data == bytes([i]) * 2700
            assert source[0].lower() == host
        b.settimeout(0)
        assert raised(OSError, b.recv, 1).errno == errno.EAGAIN
        close(a, b)
    mirror.close()


def test_a_socket_bound_to_nothing_hears_both_families():
    mirror = Mirror()
    b = lwip.socket(lwip.AF_INET, lwip.SOCK_DGRAM)
    b.bind(("", 5354))
    b.settimeout(20)
    a = lwip.socket(lwip.AF_INET, lwip.SOCK_DGRAM)
    for host in ("10.9.0.77", "fd00::77"):
        a.sendto(host.encode(), (host, 5354))
        assert b.recv(100) == host.encode()
    close(a, b)
    mirror.close()


def test_datagrams_beyond_the_mtu_are_cut_and_joined():
    mirror = Mirror(mtu=1400)
    for host in ("10.9.0.77", "fd00::77"):
        a = lwip.socket(lwip.AF_INET, lwip.SOCK_DGRAM)
        b = lwip.socket(lwip.AF_INET, lwip.SOCK_DGRAM)
        b.bind(("", 5355))
        b.settimeout(20)
        data = bytes([i & 0xFF for i in range(8000)])
        a.sendto(data, (host, 5355))
        assert b.recv(9000) == data
        close(a, b)
    assert max(mirror.sizes) <= 1414, mirror.sizes
    mirror.close()


def test_the_mtu_is_used_whole_and_can_be_changed():
    mirror = Mirror(mtu=2800)
    server, client, peer, _ = tcp_pair("10.9.0.77", "")
    client.sendall(bytes(20000))
    got = 0
    while got < 20000:
        got += len(peer.recv(4096))
    assert max(mirror.sizes) == 2814
    close(client, peer, server)
    hal.nic_mtu(mirror.n, 1500)
    mirror.sizes.clear()
    server, client, peer, _ = tcp_pair("fd00::77", "")
    client.sendall(bytes(20000))
    got = 0
    while got < 20000:
        got += len(peer.recv(4096))
    assert 1400 < max(mirror.sizes) <= 1514
    close(client, peer, server)
    raised(ValueError, hal.nic_mtu, mirror.n, 100)
    raised(ValueError, hal.nic_mtu, mirror.n, 20000)
    mirror.close()


def test_ping_comes_back():
    mirror = Mirror()
    buf = bytearray(2000)
    while hal.ping_recv(buf):
        pass  # of other tests
    for ip in (FAR4, FAR6):
        assert hal.ping_recv(buf) is None
        payload = bytes([i & 0xFF for i in range(1000)])
        hal.ping_send(ip, 0x1234, 0xFFFE, payload)
        for _ in range(100):
            reply = hal.ping_recv(buf)
            if reply:
                break
            hal.wait(10)
        # The mirror sent our request back: we answer it, and that answer comes back too.
        assert reply == (ip, 0x1234, 0xFFFE, 1000)
        assert bytes(buf[:1000]) == payload
    nowhere = b"\xc0\x00\x02\x01"
    assert raised(OSError, hal.ping_send, nowhere, 1, 1, b"").errno == errno.EHOSTUNREACH
    raised(ValueError, hal.ping_send, b"\xc0\x00", 1, 1, b"")
    mirror.close()


def test_a_full_ring_drops_and_counts():
    mirror = Mirror()
    hal.set_pump(None)
    s = lwip.socket(lwip.AF_INET, lwip.SOCK_DGRAM)
    s.setsockopt(lwip.SOL_SOCKET, lwip.SO_BROADCAST, 1)
    before = hal.nic_drops()
    sent = 0
    for _ in range(200):
        try:
            s.sendto(bytes(2700), ("10.9.0.255", 9))
            sent += 1
        except OSError as e:
            assert e.errno == errno.ENOMEM
    assert hal.nic_drops() - before == 200 - sent > 0
    got = 0
    while True:
        n = hal.nic_recv(mirror.buf, mirror.meta)
        if not n:
            break
        got += n == 2742
    assert got == sent
    raised(ValueError, hal.nic_recv, mirror.buf, bytearray(0))
    close(s)
    mirror.close()


def test_a_blocked_socket_sleeps():
    mirror = Mirror()
    b = lwip.socket(lwip.AF_INET, lwip.SOCK_DGRAM)
    b.bind(("", 5356))
    hal.wait(600)  # until the multicast reports of a new interface are out
    mirror.calls = 0
    b.settimeout(0.5)
    assert raised(OSError, b.recv, 1).errno == errno.ETIMEDOUT
    # One turn or two, and lwIP's one-second tick; polling would be hundreds.
    assert mirror.calls <= 6, mirror.calls
    mirror.calls = 0
    time.sleep_ms(300)
    time.sleep(0.3)
    assert mirror.calls <= 10, mirror.calls
    assert mirror.calls >= 2
    close(b)
    mirror.close()


def test_a_turn_of_the_pump_allocates_nothing():
    mirror = Mirror()
    hal.wait(1)
    recv, poll, buf, meta = hal.nic_recv, hal.stack_poll, mirror.buf, mirror.meta

    def turns():
        for _ in range(100):
            recv(buf, meta)
            poll()

    turns()
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    turns()
    grown = gc.mem_alloc() - before
    gc.enable()
    assert grown == 0
    mirror.close()


def test_half_a_close_still_reads():
    mirror = Mirror()
    server, client, peer, _ = tcp_pair("10.9.0.77", "")
    client.sendall(b"question")
    hal.shutdown(client)
    assert peer.recv(100) == b"question"
    assert peer.recv(100) == b""
    peer.sendall(b"answer")
    assert client.recv(100) == b"answer"
    peer.close()
    assert client.recv(100) == b""
    close(client, server)
    raised(TypeError, hal.shutdown, 5)
    raised(OSError, hal.shutdown, lwip.socket())
    mirror.close()


def test_loopback_needs_no_interface():
    for host in ("127.0.0.1", "::1"):
        server, client, peer, _ = tcp_pair(host, "")
        exchange(client, peer)
        close(client, peer, server)


def test_names_that_are_addresses_need_no_server():
    assert lwip.getaddrinfo("10.1.2.3", 80)[0][-1] == ("10.1.2.3", 80)
    assert lwip.getaddrinfo("fd00::1", 80)[0][-1][0].lower() == "fd00::1"


def test_dns_asks_the_server_of_the_network():
    mirror = Mirror(pass_on=False)
    hal.nic_dns("example.org", [FAR4])
    answer = []
    original = mirror.answer

    def reply(f):
        if (f[12] << 8 | f[13]) == 0x800 and f[23] == 17 and f[37] == 53:
            n = len(f)
            query = bytes(f[42:n])
            body = query[:2] + b"\x81\x80" + query[4:6] + b"\x00\x01\x00\x00\x00\x00" + query[12:]
            body += b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04" + bytes([10, 9, 0, 33])
            answer.append(query)
            udp = bytes(f[36:38]) + bytes(f[34:36]) + (8 + len(body)).to_bytes(2, "big") + b"\0\0"
            head = bytearray(f[14:34])
            head[2:4] = (28 + len(body)).to_bytes(2, "big")
            head[10:12] = b"\0\0"
            head[12:16], head[16:20] = bytes(f[30:34]), bytes(f[26:30])
            head[10:12] = checksum(head).to_bytes(2, "big")
            return MAC + FAR + b"\x08\x00" + bytes(head) + udp + body
        return original(f)

    mirror.answer = reply
    assert lwip.getaddrinfo("host.example.org", 80)[0][-1] == ("10.9.0.33", 80)
    assert len(answer) == 1 and b"\x04host\x07example\x03org\x00" in answer[0]
    hal.nic_dns("", [])
    mirror.close()


def test_sockets_of_the_host_and_of_the_stack_are_waited_for_together():
    import select
    import socket

    hal.set_pump(None)
    p = select.poll()
    host = []
    ours = []
    for i in range(40):  # the array of descriptors grows and moves several times
        h = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        h.bind(socket.getaddrinfo("127.0.0.1", 0)[0][-1])
        s = lwip.socket(lwip.AF_INET, lwip.SOCK_DGRAM) if i % 4 == 0 else None
        for x in (h, s) if i % 8 else (s, h):
            if x is not None:
                p.register(x, select.POLLIN)
        host.append(h)
        ours += [s] if s is not None else []
    assert p.poll(0) == []
    ours[3].bind(("127.0.0.1", 4000))
    ours[4].sendto(b"x", ("127.0.0.1", 4000))
    for h in host[10:]:
        p.modify(h, select.POLLOUT)
    ready = [e[0] for e in p.poll(50)]
    assert ours[3] in ready and len(ready) == 31, len(ready)
    for x in host + ours:
        p.unregister(x)
        x.close()
    assert p.poll(0) == []


def test_a_peer_that_takes_nothing_does_not_hold_a_caller_that_cannot_wait():
    import select
    import time

    mirror = Mirror()
    server = lwip.socket()
    server.setsockopt(lwip.SOL_SOCKET, lwip.SO_REUSEADDR, 1)
    server.bind(("", 8081))
    server.listen(1)
    client = lwip.socket()
    client.connect(("10.9.0.77", 8081))
    peer, _ = server.accept()
    hal.wait(50)
    hal.set_pump(None)  # nothing is acknowledged from here on
    client.setblocking(False)
    client.setsockopt(lwip.IPPROTO_TCP, lwip.TCP_NODELAY, 1)
    start = time.ticks_ms()
    count = 0
    error = 0
    while not error and count < 1000:
        try:
            count += client.send(b"x")
        except OSError as e:
            error = e.errno
    assert error == errno.EAGAIN and 20 < count < 1000, (error, count)
    assert time.ticks_diff(time.ticks_ms(), start) < 5000  # upstream: 10 s, then ENOMEM
    p = select.poll()
    p.register(client, select.POLLOUT)
    assert p.poll(0) == []
    hal.set_pump(mirror.pump)
    assert p.poll(5000)
    client.setblocking(True)
    client.sendall(b"y" * 100000)
    got = b""
    while len(got) < count:
        got += peer.recv(count - len(got))
    assert got == b"x" * count
    for s in (client, peer, server):
        s.close()
    hal.wait(50)
    mirror.close()
