# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Several networks on one stack: which of them a packet leaves by, and that none of them reaches
# into another, or outlives its leaving.
# micropython-only: CPython has no stack of ours.

import errno

import _needs_stack  # noqa: F401
import lwip
from _inet import checksum
from _mirror import FAR, MAC
from _stack import BUF, MAC2, errno_of, ip4, sent
from zt import hal


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
