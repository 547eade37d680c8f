# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The data plane at a board's bounds: what has no room goes to Python whole, and the rest goes on.
# CPython only: ctypes.

import os
import re

import _plane
import pytest
from _plane import DONE, DROPPED, EVENT, FRAME, OPENED, PACKET, TTL, frame
from _plane_lab import (
    AT_B,
    KEY_B,
    MAC,
    NWID,
    A,
    B,
    from_b,
    pieces,
    plane,
    seal,
    to_a,
    to_b,
)
from zt import limits, mac
from zt import plane as programming
from zt.const import VERB_FRAME

NAMES = [name for name, _ in _plane.LimitsC._fields_ if name != "unused"]
BOARD = dict(zip(NAMES, programming._LIMITS["small"]))
TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
ETHERNET = 1500 - 28  # the longest datagram that comes in one piece


@pytest.fixture
def board(lib):
    return plane(lib, **BOARD)


def test_what_is_measured_for_boards_is_what_boards_have():
    with open(os.path.join(TOP, "tools", "rv32", "count.c")) as f:
        told = dict(re.findall(r"^ *\.(\w+) = (\d+),$", f.read(), re.MULTILINE))
    assert {name: int(n) for name, n in told.items()} == BOARD


def test_the_bounds_are_documented():
    with open(os.path.join(TOP, "docs", "limits.md")) as f:
        text = f.read().split("## The data plane's tables")[1].split("\n## ")[0]
    rows = re.findall(r"^\|.*\| (\d+) \| (\d+) \|$", text, re.MULTILINE)
    told = [tuple(int(row[i]) for row in rows) for i in (0, 1)]
    assert told == [programming._LIMITS["unix"], programming._LIMITS["small"]]


def test_a_packet_in_pieces_is_pythons(board):
    whole = from_b(bytes(2000), cut=True)
    parts = pieces(whole)
    for part in parts:
        assert board.rx(part, *AT_B) == EVENT
        ((event, data),) = board.events()
        assert (event.kind, event.flags, data) == (PACKET, 0, part)
    assert board.rx(from_b(), *AT_B) == DONE


def zeros(start, n):
    """An LZ4 block of 11 bytes, n - 6 more like the last of them by a match, and five zeros."""
    more = n - 5 - 1 - 19
    length = b"\xff" * (more // 255) + bytes((more % 255,))
    return b"\xbf" + start + b"\0\1\0" + length + b"\x50" + bytes(5)


def test_a_frame_of_the_boards_own_mtu_is_inflated_and_a_longer_one_is_pythons(board):
    start = NWID + b"\x08\0"
    most = limits.Limits("small").nic_mtu
    assert board.rx(seal(VERB_FRAME | 0x80, zeros(start, most)), *AT_B) == DONE
    assert board.delivered == [(3, to_a(bytes(most)), False)]
    assert board.rx(seal(VERB_FRAME | 0x80, zeros(start, most + 100)), *AT_B) == EVENT
    ((event, data),) = board.events()
    assert (event.flags, data[27]) == (OPENED, VERB_FRAME | 0x80)
    assert "compression" not in board.counters()


def test_the_ring_has_room_for_the_longest_datagram_of_a_stranger_and_a_frame_beside_it(board):
    stranger = seal(VERB_FRAME, bytes(ETHERNET - 28), source=bytes(5))
    unknown = frame(b"\2" + bytes(5), MAC[A], 0x0800, bytes(limits.Limits("small").nic_mtu))
    assert board.rx(stranger, *AT_B) == board.tx(0, unknown) == EVENT
    assert board.rx(stranger, *AT_B) == board.tx(0, unknown) == DROPPED
    counters = board.counters()
    assert counters["stranger_lost"] == counters["frame_lost"] == 1
    assert [(event.kind, data) for event, data in board.events()] == [
        (PACKET, stranger),
        (FRAME, unknown),
    ]
    assert board.tx(0, unknown) == EVENT


def test_peers_members_and_networks_beyond_the_tables_are_refused_and_the_others_go_on(board):
    for i in range(BOARD["peers"] - 2):
        address = b"peer" + bytes((i,))
        assert board.peer(address, KEY_B, AT_B, [AT_B]) == board.member(0, address) == 0
    late = b"later"
    assert board.peer(late, KEY_B, AT_B, [AT_B]) == -1
    assert board.rx(from_b(source=late), *AT_B) == EVENT  # not opened here
    assert board.tx(0, frame(mac.from_address(late, NWID), MAC[A], 0x0800, b"x")) == EVENT
    assert [(event.kind, event.flags) for event, _ in board.events()] == [(PACKET, 0), (FRAME, 0)]
    for i in range(BOARD["networks"] - 1):
        assert board.network(NWID[:7] + bytes((10 + i,)), nic=4 + i) == 1 + i
    assert board.network(NWID[:7] + b"\x20", nic=2) == -1
    assert board.tx(0, to_b()) == board.rx(from_b(), *AT_B) == DONE
    board.now += TTL + 1
    assert board.peer(late, KEY_B, AT_B, [AT_B]) == 0  # the others have run out


def test_a_boards_rules_have_room_and_more_of_them_are_refused_whole(board):
    most = limits.Limits("small").rules
    rule = b"\x1d\6" + MAC[A]  # a MAC as source, which our frames have
    assert board.network(NWID, (most - 1) * rule + b"\1\0", nic=3) == 0
    assert board.member(0, B) == 0
    assert board.tx(0, to_b()) == DONE
    assert board.network(NWID, 2 * most * rule + b"\1\0", nic=3) == -1
    assert board.tx(0, to_b()) == -1
