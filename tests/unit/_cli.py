# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Runs the command line as processes, both programs: python3 -m zt and, where it is built, ./zt.
# Nothing leaves the machine: nodes here have a planet of their own on loopback.

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIB = os.path.join(TOP, "lib")
PROGRAMS = [[sys.executable, "-m", "zt"]]
if os.path.exists(os.path.join(TOP, "build", "microzt")):
    PROGRAMS.append([os.path.join(TOP, "zt")])
ENVIRONMENT = dict(os.environ, PYTHONPATH=LIB, MICROPYPATH=LIB + ":.frozen")
NWID = "8056c2e21c000001"


def zt(program, *args, home=None, tmp="/tmp"):
    """(exit status, stdout, stderr) of one command."""
    env = dict(ENVIRONMENT, ZT_HOME=home or "/nonexistent/zt", TMPDIR=tmp)
    done = subprocess.run(
        [*program, *args], capture_output=True, text=True, timeout=60, env=env, cwd="/"
    )
    return done.returncode, done.stdout, done.stderr


def fails(program, *args, status=1, words=(), home=None):
    """The command fails with one line on stderr that has these words and is no traceback."""
    code, out, err = zt(program, *args, home=home)
    assert code == status, (args, code, err)
    assert err.startswith("zt: ") and err.count("\n") == 1, (args, err)
    for word in words:
        assert word in err, (args, word, err)
    return out


def everywhere(test):
    """Run test(program, folder) with each program and a fresh folder."""
    for program in PROGRAMS:
        folder = tempfile.mkdtemp(prefix="zt-test-")
        try:
            test(program, folder)
        finally:
            shutil.rmtree(folder)


def make_world(program, folder):
    """An identity and a planet with it as root on a free loopback port; (planet file, port)."""
    zt(program, "id", "new", "--out", folder + "/root")
    port = free_port()
    root = "%s/root/identity.public@127.0.0.1/%d" % (folder, port)
    code, _, err = zt(program, "planet", "new", "--root", root, "--out", folder + "/planet")
    assert code == 0, err
    return folder + "/planet", port


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Running:
    """`zt run` on loopback; stop() checks the clean end."""

    def __init__(self, program, home, planet, port, *more):
        args = ["run", "--json", "--home", home, "--planet", planet, "--port", str(port)]
        os.makedirs(home, exist_ok=True)
        with open(home + "/local.conf", "w") as f:
            f.write('{"settings": {"bind": ["127.0.0.1"]}}')
        self.process = subprocess.Popen(
            [*program, *args, "--allow-loopback", *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )
        self.first = self.next()

    def next(self):
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        return json.loads(line)

    def until(self, **wanted):
        while True:
            event = self.next()
            if all([event.get(k) == v for k, v in wanted.items()]):
                return event

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        out, err = self.process.communicate(timeout=10)
        assert self.process.returncode == 0, err
        assert "Traceback" not in err, err
        return json.loads(out.strip().split("\n")[-1])


def with_node(test, *more):
    """Run test(program, folder, home, running root)."""

    def check(program, folder):
        planet, port = make_world(program, folder)
        home = folder + "/root"
        node = Running(program, home, planet, port, *more)
        try:
            test(program, folder, home, node)
        finally:
            if node.process.poll() is None:
                node.process.kill()
            node.process.communicate()

    everywhere(check)
