# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The test's end of libzt_node.py: starts one on a host of the lab and turns its JSON lines into calls.

import json
import os
import queue
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
LIBZT = os.environ.get("LIBZT_DIR") or os.path.join(TOP, "build", "libzt")


class LibztFailed(AssertionError):
    pass


def wait_for(what, check, timeout, step=0.1):
    """Call check() until it is true and return its value; AssertionError naming `what` after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("%s: not within %d s" % (what, timeout))
        time.sleep(step)


class LibztNode:
    """A real node; `call` waits for the answer, `begin` returns a function that does."""

    def __init__(self, lab, host, home, planet, port=9993):
        self.lab = lab
        self.host = host
        self.args = [LIBZT, str(home), str(planet), str(port)]
        self.process = None
        self.address = None

    def start(self, timeout=60):
        self.answers = {}
        self.next = 0
        argv = [sys.executable, os.path.join(HERE, "libzt_node.py")] + self.args
        self.process = self.lab.popen(
            self.host, argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()
        answer = self.call("start", timeout=timeout)
        self.address = answer["address"]
        return answer

    def _read(self, process):
        try:
            for line in process.stdout:
                # The library prints too; only lines of ours are answers.
                if line.startswith("{"):
                    answer = json.loads(line)
                    self.answers[answer.pop("id")].put(answer)
        except ValueError:
            pass  # the stream was closed under us
        for waiting in list(self.answers.values()):
            waiting.put({"ok": False, "error": "the node ended"})

    def begin(self, cmd, **args):
        self.next += 1
        ident = self.next
        self.answers[ident] = queue.Queue()
        self.process.stdin.write(json.dumps(dict(args, cmd=cmd, id=ident)) + "\n")
        self.process.stdin.flush()

        def wait(limit=120):
            try:
                answer = self.answers[ident].get(timeout=limit)
            except queue.Empty:
                raise LibztFailed("%s %s: no answer in %d s" % (self.host, cmd, limit)) from None
            if not answer.pop("ok"):
                raise LibztFailed("%s %s: %s" % (self.host, cmd, answer["error"]))
            return answer

        return wait

    def call(self, cmd, **args):
        return self.begin(cmd, **args)(args.get("timeout", 60) + 60)

    def stop(self):
        self.call("stop")
        self.process.wait(20)

    def join(self, nwid):
        self.call("join", nwid=nwid)

    def status(self, nwid):
        return self.call("status", nwid=nwid)["status"]

    def wait_status(self, nwid, status, timeout=60):
        wait_for("%s: network %s" % (self.host, status), lambda: self.status(nwid) == status, timeout)

    def wait_ready(self, nwid, timeout=90):
        wait_for("%s: network ready" % self.host, lambda: self.call("status", nwid=nwid)["ready"], timeout)
        return self.call("status", nwid=nwid)["ips"]
