# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The data plane's way out, one behaviour a test. CPython only: ctypes.

from _plane import ADMITTED, COPY, DONE, DROPPED, EVENT, FRAME, NEVER, Plane, frame
from _plane_lab import (
    AT_B,
    AT_C,
    GROUP,
    IPV4,
    KEY_B,
    KEY_C,
    MAC,
    NWID,
    A,
    B,
    C,
    from_b,
    install,
    only_event,
    pieces,
    plane,
    to_a,
    to_b,
    unseal,
)
from zt import mac, packet
from zt.const import VERB_FRAME, VERB_MULTICAST_FRAME


def test_a_frame_is_sealed_for_its_member_and_only_read(lib):
    p = plane(lib)
    f = to_b(bytes(range(200)))
    assert p.tx(0, f) == DONE
    ((wire, to, data),) = p.sent
    assert (wire, to) == AT_B
    clear = unseal(data)
    assert clear[8:18] == B + A and clear[18] == 0x88 | 0 and clear[27] == VERB_FRAME
    assert clear[28:] == NWID + b"\x08\0" + bytes(range(200))
    assert p.network_stats(0).tx_bytes == 200
    stats = p.peer_stats(B)
    assert (stats.tx_packets, stats.tx_bytes, stats.tx_age) == (1, len(data), 0)
    assert p.member_stats(0, B).tx_age == 0 and p.member_stats(0, C).tx_age == NEVER


def test_segments_may_be_cut_anywhere(lib):
    p = plane(lib)
    f = to_b(bytes(range(100)))
    for i in range(len(f) + 1):
        assert p.tx(0, f[:i], b"", f[i:]) == DONE
        assert p.tx(0, f[: i // 2], f[i // 2 : i], f[i:], b"") == DONE
    assert {bytes(unseal(d)[28:]) for _, _, d in p.sent} == {NWID + b"\x08\0" + bytes(range(100))}


def test_packet_ids_count_up_from_the_random_start_and_wrap(lib):
    p = Plane(lib, A, b"\xff" * 7 + b"\xfd" + bytes(8))
    install(p)
    for _ in range(4):
        p.tx(0, to_b())
    p.tx(0, to_b(dst=C))
    ids = [int.from_bytes(d[:8], "big") for _, _, d in p.sent]
    assert ids == [(1 << 64) - 3, (1 << 64) - 2, (1 << 64) - 1, 0, 1]


def test_long_frames_are_cut_as_python_cuts_them(lib):
    p = plane(lib)
    for n in (1394, 1395, 1396, 2800, 2810, 2811, 9890):
        p.clear()
        body = bytes(i * 7 & 255 for i in range(n))
        assert p.tx(0, to_b(body)) == DONE
        datagrams = [d for _, _, d in p.sent]
        whole = datagrams[0] + b"".join(d[16:] for d in datagrams[1:])
        assert pieces(whole) == datagrams
        assert unseal(whole)[38:] == body
        assert bool(whole[18] & packet.FLAG_FRAGMENTED) == (n > 1394)
    assert p.tx(0, to_b(bytes(9891))) == DROPPED
    assert p.tx(0, frame(GROUP, MAC[A], IPV4, bytes(10011))) == DROPPED  # too long for an event
    assert p.tx(0, to_b()[:13]) == DROPPED
    assert p.tx(0) == DROPPED
    assert p.counters()["frame_long"] == 2 and p.counters()["frame_short"] == 2


def test_what_cannot_be_sent_goes_to_python_as_a_frame(lib):
    p = plane(lib)
    unknown = bytes.fromhex("0102030405")
    cases = [
        frame(mac.from_address(unknown, NWID), MAC[A], IPV4, b"no member"),
        frame(b"\x04" + MAC[B][1:], MAC[A], IPV4, b"no address of the network"),
        frame(MAC[A], MAC[A], IPV4, b"for ourselves"),
        frame(MAC[B], MAC[C], IPV4, b"bridged"),
        frame(GROUP, MAC[A], IPV4, b"no group"),
    ]
    for f in cases:
        assert p.tx(0, f[:9], f[9:]) == EVENT
        ev, data = only_event(p)
        assert (ev.kind, ev.network, ev.nic) == (FRAME, 0, 3) and data == f
    for change in (
        lambda: p.member(0, B, ADMITTED),
        lambda: p.member_del(0, B),
        lambda: p.peer_path(B, None),
        lambda: p.peer_del(B),
    ):
        install(p)
        assert change() == 0
        assert p.tx(0, to_b()) == EVENT
    assert not p.sent and p.tx(1, to_b()) == -1 and p.tx(-1, to_b()) == -1


def test_without_a_slot_the_frame_is_dropped_and_counted(lib):
    p = plane(lib)
    lib.shim_slots(p.shim, 0, 0)
    assert p.tx(0, to_b()) == DROPPED
    assert p.counters()["no_slot"] == 1
    lib.shim_slots(p.shim, 1, 0)
    assert p.tx(0, to_b()) == DONE
    lib.shim_slots(p.shim, 1, 11)
    assert p.tx(0, to_b()) == DROPPED
    assert p.counters()["wire"] == 1
    assert p.shim_counts() == (0, 0, 0, 0)


def test_rules_judge_what_goes_out_and_give_the_slot_back(lib):
    only_ipv4 = b"\x25\2\x08\0\1\0"
    p = plane(lib, rules=only_ipv4)
    assert p.tx(0, to_b()) == DONE
    assert p.tx(0, frame(MAC[B], MAC[A], 0x86DD, b"x")) == DROPPED
    assert p.drops(0) == {"rules_out": 1}
    assert p.shim_counts() == (0, 1, 0, 0)
    assert p.network_stats(0).tx_frames == 1


def test_copies_that_rules_want_go_to_python(lib):
    tee = b"\2\x0e" + bytes(3) + C + bytes(4) + b"\0\3" + b"\1\0"
    p = plane(lib, rules=tee)
    assert p.tx(0, to_b()) == DONE and len(p.sent) == 1
    ev, data = only_event(p)
    assert (ev.kind, bytes(ev.address), ev.copy_flags, ev.network) == (COPY, C, 2, 0)
    assert data == to_b(b"hel")
    assert p.rx(from_b(), *AT_B) == DONE
    ev, data = only_event(p)
    assert (ev.copy_flags, data) == (8, to_a(b"hel"))
    redirect = b"\4\x0e" + bytes(3) + C + bytes(6)
    install(p, redirect)
    assert p.tx(0, to_b()) == DROPPED
    ev, data = only_event(p)
    assert (ev.copy_flags, data) == (4, to_b())


def test_a_multicast_goes_to_each_of_its_group(lib):
    p = plane(lib)
    assert p.group(0, GROUP, [B, C], b"\0\0\0\0", 9) == 0
    assert p.tx(0, frame(GROUP, MAC[A], IPV4, b"news")) == DONE
    assert [s[:2] for s in p.sent] == [AT_B, AT_C]
    for (_, _, data), key in zip(p.sent, (KEY_B, KEY_C)):
        clear = unseal(data, key)
        assert clear[27] == VERB_MULTICAST_FRAME
        assert clear[28:] == NWID + b"\2\0\0\0\x09" + GROUP + bytes(4) + b"\x08\0news"
    assert p.group(0, GROUP, [B]) == 0
    p.clear()
    assert p.tx(0, frame(GROUP, MAC[A], IPV4, b"news")) == DONE
    assert unseal(p.sent[0][2])[28:] == NWID + b"\0" + GROUP + bytes(4) + b"\x08\0news"
    stats = p.network_stats(0)
    assert (stats.tx_frames, stats.tx_bytes) == (2, 8)


def test_the_multicast_limit_bounds_the_copies(lib):
    p = plane(lib)
    install(p, limit=1)
    assert p.group(0, GROUP, [B, C]) == 0
    assert p.tx(0, frame(GROUP, MAC[A], IPV4, b"news")) == DONE
    assert len(p.sent) == 1
    # One to which the rules let none go does not count.
    install(p, b"\x19\5" + C + b"\1\0\x1e\6" + GROUP + b"\x99\5" + B + b"\1\0", limit=1)
    p.clear()
    assert p.group(0, GROUP, [B, C]) == 0
    assert p.tx(0, frame(GROUP, MAC[A], IPV4, b"news")) == DONE
    assert [s[:2] for s in p.sent] == [AT_C]
    install(p, limit=0)
    assert p.tx(0, frame(GROUP, MAC[A], IPV4, b"news")) == DROPPED
    assert p.drops(0) == {"rules_out": 1, "multicast_off": 1}


def test_a_group_says_whether_it_was_used(lib):
    p = plane(lib)
    news = frame(GROUP, MAC[A], IPV4, b"news")

    def renew():
        return lib.zt_plane_group_renew(p.p, p.now, 0, GROUP, bytes(4), 6000)

    assert renew() == -1
    assert p.group(0, GROUP, [B]) == 0
    assert renew() == 1 and renew() == 1
    assert p.tx(0, news) == DONE
    assert renew() == 0 and renew() == 1
    p.tx(0, news)
    assert p.group(0, GROUP, [B]) == 0
    assert renew() == 1  # set anew


def test_a_group_with_a_member_that_cannot_be_sent_to_is_pythons(lib):
    p = plane(lib)
    assert p.group(0, GROUP, [B, C]) == 0
    p.peer_path(C, None)
    assert p.tx(0, frame(GROUP, MAC[A], IPV4, b"news")) == EVENT
    assert not p.sent and only_event(p)[0].kind == FRAME
    assert p.group(0, GROUP, []) == 0
    assert p.tx(0, frame(GROUP, MAC[A], IPV4, b"news")) == EVENT


def test_each_address_asked_for_by_arp_is_a_group(lib):
    p = plane(lib)
    ip = b"\x0a\0\1\2"
    arp = b"\0\1\x08\0\6\4\0\1" + MAC[A] + b"\x0a\0\1\1" + bytes(6) + ip
    assert p.group(0, mac.BROADCAST, [B], ip) == 0
    assert p.tx(0, frame(mac.BROADCAST, MAC[A], 0x0806, arp)) == DONE
    assert unseal(p.sent[0][2])[37:47] == mac.BROADCAST + ip
    assert p.tx(0, frame(mac.BROADCAST, MAC[A], 0x0806, arp[:-1] + b"\3")) == EVENT
    assert p.tx(0, frame(mac.BROADCAST, MAC[A], 0x0806, arp[:-1])) == EVENT
    install(p, config_flags=0)
    assert p.tx(0, frame(mac.BROADCAST, MAC[A], IPV4, b"x")) == DROPPED
    assert p.drops(0) == {"broadcast_off": 1}


def test_neighbours_that_may_be_answered_at_once_are_pythons(lib):
    p = plane(lib)
    ask = bytearray(64)
    ask[6], ask[40] = 58, 0x87
    group = b"\x33\x33\xff\0\0\1"
    assert p.group(0, group, [B]) == 0
    assert p.tx(0, frame(group, MAC[A], 0x86DD, bytes(ask))) == DONE
    install(p, config_flags=6)
    assert p.group(0, group, [B]) == 0
    assert p.tx(0, frame(group, MAC[A], 0x86DD, bytes(ask))) == EVENT
    assert p.tx(0, frame(group, MAC[A], 0x86DD, bytes(ask[:63]))) == DONE
