# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What the stack in the process keeps of sockets that are gone: nothing. Found by
# tests/fuzz/stack.py.
# micropython-only: CPython has no stack of ours.

import errno

import _needs_stack  # noqa: F401
import lwip
from _inet import checksum
from _mirror import Mirror
from zt import hal

PORT = 8090


class Resetting(Mirror):
    """The far end makes a reset of the segment that says so."""

    def answer(self, f):
        back = Mirror.answer(self, f)
        if back is not None and bytes(back[-5:]) == b"RESET":
            back[47] = 0x04
            back[50:52] = b"\0\0"
            pseudo = bytes(back[26:34]) + b"\0\6" + (len(back) - 34).to_bytes(2, "big")
            back[50:52] = checksum(pseudo + bytes(back[34:])).to_bytes(2, "big")
        return back


def listener(backlog):
    s = lwip.socket()
    s.setsockopt(lwip.SOL_SOCKET, lwip.SO_REUSEADDR, 1)
    s.bind(("", PORT))
    s.listen(backlog)
    return s


def clients(count, host="10.9.0.77"):
    out = []
    for _ in range(count):
        c = lwip.socket()
        c.settimeout(5)
        c.connect((host, PORT))
        out.append(c)
    hal.wait(20)
    return out


def was_reset(client):
    client.settimeout(3)
    try:
        client.recv(10)
    except OSError as e:
        return e.errno == errno.ECONNRESET
    return False


def test_a_listener_that_is_closed_takes_all_with_it_that_wait():
    # With a backlog of one upstream forgets the one, with more every second one.
    mirror = Mirror()
    for backlog, count in ((1, 1), (4, 4), (8, 5)):
        server = listener(backlog)
        waiting = clients(count)
        server.close()
        hal.wait(50)
        assert [was_reset(c) for c in waiting] == [True] * count, backlog
        for c in waiting:
            c.close()
    mirror.close()


def test_one_that_ends_before_it_is_accepted_leaves_the_others():
    mirror = Resetting()
    server = listener(4)
    server.settimeout(3)
    for gone in range(4):
        waiting = clients(4)
        left = [c for i, c in enumerate(waiting) if i != gone]
        for i, c in enumerate(left):
            c.send(b"%d" % i)
        waiting[gone].send(b"RESET")
        hal.wait(50)
        for i in range(3):
            peer = server.accept()[0]
            peer.settimeout(3)
            assert peer.recv(10) == b"%d" % i, (gone, i)
            peer.close()
        for c in waiting:
            c.close()
        hal.wait(50)
    server.close()
    mirror.close()
