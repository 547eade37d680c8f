# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The lab itself: hosts reach one another unless isolated, nothing reaches the world, nothing is
# left over. What counts as a crash of libzt.

import os
import signal
import subprocess
import sys

import pytest
from client import Failed, Libzt, LibztCrashed, wait_for
from lab import Lab

SEND = "import socket, sys; socket.socket(%s, 2).sendto(b'x', (sys.argv[1], 9))"
RECEIVE = (
    "import socket, sys; s = socket.socket(2, 2); s.bind((sys.argv[1], 9)); s.settimeout(1)\n"
    "print('up', flush=True); print(s.recv(9))"
)


def reached(net, source, dest):
    argv = [sys.executable, "-c", RECEIVE, net.ipv4(dest)]
    pipe = subprocess.PIPE
    receiver = net.popen(dest, argv, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
    assert receiver.stdout.readline() == "up\n"
    net.run(source, [sys.executable, "-c", SEND % "2", net.ipv4(dest)], check=True)
    return "x" in receiver.stdout.read()


def test_hosts_reach_one_another_unless_isolated_and_never_the_world():
    before = set(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else set()
    with Lab("one", "two", "hub") as net:
        assert reached(net, "one", "two")
        net.isolate("one", "two")
        assert not reached(net, "one", "two")
        assert reached(net, "one", "hub") and reached(net, "hub", "two")
        net.isolate()
        assert reached(net, "two", "one")
        for family, address in (("2", "192.0.2.1"), ("10", "2001:db8::1")):
            argv = [sys.executable, "-c", SEND % family, address]
            done = net.run("one", argv, capture_output=True, text=True)
            assert "unreachable" in done.stderr, (address, done.stderr)
    after = set(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else set()
    assert after == before


def test_only_a_crash_of_libzt_is_tried_again(monkeypatch):
    def ended(by):
        process = subprocess.Popen(["sleep", "60"])
        process.send_signal(by)
        process.wait()
        monkeypatch.setattr(Libzt, "started", [("host", process)])
        with pytest.raises(Failed) as caught:
            wait_for("something", lambda: False, 0.01)
        return caught.type

    assert ended(signal.SIGSEGV) is LibztCrashed
    assert ended(signal.SIGABRT) is LibztCrashed
    assert ended(signal.SIGKILL) is Failed  # what the lab does at its end
