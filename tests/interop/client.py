# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The tests' end of the programs in the lab: a libzt node and our node behind the same calls (JSON
# lines to libzt_node.py and agent.py), our `zt run`, and single `zt` commands.

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
LIBZT = os.environ.get("LIBZT_DIR") or os.path.join(TOP, "build", "libzt")
ZT = os.environ.get("ZT") or os.path.join(TOP, "zt")
PORT = 9993


class Failed(AssertionError):
    pass


class LibztCrashed(Failed):
    """A signal killed libzt. A test that fails so is run again, twice at most, and listed as RERUN
    (pyproject.toml). Nothing else is tried twice.
    """


def libzt_crash():
    """What signal killed which libzt of this test, or None. SIGKILL is the lab's own."""
    for host, process in Libzt.started:
        code = process.poll()
        if code is not None and code < 0 and code != -signal.SIGKILL:
            return "libzt on %s was killed by signal %d" % (host, -code)
    return None


def patience(seconds):
    """What takes that long at most where this machine has nothing else to do may take that long
    now: where others have its processors too, each gets its share of them only.
    """
    waiting = os.getloadavg()[0] / os.cpu_count()
    return seconds * min(10, max(1, 2 * waiting))


def wait_for(what, check, timeout, step=0.1):
    """Call check() until it is true and return its value; Failed naming `what` after `timeout`
    seconds, more of them while the machine is busy.
    """
    began = time.monotonic()
    while True:
        value = check()
        if value:
            return value
        gone = time.monotonic() - began
        crash = libzt_crash()
        if crash:
            raise LibztCrashed("%s: %s" % (what, crash))
        if gone > patience(timeout):
            raise Failed("%s: not within %d s" % (what, gone))
        time.sleep(step)


class Node:
    """A node that takes commands; `call` waits for the answer, `begin` returns a function that
    does.
    """

    def __init__(self, lab, host, home, planet, port=PORT):
        self.lab = lab
        self.host = host
        self.home = str(home)
        self.planet = str(planet)
        self.port = port
        self.process = None
        self.address = None
        self.log = self.home + ".log"

    def argv(self):
        raise NotImplementedError

    def _launched(self):
        pass

    def start(self, timeout=60):
        """Start the process and wait until it is online."""
        self.answers = {}
        self.next = 0
        with open(self.log, "ab") as log:
            self.process = self.lab.popen(
                self.host,
                self.argv(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()
        self._launched()
        answer = self.call("start", timeout=int(patience(timeout)))
        if not answer["online"]:
            raise Failed("%s is not online after %d s" % (self.host, timeout))
        self.address = answer["address"]
        return answer

    def _read(self, process):
        answers = self.answers
        try:
            for line in process.stdout:
                # libzt prints too; only lines of ours are answers.
                if line.startswith("{"):
                    answer = json.loads(line)
                    answers[answer.pop("id")].put(answer)
        except ValueError:
            pass  # the stream was closed under us
        try:
            error = "the node ended with status %d" % process.wait(5)
        except subprocess.TimeoutExpired:
            error = "the node closed its output"
        for waiting in list(answers.values()):
            waiting.put({"ok": False, "error": error})

    def begin(self, cmd, **args):
        self.next += 1
        ident = self.next
        self.answers[ident] = queue.Queue()
        self.process.stdin.write(json.dumps(dict(args, cmd=cmd, id=ident)) + "\n")
        self.process.stdin.flush()

        def wait(limit=120):
            answered = self.answers[ident]
            try:
                wait_for(
                    "%s %s is answered" % (self.host, cmd),
                    lambda: not answered.empty(),
                    limit,
                    0.01,
                )
            except Failed as e:
                raise type(e)("%s%s" % (e, self.tail())) from None
            answer = answered.get()
            if not answer.pop("ok"):
                raise Failed("%s %s: %s%s" % (self.host, cmd, answer["error"], self.tail()))
            return answer

        return wait

    def tail(self):
        with open(self.log, errors="replace") as f:
            text = f.read()[-1500:]
        return "\nstderr of %s:\n%s" % (self.host, text) if text else ""

    def call(self, cmd, **args):
        return self.begin(cmd, **args)(args.get("timeout", 60) + 60)

    def stop(self):
        self.call("stop")
        self.process.stdin.close()
        code = self.process.wait(patience(20))
        if code:
            raise Failed("%s ended with status %d%s" % (self.host, code, self.tail()))

    def join(self, nwid):
        self.call("join", nwid=nwid)

    def wait_status(self, nwid, status, timeout=60):
        what = "%s: network %s" % (self.host, status)
        wait_for(what, lambda: self.call("status", nwid=nwid)["status"] == status, timeout)

    def wait_ready(self, nwid, timeout=90):
        """Wait for an address on the network; the IPv4 one."""
        wait_for(
            "%s: network ready" % self.host,
            lambda: self.call("status", nwid=nwid)["ready"],
            timeout,
        )
        return [ip for ip in self.call("status", nwid=nwid)["ips"] if "." in ip][0]


class Libzt(Node):
    """A real node."""

    started = []  # (host, process) of this test's

    def _launched(self):
        self.started.append((self.host, self.process))

    def start(self, timeout=60):
        """As Node's; but now and then libzt crashes while it starts: then once more."""
        for last in (False, False, True):
            try:
                return super().start(timeout)
            except Failed as e:
                if last or not libzt_crash():
                    raise
                print(e)
                self.started.pop()

    def argv(self):
        return [
            sys.executable,
            os.path.join(HERE, "libzt_node.py"),
            LIBZT,
            self.home,
            self.planet,
            str(self.port),
        ]


class Ours(Node):
    """Our node as `zt exec` runs it, with the in-process network stack."""

    def argv(self):
        options = ["--home", self.home, "--port", str(self.port)]
        if not os.path.exists(os.path.join(self.home, "planet")):
            options += ["--planet", self.planet]
        return [ZT, "exec"] + options + [os.path.join(HERE, "agent.py")]

    def path(self, address):
        return self.call("peers")["peers"].get(address, "unreachable")


class Run:
    """`zt run --json` on a host of the lab."""

    def __init__(self, lab, host, home, planet, *options):
        self.lab = lab
        self.host = host
        self.home = str(home)
        self.events = []
        argv = [
            ZT,
            "run",
            "--json",
            "--home",
            self.home,
            "--port",
            str(PORT),
            "--planet",
            str(planet),
        ]
        self.log = self.home + ".log"
        with open(self.log, "ab") as log:
            self.process = lab.popen(
                host, argv + list(options), stdout=subprocess.PIPE, stderr=log, text=True
            )
        threading.Thread(target=self._read, daemon=True).start()
        self.address = self.wait("listening", 30)["address"]

    def _read(self):
        try:
            for line in self.process.stdout:
                self.events.append(json.loads(line))
        except ValueError:
            pass

    def wait(self, event, timeout, **fields):
        def found():
            for e in self.events:
                if e["event"] == event and all(e.get(k) == v for k, v in fields.items()):
                    return e
            if self.process.poll() is not None:
                with open(self.log) as f:
                    raise Failed("%s: zt run ended: %s" % (self.host, f.read()[-1500:]))
            return None

        return wait_for("%s: event %s" % (self.host, event), found, timeout)

    def zt(self, *words):
        """A `zt` command against this running node; its JSON."""
        done = self.lab.run(
            self.host,
            [ZT] + list(words) + ["--json", "--home", self.home],
            capture_output=True,
            text=True,
            timeout=patience(60),
        )
        if done.returncode:
            raise Failed("zt %s: %s" % (" ".join(words), done.stderr.strip()))
        return json.loads(done.stdout) if done.stdout.strip() else None

    def stop(self):
        self.process.terminate()
        code = self.process.wait(patience(20))
        if code:
            raise Failed("%s: zt run ended with status %d" % (self.host, code))
