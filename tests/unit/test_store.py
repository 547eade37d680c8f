# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# State files: the original's names, modes, whole or not at all, one node on a home, corrupt ones
# set aside.

import os

from zt import hal, log, osutil
from zt._compat import unhex
from zt.store import FileStore, MemoryStore

NWID = unhex("8056c2e21c000001")
ADDRESS = unhex("1122334455")
NAMES = (
    ("identity.secret", b"", "identity.secret", 0o600),
    ("identity.public", b"", "identity.public", 0o644),
    ("planet", b"", "planet", 0o644),
    ("authtoken", b"", "authtoken.secret", 0o600),
    ("moon", NWID, "moons.d/8056c2e21c000001.moon", 0o644),
    ("peer", ADDRESS, "peers.d/1122334455.peer", 0o644),
    ("network", NWID, "networks.d/8056c2e21c000001.conf", 0o600),
    ("network.local", NWID, "networks.d/8056c2e21c000001.local.conf", 0o600),
    ("controller.network", NWID, "controller.d/network/8056c2e21c000001.json", 0o600),
    (
        "controller.member",
        NWID + ADDRESS,
        "controller.d/network/8056c2e21c000001/member/1122334455.json",
        0o600,
    ),
)


def with_home(test):
    """Run test(path, store) on a fresh home that is removed afterwards."""
    home = osutil.temp_path(hal.random)
    store = FileStore(home, hal)
    log.set_sink(None)
    try:
        test(home, store)
    finally:
        log.set_sink(None)
        store.close()
        osutil.rmtree(home)
    assert not osutil.exists(home)


def mode(path):
    return os.stat(path)[0] & 0o777


def test_files_have_the_names_and_modes_of_the_original():
    def check(home, store):
        assert mode(home) == 0o700
        for kind, key, name, bits in NAMES:
            path = home + "/" + name
            assert store.get(kind, key) is None
            store.put(kind, b"one", key)
            store.put(kind, b"two", key)
            assert osutil.read_file(path) == b"two"
            assert mode(path) == bits, name
            assert store.get(kind, key) == b"two"
            assert store.keys(kind) == [key]
            store.put(kind, None, key)
            store.put(kind, None, key)
            assert store.get(kind, key) is None
            assert not osutil.exists(path)

    with_home(check)


def test_keys_skips_files_that_are_not_ours():
    def check(home, store):
        store.put("network", b"x", NWID)
        store.put("network.local", b"x", NWID)
        for name in (
            "note.txt",
            "8056C2E21C000001.conf",
            "8056c2e21c00000.conf",
            "zz56c2e21c000001.conf",
            "8056c2e21c000002.conf.123.tmp",
            "8056c2e21c000003.conf.bad-1",
        ):
            hal.save(home + "/networks.d/" + name, b"x", 0o600)
        assert store.keys("network") == [NWID]
        assert store.keys("network.local") == [NWID]

    with_home(check)


def test_a_corrupt_file_is_set_aside_under_a_new_name_each_time():
    def check(home, store):
        lines = []
        log.set_sink(lines.append)
        for n in (1, 2):
            store.put("peer", b"torn", ADDRESS)
            bad = store.set_aside("peer", ADDRESS)
            assert bad == "%s/peers.d/1122334455.peer.bad-%d" % (home, n)
            assert osutil.read_file(bad) == b"torn"
            assert store.get("peer", ADDRESS) is None
        assert store.keys("peer") == []
        assert len(lines) == 2
        assert "1122334455.peer" in lines[0]

    with_home(check)


def test_a_second_store_on_the_same_home_is_refused_until_the_first_closes():
    def check(home, store):
        try:
            FileStore(home, hal)
        except OSError as e:
            assert "another node" in osutil.errtext(e)
            assert home in osutil.errtext(e)
        else:
            raise AssertionError("two stores on one home")
        store.close()
        store.close()
        second = FileStore(home, hal)
        second.close()

    with_home(check)


def test_a_home_that_cannot_be_made_is_reported_with_its_name():
    for home in ("/proc/zt-home", "/dev/null/x"):
        try:
            FileStore(home, hal)
        except OSError as e:
            assert home in osutil.errtext(e)
        else:
            raise AssertionError("made")


def test_a_write_that_fails_leaves_the_old_file():
    class Full:
        HAS_STACK = False
        lock = staticmethod(hal.lock)
        unlock = staticmethod(hal.unlock)
        mkdir = staticmethod(hal.mkdir)

        @staticmethod
        def save(path, data, bits):
            raise OSError(28, "full")

    def check(home, store):
        store.put("planet", b"old")
        store.close()
        full = FileStore(home, Full)
        try:
            full.put("planet", b"new")
        except OSError as e:
            assert "planet" in osutil.errtext(e)
            assert "space" in osutil.errtext(e)
        else:
            raise AssertionError("written")
        assert full.get("planet") == b"old"
        full.close()

    with_home(check)


def test_old_peer_caches_expire_and_others_stay():
    def check(home, store):
        store.put("peer", b"x", ADDRESS)
        now = os.stat(store.path("peer", ADDRESS))[8]
        store.expire("peer", now + 100, 200)
        assert store.keys("peer") == [ADDRESS]
        store.expire("peer", now + 300, 200)
        assert store.keys("peer") == []

    with_home(check)


def test_wrong_kinds_and_keys_are_the_callers_mistake():
    for store in (MemoryStore(),):
        for kind, key in (("nonsense", b""), ("peer", b"123"), ("planet", b"x")):
            try:
                store.get(kind, key)
            except ValueError:
                continue
            raise AssertionError("accepted %s" % kind)


def test_the_memory_store_behaves_the_same():
    store = MemoryStore()
    for kind, key, _name, _bits in NAMES:
        assert store.get(kind, key) is None
        store.put(kind, b"x", key)
        assert store.get(kind, key) == b"x"
        assert store.keys(kind) == [key]
        store.set_aside(kind, key)
        assert store.get(kind, key) is None


def test_what_a_process_left_that_died_while_it_saved_is_removed():
    def check(home, store):
        store.put("peer", b"x", ADDRESS)
        left = ["identity.secret.123.tmp", "peers.d/1122334455.peer.7.tmp"]
        kept = ["notes.tmp", "mine.5.tmp", "identity.secret.tmp", "peers.d/1122334455.peer"]
        for name in left + kept[:3]:
            hal.save(home + "/" + name, b"x", 0o600)
        store.close()
        again = FileStore(home, hal)
        try:
            assert again.keys("peer") == [ADDRESS]
            assert [n for n in left if osutil.exists(home + "/" + n)] == []
            assert [n for n in kept if not osutil.exists(home + "/" + n)] == []
        finally:
            again.close()

    with_home(check)


def test_secrets_that_others_may_read_are_named():
    def check(home, store):
        lines = []
        log.set_sink(lines.append)
        store.put("identity.secret", b"x")
        store.put("authtoken", b"x")
        store.warn_of_modes()
        assert lines == []
        hal.save(home + "/authtoken.secret", b"x", 0o644)
        store.warn_of_modes()
        assert len(lines) == 1 and "authtoken.secret: mode 0644" in lines[0]

    with_home(check)


def test_a_link_in_place_of_a_file_is_replaced_and_what_it_points_to_left_alone():
    def check(home, store):
        if not hasattr(os, "symlink"):
            return  # MicroPython's os makes none
        with open(home + "/victim", "w") as f:
            f.write("precious")
        os.symlink("victim", home + "/planet")
        os.symlink("victim", "%s/authtoken.secret.%d.tmp" % (home, os.getpid()))
        store.put("planet", b"new")
        store.put("authtoken", b"secret")
        assert osutil.read_file(home + "/victim") == b"precious"
        assert osutil.read_file(home + "/planet") == b"new"
        assert not os.path.islink(home + "/authtoken.secret")
        os.remove(home + "/microzt.lock")
        os.symlink("victim", home + "/microzt.lock")
        try:
            hal.lock(home + "/microzt.lock")
        except OSError:
            return
        raise AssertionError("followed")

    with_home(check)
