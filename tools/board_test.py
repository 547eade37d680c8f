#!/usr/bin/env python3
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The acceptance of a board: this computer is its root, its controller and the other end of a
# private network. Boot, online, join, ping, TCP, memory, link lost and found, power cycle; the
# table it prints is for docs/boards.md. The board's own planet and networks are put back at the
# end, its identity stays. CI runs it against the emulated board, so the tool is known to work.

import argparse
import datetime
import json
import pathlib
import statistics
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOP / "lib"), str(TOP / "tools")]

import board_programs as programs  # noqa: E402
import in_venv  # noqa: E402
import rawrepl  # noqa: E402
from board_handle import Board  # noqa: E402
from board_lab import STEP_S, Failure, Peer, say  # noqa: E402

_PORT = 5001


class Test:
    def __init__(self, args, board, peer):
        self.args = args
        self.board = board
        self.peer = peer
        self.rows = []
        self.ip = None

    def row(self, name, value, unit="", note=""):
        self.rows.append({"name": name, "value": value, "unit": unit, "note": note, "ok": True})
        say("%-22s %s %s %s" % (name, value, unit, note))

    def _link(self):
        ms = self.board.ask(programs.LINK % (self.args.board_ip or "",))["ms"]
        if ms < 0:
            raise Failure("no Wi-Fi: are its name and password set (tools/provision.py --wifi)?")
        return ms

    def boot(self):
        self.row("boot to prompt", self.board.restart(), "ms", "by this computer's clock")
        about = self.board.ask(programs.ABOUT)
        self.row("board", about["machine"], "", about["version"])
        self.row("link up", self._link(), "ms")

    def online(self):
        self.row(
            "online", self.board.ask(programs.ONLINE % (self.args.patience * 1000))["ms"], "ms"
        )

    def join(self):
        self.peer.authorize(self.board.address)
        self._joined("join", self.peer.nwid)

    def _joined(self, name, nwid=""):
        got = self.board.ask(programs.JOINED % (nwid, nwid, self.args.patience * 1000))
        if got["ms"] < 0:
            raise Failure("the network says: %s" % got["status"])
        self.ip = got["ip"]
        self.row(name, got["ms"], "ms", self.ip)

    def ping(self, count=20):
        board = self.board
        board.repl.start(programs.SLEEP % 60000)
        try:
            times = self.peer.node.ask("ping", self.ip, count)["ms"]
        finally:
            self._interrupt()
        good = [t for t in times if t is not None]
        if len(good) < count - 1:
            raise Failure("%d of %d pings were answered" % (len(good), count))
        path = self.peer.node.ask("state")["peers"].get(board.address, "unknown")
        note = "%d of %d, path %s" % (len(good), count, path)
        self.row("ping from here", round(statistics.median(good), 2), "ms median", note)
        back = board.ask(programs.PING % (self.peer.address, 5))["ms"]
        good = [t for t in back if t is not None]
        if len(good) < 4:
            raise Failure("%d of 5 pings from the board were answered" % len(good))
        self.row(
            "ping from the board", statistics.median(good), "ms median", "%d of 5" % len(good)
        )

    def _interrupt(self):
        self.board.repl.port.write(b"\x03")
        try:
            self.board.repl.finish(30)
        except rawrepl.Failed as e:
            if "KeyboardInterrupt" not in str(e):
                raise

    def tcp(self):
        ms = round(self.args.seconds * 1000)
        board, node = self.board, self.peer.node
        board.repl.start(programs.SINK % _PORT)
        board.repl.wait_for("listening\r\n", 30)
        node.tell("source", self.ip, _PORT, ms)
        got = json.loads(board.repl.finish(STEP_S + self.args.seconds).strip())
        sent = node.wait_for("source done", STEP_S)
        if "error" in sent or got["bytes"] != sent["bytes"]:
            raise Failure("TCP to the board: %s sent, %s arrived" % (sent, got))
        self.row("TCP to the board", _mbits(got), "Mbit/s", "%d bytes" % got["bytes"])
        node.tell("sink", _PORT)
        node.wait_for("sink", 30)
        sent = board.ask(programs.SOURCE % (self.peer.address, _PORT, ms), STEP_S)
        got = node.wait_for("sink done", STEP_S)
        if "error" in got or got["bytes"] != sent["bytes"]:
            raise Failure("TCP from the board: %s sent, %s arrived" % (sent, got))
        self.row("TCP from the board", _mbits(got), "Mbit/s", "%d bytes" % got["bytes"])

    def memory(self):
        m = self.board.ask(programs.MEMORY)
        self.row("Python heap", m["used"], "bytes", "%d free" % m["free"])
        for name in sorted(m["node"]):
            if isinstance(m["node"][name], (int, float)):
                self.row("zt.memory() " + name, m["node"][name])

    def link_lost(self):
        """The radio or the cable goes for a while. Traffic must come back by itself, over the
        network that was there: no new join."""
        board = self.board
        before = board.ask(programs.STATUS)
        if board.monitor:
            board.repl.start(programs.SLEEP % 3600000)
            board.monitor.link(False)
            time.sleep(self.args.lost)
            board.monitor.link(True)
        else:
            board.repl.start(programs.RADIO % (self.args.lost * 1000))
            board.repl.wait_for("radio on\r\n", 60)
        start = time.monotonic()
        try:
            while self.peer.node.ask("ping", self.ip, 1)["ms"][0] is None:
                if time.monotonic() - start > self.args.patience:
                    raise Failure(
                        "no ping answered %g s after the link came back" % self.args.patience
                    )
        finally:
            self._interrupt()
        ms = round((time.monotonic() - start) * 1000)
        after = board.ask(programs.STATUS)
        if after != before:
            raise Failure("the network did not stay: %s, before %s" % (after, before))
        self.row("link lost, found again", ms, "ms", "%g s without; same address" % self.args.lost)

    def power_cycle(self):
        before = self.ip
        boot = self.board.restart(self.args.by_hand)
        start = time.monotonic()
        self._link()
        online = self.board.ask(programs.ONLINE % (self.args.patience * 1000))["ms"]
        self._joined("power cycle, network up")
        if self.ip != before:
            raise Failure("another address than before: %s" % self.ip)
        self.ping(5)
        note = "boot %d ms, online after %d ms" % (boot, online)
        total = boot + round((time.monotonic() - start) * 1000)
        self.row("power cycle, all of it", total, "ms", note)

    def run(self):
        """Every step up to the first that fails; True if none did."""
        steps = (
            self.boot, self.online, self.join, self.ping, self.tcp, self.memory, self.link_lost,
            self.power_cycle,
        )  # fmt: skip
        for step in steps:
            if step.__name__ in self.args.skip:
                continue
            try:
                step()
            except (Failure, rawrepl.Failed, rawrepl.Silent, EOFError, OSError) as e:
                name = step.__name__.replace("_", " ")
                text = str(e).strip().splitlines()[-1] if str(e).strip() else type(e).__name__
                self.rows.append(
                    {"name": name, "value": "FAILED", "unit": "", "note": text, "ok": False}
                )
                say("%s: FAILED: %s" % (name, e))
                return False
        return True


def _mbits(got):
    return round(got["bytes"] * 8 / max(got["ms"], 1) / 1000, 2)


def table(rows):
    board = next((r for r in rows if r["name"] == "board"), {"value": "a board", "note": ""})
    day = datetime.date.today().isoformat()
    out = ["| %s, %s, %s | | |" % (board["value"].strip(), board["note"], day), "|---|---:|---|"]
    for r in rows:
        if r is board:
            continue
        out.append("| %s | %s %s | %s |" % (r["name"], r["value"], r["unit"], r["note"]))
    return "\n".join(out)


def arguments(words):
    parser = argparse.ArgumentParser(
        prog="board_test.py",
        description="Test a board with our firmware; this computer is root, controller and peer.",
        epilog="The board needs its Wi-Fi (tools/provision.py --wifi) and must reach --host-ip.",
    )
    parser.add_argument("--port", required=True, help="its serial port, or socket://HOST:PORT")
    parser.add_argument("--host-ip", required=True, help="this computer's address on that Wi-Fi")
    parser.add_argument("--host-port", type=int, default=19993, help="UDP ports: this, and next")
    parser.add_argument("--seconds", type=float, default=10, help="of TCP in each direction")
    parser.add_argument("--lost", type=float, default=20, help="seconds without a link")
    parser.add_argument("--patience", type=float, default=90, help="seconds a step may take")
    parser.add_argument("--by-hand", action="store_true", help="ask for the plug to be pulled")
    parser.add_argument("--skip", action="append", default=[], help="a step, as tcp or link_lost")
    parser.add_argument("--json", metavar="FILE", help="also write the rows as JSON")
    parser.add_argument("--board-ip", help="a fixed address for the board (emulated ones)")
    parser.add_argument("--qemu-monitor", metavar="SOCKET", help="of an emulated board")
    parser.add_argument("--prefix", default="", help="words that run a command beside the board")
    return parser.parse_args(words)


def main(words):
    args = arguments(words)
    good = False
    test = None
    board = Board(args)
    with tempfile.TemporaryDirectory() as folder:
        peer = Peer(folder, args.host_ip, args.host_port, args.prefix.split())
        try:
            board.connect()
            board.repl.enter()
            peer.start()
            board.prepare(peer)
            test = Test(args, board, peer)
            good = test.run()
        except (Failure, rawrepl.NoPort, rawrepl.Silent, rawrepl.Failed) as e:
            say(str(e))
        except KeyboardInterrupt:
            say("interrupted")
        finally:
            _put_back(board)
            board.close()
            peer.close()
    if test is not None:
        print(table(test.rows))
        if args.json:
            with open(args.json, "w") as f:
                json.dump({"ok": good, "rows": test.rows}, f, indent=1)
                f.write("\n")
    return 0 if good else 1


def _put_back(board):
    if board.kept is None:
        return
    try:
        board.repl.enter()
        board.put_back()
    except (rawrepl.Silent, rawrepl.Failed, EOFError, OSError, Failure) as e:
        say("the board's own planet and networks could not be put back: %s" % e)


if __name__ == "__main__":
    in_venv.enter()
    sys.exit(main(sys.argv[1:]))
