# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The data plane's memory: events, tables, the life of entries, counters. CPython only: ctypes.

import collections
import ctypes
import random
import sys

import _plane
import pytest
from _plane import (
    DONE,
    EVENT,
    FLUSH_EVENTS,
    FLUSH_GROUPS,
    FLUSH_MEMBERS,
    FLUSH_NETWORKS,
    FLUSH_PEERS,
    FLUSH_REASSEMBLY,
    FRAME,
    KEPT,
    NEVER,
    OPENED,
    PACKET,
    TTL,
    Plane,
    credentials,
    frame,
)
from _plane_lab import (
    AT_B,
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
    long_one,
    only_event,
    plane,
    seal,
    to_b,
)
from zt import mac
from zt.const import VERB_ECHO

# ---- events


def test_a_full_ring_drops_and_counts(lib):
    p = plane(lib, event_bytes=400)
    for n in range(30):
        p.rx(seal(VERB_ECHO, bytes((n,)) * 16), *AT_B)
    events = p.events()
    assert [data[28] for _, data in events] == [0, 1, 2, 3, 4]  # 36 + 44 bytes each
    assert p.counters()["event_lost"] == 25 and p.counters()["events"] == 5
    assert p.events() == []


def test_neither_strangers_nor_our_own_stack_can_fill_the_ring(lib):
    p = plane(lib, event_bytes=800)
    for _ in range(100):
        p.rx(from_b(source=bytes(5)), *AT_B)  # 36 + 43 bytes
        p.tx(0, frame(GROUP, MAC[A], IPV4, b"x" * 10))  # 36 + 24
    assert p.counters()["stranger_lost"] == 97 and p.counters()["frame_lost"] == 95
    for _ in range(10):
        p.rx(seal(VERB_ECHO, b""), *AT_B)  # 36 + 28
    assert p.counters()["event_lost"] == 6
    kinds = collections.Counter((ev.kind, ev.flags) for ev, _ in p.events())
    assert kinds == {(PACKET, 0): 3, (FRAME, 0): 5, (PACKET, OPENED): 4}
    # And again when it is empty.
    assert p.tx(0, frame(GROUP, MAC[A], IPV4, b"")) == EVENT
    assert p.rx(from_b(source=bytes(5)), *AT_B) == EVENT
    p.flush(FLUSH_EVENTS)
    for _ in range(4):
        assert p.tx(0, frame(GROUP, MAC[A], IPV4, b"x" * 10)) == EVENT


def test_records_survive_every_position_in_the_ring(lib):
    p = plane(lib, event_bytes=433)
    for n in range(500):
        f = frame(GROUP, MAC[A], IPV4, bytes((n & 255,)) * (n % 29))
        g = frame(GROUP, MAC[A], 0x1234, bytes((n & 255,)) * (n % 31))
        assert p.tx(0, f) == p.tx(0, g) == EVENT
        assert [d for _, d in p.events()] == [f, g]


def test_a_short_buffer_gets_the_head_and_the_event_stays(lib):
    p = plane(lib)
    f = frame(GROUP, MAC[A], IPV4, b"12345")
    p.tx(0, f)
    ev = _plane.Event()
    got = lib.zt_plane_event_get(p.p, ctypes.byref(ev), p.buf, len(f) - 1)
    assert got == -1 and ev.n == len(f)
    assert only_event(p)[1] == f


def test_an_event_nobody_has_room_for_can_be_given_up(lib):
    p = plane(lib)
    lib.zt_plane_event_drop(p.p)
    frames = [frame(GROUP, MAC[A], IPV4, bytes((i,)) * (97 * i)) for i in range(12)]
    for i in range(40):  # round the ring
        f, g = frames[i % 12], frames[(i + 5) % 12]
        p.tx(0, f)
        p.tx(0, g)
        lib.zt_plane_event_drop(p.p)
        assert only_event(p)[1] == g
    assert p.counters()["frame_lost"] == 40
    assert p.events() == []


def test_python_is_woken_when_the_first_event_comes(lib):
    p = plane(lib)
    for _ in range(3):
        p.tx(0, frame(GROUP, MAC[A], IPV4, b""))
    assert p.shim_counts()[0] == 1
    assert len(p.events()) == 3
    p.tx(0, frame(GROUP, MAC[A], IPV4, b""))
    assert p.shim_counts()[0] == 2


# ---- the life of entries


def _expiry(lib, start):
    p = plane(lib, now=start)
    assert p.group(0, GROUP, [B], ttl=TTL) == 0
    news = frame(GROUP, MAC[A], IPV4, b"news")

    def tick(ms):
        p.now = (start + ms) & 0xFFFFFFFF

    for ms in (0, 1, 2000, 4000, TTL - 1):
        tick(ms)
        assert p.rx(from_b(), *AT_B) == p.tx(0, to_b()) == p.tx(0, news) == DONE
    tick(TTL)
    assert p.rx(from_b(), *AT_B) == p.tx(0, to_b()) == p.tx(0, news) == EVENT
    assert p.peer_stats(B) is None and p.member_stats(0, B) is None
    for renew in (
        lambda: lib.zt_plane_peer_renew(p.p, p.now, B, TTL),
        lambda: lib.zt_plane_member_renew(p.p, p.now, 0, B, TTL),
        lambda: lib.zt_plane_group_renew(p.p, p.now, 0, GROUP, bytes(4), TTL),
    ):
        assert renew() == -1  # too late
        tick(TTL - 10)
        assert renew() == 0
        tick(TTL)
    assert p.rx(from_b(), *AT_B) == p.tx(0, to_b()) == p.tx(0, news) == DONE


def test_entries_expire_and_are_renewed_also_where_the_ticks_wrap(lib):
    for start in (1000, 0xFFFFFFFF - 3000, 0x7FFFFFFF - 3000):
        _expiry(lib, start)


def test_no_entry_lives_longer_than_six_seconds_unrenewed(lib):
    p = plane(lib)
    p.peer(B, KEY_B, AT_B, [AT_B], ttl=1 << 31)
    p.member(0, B, ttl=0xFFFFFFFF)
    p.now += TTL - 1
    assert p.tx(0, to_b()) == DONE
    p.now += 1
    assert p.tx(0, to_b()) == EVENT


def test_flush_takes_out_what_it_says(lib):
    news = frame(GROUP, MAC[A], IPV4, b"news")
    parts, _ = long_one(2000)
    for kind in (0, FLUSH_PEERS, FLUSH_MEMBERS, FLUSH_GROUPS, FLUSH_NETWORKS, FLUSH_REASSEMBLY,
                 FLUSH_EVENTS):  # fmt: skip
        p = plane(lib)
        p.group(0, GROUP, [B])
        p.tx(0, frame(b"\x33\x33" + bytes(4), MAC[A], IPV4, b""))
        p.rx(parts[0], *AT_B)
        p.flush(kind)
        assert len(p.events()) == (0 if kind == FLUSH_EVENTS else 1)
        if kind == FLUSH_NETWORKS:
            assert p.tx(0, to_b()) == -1
            continue
        unicast = EVENT if kind in (FLUSH_PEERS, FLUSH_MEMBERS) else DONE
        assert p.tx(0, to_b()) == unicast
        assert p.tx(0, news) == (EVENT if kind == FLUSH_GROUPS else unicast)
        rest = {FLUSH_REASSEMBLY: KEPT, FLUSH_PEERS: EVENT, FLUSH_MEMBERS: EVENT}
        assert p.rx(parts[1], *AT_B) == rest.get(kind, DONE)


def test_flush_of_one_network_leaves_the_others(lib):
    p = plane(lib)
    other = NWID[:7] + b"\x44"
    assert p.network(other, nic=4) == 1
    for net in (0, 1):
        p.member(net, B)
        p.group(net, GROUP, [B])
    p.flush(FLUSH_MEMBERS, 0)
    assert p.member_stats(0, B) is None and p.member_stats(1, B) is not None
    p.flush(FLUSH_NETWORKS, 1)
    assert p.network(NWID) == 0 and p.tx(1, to_b()) == -1


def test_a_new_configuration_voids_members_and_groups(lib):
    p = plane(lib)
    p.group(0, GROUP, [B])
    p.rx(from_b(), *AT_B)
    assert p.network(NWID, nic=3) == 0
    assert p.rx(from_b(), *AT_B) == EVENT
    assert p.tx(0, to_b()) == EVENT
    p.member(0, B)
    assert p.tx(0, frame(GROUP, MAC[A], IPV4, b"news")) == EVENT
    assert p.network_stats(0).rx_frames == 1  # but what was counted stays


def test_session_keys_are_wiped_when_an_entry_goes(lib):
    def held(p, key):
        return bytes(p.block).count(key)

    marked = b"session key of B, all 48 bytes of it, unmistakable"[:48]
    ways = {
        "del": lambda p: p.peer_del(B),
        "flush": lambda p: p.flush(FLUSH_PEERS),
        "expire": lambda p: (setattr(p, "now", p.now + TTL), p.expire()),
        "replace": lambda p: p.peer(B, KEY_C, AT_B, [AT_B]),
        "bad replacement": lambda p: p.peer(B, KEY_C, (1, (bytes(5), 1))),
        "wipe": lambda p: p.lib.zt_plane_wipe(p.p),
    }
    for name, way in ways.items():
        p = Plane(lib, A)
        assert p.peer(B, marked, AT_B, [AT_B]) == 0
        assert held(p, marked) == 1
        way(p)
        assert held(p, marked[:16]) == held(p, marked[32:]) == 0, name
    assert set(bytes(p.block)[:-7]) <= {0, 0xE7}  # wiped: the slack around it is the test's


def test_tables_refuse_more_than_their_limits(lib):
    p = plane(lib, peers=3, networks=1, members=3, groups=1, group_members=2)
    address = bytes.fromhex("0000000001")
    assert p.peer(address, KEY_B) == 0
    assert p.peer(address[::-1], KEY_B) == -1
    assert p.member(0, address) == 0
    assert p.member(0, address[::-1]) == -1
    assert p.network(bytes(8)) == -1
    assert p.group(0, GROUP, [B, C]) == 0
    assert p.group(0, mac.BROADCAST, [B]) == -1
    assert p.group(0, GROUP, [B, C, A]) == -1
    assert p.tx(0, frame(GROUP, MAC[A], IPV4, b"")) == EVENT  # nothing old stays in force
    # What has expired makes room by itself.
    p.now += TTL
    assert p.peer(address[::-1], KEY_B) == p.member(0, address[::-1]) == 0


def test_wrong_arguments_are_refused(lib):
    p = plane(lib)
    assert p.peer(A, KEY_B, AT_B) == -1  # ourselves
    assert p.peer(B, KEY_B, (-1, AT_B[1])) == -1
    assert p.peer_path(bytes(5), AT_B) == -1
    assert p.peer_del(B) == -1  # went with the refusal
    assert p.member(1, B) == p.member(-1, B) == p.member(99, B) == -1
    assert p.group(1, GROUP, [B]) == -1
    assert lib.zt_plane_network_del(p.p, 1) == lib.zt_plane_network_del(p.p, -1) == -1
    assert lib.zt_plane_group_del(p.p, 0, GROUP, bytes(4)) == -1
    assert lib.zt_plane_network_find(p.p, NWID) == 0
    assert lib.zt_plane_network_find(p.p, bytes(8)) == -1
    assert lib.zt_plane_group_del(p.p, -1, GROUP, bytes(4)) == -1
    assert p.member_del(-1, B) == p.member_del(0, bytes(5)) == -1


def test_malformed_credentials_are_refused_and_the_member_goes(lib):
    good = credentials([(1, 2), (3, 4)], [b"\1\0"], [(2, b"\x0a\0\0\1")])
    p = plane(lib)
    assert p.member(0, B, raw=good) == 0
    twice = credentials([(1, 2)]) * 2
    whole = {0, 9, 18, 23}
    for n in range(len(good)):
        assert p.member(0, B, raw=good[:n]) == (0 if n in whole else -1)
        assert (p.member_stats(0, B) is not None) == (n in whole)
    assert p.member(0, B, raw=twice) == p.member(0, B, raw=b"\4") == -1
    assert p.network(NWID, own=twice) == -1
    assert lib.zt_plane_network_find(p.p, NWID) == -1


def test_the_arena_refuses_what_does_not_fit_and_uses_its_room_again(lib):
    p = plane(lib, rules_bytes=4096, members=32)
    r = random.Random(5)
    sizes = collections.Counter()
    for i in range(4000):
        raw = credentials([(j, j) for j in range(r.randrange(60))], [b"\1\0" * r.randrange(90)])
        sizes[p.member(0, bytes((9, 9, 9, 9, r.randrange(30))), raw=raw)] += 1
        if i % 7 == 0:
            p.member_del(0, bytes((9, 9, 9, 9, r.randrange(30))))
    assert sizes[0] > 1000 and sizes[-1] > 100
    p.flush(FLUSH_MEMBERS | FLUSH_NETWORKS)
    assert p.network(NWID, b"\1\0" * 1900) == 0  # nothing leaked, neighbours are joined
    assert p.network(NWID, b"\1\0" * 2100) == -1


def test_a_table_full_of_entries_finds_each_and_none_else(lib):
    p = Plane(lib, A, peers=1000, rules_bytes=0)
    r = random.Random(1)
    there = {}
    for _ in range(5000):
        address = bytes((r.randrange(2), 0, 0, r.randrange(8), r.randrange(256)))
        if address in there:
            assert p.peer_del(address) == 0
            del there[address]
        elif p.peer(address, KEY_B) == 0:
            there[address] = True
    assert 900 < len(there) <= 1000
    for i in range(2 * 8 * 256):
        address = bytes((i >> 11, 0, 0, i >> 8 & 7, i & 255))
        assert (p.peer_stats(address) is not None) == (address in there)


def _bucket(address, mask):
    """The hash of zt_plane_table.c where there are numbers of 128 bits, seed zero."""
    hide = 0x9E3779B97F4A7C15
    product = (int.from_bytes(address, "little") ^ hide) * (1 << 63 ^ hide >> 17)
    both = (product ^ product >> 64) & 0xFFFFFFFFFFFFFFFF
    return (both ^ both >> 29) & mask


def test_a_chain_has_eight_links_at_most(lib):
    if sys.maxsize < 1 << 32:
        pytest.skip("the hash of smaller machines is another")
    p = Plane(lib, A, bytes(16), peers=64)
    addresses = [i.to_bytes(5, "big") for i in range(1, 2000)]
    same = [a for a in addresses if _bucket(a, 127) == 17]
    assert [p.peer(a, KEY_B) for a in same[:10]] == [0] * 8 + [-1] * 2
    assert p.peer_del(same[3]) == 0 and p.peer(same[9], KEY_B) == 0
    other = [a for a in addresses if _bucket(a, 127) == 18]
    assert p.peer(other[0], KEY_B) == 0


def test_ages_do_not_wrap(lib):
    p = plane(lib)
    p.rx(from_b(), *AT_B)
    p.tx(0, to_b())
    for _ in range(900):
        p.now += 4000
        assert p.peer(B, KEY_B, AT_B, [AT_B]) == p.member(0, B) == 0
        p.expire()
    p.now += 4000
    assert p.peer(B, KEY_B, AT_B, [AT_B]) == p.member(0, B) == 0
    stats = p.peer_stats(B)
    assert stats.rx_age == stats.tx_age == stats.frame_age == NEVER
    assert stats.rx_packets == 1
    p.expire()
    p.now = (p.now + (1 << 32) - 3600000) & 0xFFFFFFFF
    p.expire()
    assert p.peer(B, KEY_B, AT_B, [AT_B]) == 0
    assert p.peer_stats(B).rx_age == NEVER


def test_an_age_is_zero_for_a_reader_whose_clock_is_a_little_behind(lib):
    p = plane(lib)
    p.rx(from_b(), *AT_B)
    p.now -= 3
    assert p.peer_stats(B).rx_age == 0
    p.expire()
    p.now += 3
    assert p.peer_stats(B).rx_age == 0


# ---- memory


def test_any_alignment_of_the_block_will_do_and_too_little_is_refused(lib):
    for skew in range(8):
        p = Plane(lib, A, bytes(16), skew)
        install(p)
        assert p.tx(0, to_b()) == p.rx(from_b(), *AT_B) == DONE
    limits = _plane.LimitsC(**_plane.UNIX)
    n = lib.zt_plane_size(ctypes.byref(limits))
    block = (ctypes.c_uint8 * n)()
    args = (ctypes.byref(limits), A, bytes(16), lib.shim_hal(), None)
    assert lib.zt_plane_init(block, n, *args)
    assert lib.zt_plane_init(block, n // 2, *args) is None
    limits.packet_bytes = 10025
    assert lib.zt_plane_size(ctypes.byref(limits)) == 0
    assert lib.zt_plane_init(block, n, *args) is None


def test_counters_have_names(lib):
    p = plane(lib)
    assert len(p.counter_names) == len(set(p.counter_names)) == 17
    assert p.counter_names[-1] == "frame_lost" and p.counter_names[8] == "mac"
    assert p.drop_names == [
        "rules_out", "rules_in", "bad_source", "bad_destination", "broadcast_off", "multicast_off",
    ]  # fmt: skip
