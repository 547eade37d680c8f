#!/usr/bin/env python3
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# `make run`: shows the product on one machine, over 127.0.0.1 only. Starts our own root and
# controller and two nodes as separate processes, lets them join a private network, and prints what
# happens. With --network it becomes one real node on the real planet instead.

import argparse
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ZT = os.path.join(TOP, "zt")
BUILD = os.path.join(TOP, "build")
RUN = os.path.join(BUILD, "run")
NODES = ("root", "alice", "bob")
LIMIT_S = 55
STOP_S = 5


class Trouble(Exception):
    """One line for the user."""


class Child:
    """One `zt` process whose stdout is JSON lines: `lines`. The tail of stderr is in `said`."""

    def __init__(self, name, args):
        self.name = name
        self.lines = queue.Queue()
        self.said = []
        self.process = subprocess.Popen(
            [ZT, *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._read_out, daemon=True).start()
        threading.Thread(target=self._read_err, daemon=True).start()

    def _read_out(self):
        for line in self.process.stdout:
            try:
                self.lines.put(json.loads(line))
            except ValueError:
                self.said.append(line.rstrip())
        self.lines.put(None)

    def _read_err(self):
        for line in self.process.stderr:
            self.said.append(line.rstrip())
            del self.said[:-20]

    def wait_for(self, test, deadline, on_event=None):
        """Read events, showing each to on_event, until test(event) holds; that event."""
        while True:
            try:
                event = self.lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise Trouble("%s: nothing more happened in time" % self.name)
            if event is None:
                raise Trouble("%s ended early: %s" % (self.name, " / ".join(self.said[-3:])))
            if on_event:
                on_event(self.name, event)
            if test(event):
                return event

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()

    def reap(self):
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Demo:
    def __init__(self):
        self.started = time.monotonic()
        self.deadline = self.started + LIMIT_S
        self.children = []
        self.address = {}
        self.result = {
            "ok": False,
            "addresses": [],
            "online_s": None,
            "network_ok_s": None,
            "direct_s": None,
            "ping_ms": [],
            "http_status": None,
            "total_s": None,
        }

    def say(self, text):
        print("%6.2f  %s" % (time.monotonic() - self.started, text), flush=True)

    def zt(self, *args):
        """Run one short command; its stdout."""
        done = subprocess.run(
            [ZT, *args], capture_output=True, text=True, timeout=self.deadline - time.monotonic()
        )
        if done.returncode:
            raise Trouble("zt %s: %s" % (args[0], done.stderr.strip()))
        return done.stdout.strip()

    def start(self, name, *args):
        child = Child(name, args)
        self.children.append(child)
        return child

    def home(self, name):
        return os.path.join(RUN, name)

    def prepare(self):
        """Homes with nothing but an identity each, which is made once, in parallel, and reused."""
        os.makedirs(RUN, mode=0o700, exist_ok=True)
        making = []
        for name in NODES:
            home = self.home(name)
            os.makedirs(home, mode=0o700, exist_ok=True)
            for entry in os.listdir(home):
                path = os.path.join(home, entry)
                if os.path.isdir(path):
                    shutil.rmtree(path)
                elif not entry.startswith("identity."):
                    os.remove(path)
            if not os.path.exists(os.path.join(home, "identity.secret")):
                making.append(
                    subprocess.Popen([ZT, "id", "new", "--out", home], stdout=subprocess.DEVNULL)
                )
            conf = {"settings": {"bind": ["127.0.0.1"]}}
            with open(os.path.join(home, "local.conf"), "w") as f:
                json.dump(conf, f)
        if making:
            self.say("making %d identities (once)" % len(making))
        if any([p.wait(LIMIT_S) for p in making]):
            raise Trouble("an identity could not be made")
        for name in NODES:
            with open(os.path.join(self.home(name), "identity.public")) as f:
                self.address[name] = f.read().split(":")[0]

    def options(self, name, port):
        planet = os.path.join(RUN, "planet")
        return ["--home", self.home(name), "--port", str(port), "--planet", planet,
                "--allow-loopback"]  # fmt: skip

    def start_root(self):
        port = free_port()
        public = os.path.join(self.home("root"), "identity.public")
        planet = os.path.join(RUN, "planet")
        self.zt("planet", "new", "--root", "%s@127.0.0.1/%d" % (public, port),
                "--keys", planet + ".keys", "--out", planet)  # fmt: skip
        root = self.start("root", "run", *self.options("root", port), "--controller", "--json")
        root.wait_for(lambda e: e["event"] == "listening", self.deadline)
        self.say("root and controller %s on 127.0.0.1/%d" % (self.address["root"], port))

    def start_node(self, name, nwid, *script):
        """A node with a script on it; waits until the network lets it in."""
        child = self.start(name, "exec", *self.options(name, free_port()), "--join", nwid, *script)
        times = {}

        def show(who, e):
            words = in_words(e, self.address)
            if words:
                self.say("%-5s %s" % (who, words))
            if e["event"] == "online":
                times["online"] = e["t"]
            if e["event"] == "address":
                times["ip"] = e["ip"]

        self.say("%-5s %s starts" % (name, self.address[name]))
        denied = child.wait_for(
            lambda e: e.get("status") in ("ACCESS_DENIED", "OK"), self.deadline, show
        )
        if denied["status"] == "OK":
            raise Trouble("%s was let in without authorization" % name)
        self.zt("member", "authorize", nwid, self.address[name], "--home", self.home("root"))
        self.say("%-5s is authorized" % name)
        ok = child.wait_for(lambda e: e.get("status") == "OK", self.deadline, show)
        r = self.result
        r["addresses"].append(times["ip"])
        r["online_s"] = max(r["online_s"] or 0, times["online"])
        r["network_ok_s"] = max(r["network_ok_s"] or 0, ok["t"])
        return child, times["ip"].split("/")[0]

    def visit(self, bob, alice):
        r = self.result

        def show(who, e):
            words = in_words(e, self.address)
            if words:
                self.say("%-5s %s" % (who, words))
            if e["event"] == "peer" and e["address"] == alice and e["path"] == "direct":
                r["direct_s"] = e["t"]
            if e["event"] == "ping" and e["ms"] is not None:
                r["ping_ms"].append(e["ms"])

        page = bob.wait_for(lambda e: e["event"] == "page", self.deadline, show)
        r["http_status"] = page["status"]
        if r["direct_s"] is None:
            bob.wait_for(lambda e: r["direct_s"] is not None, self.deadline, show)

    def run(self):
        self.prepare()
        self.start_root()
        nwid = self.zt("network", "new", "--name", "demo", "--pool", "10.147.20.10-10.147.20.200",
                       "--route", "10.147.20.0/24", "--home", self.home("root"))  # fmt: skip
        self.say("private network %s" % nwid)
        examples = os.path.join(TOP, "examples")
        _, ip = self.start_node("alice", nwid, os.path.join(examples, "page.py"))
        bob, _ = self.start_node("bob", nwid, os.path.join(examples, "visit.py"), ip)
        self.visit(bob, self.address["alice"])
        r = self.result
        r["ok"] = r["http_status"] == 200 and len(r["ping_ms"]) == 5
        if not r["ok"]:
            raise Trouble("not every ping and page came through")

    def finish(self):
        for child in self.children:
            child.stop()
        for child in self.children:
            child.reap()
        self.result["total_s"] = round(time.monotonic() - self.started, 2)
        os.makedirs(BUILD, exist_ok=True)
        with open(os.path.join(BUILD, "run.json"), "w") as f:
            json.dump(self.result, f, indent=1)
            f.write("\n")

    def summary(self):
        r = self.result
        rows = [
            ("nodes", "%s and %s" % (self.address["alice"], self.address["bob"])),
            ("addresses", " and ".join(r["addresses"])),
            ("start to ONLINE", "%.2f s" % r["online_s"]),
            ("start to network OK", "%.2f s (authorization on the way)" % r["network_ok_s"]),
            ("start to direct path", "%.2f s" % r["direct_s"]),
            ("ping", "%.2f ms median of %d" % (sorted(r["ping_ms"])[2], len(r["ping_ms"]))),
            ("page", "HTTP %d" % r["http_status"]),
            ("total", "%.1f s" % r["total_s"]),
        ]
        print()
        for name, value in rows:
            print("  %-22s %s" % (name, value))


def in_words(e, names):
    """An event of a node as text; None for what needs no line."""
    name = e["event"]
    if name == "online":
        return "ONLINE after %.2f s" % e["t"]
    if name == "network":
        return "network %s after %.2f s" % (e["status"], e["t"])
    if name == "address":
        return "has address %s" % e["ip"]
    if name == "peer":
        who = [n for n in names if names[n] == e["address"]] or [e["address"]]
        return "reaches %s: %s, after %.2f s" % (who[0], e["path"], e["t"])
    if name == "ping":
        return "ping %d: %s" % (e["number"], "lost" if e["ms"] is None else "%.2f ms" % e["ms"])
    if name == "page":
        return "page over the network: HTTP %d %s" % (e["status"], e["text"])
    return None


def free_port():
    """A port nobody has, neither for UDP nor for TCP."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
            u.bind(("127.0.0.1", 0))
            port = u.getsockname()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as t:
                try:
                    t.bind(("127.0.0.1", port))
                    return port
                except OSError:
                    continue


def interrupted(signum, frame):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(description="show the product, or join a real network")
    parser.add_argument("--network", metavar="NWID", help="join this network for real")
    args = parser.parse_args()
    if args.network:
        os.execv(ZT, [ZT, "run", "--join", args.network])
    signal.signal(signal.SIGTERM, interrupted)
    demo = Demo()
    try:
        demo.run()
    except (Trouble, OSError, subprocess.TimeoutExpired) as e:
        print("demo: %s" % e, file=sys.stderr)
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
    finally:
        demo.finish()
    if not demo.result["ok"]:
        return 1
    demo.summary()
    return 0


if __name__ == "__main__":
    sys.exit(main())
