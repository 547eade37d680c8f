# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The computer's half of tools/board_test.py: root, controller and the other end of a private
# network, as processes of ours.

import json
import os
import pathlib
import queue
import subprocess
import sys
import threading
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
ZT = str(TOP / "zt")
STEP_S = 90
_POOL = "10.147.99."


class Failure(Exception):
    """Why a step failed, or why the test cannot begin."""


def say(text):
    print("board_test: " + text, file=sys.stderr, flush=True)


class Process:
    """A `zt` process that prints JSON lines."""

    def __init__(self, words, log):
        self.lines = queue.Queue()
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                self.lines.put(json.loads(line))
        self.lines.put(None)

    def wait_for(self, name, timeout_s):
        """The next line that has this member; its value."""
        end = time.monotonic() + timeout_s
        while True:
            try:
                line = self.lines.get(timeout=max(end - time.monotonic(), 0.01))
            except queue.Empty:
                raise Failure(
                    "the node on this computer: no %s in %d s" % (name, timeout_s)
                ) from None
            if line is None:
                raise Failure("the node on this computer ended")
            if name in line:
                return line[name]

    def tell(self, *words):
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()

    def ask(self, name, *words, timeout_s=STEP_S):
        self.tell(name, *words)
        value = self.wait_for(name + " done", timeout_s)
        if "error" in value:
            raise Failure("the node on this computer, %s: %s" % (name, value["error"]))
        return value

    def close(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


class Peer:
    """Root, controller and a member of their network, on this computer. `prefix` are words that
    run a command elsewhere (a network namespace)."""

    def __init__(self, folder, ip, port, prefix):
        self.folder = folder
        self.ip = ip
        self.port = port
        self.prefix = prefix
        self.processes = []
        self.log = open(os.path.join(folder, "log"), "wb")

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def zt(self, *words):
        done = subprocess.run(
            self.prefix + [ZT, *words],
            capture_output=True,
            text=True,
            timeout=STEP_S,
            check=False,
        )
        if done.returncode:
            raise Failure("zt %s: %s" % (words[0], done.stderr.strip()))
        return done.stdout.strip()

    def _home(self, name):
        home = self.path(name)
        self.zt("id", "new", "--out", home)
        with open(os.path.join(home, "local.conf"), "w") as f:
            json.dump({"settings": {"bind": [self.ip]}}, f)
        return home

    def start(self):
        """Bring all up; the network's id."""
        if not (TOP / "build" / "microzt").exists():
            raise Failure("the other end is the unix port; run: make build")
        self.root = self._home("root")
        member = self._home("member")
        where = "%s@%s/%d" % (os.path.join(self.root, "identity.public"), self.ip, self.port)
        planet = self.path("planet")
        self.zt("planet", "new", "--root", where, "--keys", planet + ".keys", "--out", planet)
        with open(planet, "rb") as f:
            self.planet = f.read()
        options = ["--planet", planet]
        words = ["run", "--home", self.root, "--port", str(self.port), "--controller", "--json"]
        self._spawn(words + options).wait_for("event", STEP_S)
        self.nwid = self.zt(
            "network", "new", "--name", "board_test", "--pool",
            "%s10-%s99" % (_POOL, _POOL), "--route", _POOL + "0/24", "--home", self.root,
        )  # fmt: skip
        with open(os.path.join(member, "identity.public")) as f:
            self.authorize(f.read()[:10])
        words = ["exec", "--home", member, "--port", str(self.port + 1), "--join", self.nwid]
        self.node = self._spawn(words + options + [str(TOP / "tools" / "board_peer.py")])
        end = time.monotonic() + STEP_S
        while True:
            found = [a for a in self.node.ask("state")["addresses"] if "." in a]
            if found:
                self.address = found[0].split("/")[0]
                return
            if time.monotonic() > end:
                raise Failure("the node on this computer does not get into its own network")
            time.sleep(0.2)

    def _spawn(self, words):
        self.processes.append(Process(self.prefix + [ZT, *words], self.log))
        return self.processes[-1]

    def authorize(self, address):
        self.zt("member", "authorize", self.nwid, address, "--home", self.root)

    def close(self):
        for p in reversed(self.processes):
            p.close()
        self.log.close()
