# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Packets in pieces in the data plane. CPython only: ctypes.

import itertools

from _plane import DONE, DROPPED, EVENT, KEPT, OPENED, WHOLE, remote
from _plane_lab import AT_B, AT_C, A, B, from_b, long_one, only_event, pieces, plane, seal
from zt.const import VERB_ECHO


def test_pieces_in_any_order_make_the_packet(lib):
    for order in itertools.permutations(range(3)):
        p = plane(lib)
        parts, expected = long_one(2900)
        assert len(parts) == 3
        results = [p.rx(parts[i], *AT_B) for i in order]
        assert results == [KEPT, KEPT, DONE]
        assert p.delivered == [(3, expected, False)]
    parts, expected = long_one(9800)
    assert len(parts) == 7
    for order in (range(7), range(6, -1, -1), (3, 0, 6, 1, 5, 2, 4)):
        p = plane(lib)
        assert [p.rx(parts[i], *AT_B) for i in order] == [KEPT] * 6 + [DONE]
        assert p.delivered == [(3, expected, False)]


def test_doubled_pieces_are_ignored(lib):
    p = plane(lib)
    (a, b, c), expected = long_one(2900)
    forged = b[:16] + bytes(len(b) - 16)  # the first one that came counts
    assert [p.rx(x, *AT_B) for x in (b, forged, b, a, a, c)] == [KEPT] * 5 + [DONE]
    assert p.delivered == [(3, expected, False)]


def test_of_contradicting_totals_the_last_one_counts(lib):
    p = plane(lib)
    (a, b, c), expected = long_one(2900)
    wrong = b[:14] + b"\x71" + b[15:]
    assert [p.rx(x, *AT_B) for x in (a, wrong, c)] == [KEPT, KEPT, DONE]
    (a, b, c), expected = long_one(2900)
    wrong = c[:14] + b"\x22" + c[15:]  # the third of two: never complete
    assert [p.rx(x, *AT_B) for x in (a, b, wrong, c)] == [KEPT, KEPT, KEPT, DONE]


def test_the_source_is_that_of_the_head(lib):
    p = plane(lib)
    (a, b, c), _ = long_one(2900)
    assert [p.rx(b, *AT_C), p.rx(a, *AT_B), p.rx(c, *AT_C)] == [KEPT, KEPT, DONE]


def test_a_head_that_says_it_is_cut_but_is_whole_waits(lib):
    p = plane(lib)
    assert p.rx(from_b(cut=True), *AT_B) == KEPT


def test_impossible_pieces_are_dropped(lib):
    p = plane(lib)
    head = bytes(8) + A + b"\xff"
    for total, number in ((0, 1), (1, 1), (8, 1), (2, 0), (3, 7), (15, 15)):
        assert p.rx(head + bytes((total << 4 | number, 0)) + b"x", *AT_B) == DROPPED
    assert p.counters()["fragment"] == 6
    assert p.rx(head + b"\x21\0", *AT_B) == DROPPED  # nothing in it
    for number, result in ((1, KEPT), (2, KEPT), (3, DROPPED)):
        big = head + bytes((0x40 | number, 0)) + bytes(4000)
        assert p.rx(big, *AT_B) == result
    assert p.counters()["fragment"] == 7


def test_the_oldest_half_packet_gives_way(lib):
    p = plane(lib, reassembly=2)
    packets = [long_one(2000) for _ in range(3)]
    for parts, _ in packets:
        assert p.rx(parts[0], *AT_B) == KEPT
        p.now += 1
    assert p.counters()["fragment_lost"] == 1
    assert p.rx(packets[1][0][1], *AT_B) == DONE
    assert p.rx(packets[2][0][1], *AT_B) == DONE
    assert p.rx(packets[0][0][1], *AT_B) == KEPT
    assert [d[1] for d in p.delivered] == [packets[1][1], packets[2][1]]


def test_half_packets_are_forgotten_after_five_seconds(lib):
    for start in (1000, 0xFFFFFFFF - 4000):
        p = plane(lib, now=start)
        parts, _ = long_one(2000)
        assert p.rx(parts[0], *AT_B) == KEPT
        p.now = (start + 4999) & 0xFFFFFFFF
        p.expire()
        assert "fragment_lost" not in p.counters()
        p.now = (start + 5000) & 0xFFFFFFFF
        p.expire()
        assert p.counters()["fragment_lost"] == 1
        assert p.rx(parts[1], *AT_B) == KEPT


def test_a_packet_longer_than_a_slot_goes_to_python_piece_by_piece(lib):
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
        p = plane(lib, packet_bytes=2000)
        parts, _ = long_one(2900)
        last = [p.rx(parts[i], *AT_B) for i in order][-1]
        assert last == EVENT
        events = p.events()
        assert sorted(d for _, d in events) == sorted(parts)
        assert all(ev.flags == 0 for ev, _ in events)
        (head,) = [ev for ev, d in events if d == parts[0]]
        assert (head.wire, remote(head.from_)) == AT_B
        assert p.rx(parts[1], *AT_B) == EVENT  # and what is still on its way
    p = plane(lib, reassembly=0, packet_bytes=0)
    assert p.rx(parts[1], *AT_B) == EVENT and only_event(p)[1] == parts[1]
    assert p.rx(parts[0], *AT_B) == EVENT and only_event(p)[1] == parts[0]


def test_a_whole_packet_for_python_says_so(lib):
    p = plane(lib)
    for verb, source, flags in ((VERB_ECHO, B, OPENED | WHOLE), (VERB_ECHO, bytes(5), WHOLE)):
        whole = seal(verb, bytes(2000), source=source, cut=True)
        assert [p.rx(x, *AT_B) for x in pieces(whole)] == [KEPT, EVENT]
        ev, data = only_event(p)
        assert ev.flags == flags and len(data) == len(whole)
        assert (ev.wire, remote(ev.from_)) == AT_B
    assert data == whole


def test_damage_to_a_piece_is_found_by_the_mac(lib):
    p = plane(lib)
    (a, b, c), _ = long_one(2900)
    bad = bytearray(b)
    bad[100] ^= 1
    assert [p.rx(x, *AT_B) for x in (a, bytes(bad), c)] == [KEPT, KEPT, DROPPED]
    assert p.counters()["mac"] == 1
