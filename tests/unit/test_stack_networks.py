# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Several networks on one stack: which of them a packet leaves by, and that none of them reaches
# into another, or outlives its leaving.
# micropython-only: CPython has no stack of ours.

from zt import hal

if not hal.HAS_STACK:
    import unittest

    raise unittest.SkipTest("no network stack on CPython; tests/run_mpy.py runs this file")

import errno

import lwip
from _mirror import FAR, MAC, Mirror, checksum

MAC2 = b"\x32\x01\x02\x03\x04\x99"
FAR2 = b"\x32\x88\x88\x88\x88\x88"
ROUTER = b"\xfe\x80" + bytes(13) + b"\x99"
ALL_NODES = b"\xff\x02" + bytes(13) + b"\x01"
OUTSIDE = b"\x20\x01\x0d\xb8" + bytes(11) + b"\x01"
BUF = bytearray(10100)
META = bytearray(1)


def ip4(text):
    return bytes([int(x) for x in text.split(".")])


def sent():
    """[(interface, frame)] of what waits to be sent."""
    out = []
    while True:
        n = hal.nic_recv(BUF, META)
        if not n:
            return out
        out.append((META[0], bytes(BUF[:n])))


def errno_of(f, *args):
    try:
        f(*args)
    except OSError as e:
        return e.errno
    return 0


class Two:
    """Two networks with one IPv4 address each, nobody behind them."""

    def __init__(self, first, bits, second, bits2):
        hal.set_pump(None)
        self.a = hal.nic_add(MAC, 2800)
        self.b = hal.nic_add(MAC2, 2800)
        hal.nic_addr(self.a, ip4(first), bits, True)
        hal.nic_addr(self.b, ip4(second), bits2, True)
        sent()

    def close(self):
        hal.nic_remove(self.a)
        hal.nic_remove(self.b)


def asked_on(ip):
    """The interfaces on which an ARP request for this address waits to be sent."""
    return [n for n, f in sent() if f[12:14] == b"\x08\x06" and f[38:42] == ip]


def test_the_longest_own_subnet_wins_whatever_the_order():
    for first, bits, second, bits2 in (
        ("10.0.0.1", 8, "10.1.0.1", 16),
        ("10.1.0.1", 16, "10.0.0.1", 8),
    ):
        two = Two(first, bits, second, bits2)
        narrow = two.a if bits == 16 else two.b
        wide = two.b if bits == 16 else two.a
        hal.ping_send(ip4("10.1.0.9"), 1, 1, b"")
        assert asked_on(ip4("10.1.0.9")) == [narrow]
        hal.ping_send(ip4("10.2.0.9"), 1, 1, b"")
        assert asked_on(ip4("10.2.0.9")) == [wide]
        two.close()


def test_a_managed_route_wins_over_a_shorter_own_subnet():
    two = Two("10.0.0.1", 8, "192.168.7.1", 24)
    hal.nic_route(two.b, ip4("10.5.0.0"), 16, None, True)
    hal.ping_send(ip4("10.5.0.9"), 1, 1, b"")
    assert asked_on(ip4("10.5.0.9")) == [two.b]
    two.close()


def test_the_same_subnet_twice_the_source_decides():
    two = Two("10.0.0.1", 24, "10.0.0.2", 24)
    peer = ip4("10.0.0.9")
    for own, n in (("10.0.0.1", two.a), ("10.0.0.2", two.b)):
        s = lwip.socket(lwip.AF_INET, lwip.SOCK_DGRAM)
        s.bind((own, 5000))
        s.sendto(b"x", ("10.0.0.9", 5000))
        assert asked_on(peer) == [n], own
        s.close()
    # Nobody decides: the first network joined.
    hal.ping_send(ip4("10.0.0.8"), 1, 1, b"")
    assert asked_on(ip4("10.0.0.8")) == [two.a]
    two.close()


def syn(n, mac, own, port):
    """A SYN from 10.0.0.9 to port 80: [(interface, frame)] of what TCP answers."""
    # The peer makes itself known first, so that the answer needs no ARP.
    arp = b"\0\x01\x08\0\x06\x04\0\x01" + FAR + ip4("10.0.0.9") + bytes(6) + own
    hal.nic_input(n, mac + FAR + b"\x08\x06" + arp)
    sent()
    tcp = port.to_bytes(2, "big") + b"\0\x50" + b"\0\0\0\x01" + bytes(4)
    tcp += b"\x50\x02\xff\xff" + bytes(4)
    pseudo = ip4("10.0.0.9") + own + b"\0\x06" + len(tcp).to_bytes(2, "big")
    tcp = tcp[:16] + checksum(pseudo + tcp).to_bytes(2, "big") + tcp[18:]
    head = b"\x45\0" + (20 + len(tcp)).to_bytes(2, "big") + b"\0\0\0\0\x40\x06\0\0"
    head += ip4("10.0.0.9") + own
    head = head[:10] + checksum(head).to_bytes(2, "big") + head[12:]
    hal.nic_input(n, mac + FAR + b"\x08\0" + head + tcp)
    return [(i, f) for i, f in sent() if f[12:14] == b"\x08\0" and f[23] == 6]


def test_the_same_subnet_twice_a_connection_is_answered_where_it_came_from():
    two = Two("10.0.0.1", 24, "10.0.0.2", 24)
    server = lwip.socket()
    server.setsockopt(lwip.SOL_SOCKET, lwip.SO_REUSEADDR, 1)
    server.bind(("0.0.0.0", 80))
    server.listen(4)
    for own, n, mac in ((ip4("10.0.0.1"), two.a, MAC), (ip4("10.0.0.2"), two.b, MAC2)):
        answers = syn(n, mac, own, 12345)
        assert len(answers) == 1 and answers[0][0] == n
        assert answers[0][1][47] == 0x12  # SYN, ACK
    server.close()
    two.close()


def test_first_sequence_numbers_cannot_be_guessed():
    two = Two("10.0.0.1", 24, "10.7.0.1", 24)
    server = lwip.socket()
    server.setsockopt(lwip.SOL_SOCKET, lwip.SO_REUSEADDR, 1)
    server.bind(("0.0.0.0", 80))
    server.listen(8)
    seen = []
    for i in range(8):
        (answer,) = syn(two.a, MAC, ip4("10.0.0.1"), 12345 + i)
        seen.append(int.from_bytes(answer[1][38:42], "big"))
    steps = [seen[i + 1] - seen[i] & 0xFFFFFFFF for i in range(7)]
    assert len(set(steps)) == 7 and max(steps) >> 24, steps
    server.close()
    two.close()


def test_our_own_address_in_another_network_is_ourselves():
    two = Two("10.0.0.1", 24, "10.0.0.2", 24)
    hal.ping_send(ip4("10.0.0.2"), 1, 7, b"")
    for _ in range(3):
        hal.stack_poll()
    assert hal.ping_recv(BUF)[2] == 7
    assert asked_on(ip4("10.0.0.2")) == []
    two.close()


def test_frames_of_a_network_that_was_left_are_not_sent_on_the_next_one():
    hal.set_pump(None)
    sent()
    n = hal.nic_add(MAC, 2800)
    hal.nic_addr(n, ip4("10.0.0.1"), 24, True)
    hal.ping_send(ip4("10.0.0.9"), 1, 1, b"")
    hal.nic_remove(n)
    assert hal.nic_add(MAC2, 2800) == n
    assert not [f for _, f in sent() if f[6:12] == MAC]
    hal.nic_remove(n)


def test_what_a_network_sent_to_itself_is_freed_when_it_is_left():
    hal.set_pump(None)
    for _ in range(1000):  # 9 kB each: twice the memory the stack may have
        n = hal.nic_add(MAC, 10000)
        hal.nic_addr(n, ip4("10.0.0.1"), 24, True)
        hal.ping_send(ip4("10.0.0.1"), 1, 1, bytes(9000))
        hal.nic_remove(n)
    sent()


def test_what_waits_for_a_neighbour_is_freed_when_the_network_is_left():
    hal.set_pump(None)
    for _ in range(1000):
        n = hal.nic_add(MAC, 10000)
        hal.nic_addr(n, ip4("10.0.0.1"), 24, True)
        hal.nic_addr(n, b"\xfd\0" + bytes(13) + b"\x01", 64, True)
        hal.ping_send(ip4("10.0.0.9"), 1, 1, bytes(9000))
        hal.ping_send(b"\xfd\0" + bytes(13) + b"\x09", 1, 1, bytes(9000))
        hal.nic_remove(n)
        sent()


def icmp6(source, target, body, hop_by_hop=False):
    pseudo = source + target + b"\0\0\0" + bytes([len(body)]) + b"\0\0\0\x3a"
    body = body[:2] + checksum(pseudo + body).to_bytes(2, "big") + body[4:]
    kind = b"\x3a"
    if hop_by_hop:
        body = b"\x3a\0\x01\x04" + bytes(4) + body  # padding is its only option
        kind = b"\0"
    return b"\x60\0\0\0\0" + bytes([len(body)]) + kind + b"\xff" + source + target + body


def test_no_extension_header_hides_a_router_advertisement():
    advertisement = b"\x86\0\0\0\x40\0\x07\x08" + bytes(8) + b"\x01\x01" + FAR
    mirror = Mirror()
    for hide in (False, True):
        packet = icmp6(ROUTER, ALL_NODES, advertisement, hide)
        hal.nic_input(mirror.n, b"\x33\x33\0\0\0\x01" + FAR + b"\x86\xdd" + packet)
        assert errno_of(hal.ping_send, OUTSIDE, 1, 1, b"") == errno.EHOSTUNREACH
    mirror.close()


def solicit(n, mac, source, target, lladdr):
    """A neighbour solicitation from `source`, which makes its sender known; was it answered?"""
    body = b"\x87\0\0\0\0\0\0\0" + target + b"\x01\x01" + lladdr
    sent()
    hal.nic_input(n, mac + lladdr + b"\x86\xdd" + icmp6(source, target, body))
    return [f for i, f in sent() if i == n and f[12:14] == b"\x86\xdd" and f[54] == 136]


def test_a_member_of_one_network_does_not_change_a_neighbour_of_another():
    hal.set_pump(None)
    a = hal.nic_add(MAC, 2800)
    b = hal.nic_add(MAC2, 2800)
    mine = b"\xfd\0" + bytes(13) + b"\x01"
    peer = b"\xfd\0" + bytes(13) + b"\x09"
    hal.nic_addr(a, mine, 64, True)
    hal.nic_addr(b, b"\xfd\x11" + bytes(13) + b"\x01", 64, True)
    assert solicit(a, MAC, peer, mine, FAR)
    hal.ping_send(peer, 1, 1, b"")
    assert [(n, f[:6]) for n, f in sent()] == [(a, FAR)]
    # The other network's member says it were the peer, by solicitation and by advertisement.
    assert not solicit(b, MAC2, peer, b"\xfd\x11" + bytes(13) + b"\x01", FAR2)
    body = b"\x88\0\0\0\x60\0\0\0" + peer + b"\x02\x01" + FAR2
    hal.nic_input(b, MAC2 + FAR2 + b"\x86\xdd" + icmp6(peer, mine, body))
    hal.ping_send(peer, 1, 2, b"")
    assert [(n, f[:6]) for n, f in sent()] == [(a, FAR)]
    # Nor does a redirect of the network's own member move the way to it.
    body = b"\x89\0\0\0\0\0\0\0" + ROUTER + peer + b"\x02\x01" + FAR2
    hal.nic_input(a, MAC + FAR2 + b"\x86\xdd" + icmp6(ROUTER, mine, body))
    hal.ping_send(peer, 1, 3, b"")
    assert [(n, f[:6]) for n, f in sent()] == [(a, FAR)]
    hal.nic_remove(a)
    hal.nic_remove(b)


def test_an_ipv6_prefix_beyond_the_route_table_leaves_no_address():
    hal.set_pump(None)
    n = hal.nic_add(MAC, 2800)
    for i in range(64):
        hal.nic_route(n, b"\xfd\x22\0" + bytes([i]) + bytes(12), 32, None, True)
    mine = b"\xfd\x33" + bytes(13) + b"\x01"
    for _ in range(20):  # and takes no place of the address table
        assert errno_of(hal.nic_addr, n, mine, 64, True) == errno.ENOBUFS
    hal.nic_route(n, b"\xfd\x22\0\0" + bytes(12), 32, None, False)
    hal.nic_addr(n, mine, 64, True)
    hal.nic_remove(n)
    sent()


def test_the_packets_of_the_stack_have_a_bound_of_memory():
    hal.set_pump(None)
    made = []
    refused = 0
    for i in range(16):
        n = hal.nic_add(MAC2[:5] + bytes([i]), 10000)
        made.append(n)
        hal.nic_addr(n, bytes([10, i, 0, 1]), 24, True)
        for _ in range(64):  # 9 MB in all, where 4 are allowed
            refused += errno_of(hal.ping_send, bytes([10, i, 0, 1]), 1, 1, bytes(9000)) != 0
    assert 1024 - refused < 480, refused
    for n in made:
        hal.nic_remove(n)
    sent()
    n = hal.nic_add(MAC, 10000)
    hal.nic_addr(n, ip4("10.0.0.1"), 24, True)
    hal.ping_send(ip4("10.0.0.1"), 1, 1, bytes(9000))
    hal.nic_remove(n)


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


def test_too_small_an_mtu_is_not_believed_and_a_fair_one_is():
    hal.set_pump(None)
    n = hal.nic_add(MAC, 2800)
    mine = b"\xfd\0" + bytes(13) + b"\x01"
    peer = b"\xfd\0" + bytes(13) + b"\x09"
    hal.nic_addr(n, mine, 64, True)
    assert solicit(n, MAC, peer, mine, FAR)
    hal.ping_send(peer, 1, 1, b"")
    sent()
    # lwIP made fragments of no bytes without end of 48; 65,535 is beyond the network's own.
    for mtu in (48, 0, 47, 55, 1279, 65535, 1400):
        body = b"\x02\0\0\0" + mtu.to_bytes(4, "big")
        body += b"\x60\0\0\0\0\x08\x3a\x40" + mine + peer + bytes(8)
        hal.nic_input(n, MAC + FAR + b"\x86\xdd" + icmp6(peer, mine, body))
        hal.ping_send(peer, 1, 1, bytes(2000))
        sizes = [len(f) for _, f in sent()]
        assert sizes == ([2062] if mtu != 1400 else [1414, 718]), (mtu, sizes)
    hal.nic_remove(n)


def test_neighbour_messages_that_break_the_rules_are_dropped():
    hal.set_pump(None)
    n = hal.nic_add(MAC, 2800)
    mine = b"\xfd\0" + bytes(13) + b"\x01"
    peer = b"\xfd\0" + bytes(13) + b"\x09"
    hal.nic_addr(n, mine, 64, True)
    head = b"\x87\0\0\0\0\0\0\0" + mine

    def answered(body, hops=255):
        sent()
        packet = icmp6(peer, mine, body)
        packet = packet[:7] + bytes([hops]) + packet[8:]
        hal.nic_input(n, MAC + FAR + b"\x86\xdd" + packet)
        return len([f for _, f in sent() if f[54] in (135, 136)])

    good = head + b"\x01\x01" + FAR
    assert answered(good)
    empty = head + b"\x01\0" + FAR
    long = head + b"\x01\x02" + FAR
    for bad in (empty, long, good[:-1], good + b"\x0e", head[:20]):
        assert not answered(bad), bad
    assert not answered(good, 254)
    assert answered(good + b"\x0e\x01" + bytes(6))  # a nonce, as Linux adds it
    hal.nic_remove(n)


def with_option(frame, option):
    """A TCP segment over IPv4 without options, with these 4 bytes of them."""
    f = bytearray(frame[:54] + option + frame[54:])
    f[16:18] = (len(f) - 14).to_bytes(2, "big")
    f[24:26] = b"\0\0"
    f[24:26] = checksum(bytes(f[14:34])).to_bytes(2, "big")
    f[46] = 6 << 4
    f[50:52] = b"\0\0"
    pseudo = bytes(f[26:34]) + b"\0\x06" + (len(f) - 34).to_bytes(2, "big")
    f[50:52] = checksum(pseudo + bytes(f[34:])).to_bytes(2, "big")
    return bytes(f)


def test_a_segment_size_told_in_the_middle_of_a_connection_is_not_believed():
    class Keeping(Mirror):
        kept = None

        def answer(self, f):
            back = Mirror.answer(self, f)
            if back is not None and back[12:14] == b"\x08\0" and back[34:36] == b"\x1f\x92":
                if back[47] == 0x10 and back[46] >> 4 == 5:
                    self.kept = bytes(back)  # the server's plain ACK, on its way to the client
            return back

    mirror = Keeping()
    server = lwip.socket()
    server.setsockopt(lwip.SOL_SOCKET, lwip.SO_REUSEADDR, 1)
    server.bind(("", 8082))
    server.listen(1)
    client = lwip.socket()
    client.connect(("10.9.0.77", 8082))
    peer, _ = server.accept()
    client.send(b"x" * 100)
    assert len(peer.recv(100)) == 100
    hal.wait(300)
    assert mirror.kept is not None
    hal.set_pump(None)
    client.setblocking(False)
    for n in (1000, 1, 1):  # the last ones wait in a half filled segment
        client.send(b"y" * n)
    hal.nic_input(mirror.n, with_option(mirror.kept, b"\x02\x04\0\x64"))
    for n in (1, 3000):
        client.send(b"z" * n)  # lwIP's assertion ended the process
    hal.set_pump(mirror.pump)
    got = b""
    while len(got) < 4003:
        got += peer.recv(5000)
    assert got == b"y" * 1002 + b"z" * 3001
    assert max(mirror.sizes) > 2000
    for s in (client, peer, server):
        s.close()
    hal.wait(50)
    mirror.close()


def test_a_full_table_of_neighbours_ends_no_message_in_a_loop():
    hal.set_pump(None)
    n = hal.nic_add(MAC, 2800)
    mine = b"\xfd\0" + bytes(13) + b"\x01"
    hal.nic_addr(n, mine, 64, True)
    head = MAC + FAR + b"\x86\xdd"
    echo = b"\x80\0\0\0\0\x01\0\x01" + bytes(20)
    nobody = bytes(16)
    peers = [b"\xfd\0" + bytes(12) + b"\x01" + bytes([i]) for i in range(80)]
    for i, peer in enumerate(peers):
        # Its answer waits for a neighbour that does not tell its address.
        hal.nic_input(n, head + icmp6(peer, mine, echo))
        hal.nic_input(n, head + icmp6(nobody, mine, echo))
        if i % 8 == 0:
            hal.nic_route(n, b"\xfd\x77" + bytes(14), 32, None, True)
    sent()
    for peer in peers:
        body = b"\x88\0\0\0\x60\0\0\0" + peer + b"\x02\x01" + FAR
        hal.nic_input(n, head + icmp6(peer, mine, body))
    answers = [f for _, f in sent() if f[12:14] == b"\x86\xdd" and f[54] == 129]
    assert answers and nobody not in [f[38:54] for f in answers]
    hal.nic_remove(n)


def udp4(source, dest, port):
    body = b"\x30\x39" + port.to_bytes(2, "big") + b"\0\x09\0\0x"  # no checksum
    head = b"\x45\0" + (20 + len(body)).to_bytes(2, "big") + b"\0\0\0\0\x40\x11\0\0"
    head += source + dest
    return b"\x08\0" + head[:10] + checksum(head).to_bytes(2, "big") + head[12:] + body


def udp6(source, dest, port):
    body = b"\x30\x39" + port.to_bytes(2, "big") + b"\0\x09\0\0x"
    pseudo = source + dest + b"\0\0\0\x09\0\0\0\x11"
    body = body[:6] + checksum(pseudo + body).to_bytes(2, "big") + body[8:]
    return b"\x86\xdd\x60\0\0\0\0\x09\x11\x40" + source + dest + body


def test_an_address_is_reached_through_its_own_network_only():
    two = Two("10.0.0.1", 24, "10.7.0.1", 24)
    six = b"\xfd\0" + bytes(13) + b"\x01"
    six2 = b"\xfd\x11" + bytes(13) + b"\x01"
    hal.nic_addr(two.a, six, 64, True)
    hal.nic_addr(two.b, six2, 64, True)
    peer, peer6 = ip4("10.0.0.9"), six[:15] + b"\x09"
    for bound, dest, right in (
        ("10.7.0.1", ip4("10.7.0.1"), two.b),
        ("0.0.0.0", ip4("10.7.0.1"), two.b),
        ("0.0.0.0", ip4("10.7.0.255"), two.b),
        ("0.0.0.0", ip4("10.0.0.1"), two.a),
        ("::", six2, two.b),
        ("::", six, two.a),
    ):
        s = lwip.socket(lwip.AF_INET6 if len(dest) == 16 else lwip.AF_INET, lwip.SOCK_DGRAM)
        s.bind((bound, 5000))
        s.settimeout(0)
        packet = udp4(peer, dest, 5000) if len(dest) == 4 else udp6(peer6, dest, 5000)
        for n, mac in ((two.a, MAC), (two.b, MAC2)):
            hal.nic_input(n, mac + FAR + packet)
            try:
                got = s.recvfrom(10)[0]
            except OSError:
                got = None
            assert got == (b"x" if n == right else None), (bound, dest, n)
        s.close()
    # What is for all on the link comes in everywhere.
    s = lwip.socket(lwip.AF_INET, lwip.SOCK_DGRAM)
    s.bind(("0.0.0.0", 5000))
    s.settimeout(0)
    for n in (two.a, two.b):
        hal.nic_input(n, b"\xff" * 6 + FAR + udp4(peer, b"\xff" * 4, 5000))
        assert s.recvfrom(10)[0] == b"x"
    s.close()
    sent()
    two.close()
