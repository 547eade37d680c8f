# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The state of a board: what is written when, how often, and what a damaged file does.

import os

from zt import flashstore, hal, log, osutil, settings
from zt._compat import hexs, ticks_add, ticks_ms, unhex
from zt.flashstore import EVERY_MS, PEERS_MAX, FlashStore

A = unhex("8056c2e21c000001")
B = unhex("8056c2e21c000002")
PEER = unhex("1122334455")
CONFIG = b"v=7\nnwid=8056c2e21c000001\n"


class Board:
    """A folder and settings that outlive the stores on them, and both clocks."""

    def __init__(self):
        self.folder = osutil.temp_path(hal.random)
        self.settings = settings.Memory()
        self.wall = 1700000000000
        self.saved = []
        self.now = ticks_ms()
        flashstore.wall_ms = lambda: self.wall
        flashstore.ticks_ms = lambda: self.now

    def store(self, **options):
        def save(path, data, mode):
            self.saved.append(path.rpartition("/")[2])
            settings.write_whole(path, data, mode)

        return FlashStore(self.settings, self.folder, save, **options)

    def wait(self, store, ms):
        self.now = ticks_add(self.now, ms)
        self.wall += ms
        store.tick(self.now)

    def path(self, name):
        return self.folder + "/" + name


def on_board(test):
    wall = flashstore.wall_ms
    lines = []
    log.set_sink(lines.append)
    board = Board()
    board.lines = lines
    try:
        test(board)
    finally:
        log.set_sink(None)
        flashstore.wall_ms = wall
        flashstore.ticks_ms = ticks_ms
        osutil.rmtree(board.folder)


def test_what_the_owner_decides_is_in_the_settings():
    def check(board):
        s = board.store()
        for kind in ("identity.secret", "identity.public", "planet"):
            assert s.get(kind) is None and s.keys(kind) == []
            s.put(kind, b"x" + kind.encode())
            assert board.settings.get(kind) == b"x" + kind.encode()
            assert s.get(kind) == b"x" + kind.encode() and s.keys(kind) == [b""]
        assert s.get("network", A) is None
        s.put("network", b"\n", A)
        s.put("network.local", b"allowDNS=1\n", A)
        s.put("network", b"\n", B)
        assert board.store().keys("network") == [A, B]
        assert board.store().get("network", A) == b"\n"
        assert board.store().get("network.local", A) == b"allowDNS=1\n"
        assert board.store().get("network.local", B) is None
        s.put("network", None, A)
        s.put("network.local", None, A)
        assert board.store().keys("network") == [B]
        assert board.saved == []
        for kind in ("moon", "controller.network", "authtoken"):
            assert s.get(kind, A) is None and s.keys(kind) == []
            try:
                s.put(kind, b"x", A)
            except ValueError:
                continue
            raise AssertionError(kind)

    on_board(check)


def test_leaving_for_now_keeps_the_network_in_the_settings():
    def check(board):
        s = board.store()
        s.put("network", b"\n", A)
        s.keep = True
        s.put("network", None, A)
        assert board.store().keys("network") == [A]

    on_board(check)


def test_a_configuration_is_written_once_in_ten_minutes():
    def check(board):
        s = board.store()
        s.put("network", b"\n", A)
        s.put("network", CONFIG, A)
        assert board.saved == [], "nothing is written while a packet is processed"
        board.wait(s, 1000)
        assert board.saved == [hexs(A)]
        for n in range(59):
            s.put("network", CONFIG + b"t=%d\n" % n, A)
            assert s.get("network", A) == CONFIG + b"t=%d\n" % n
            board.wait(s, 10000)
        assert len(board.saved) == 1
        board.wait(s, 11000)
        assert len(board.saved) == 2
        assert board.store().get("network", A) == CONFIG + b"t=58\n"
        s.put("network", CONFIG + b"t=58\n", A)
        board.wait(s, EVERY_MS)
        assert len(board.saved) == 2, "nothing new"

    on_board(check)


def test_peers_are_one_file_written_only_when_one_changed():
    def check(board):
        s = board.store()
        for n in range(5):
            s.put("peer", b"record %d" % n, bytes(4) + bytes((n,)))
        board.wait(s, 1)
        assert board.saved == ["peers"]
        for n in range(5):
            s.put("peer", b"record %d" % n, bytes(4) + bytes((n,)))
        board.wait(s, EVERY_MS)
        assert board.saved == ["peers"]
        s.put("peer", b"other", PEER)
        s.put("peer", None, bytes(5))
        again = board.store()
        assert len(again.keys("peer")) == 5, "not written yet"
        assert len(s.keys("peer")) == 5 and s.get("peer", bytes(5)) is None
        board.wait(s, 1)
        assert board.saved == ["peers", "peers"]
        again = board.store()
        assert again.keys("peer") == s.keys("peer")
        assert again.get("peer", PEER) == b"other" and again.get("peer", bytes(5)) is None

    on_board(check)


def test_the_cache_of_peers_is_bounded():
    def check(board):
        s = board.store()
        for n in range(3 * PEERS_MAX):
            s.put("peer", b"record", bytes(4) + bytes((n,)))
            if n == PEERS_MAX - 1:
                board.wait(s, 1)
        board.wait(s, EVERY_MS)
        keys = board.store().keys("peer")
        assert len(keys) == PEERS_MAX
        assert min([k[4] for k in keys]) >= PEERS_MAX, "the new ones replace the old"

    on_board(check)


def test_a_board_that_starts_each_minute_does_not_write_each_minute():
    def check(board):
        for n in range(30):
            s = board.store()
            s.put("network", b"\n", A)
            s.put("network", CONFIG + b"t=%d\n" % n, A)
            board.wait(s, 5000)
            s.close()
            board.wall += 55000
        assert len(board.saved) == 3, board.saved
        # Without a clock that goes on in between nobody knows when it was: not for ten minutes.
        board.wall = 0
        s = board.store()
        s.put("network", CONFIG, A)
        board.wait(s, EVERY_MS - 1000)
        assert len(board.saved) == 3
        board.wait(s, 2000)
        assert len(board.saved) == 4

    on_board(check)


def test_damaged_caches_are_set_aside_named_and_survived():
    def check(board):
        s = board.store()
        s.put("network", b"\n", A)
        s.put("network", CONFIG, A)
        s.put("peer", b"record", PEER)
        board.wait(s, 1)
        for name in (hexs(A), "peers"):
            whole = osutil.read_file(board.path(name))
            damages = [whole[:n] for n in range(len(whole))]
            for i in range(len(whole)):
                damages.append(whole[:i] + bytes((whole[i] ^ 0x10,)) + whole[i + 1 :])
            for damaged in damages:
                with open(board.path(name), "wb") as f:
                    f.write(damaged)
                s = board.store()
                if name == "peers":
                    assert s.keys("peer") == [] and s.get("peer", PEER) is None
                else:
                    assert s.get("network", A) == b"\n", "the network stays joined"
                assert len(s.stats(board.now)["problems"]) == 1
                assert name in s.stats(board.now)["problems"][0]
                assert not osutil.exists(board.path(name))
                assert osutil.read_file(board.path(name + ".bad")) == damaged
        assert len(os.listdir(board.folder)) == 2, "one damaged file of each is kept"
        s.put("peer", b"record", PEER)
        board.wait(s, 1)
        assert board.store().get("peer", PEER) == b"record"

    on_board(check)


def test_a_full_flash_is_told_and_survived():
    def check(board):
        def full(path, data, mode):
            raise OSError(28, "full")

        s = FlashStore(board.settings, board.folder, full)
        s.put("peer", b"record", PEER)
        s.tick(ticks_ms())
        assert "no space" in s.stats(ticks_ms())["problems"][0]
        assert s.stats(ticks_ms())["bytes"] == 0
        s.tick(ticks_ms())
        assert len(board.lines) == 1, "it is not tried again at once"

    on_board(check)


def test_what_is_carried_through_a_sleep_comes_before_what_is_stored():
    def check(board):
        s = board.store()
        s.put("peer", b"old", PEER)
        s.put("peer", b"there", bytes(5))
        board.wait(s, 1)
        s.put("peer", b"new", PEER)
        carried = s.carry(2048)
        again = board.store(carried=carried)
        assert again.get("peer", PEER) == b"new"
        assert again.get("peer", bytes(5)) == b"there"
        for n in range(len(carried)):
            for damaged in (carried[:n], carried[:n] + b"\x55" + carried[n + 1 :]):
                if damaged != carried:
                    again = board.store(carried=damaged)
                    assert again.get("peer", PEER) == b"old", n
        assert len(s.carry(40)) <= 40
        assert board.store(carried=s.carry(40)).get("peer", PEER) == b"new"
        assert board.store(carried=b"").get("peer", PEER) == b"old"

    on_board(check)


def test_the_bytes_of_the_settings_count_too():
    def check(board):
        s = board.store()
        s.put("network", b"\n", A)
        s.put("network.local", b"allowDNS=1\n", A)
        first = len(hexs(A)) + 1
        assert s.stats(board.now)["writes"] == 2
        assert s.stats(board.now)["bytes"] == first + first + len(" allowDNS=1")

    on_board(check)


def test_the_bytes_of_a_day_are_counted():
    def check(board):
        s = board.store()
        s.put("peer", bytes(1000), PEER)
        board.wait(s, 1000)
        size = os.stat(board.path("peers"))[6]
        board.wait(s, 3600000)
        stats = s.stats(board.now)
        assert stats["writes"] == 1 and stats["bytes"] == size > 1000
        assert stats["bytes_per_day"] == size, "so far"
        for _ in range(8):
            board.wait(s, 6 * 3600000)
            stats = s.stats(board.now)
        assert stats["bytes_per_day"] == size * 86400 // (2 * 86400 + 3601)
        assert stats["waiting"] == 0 and stats["problems"] == []

    on_board(check)
