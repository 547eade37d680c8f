# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# cpython-only: starts processes
#
# The HTTP server of a running node against clients that mean no good: too many, too slow, gone in
# the middle, oversized. Nothing of them may stay behind in the process, and nobody else wait.

import json
import os
import socket
import time

from _cli import with_node

SETTLE_S = 5


def connect(port, host="127.0.0.1"):
    return socket.create_connection((host, port), 3)


def answer(s):
    """All of what the other side sends until it closes; b"" if it closes with an error."""
    data = b""
    try:
        while True:
            part = s.recv(65536)
            if not part:
                return data
            data += part
    except ConnectionError:
        return data
    finally:
        s.close()


def ask(port, text, host="127.0.0.1"):
    s = connect(port, host)
    try:
        s.sendall(text)
        s.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    return answer(s)


def healthy(port, host="127.0.0.1"):
    text = ask(port, b"GET /health HTTP/1.0\r\n\r\n", host)
    return b"200" in text.split(b"\r\n")[0]


def descriptors(node):
    return len(os.listdir("/proc/%d/fd" % node.process.pid))


def settled(node, most):
    """Wait for the process to have at most so many descriptors."""
    end = time.monotonic() + SETTLE_S
    while descriptors(node) > most:
        assert time.monotonic() < end, "%d descriptors, %d expected" % (descriptors(node), most)
        time.sleep(0.05)


def test_what_others_do_to_the_server_leaves_nothing_behind():
    def check(program, folder, home, node):
        port = node.first["port"]
        assert healthy(port)
        before = descriptors(node)

        # More connections at once than are served: the others are closed, and all are forgotten.
        crowd = [connect(port) for _ in range(60)]
        time.sleep(0.3)
        assert descriptors(node) <= before + 20
        for s in crowd:
            s.close()
        settled(node, before)
        assert healthy(port)

        # Cut off in the middle of the head, of the body; and by a reset.
        for text in (b"GET /sta", b"POST /network/1 HTTP/1.0\r\nContent-Length: 500\r\n\r\nhalf"):
            for reset in (False, True):
                s = connect(port)
                s.sendall(text)
                if reset:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                s.close()
        settled(node, before)
        assert healthy(port)

        # More than a head, a body or a number may be.
        for text in (
            b"GET /health HTTP/1.0\r\nX: " + b"x" * 20000 + b"\r\n\r\n",
            b"GET /health HTTP/1.0\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
            b"POST /network/1 HTTP/1.0\r\nContent-Length: 99999999\r\n\r\n",
            b"POST /network/1 HTTP/1.0\r\nContent-Length: -5\r\n\r\n",
            b"POST /network/1 HTTP/1.0\r\nContent-Length: 1e9\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
            b"\n" * 40000,
            bytes(30000),
        ):
            first = ask(port, text).split(b"\r\n")[0]
            assert b" 200 " not in first, (text[:60], first)
            assert healthy(port)
        settled(node, before)

    with_node(check)


def test_without_a_token_nothing_is_told_but_health():
    def check(program, folder, home, node):
        port = node.first["port"]
        for method in (b"GET", b"PUT", b"POST", b"DELETE", b"OPTIONS", b"HEAD", b"TRACE"):
            for path in (b"/status", b"/nonsense", b"/controller", b"/", b"/network/1", b"*"):
                top, _, rest = ask(port, method + b" " + path + b" HTTP/1.0\r\n\r\n").partition(
                    b"\r\n\r\n"
                )
                assert b" 401 " in top.split(b"\r\n")[0], (method, path, top)
                assert rest in (b"{}", b""), rest
        told = json.loads(ask(port, b"GET /health HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")[2])
        assert sorted(told) == [
            "clock", "online", "version", "versionBuild", "versionMajor", "versionMinor",
            "versionRev",
        ]  # fmt: skip

    with_node(check)


def test_the_server_is_on_loopback_of_both_families_and_nowhere_else():
    def check(program, folder, home, node):
        port = node.first["port"]
        assert healthy(port)
        if socket.has_ipv6:
            assert healthy(port, "::1")
        with open("/proc/net/tcp") as f:
            four = [line.split()[1] for line in f if line.split()[3] == "0A"]
        with open("/proc/net/tcp6") as f:
            six = [line.split()[1] for line in f if line.split()[3] == "0A"]
        mine = [a for a in four + six if a.endswith(":%04X" % port)]
        assert sorted(mine) == sorted(
            ["0100007F:%04X" % port, "00000000000000000000000001000000:%04X" % port]
        )

    with_node(check)
