# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What a member of a network may send and must not achieve: routes, other neighbours, sizes, an end
# of the process.
# micropython-only: CPython has no stack of ours.

import errno

import _needs_stack  # noqa: F401
import lwip
from _inet import checksum
from _mirror import FAR, FAR4, MAC, Mirror
from _raised import raised
from _stack import MAC2, errno_of, icmp6, sent, solicit
from zt import hal

FAR2 = b"\x32\x88\x88\x88\x88\x88"
ROUTER = b"\xfe\x80" + bytes(13) + b"\x99"
ALL_NODES = b"\xff\x02" + bytes(13) + b"\x01"
OUTSIDE = b"\x20\x01\x0d\xb8" + bytes(11) + b"\x01"


def advertised(hide):
    """A member says it were a router, `hide`: behind an extension header."""
    advertisement = b"\x86\0\0\0\x40\0\x07\x08" + bytes(8) + b"\x01\x01" + FAR
    mirror = Mirror()
    packet = icmp6(ROUTER, ALL_NODES, advertisement, hide)
    hal.nic_input(mirror.n, b"\x33\x33\0\0\0\x01" + FAR + b"\x86\xdd" + packet)
    assert errno_of(hal.ping_send, OUTSIDE, 1, 1, b"") == errno.EHOSTUNREACH
    mirror.close()


def test_a_router_advertisement_of_a_member_is_dropped():
    advertised(False)


def test_no_extension_header_hides_a_router_advertisement():
    advertised(True)


def test_frames_that_make_no_sense_are_survived():
    mirror = Mirror()
    raised(ValueError, hal.nic_input, mirror.n, bytes(13))
    raised(ValueError, hal.nic_input, mirror.n, bytes(10015))
    for kind in (b"\x08\x00", b"\x08\x06", b"\x86\xdd", b"\x12\x34"):
        for n in range(0, 80):
            for fill in (0, 0x45, 0x60, 0xFF):
                hal.nic_input(mirror.n, MAC + FAR + kind + bytes([fill]) * n)
    hal.wait(1)
    hal.ping_send(FAR4, 1, 1, b"")
    hal.wait(20)
    assert hal.ping_recv(bytearray(1)) is not None
    mirror.close()


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
