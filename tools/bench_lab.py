# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What the measurements with real nodes share: our nodes as processes on the hosts of a lab
# (tests/interop/lab.py), a root with a private network, pinning, and what /proc says of a process.
# Knows how to start and ask nodes; what is measured is in the files that use it.

import ctypes
import json
import os
import select
import shutil
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TOP, "tests", "interop"), os.path.join(TOP, "lib")]
ZT = os.path.join(TOP, "zt")
BENCH = os.path.join(TOP, "build", "bench")
PEER = "libzt 1.8.4"
WAIT_S = 60


class Unmeasured(Exception):
    """A row that cannot be had here, with the reason."""


def note(text):
    print(text, file=sys.stderr, flush=True)


def has_tool(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def has_library(name):
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def need(name, package, there=has_tool):
    """Install the Debian package that brings a program or library, or say that it is missing."""
    if there(name):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        note("installing the Debian package " + package)
        env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        for words in (
            ["update", "-q"],
            ["install", "-q", "-y", "--no-install-recommends", package],
        ):
            subprocess.run(["apt-get", *words], env=env, stdout=sys.stderr)
    if not there(name):
        raise Unmeasured("'%s' is missing (Debian package %s)" % (name, package))


def rss_mb(pid, field="VmRSS"):
    with open("/proc/%d/status" % pid) as f:
        for line in f:
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
    return None


def child_of(pid):
    """The process that does the work below wrappers such as ip netns exec."""
    while True:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            children = f.read().split()
        if not children:
            return pid
        pid = int(children[0])


def cpu_s(pid):
    """Seconds of a core that the process has used."""
    with open("/proc/%d/schedstat" % pid) as f:
        return int(f.read().split()[0]) / 1e9


def cores():
    """Two cores for two nodes, or one twice where there is no second."""
    have = sorted(os.sched_getaffinity(0))
    return have[0], have[1 if len(have) > 1 else 0]


def pinned(core, argv):
    """The command line that runs argv on this core only."""
    return ["taskset", "-c", str(core), *argv]


def pin(pid, core):
    """Put a running process on this core only."""
    os.sched_setaffinity(pid, {core})


def read_line(process, seconds=WAIT_S):
    """One line of a child's stdout; Unmeasured if it does not come."""
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    line = process.stdout.readline() if ready else ""
    if not line:
        raise Unmeasured("%s: no answer" % " ".join(process.args[-6:]))
    return line


def ask(process, *words):
    """One line in, one JSON line out."""
    process.stdin.write(" ".join(str(w) for w in words) + "\n")
    process.stdin.flush()
    return json.loads(read_line(process))


class OurNode:
    """./zt run on a host of the lab; its JSON lines are read as they come."""

    def __init__(self, lab, host, home, planet, *options):
        self.lab = lab
        self.host = host
        self.home = home
        self.argv = [ZT, "run", "--json", "--home", home, "--planet", planet, *options]

    def start(self):
        self.began = time.monotonic()
        self.process = self.lab.popen(self.host, self.argv, stdout=subprocess.PIPE, text=True)
        first = self.wait("listening")
        self.address = first["address"]
        return self

    @property
    def pid(self):
        return child_of(self.process.pid)

    def wait(self, name, **fields):
        """The next event `name` with these fields, with the seconds since the start."""
        for line in self.process.stdout:
            e = json.loads(line)
            if e["event"] == name and all(e.get(k) == v for k, v in fields.items()):
                e["seconds"] = time.monotonic() - self.began
                return e
        raise Unmeasured("%s ended before '%s'" % (self.host, name))

    def zt(self, *words):
        argv = [ZT, *words, "--home", self.home]
        done = self.lab.run(self.host, argv, capture_output=True, text=True)
        if done.returncode:
            raise Unmeasured("zt %s: %s" % (" ".join(words), done.stderr.strip()))
        return done.stdout.strip()

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


def make_identity(folder):
    subprocess.run([ZT, "id", "new", "--out", folder], check=True, capture_output=True)
    return address_in(folder)


def address_in(folder):
    with open(os.path.join(folder, "identity.public")) as f:
        return f.read()[:10]


class World:
    """Our root and controller on host `root`, a planet for everybody, one private network."""

    def __init__(self, lab, folder):
        self.lab = lab
        self.folder = folder
        self.homes = 0
        home = os.path.join(folder, "root")
        make_identity(home)
        self.planet = os.path.join(folder, "planet")
        public = os.path.join(home, "identity.public")
        where = "%s@%s/9993,%s/9993" % (public, lab.ipv4("root"), lab.ipv6("root"))
        keys = os.path.join(folder, "planet.keys")
        subprocess.run(
            [ZT, "planet", "new", "--root", where, "--keys", keys, "--out", self.planet],
            check=True,
            capture_output=True,
        )
        self.root = OurNode(lab, "root", home, self.planet, "--controller").start()
        self.nwid = self.root.zt(
            "network", "new", "--pool", "10.50.0.1-10.50.0.99", "--route", "10.50.0.0/24"
        )

    def options(self, home, *more):
        """Node options for a member with that home, on a fixed port."""
        return [
            "--home",
            home,
            "--planet",
            self.planet,
            "--join",
            self.nwid,
            "--port",
            "9993",
            *more,
        ]

    def authorize(self, address):
        self.root.zt("member", "authorize", self.nwid, address)

    def fresh(self):
        """A home with an identity, authorized, and no other state."""
        self.homes += 1
        home = os.path.join(self.folder, "m%d" % self.homes)
        self.authorize(make_identity(home))
        return home

    def forget(self, home):
        for folder, _, files in os.walk(home):
            for f in files:
                if not f.startswith("identity."):
                    os.unlink(os.path.join(folder, f))

    def ip_of(self, home):
        """The address the network gave the member with that home, when it has one."""
        address = address_in(home)
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            for m in json.loads(self.root.zt("member", "list", self.nwid, "--json")):
                if m.get("address", m.get("id")) == address and m.get("ipAssignments"):
                    return m["ipAssignments"][0]
            time.sleep(0.2)
        raise Unmeasured("the member has no address")


def compile_with_core(name):
    """tools/NAME.c with the core, as build/bench/NAME."""
    core = os.path.join(TOP, "firmware", "core")
    with open(os.path.join(core, "sources.mk")) as f:
        names = [x.split()[-1] for x in f if x.startswith("CORE_SRC")]
    os.makedirs(BENCH, exist_ok=True)
    program = os.path.join(BENCH, name)
    words = ["gcc", "-std=gnu99", "-O2", "-Wall", "-Wextra", "-Werror", "-I", core, "-o", program]
    words.append(os.path.join(TOP, "tools", name + ".c"))
    subprocess.run(words + [os.path.join(core, x) for x in names], check=True)
    return program


def bench_build():
    """The unix port with the module _ztbench: build/bench/microzt."""
    subprocess.run([os.path.join(TOP, "tools", "build_bench.sh")], check=True, stdout=sys.stderr)


def agent(world, host, core, home, nwid):
    """A node of the bench build that obeys lines (ztbench/agent.py), and its address there."""
    argv = [os.path.join(BENCH, "microzt"), "-c", "from zt.cli import run; run()", "exec"]
    argv += ["--home", home, "--planet", world.planet, "--join", nwid, "--port", "9993"]
    argv.append(os.path.join(TOP, "tools", "ztbench", "agent.py"))
    pipe = subprocess.PIPE
    p = world.lab.popen(host, pinned(core, argv), stdin=pipe, stdout=pipe, text=True)
    return p, json.loads(read_line(p))["ip"]
