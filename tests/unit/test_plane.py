# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The data plane's way in, one behaviour a test: what is delivered, dropped, or left to Python.
# Frames and rules as such are test_plane_twins.py's. CPython only: ctypes.

import _plane
from _plane import DONE, DROPPED, EVENT, NEVER, OPENED, PACKET, SENDABLE, frame, remote
from _plane_lab import (
    AT_B,
    AT_C,
    GROUP,
    IPV4,
    KEY_B,
    KEY_C,
    MAC,
    NWID,
    ROOT,
    A,
    B,
    C,
    from_b,
    install,
    only_event,
    plane,
    seal,
    to_a,
    to_b,
    unseal,
)
from zt import crypto, mac
from zt.const import VERB_ECHO, VERB_EXT_FRAME, VERB_FRAME, VERB_MULTICAST_FRAME


def test_a_frame_is_delivered_in_place(lib):
    p = plane(lib)
    assert p.rx(from_b(), *AT_B) == DONE
    assert p.delivered == [(3, to_a(), True)]
    assert p.events() == [] and p.counters() == {"rx": 1}
    stats = p.network_stats(0)
    assert (stats.rx_frames, stats.rx_bytes, stats.tx_frames) == (1, 5, 0)


def test_the_stack_may_answer_out_of_the_delivery(lib):
    p = plane(lib)
    answer = to_b(b"answer")
    lib.shim_answer(p.shim, p.p, p.now, 0, answer, len(answer))
    assert p.rx(from_b(), *AT_B) == DONE
    assert p.delivered == [(3, to_a(), True)]
    assert unseal(p.sent[0][2])[38:] == b"answer"


def test_short_long_and_looped_datagrams_are_counted_and_dropped(lib):
    p = plane(lib)
    good = from_b()
    for n in (0, 1, 16, 17, 27):
        assert p.rx(good[:n], *AT_B) == DROPPED
    assert p.rx(bytes(10025), *AT_B) == DROPPED
    assert p.rx(from_b(source=A), *AT_B) == DROPPED
    assert p.counters() == {"rx": 7, "short": 5, "long": 1, "looped": 1}
    assert p.events() == []


def test_what_is_for_others_goes_to_python_untouched(lib):
    p = plane(lib)
    other = from_b(dest=C)
    assert p.rx(other, *AT_B) == EVENT
    ev, data = only_event(p)
    assert (ev.kind, ev.flags, ev.wire, remote(ev.from_)) == (PACKET, 0, *AT_B)
    assert data == other and ev.n == len(other)


def test_strangers_hello_and_other_suites_go_to_python_unopened(lib):
    p = plane(lib)
    stranger = from_b(source=bytes(5))
    hello = seal(1, bytes(100), suite=0)
    gmac = bytearray(from_b())
    gmac[18] |= 0x10
    for data in (stranger, hello, bytes(gmac)):
        assert p.rx(data, *AT_B) == EVENT
        ev, got = only_event(p)
        assert ev.flags == 0 and got == data
        assert p.after == data


def test_a_wrong_mac_is_dropped_and_changes_nothing(lib):
    p = plane(lib)
    good = from_b(bytes(1300))
    for at in (19, 26, 27, 28, 700, len(good) - 1):
        bad = bytearray(good)
        bad[at] ^= 1
        assert p.rx(bad, *AT_B) == DROPPED
        assert p.after == bytes(bad)
    assert p.rx(from_b(key=KEY_C), *AT_B) == DROPPED
    assert p.counters()["mac"] == 7 and not p.delivered and not p.events()
    stats = p.peer_stats(B)
    assert stats.rx_packets == 0 and stats.rx_age == NEVER


def test_hops_may_change_on_the_way(lib):
    p = plane(lib)
    for hops in range(8):
        assert p.rx(from_b(hops=hops), *AT_B) == DONE


def test_another_source_counts_as_received_and_goes_to_python_opened(lib):
    for source in ((1, (b"\x0a\0\0\2", 9994)), (1, (b"\x0a\0\0\3", 9993)), (2, AT_B[1]),
                   (1, (b"\x0a\0\0\2" + bytes(12), 9993))):  # fmt: skip
        p = plane(lib)
        assert p.rx(from_b(), *source) == EVENT
        ev, data = only_event(p)
        assert ev.flags == OPENED and bytes(ev.address) == B
        assert (ev.wire, remote(ev.from_)) == source
        assert data[28:] == NWID + b"\x08\0hello"
        stats = p.peer_stats(B)
        assert stats.rx_packets == 1 and stats.rx_age == 0
        assert list(stats.source_age) == [NEVER, NEVER]


def test_each_of_two_sources_is_accepted_and_dated(lib):
    p = plane(lib)
    second = (2, (bytes(15) + b"\1", 1000))
    assert p.peer(B, KEY_B, AT_B, [AT_B, second]) == 0
    assert p.rx(from_b(), *AT_B) == DONE
    p.now += 10
    assert p.rx(from_b(), *second) == DONE
    p.now += 5
    assert list(p.peer_stats(B).source_age) == [15, 5]
    # A source that stays keeps its age, one that is replaced does not.
    assert p.peer(B, KEY_B, AT_B, [AT_B, AT_C]) == 0
    assert list(p.peer_stats(B).source_age) == [15, NEVER]
    assert p.rx(from_b(), *second) == EVENT


def test_a_relayed_peer_is_heard_from_anywhere_and_sent_to_over_the_root(lib):
    p = plane(lib)
    assert p.peer(B, KEY_B, ROOT) == 0
    assert p.rx(from_b(hops=1), *ROOT) == DONE
    assert p.rx(from_b(hops=2), *AT_C) == DONE
    assert p.rx(from_b(), *AT_B) == EVENT  # directly at last: Python learns the path
    assert p.tx(0, to_b()) == DONE
    assert p.sent[-1][:2] == ROOT


def test_verbs_that_are_not_frames_go_to_python_opened(lib):
    p = plane(lib)
    for verb in list(range(0x20)):
        if verb in (VERB_FRAME, VERB_EXT_FRAME, VERB_MULTICAST_FRAME):
            continue
        assert p.rx(seal(verb, b"body"), *AT_B) == EVENT
        ev, data = only_event(p)
        assert ev.flags == OPENED and data[27] == verb and data[28:] == b"body"


def test_frames_of_others_than_admitted_members_go_to_python(lib):
    p = plane(lib)
    assert p.rx(from_b(payload=b"", source=B), *AT_B) == EVENT  # empty
    p.member(0, B, SENDABLE)
    assert p.rx(from_b(), *AT_B) == EVENT
    assert p.member_del(0, B) == 0
    assert p.rx(from_b(), *AT_B) == EVENT
    assert p.rx(seal(VERB_FRAME, bytes(8) + b"\x08\0x"), *AT_B) == EVENT
    for n in range(11):
        assert p.rx(seal(VERB_FRAME, (NWID + b"\x08\0")[:n]), *AT_B) == EVENT
    assert all(ev.flags == OPENED for ev, _ in p.events())
    assert p.peer_stats(B).frame_age == NEVER and not p.delivered


def _ext(flags=0, dst=A, src=B, payload=b"data"):
    dst = dst if len(dst) == 6 else MAC[dst]
    src = src if len(src) == 6 else MAC[src]
    return seal(VERB_EXT_FRAME, NWID + bytes((flags,)) + dst + src + b"\x86\xdd" + payload)


def test_ext_frames(lib):
    p = plane(lib)
    assert p.rx(_ext(), *AT_B) == DONE
    assert p.delivered == [(3, frame(MAC[A], MAC[B], 0x86DD, b"data"), True)]
    assert p.rx(_ext(dst=GROUP), *AT_B) == DONE
    for flags in (1, 0x10, 0x11):
        assert p.rx(_ext(flags), *AT_B) == EVENT
    assert p.rx(_ext(payload=b""), *AT_B) == EVENT
    assert p.rx(_ext(src=C), *AT_B) == EVENT  # bridged
    assert len(p.events()) == 5
    for case in (_ext(src=bytes(6)), _ext(src=A), _ext(dst=C)):
        assert p.rx(case, *AT_B) == DROPPED
    assert p.drops(0) == {"bad_source": 2, "bad_destination": 1}
    install(p, limit=0)
    assert p.rx(_ext(dst=GROUP), *AT_B) == DROPPED
    assert p.drops(0)["multicast_off"] == 1
    install(p, flags=_plane.NET_BRIDGE)
    assert p.rx(_ext(dst=C), *AT_B) == DONE


def test_a_rule_that_accepts_above_all_delivers_whatever_the_address(lib):
    # A WATCH for us, taken: SUPER_ACCEPT.
    watch = b"\3\x0e" + bytes(3) + A + bytes(6)
    p = plane(lib, rules=watch)
    assert p.rx(_ext(dst=C), *AT_B) == DONE
    assert p.delivered[0][1][:6] == MAC[C]


def _multicast(flags=0, gather=b"", src=b"", dst=GROUP, payload=b"data"):
    head = NWID + bytes((flags,)) + gather + src + dst + b"\0\0\0\7" + b"\x08\0"
    return seal(VERB_MULTICAST_FRAME, head + payload)


def test_the_first_octet_of_a_mac_follows_the_network(lib):
    for last in (0, 1, 2, 0x50, 0x52, 0x53, 0xFF):
        nwid = NWID[:7] + bytes((last,))
        p = plane(lib)
        index = p.network(nwid)
        assert p.member(index, B) == 0
        assert p.rx(seal(VERB_FRAME, nwid + b"\x08\0x"), *AT_B) == DONE
        head = mac.from_address(A, nwid) + mac.from_address(B, nwid) + b"\x08\0"
        assert p.delivered[0][1] == head + b"x"
        head = mac.from_address(B, nwid) + mac.from_address(A, nwid) + b"\x08\0"
        assert p.tx(index, head) == DONE


def test_with_ndp_emulation_an_address_that_names_its_owner_is_the_owners(lib):
    known = b"\x29\x08\x10" + bytes(7) + b"\1\0"  # the sender's IP is certified: accept
    for ip, flag in (
        (mac.sixplane(NWID, B), _plane.NET_SIXPLANE),
        (mac.rfc4193(NWID, B), _plane.NET_RFC4193),
    ):
        packet6 = seal(VERB_FRAME, NWID + b"\x86\xdd" + bytes(8) + ip + bytes(16) + b"data")
        for flags in range(16):
            p = plane(lib)
            install(p, known, flags=flags, config_flags=4)
            assert p.rx(packet6, *AT_B) == (DONE if flags & flag else DROPPED)
        install(p, known, flags=flag, config_flags=0)
        assert p.rx(packet6, *AT_B) == DROPPED


def test_multicast_frames(lib):
    p = plane(lib)
    expected = (3, frame(GROUP, MAC[B], IPV4, b"data"), True)
    for case in (
        _multicast(),
        _multicast(2, bytes(4)),
        _multicast(4, b"", MAC[B]),
        _multicast(6, bytes(4), MAC[B]),
        _multicast(8),
    ):
        assert p.rx(case, *AT_B) == DONE
    assert p.delivered == [expected] * 5
    for case in (_multicast(1), _multicast(2, b"\0\0\0\1"), _multicast(2, b"\1\0\0\0"),
                 _multicast(4, b"", MAC[C]), _multicast(payload=b"")):  # fmt: skip
        assert p.rx(case, *AT_B) == EVENT
    assert len(p.events()) == 5 and not p.drops(0)
    for src in (bytes(6), MAC[A], mac.BROADCAST):
        assert p.rx(_multicast(4, b"", src), *AT_B) == DROPPED
    assert p.rx(_multicast(dst=MAC[A]), *AT_B) == DROPPED
    assert p.drops(0) == {"bad_source": 3, "bad_destination": 1}
    install(p, flags=_plane.NET_REPLICATOR)
    assert p.rx(_multicast(8), *AT_B) == EVENT
    install(p, limit=0)
    assert p.rx(_multicast(), *AT_B) == DROPPED


def test_every_truncation_of_a_frame_is_handed_over_or_whole(lib):
    p = plane(lib)
    for verb, whole in ((VERB_EXT_FRAME, _ext(0)), (VERB_MULTICAST_FRAME, _multicast(6, bytes(4),
                        MAC[B]))):  # fmt: skip
        clear = bytes(unseal(whole))[28:]
        for n in range(len(clear) + 1):
            done = p.rx(seal(verb, clear[:n]), *AT_B) == DONE
            assert done == (n > len(clear) - 4), n


def test_lz4(lib):
    p = plane(lib)
    body = NWID + b"\x08\0" + b"x" * 40
    block = bytes((0xB4, *body[:11], 1, 0, 0xF0, 6)) + b"x" * 21  # 11 + 8 + 21 bytes
    out = bytearray(200)
    n = crypto.lz4_decompress(block, out)
    assert bytes(out[:n]) == body[:n] and n == 40
    assert p.rx(seal(VERB_FRAME | 0x80, block), *AT_B) == DONE
    assert p.delivered == [(3, to_a(b"x" * (n - 10)), False)]  # not in the datagram: not its owner
    assert p.rx(seal(VERB_FRAME | 0x80, block[:-1]), *AT_B) == DROPPED
    assert p.rx(seal(VERB_FRAME | 0x80, b"\0"), *AT_B) == DROPPED
    assert p.counters()["compression"] == 2
    assert p.rx(seal(VERB_FRAME | 0x80, b""), *AT_B) == EVENT
    # Another verb stays as it is; a frame for Python goes inflated.
    assert p.rx(seal(VERB_ECHO | 0x80, block), *AT_B) == EVENT
    p.member(0, B, 0)
    assert p.rx(seal(VERB_FRAME | 0x80, block), *AT_B) == EVENT
    events = p.events()[1:]
    assert [data[27] for _, data in events] == [VERB_ECHO | 0x80, VERB_FRAME]
    assert [data[28:] for _, data in events] == [block, body[:n]]


def test_what_is_too_long_to_inflate_here_python_inflates(lib):
    p = plane(lib, packet_bytes=64)
    bomb = seal(VERB_FRAME | 0x80, b"\x1fx\1\0" + b"\xff" * 20 + b"\0\x50xxxxx")
    assert p.rx(bomb, *AT_B) == EVENT
    ev, data = only_event(p)
    assert ev.flags == OPENED and data[27] == VERB_FRAME | 0x80
    assert "compression" not in p.counters()
