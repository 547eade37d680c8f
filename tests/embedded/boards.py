# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# An emulated board on a lab's switch (tests/interop/lab.py): its cable is a TAP device on the
# bridge, so there is neither NAT nor loopback between it and the others. Knows how a board is
# provisioned over the raw REPL; what it then does is the tests' business.

import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(TOP, f) for f in ("tools", "tests/interop", "tests/unit")]

import client  # noqa: E402
import lab  # noqa: E402
import qemu_board  # noqa: E402
import rawrepl  # noqa: E402
import test_interop  # noqa: E402

BOARD_IP = "10.77.0.99"
EXTRA = "/lib"  # on a board: what tests bring along
OK, DENIED = 1010, 1022  # nic.status()

BOOT = """
import network
lan = network.LAN()
lan.ifconfig((%r, "255.255.255.0", "0.0.0.0", "0.0.0.0"))
lan.active(True)
"""

# What an owner's program begins with; `nic` stays for what tests run at the prompt.
MAIN = """
import zt
nic = zt.NIC()
nic.active(True)
"""


def missing():
    """Why no board can be emulated on a lab here, or None."""
    why = lab.missing()
    if why:
        return why
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "no /dev/net/tun"
    # The core too: without its library identities for the others would take minutes each.
    made = ["make", "-s", "-C", TOP, "core", "qemu-firmware"]
    done = subprocess.run(made, capture_output=True, text=True)
    if done.returncode:
        return "the firmware of the emulated board: " + done.stderr.strip()[-1500:]
    fetch = ["sh", os.path.join(TOP, "tools", "fetch_libzt.sh"), client.LIBZT]
    done = subprocess.run(fetch, capture_output=True, text=True)
    if done.returncode:
        return "libzt: " + done.stderr.strip()
    return None


def put_modules(repl, names, work):
    """Bring modules of lib/zt that no board has, or a package of it, as .mpy files to EXTRA/zt."""
    lib = os.path.join(TOP, "lib", "zt")
    folded = os.path.join(str(work), "folded")
    fold_beside(modules_of(lib, names), folded)
    repl.run("import os\nfor f in ('', '/zt'): os.mkdir(%r + f)" % EXTRA)
    for name in names:
        if os.path.isdir(os.path.join(lib, name)):
            repl.run("os.mkdir(%r)" % (EXTRA + "/zt/" + name))
        for module in modules_of(lib, [name]):
            made = os.path.join(str(work), "made.mpy")
            cross = [os.path.join(TOP, "build", "mpy-cross", "mpy-cross"), "-O3", "-o", made]
            subprocess.run(cross + [os.path.join(folded, module + ".py")], check=True)
            with open(made, "rb") as f:
                repl.put("%s/zt/%s.mpy" % (EXTRA, module), f.read())


def modules_of(lib, names):
    """The names with packages taken apart: "controller" is "controller/__init__" and so on."""
    found = []
    for name in names:
        folder = os.path.join(lib, name)
        if os.path.isdir(folder):
            inside = sorted(f for f in os.listdir(folder) if f.endswith(".py"))
            found += [name + "/" + f[:-3] for f in inside]
        else:
            found.append(name)
    return found


def fold_beside(modules, out):
    """Write modules that no board has as they must be beside those that the firmware has."""
    frozen = os.listdir(os.path.join(TOP, "build", "folded", "zt"))
    frozen = sorted(f[:-3] for f in frozen if f.endswith(".py"))
    fold = [sys.executable, os.path.join(TOP, "tools", "freeze", "fold.py"), out]
    subprocess.run(fold + frozen + ["--loose"] + modules, check=True)


def post(controller, path, body):
    """Change an object of a running controller through its HTTP API."""
    program = (
        "import sys, urllib.request as u\n"
        "home, path, body = sys.argv[1:]\n"
        "port = open(home + '/zerotier-one.port').read().strip()\n"
        "token = open(home + '/authtoken.secret').read().strip()\n"
        "r = u.Request('http://127.0.0.1:%s/controller/%s' % (port, path), body.encode(),\n"
        "    {'X-ZT1-Auth': token})\n"
        "print(u.urlopen(r, timeout=10).read().decode())\n"
    )
    done = controller.lab.run(
        controller.host,
        [sys.executable, "-c", program, controller.home, path, json.dumps(body)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Board:
    """A board with a flash of its own on the switch of `net`; off until start()."""

    def __init__(self, net, folder, name="board", ip=BOARD_IP):
        self.net = net
        self.disk = str(folder / (name + ".img"))
        self.name = name
        self.ip = ip
        self.machine = None
        self.repl = None
        self.said = []
        self._log = str(folder / (name + ".log"))
        qemu_board.make_disk(self.disk)
        net.ip("tuntap", "add", "dev", "tap" + name, "mode", "tap")
        net.ip("link", "set", "tap" + name, "master", "br0", "up")

    def start(self, append="", icount=False, hold=False):
        """Power on; with `hold` when the serial line is connected."""
        with open(self._log, "ab") as log:
            self.machine = qemu_board.Board(
                disk=self.disk,
                netdev=qemu_board.tap_network("tap" + self.name),
                append=append,
                icount=icount,
                namespace=self.net.enter,
                log=log,
                hold=hold,
            )
        self.net.children.append(self.machine.process)

    def cable(self, plugged):
        self.net.ip("link", "set", "tap" + self.name, "up" if plugged else "down")

    def prompt(self):
        """Wait for the end of main.py: from then on run() and eval() work, and the node goes on.
        What it said meanwhile."""
        self.repl = self.machine.connect(lambda data: self.said.append(data))
        return self.repl.enter_idle()

    def said_until_exit(self, seconds, mark=None):
        """Start it with hold=True before: what it says until the machine stops by itself, or it
        has said `mark`, and its exit status (None: it still runs)."""
        port = rawrepl.connect(self.machine.url())
        said = b""
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end and (mark is None or mark not in said):
                said += port.read(4096, 1)
        except EOFError:
            pass
        port.close()
        return said.decode("utf-8", "replace"), self.machine.exit_status(0 if mark else 2)

    def stop(self):
        """Pull the plug."""
        if self.machine is not None:
            self.machine.stop()
            self.machine = None
            self.repl = None

    def run(self, program, timeout=60):
        return self.repl.run(program, timeout)

    def eval(self, expression, timeout=60):
        return self.repl.eval(expression, timeout)

    def json_of(self, program, timeout=60):
        """What `program` prints as JSON."""
        return json.loads(self.run(program, timeout))

    def json(self, expression, timeout=60):
        return json.loads(self.run("import json\nprint(json.dumps(%s))" % expression, timeout))

    def provision(self, home, planet, nwid=None):
        """Make an identity on the host and give it with the planet to the board, once."""
        done = subprocess.run(
            [client.ZT, "id", "new", "--out", str(home)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        self.start()
        self.prompt()
        self.run("import os\nos.mkdir('/.zt')")
        for name in ("identity.secret", "identity.public"):
            with open(os.path.join(str(home), name), "rb") as f:
                self.repl.put("/.zt/" + name, f.read())
        with open(str(planet), "rb") as f:
            self.repl.put("/.zt/planet", f.read())
        if nwid:
            self.repl.put("/.zt/networks", (nwid + "\n").encode())
        self.repl.put("/boot.py", (BOOT % self.ip).encode())
        self.repl.put("/main.py", MAIN.encode())
        self.stop()

    # What tests ask of a board whose main.py has run.

    def watch(self, condition, change, seconds=30):
        """Call change() here and wait until `condition` (an expression) holds on the board. The
        ms from before the one to the other, by the board's clock."""
        self.repl.start(
            "import time\n"
            "print('ready')\n"
            "_t = time.ticks_ms()\n"
            "while not (%s) and time.ticks_diff(time.ticks_ms(), _t) < %d:\n"
            "    time.sleep_ms(2)\n"
            "print(int(bool(%s)), time.ticks_diff(time.ticks_ms(), _t))"
            % (condition, seconds * 1000, condition)
        )
        self.repl.wait_for("ready\r\n", 30)
        change()
        good, ms = [int(x) for x in self.repl.finish(seconds * 4 + 30).split()[-2:]]
        assert good, "%s: not within %d s" % (condition, seconds)
        return ms

    def wait(self, condition, seconds, what=None):
        """Let the board run until `condition` (an expression over nic, time...) holds there; the
        ms that took by its own clock."""
        out = self.run(
            "import time\n"
            "_t = time.ticks_ms()\n"
            "while not (%s) and time.ticks_diff(time.ticks_ms(), _t) < %d:\n"
            "    time.sleep_ms(5)\n"
            "print(int(bool(%s)), time.ticks_diff(time.ticks_ms(), _t))"
            % (condition, seconds * 1000, condition),
            seconds * 4 + 30,
        )
        good, ms = [int(x) for x in out.split()[-2:]]
        assert good, "%s: not within %d s of the board's time: %s" % (
            what or condition,
            seconds,
            self.run("print(nic.status(), nic.node.networks())"),
        )
        return ms


class Scene:
    """A lab with a root, a controller, and a board that has been switched on once."""

    def __init__(self, net, folder):
        self.net = net
        self.world = test_interop.World(net, folder, "ours")
        self.controller = self.world.controller
        self.nwid = self.world.nwid
        self.board = Board(net, folder)
        self.board.provision(folder / "identity", self.world.planet, self.nwid)

    def authorize(self, address, yes=True):
        verb = "authorize" if yes else "deauthorize"
        self.controller.zt("member", verb, self.nwid, address)

    def boot(self, append=""):
        """Switch the board on; its address, when it is online."""
        self.board.start(append)
        said = self.board.prompt()
        assert "Traceback" not in said, said
        self.board.wait("nic.status('online')", 30)
        return self.board.eval("nic.config('address')")
