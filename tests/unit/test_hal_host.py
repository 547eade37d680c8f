# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The HAL of both interpreters seen from outside, by the host's own sockets and signals.
# cpython-only: it starts the interpreters as processes and looks at them from here.

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
MICROZT = TOP / "build" / "microzt"
IP_RECVTTL = 12  # Linux; the socket module has no name for it

BACKENDS = [
    pytest.param([sys.executable, "-c"], id="cpython"),
    pytest.param(
        [str(MICROZT), "-c"],
        id="micropython",
        marks=pytest.mark.skipif(not MICROZT.exists(), reason="build/microzt is not built"),
    ),
]
PATHS = "import sys\nsys.path[:0] = [%r]\n" % str(TOP / "lib")


def start(backend, code, *arguments):
    return subprocess.Popen(
        [*backend, PATHS + code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=dict(os.environ, PYTHONUNBUFFERED="1"),
    )


SEND = """
from zt import hal
ip = bytes.fromhex(sys.argv[1])
wire = hal.wire_open(ip, 0)
for ttl in (0, 3, 200):
    assert hal.wire_send(wire, ip, int(sys.argv[2]), b"x", 1, ttl) == 0
"""


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("family", ["v4", "v6"])
def test_a_ttl_is_on_one_packet_and_not_on_the_next(backend, family):
    if family == "v4":
        host, s = "127.0.0.1", socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
    else:
        host, s = "::1", socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
    with s:
        try:
            s.bind((host, 0))
        except OSError:
            pytest.skip("no IPv6 on this machine")
        s.settimeout(20)
        ip = socket.inet_pton(s.family, host).hex()
        sender = start(backend, SEND, ip, str(s.getsockname()[1]))
        seen = []
        for _ in range(3):
            _, control, _, _ = s.recvmsg(10, 100)
            seen.append(int.from_bytes(control[0][2], sys.byteorder))
        assert sender.communicate(timeout=20)[0] == ""
    assert seen[0] in (64, 128, 255)  # the system's own
    assert seen[1:] == [3, 200]


INTERRUPTED = """
from zt import hal
hal.sigterm_as_interrupt()
state = []

def pump():
    if not state:
        state.append("entered")
        print("entered")
        hal.read(0, bytearray(1))
        for i in range(1000):
            state[0] = i
        state[0] = "whole"
    return -1

hal.set_pump(pump)
try:
    hal.wait(-1)
except KeyboardInterrupt:
    print(state[0])
"""


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_wait_and_not_the_pump(backend, number):
    p = subprocess.Popen(
        [*backend, PATHS + INTERRUPTED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=dict(os.environ, PYTHONUNBUFFERED="1"),
    )
    assert p.stdout.readline() == "entered\n"
    p.send_signal(number)
    output, _ = p.communicate("x", timeout=20)
    assert output == "whole\n"
    assert p.returncode == 0


IDLE = """
from zt import hal
hal.sigterm_as_interrupt()
hal.set_pump(lambda: -1)
print("idle")
try:
    hal.wait(-1)
except KeyboardInterrupt:
    pass
"""


def switches(pid):
    text = pathlib.Path("/proc/%d/status" % pid).read_text()
    return sum(int(line.split()[1]) for line in text.splitlines() if "ctxt_switches" in line)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_idle_process_does_not_run(backend):
    p = start(backend, IDLE)
    assert p.stdout.readline() == "idle\n"
    time.sleep(0.2)
    before = switches(p.pid)
    time.sleep(0.5)
    assert switches(p.pid) == before
    p.terminate()
    assert p.communicate(timeout=20)[0] == ""
    assert p.returncode == 0
