# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The HAL of either interpreter over real loopback sockets and real files: the same tests for the C
# module and for the CPython backend.

import errno
import gc
import os
import sys

from _raised import raised
from zt import hal, osutil

V4 = bytes([127, 0, 0, 1])
V6 = bytes(15) + b"\x01"
BUF = bytearray(2048)
META = bytearray(20)


def with_folder(test):
    """Run test(path) on a fresh folder that is removed afterwards."""
    path = osutil.temp_path(hal.random)
    hal.mkdir(path, 0o700)
    try:
        test(path)
    finally:
        osutil.rmtree(path)


def receive(wire, buf=BUF):
    for _ in range(50):
        n = hal.wire_recv(wire, buf, META)
        if n:
            return n
        hal.wait(100)
    raise AssertionError("nothing arrived")


def has_v6():
    return any(ip == V6 for _, ip, _ in hal.interfaces())


def both(ip):
    return hal.wire_open(ip, 0), hal.wire_open(ip, 0)


def test_a_datagram_arrives_with_its_source():
    for ip in (V4, V6) if has_v6() else (V4,):
        a, b = both(ip)
        assert hal.wire_port(a) not in (0, hal.wire_port(b))
        assert hal.wire_send(a, ip, hal.wire_port(b), b"hello world", 5, 0) == 0
        assert receive(b) == 5
        assert bytes(BUF[:5]) == b"hello"
        assert META[0] == len(ip)
        assert bytes(META[1 : 1 + len(ip)]) == ip
        assert META[17] << 8 | META[18] == hal.wire_port(a)
        assert hal.wire_recv(b, BUF, META) == 0
        hal.wire_close(a)
        hal.wire_close(b)


def test_a_ttl_is_accepted_for_one_packet():
    for ip in (V4, V6) if has_v6() else (V4,):
        a, b = both(ip)
        for ttl in (1, 0, 255):
            assert hal.wire_send(a, ip, hal.wire_port(b), b"x", 1, ttl) == 0
            assert receive(b) == 1
        raised(ValueError, hal.wire_send, a, ip, 1, b"x", 1, 256)
        hal.wire_close(a)
        hal.wire_close(b)


def test_port_in_use_is_an_error_that_says_so():
    a = hal.wire_open(V4, 0)
    e = raised(OSError, hal.wire_open, V4, hal.wire_port(a))
    assert e.errno == errno.EADDRINUSE
    port = hal.wire_port(a)
    hal.wire_close(a)
    b = hal.wire_open(V4, port)
    assert hal.wire_port(b) == port
    hal.wire_close(b)


def test_the_families_do_not_mix():
    if not has_v6():
        return
    a = hal.wire_open(V4, 0)
    b = hal.wire_open(V6, hal.wire_port(a))
    assert hal.wire_send(a, V6, 9, b"x", 1, 0) == 97  # EAFNOSUPPORT
    assert hal.wire_send(b, V4, 9, b"x", 1, 0) == 97
    hal.wire_close(a)
    hal.wire_close(b)


def test_a_send_that_fails_returns_the_reason():
    a = hal.wire_open(V4, 0)
    assert hal.wire_send(a, V4, 9, bytes(70000), 70000, 0) == 90  # EMSGSIZE
    hal.wire_close(a)


def test_wrong_arguments_are_refused():
    a = hal.wire_open(V4, 0)
    raised(ValueError, hal.wire_open, b"\x7f\x00", 0)
    raised(ValueError, hal.wire_open, V4, 65536)
    raised(ValueError, hal.wire_send, a, V4, 9, b"x", 2, 0)
    raised(ValueError, hal.wire_send, a, V4, 65536, b"x", 1, 0)
    raised(ValueError, hal.wire_recv, a, BUF, bytearray(19))
    hal.wire_close(a)
    assert raised(OSError, hal.wire_port, a).errno == errno.EBADF
    assert raised(OSError, hal.wire_send, a, V4, 9, b"x", 1, 0).errno == errno.EBADF


def test_a_datagram_larger_than_the_buffer_is_dropped_whole():
    a, b = both(V4)
    small = bytearray(100)
    hal.wire_send(a, V4, hal.wire_port(b), bytes(101), 101, 0)
    hal.wire_send(a, V4, hal.wire_port(b), b"fits", 4, 0)
    assert receive(b, small) == 4
    hal.wire_close(a)
    hal.wire_close(b)


def test_a_kick_ends_the_wait_it_precedes():
    hal.kick()
    hal.kick()
    hal.wait(-1)
    hal.wait(0)


def test_a_datagram_ends_the_wait():
    a, b = both(V4)
    hal.wire_send(a, V4, hal.wire_port(b), b"x", 1, 0)
    hal.wait(-1)
    assert hal.wire_recv(b, BUF, META) == 1
    hal.wire_close(a)
    hal.wire_close(b)


def test_an_idle_wait_calls_the_pump_only_at_its_deadlines():
    calls = []

    def pump():
        calls.append(1)
        return 40

    hal.set_pump(pump)
    hal.wait(200)
    hal.set_pump(None)
    # Five deadlines and the ends; polling every millisecond would make some 200.
    assert 1 <= len(calls) <= 12
    calls.clear()
    hal.wait(50)
    assert not calls


def test_the_pump_is_not_entered_again_from_within():
    depth = []

    def pump():
        depth.append(1)
        assert len(depth) == 1
        hal.wait(1)
        depth.pop()
        return -1

    hal.set_pump(pump)
    hal.wait(5)
    hal.set_pump(None)
    assert not depth


def test_a_failing_pump_does_not_fail_the_waiter():
    calls = []

    def pump():
        calls.append(1)
        raise ValueError("one such report on stderr is wanted")

    hal.set_pump(pump)
    hal.wait(20)
    hal.wait(20)
    assert len(calls) >= 2
    assert len(calls) < 10  # a pause after each, no spinning

    def quitting():
        raise SystemExit(3)

    hal.set_pump(quitting)
    raised(SystemExit, hal.wait, 20)
    hal.set_pump(None)
    raised(TypeError, hal.set_pump, 5)


def test_save_replaces_the_file_and_sets_its_mode():
    def check(where):
        path = where + "/secret"
        for content in (b"", b"first", b"x" * 100000, bytearray(b"second")):
            hal.save(path, content, 0o600)
            with open(path, "rb") as f:
                assert f.read() == content
        assert mode(path) == 0o600
        hal.save(path, b"open", 0o644)
        assert mode(path) == 0o644
        assert listing(where) == ["secret"]

    with_folder(check)


def test_a_save_that_fails_leaves_what_was_there():
    def check(where):
        path = where + "/kept"
        hal.save(path, b"old", 0o600)
        assert raised(OSError, hal.save, where + "/none/x", b"new", 0o600).errno == errno.ENOENT
        # A folder in its place cannot be replaced by a file.
        hal.mkdir(where + "/folder", 0o700)
        raised(OSError, hal.save, where + "/folder", b"new", 0o600)
        with open(path, "rb") as f:
            assert f.read() == b"old"
        assert listing(where) == ["folder", "kept"]

    with_folder(check)


def test_a_lock_is_held_once():
    def check(where):
        path = where + "/lock"
        held = hal.lock(path)
        assert raised(OSError, hal.lock, path).errno == errno.EAGAIN
        hal.unlock(held)
        hal.unlock(hal.lock(path))
        assert raised(OSError, hal.lock, path + "/none").errno == 20  # ENOTDIR

    with_folder(check)


def test_interfaces_name_the_loopback():
    found = [(ip, bits) for _, ip, bits in hal.interfaces() if ip == V4]
    assert found == [(V4, 8)]
    for name, ip, bits in hal.interfaces():
        assert name and len(ip) in (4, 16) and 0 <= bits <= len(ip) * 8


def test_random_is_of_the_length_asked_and_never_the_same():
    assert hal.random(0) == b""
    assert len(hal.random(100)) == 100
    assert hal.random(16) != hal.random(16)


def listing(path):
    if sys.implementation.name == "micropython":
        return sorted([e[0] for e in os.ilistdir(path)])
    return sorted(os.listdir(path))


def mode(path):
    """Permission bits, by the host's stat(1): MicroPython's os.stat leaves them out."""
    out = path + ".mode"
    assert os.system("stat -c %%a '%s' >'%s'" % (path, out)) == 0
    with open(out) as f:
        bits = int(f.read(), 8)
    os.remove(out)
    return bits


def test_garbage_is_bounded_after_tidying():
    if not hasattr(hal, "tidy"):
        return  # CPython collects by itself
    hal.tidy()
    used = gc.mem_alloc()
    most = 0
    for _ in range(100):
        bytearray(10000)
        most = max(most, gc.mem_alloc() - used)
    assert most < max(used // 2, 128 * 1024) + 16384, most
