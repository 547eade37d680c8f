# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# A board in the hands of tools/board_test.py: programs on it by its raw REPL, its power and its
# link, its own planet and networks kept aside.

import json
import os
import pathlib
import socket
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOP / "lib"), str(TOP / "tools")]

import board_programs as programs  # noqa: E402
import rawrepl  # noqa: E402
from board_lab import STEP_S, Failure, say  # noqa: E402
from zt import identity  # noqa: E402


class Monitor:
    """QEMU's monitor on a unix socket: pulls the cable and the plug of an emulated board."""

    def __init__(self, path):
        self.path = path

    def _say(self, words):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(self.path)
            self._prompt(s)
            s.sendall(words.encode() + b"\n")
            self._prompt(s)

    def _prompt(self, s):
        said = b""
        while not said.endswith(b"(qemu) "):
            data = s.recv(4096)
            if not data:
                raise Failure("QEMU's monitor went away")
            said += data

    def link(self, on):
        self._say("set_link n0 %s" % ("on" if on else "off"))

    def reset(self):
        self._say("system_reset")


class Board:
    def __init__(self, args):
        self.args = args
        self.monitor = Monitor(args.qemu_monitor) if args.qemu_monitor else None
        self.repl = None
        self.kept = None

    def connect(self):
        self.repl = rawrepl.RawRepl(rawrepl.connect(self.args.port))

    def run(self, program, timeout_s=STEP_S):
        return self.repl.run(program, timeout_s).strip()

    def ask(self, program, timeout_s=STEP_S):
        """Run a program whose last line is a JSON value."""
        said = self.run(program, timeout_s).splitlines()
        try:
            return json.loads(said[-1])
        except (ValueError, IndexError):
            raise Failure("the board answered %r" % said[-1:]) from None

    def restart(self, by_hand=False):
        """Cut its power, or what comes closest; ms until it answers."""
        if by_hand:
            self.repl.close()
            input("board_test: pull the board's plug, put it in again and press Enter: ")
            start = time.monotonic()
            self._again()
        else:
            start = time.monotonic()
            if self.monitor:
                self.monitor.reset()
            else:
                self.repl.port.reset()
        self.repl.seen = b""  # what it said before the cut
        try:
            self.repl.enter(60)
        except OSError:  # the chip itself was the USB device, and is a new one now
            self.repl.close()
            self._again()
            self.repl.enter(60)
        return round((time.monotonic() - start) * 1000)

    def _again(self):
        end = time.monotonic() + 30
        while True:
            try:
                self.connect()
                return
            except rawrepl.NoPort:
                if time.monotonic() > end:
                    raise
                time.sleep(0.3)

    def prepare(self, peer):
        """Give it the test's planet and network; its own ones are kept aside."""
        self.kept = self.ask(programs.READ)
        if not self.kept["address"]:
            say("the board has no identity; it gets one")
            made = identity.generate(os.urandom)
            self.run(programs.IDENTITY % (made.text(True), made.text()))
            self.kept["address"] = made.address.hex()
        self.address = self.kept["address"]
        self.run(programs.WRITE % ("planet", peer.planet.hex()))
        self.run(programs.REMOVE % "networks")

    def put_back(self):
        for name in ("planet", "networks"):
            if self.kept[name] is None:
                self.run(programs.REMOVE % name)
            else:
                self.run(programs.WRITE % (name, self.kept[name]))

    def close(self):
        if self.repl is not None:
            self.repl.close()
