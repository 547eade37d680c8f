# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# cpython-only: starts processes
#
# The command line from outside: exit statuses, one line for each mistake, no traceback, no file
# damaged. Each test runs with python3 -m zt and, where it is built, with ./zt. Nothing leaves the
# machine: nodes here have a planet of their own on loopback.

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

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
        assert "Traceback" not in err
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


def test_version_and_help_everywhere():
    def check(program, folder):
        commands = [
            [], ["id", "new"], ["id", "show"], ["id", "check"], ["planet", "new"], ["run"],
            ["exec"], ["status"], ["peers"], ["networks"], ["join"], ["leave"], ["network", "new"],
            ["network", "set"], ["network", "list"], ["member", "list"], ["member", "authorize"],
            ["member", "deauthorize"], ["ping"], ["nc"], ["perf", "server"], ["perf", "client"],
        ]  # fmt: skip
        for command in commands:
            assert zt(program, *command, "--version") == (0, "microzt 0.1.0\n", "")
            code, out, err = zt(program, *command, "--help")
            assert code == 0 and err == "" and out.startswith("usage: zt"), command
            assert "--json" in out and "--home" in out and "--log-level" in out

    everywhere(check)


def test_nonsense_is_a_usage_error():
    def check(program, folder):
        fails(program, status=2)
        for args in (
            ["frob"], ["id"], ["id", "frob"], ["run", "--frob"], ["run", "extra"],
            ["run", "--port"], ["run", "--port", "x"], ["join"], ["planet", "new"],
            ["status", "--log-level", "loud"],
        ):  # fmt: skip
            fails(program, *args, status=2)

    everywhere(check)


def test_an_identity_is_made_shown_checked_and_never_overwritten():
    def check(program, folder):
        code, out, err = zt(program, "id", "new", "--out", folder + "/x")
        assert code == 0 and len(out.strip()) == 10, err
        secret = folder + "/x/identity.secret"
        public = folder + "/x/identity.public"
        assert os.stat(secret).st_mode & 0o777 == 0o600
        before = open(secret).read()
        assert before.startswith(open(public).read() + ":")
        fails(program, "id", "new", "--out", folder + "/x", words=("identity.secret", "exists"))
        assert open(secret).read() == before
        for path in (secret, public):
            assert zt(program, "id", "show", path)[1] == open(public).read() + "\n"
            assert zt(program, "id", "check", path)[0] == 0
        shown = json.loads(zt(program, "id", "show", secret, "--json")[1])
        assert shown["address"] == out.strip()
        assert before.split(":")[3] not in json.dumps(shown)

    everywhere(check)


def test_a_bad_identity_is_named_with_the_reason():
    def check(program, folder):
        for name in ("a", "b"):
            zt(program, "id", "new", "--out", folder + "/" + name)
        a = open(folder + "/a/identity.secret").read()
        b = open(folder + "/b/identity.secret").read()
        bad = {
            "cut": (a[:100], "public key"),
            "text": ("hello", "identity"),
            "mixed": (":".join(a.split(":")[:3] + [b.split(":")[3]]), "match"),
            "address": ("0123456789" + a[10:], "does not belong"),
        }
        for name, (text, word) in bad.items():
            home = folder + "/" + name
            os.mkdir(home)
            path = home + "/identity.secret"
            with open(path, "w") as f:
                f.write(text)
            fails(program, "id", "check", path, words=(path, word))
            planet = folder + "/none"
            fails(program, "run", "--home", home, "--planet", planet, words=(planet,))
            fails(
                program, "run", "--home", home, "--allow-loopback", "--port", "0",
                words=(path, word),
            )  # fmt: skip
            assert open(path).read() == text
        fails(program, "id", "check", folder + "/none", words=("none", "no such file"))

    everywhere(check)


def test_a_bad_planet_is_named_and_not_taken():
    def check(program, folder):
        planet, _ = make_world(program, folder)
        good = open(planet, "rb").read()
        for n, (data, word) in enumerate(
            (
                (good[:-1], "cut short"),
                (good[:100], "cut short"),
                (good[:100] + bytes([good[100] ^ 1]) + good[101:], "wrong signature"),
                (good + b"x", "not a planet"),
                (b"", "not a planet"),
            )
        ):
            path = "%s/bad%d" % (folder, n)
            with open(path, "wb") as f:
                f.write(data)
            fails(program, "run", "--home", folder + "/h", "--planet", path, words=(path, word))
        assert not os.path.exists(folder + "/h")
        os.mkdir(folder + "/torn")
        with open(folder + "/torn/planet", "wb") as f:
            f.write(good[:50])
        # Never fall back to the planet of the internet.
        fails(program, "run", "--home", folder + "/torn", words=("torn/planet", "cut short"))

    everywhere(check)


def test_a_planet_is_updated_with_the_same_keys_only():
    def check(program, folder):
        planet, port = make_world(program, folder)
        first = open(planet, "rb").read()
        keys = open(planet + ".keys").read()
        assert os.stat(planet + ".keys").st_mode & 0o777 == 0o600
        root = "%s/root/identity.public@127.0.0.1/%d,::1/%d" % (folder, port, port)
        assert zt(program, "planet", "new", "--root", root, "--out", planet)[0] == 0
        second = open(planet, "rb").read()
        assert open(planet + ".keys").read() == keys
        assert second[1:9] == first[1:9] and second[9:17] > first[9:17]
        fails(
            program, "planet", "new", "--root", root, "--keys", folder + "/other", "--out", planet,
            words=("signed by other keys",),
        )  # fmt: skip
        assert open(planet, "rb").read() == second
        fails(program, "planet", "new", "--root", root + "x", "--out", folder + "/p")
        fails(program, "planet", "new", "--root", "x@1.2.3.4/5", "--out", folder + "/p")
        fails(program, "planet", "new", "--root", "nothing", "--out", folder + "/p", status=2)

    everywhere(check)


def test_a_wrong_network_id_is_one_line():
    def check(program, folder):
        for nwid in ("123", NWID + "0", "zz56c2e21c000001", ""):
            for args in (["run", "--join", nwid], ["join", nwid], ["leave", nwid]):
                fails(program, *args, "--home", folder + "/h", words=("network id",))
        assert not os.path.exists(folder + "/h")

    everywhere(check)


def test_a_home_that_cannot_be_written_is_one_line():
    def check(program, folder):
        with open(folder + "/file", "w"):
            pass
        for home in ("/proc/zt-home", folder + "/file"):
            fails(program, "run", "--home", home, "--port", "0", words=(home,))

    everywhere(check)


def test_no_running_node_is_one_line():
    def check(program, folder):
        for args in (
            ["status"], ["peers"], ["networks"], ["join", NWID], ["leave", NWID],
            ["network", "list"], ["network", "new"], ["network", "set", NWID, "name=1"],
            ["member", "list", NWID], ["member", "authorize", NWID, "1122334455"],
        ):  # fmt: skip
            fails(program, *args, home=folder, words=("no node is running on " + folder,))

    everywhere(check)


def test_a_port_in_use_is_one_line_udp_and_tcp():
    def check(program, folder):
        planet, _ = make_world(program, folder)
        home = folder + "/root"
        with open(home + "/local.conf", "w") as f:
            f.write('{"settings": {"bind": ["127.0.0.1"]}}')
        for kind, word in ((socket.SOCK_DGRAM, "UDP"), (socket.SOCK_STREAM, "TCP")):
            with socket.socket(socket.AF_INET, kind) as s:
                s.bind(("127.0.0.1", 0))
                if kind == socket.SOCK_STREAM:
                    s.listen()
                port = s.getsockname()[1]
                fails(
                    program, "run", "--home", home, "--planet", planet, "--allow-loopback",
                    "--port", str(port), words=(word, str(port), "in use"),
                )  # fmt: skip

    everywhere(check)


def test_a_node_runs_answers_and_stops_with_its_state_saved():
    def check(program, folder, home, node):
        assert node.first["event"] == "listening"
        assert node.first["address"] == open(home + "/identity.public").read()[:10]
        assert node.until(event="online")["t"] >= 0
        assert open(home + "/zerotier-one.port").read() == str(node.first["port"])
        code, out, err = zt(program, "status", home=home)
        assert (code, err) == (0, "") and out.split() == [
            node.first["address"], "0.1.0", "ONLINE",
        ]  # fmt: skip
        status = json.loads(zt(program, "status", "--json", home=home)[1])
        assert status["online"] is True
        assert json.loads(zt(program, "peers", "--json", home=home)[1]) == []
        token = open(home + "/authtoken.secret").read()
        assert os.stat(home + "/authtoken.secret").st_mode & 0o777 == 0o600
        fails(program, "run", "--home", home, "--port", "0", words=(home, "another node"))
        fails(program, "ping", "1122334455", "--home", home, words=(home, "another node"))
        fails(program, "network", "new", home=home, words=("not a controller",))
        last = node.stop()
        assert last["event"] == "stopped" and last["t"] >= 0
        assert not os.path.exists(home + "/zerotier-one.port")
        assert open(home + "/authtoken.secret").read() == token
        fails(program, "status", home=home, words=("no node is running",))

    with_node(check)


def test_ctrl_c_stops_as_cleanly():
    def check(program, folder, home, node):
        node.until(event="online")
        assert node.stop(signal.SIGINT)["event"] == "stopped"

    with_node(check)


def test_two_signals_at_once_do_not_lose_the_state():
    def check(program, folder, home, node):
        node.until(event="online")
        for _ in range(3):
            node.process.send_signal(signal.SIGTERM)
        assert node.stop()["event"] == "stopped"

    with_node(check)


def test_joined_networks_are_joined_again_after_a_restart():
    def check(program, folder, home, node):
        assert zt(program, "join", NWID, home=home)[0] == 0
        joined = json.loads(zt(program, "networks", "--json", home=home)[1])
        assert [n["nwid"] for n in joined] == [NWID]
        node.stop()
        again = Running(program, home, folder + "/planet", node.first["port"])
        joined = json.loads(zt(program, "networks", "--json", home=home)[1])
        assert [n["nwid"] for n in joined] == [NWID]
        assert zt(program, "leave", NWID, home=home)[0] == 0
        fails(program, "leave", NWID, home=home, words=("not joined",))
        assert json.loads(zt(program, "networks", "--json", home=home)[1]) == []
        again.stop()
        assert os.listdir(home + "/networks.d") == []

    with_node(check)


def test_a_controller_makes_networks_and_admits_a_member():
    def check(program, folder, home, node):
        code, out, err = zt(
            program, "network", "new", "--name", "n", "--pool", "10.9.0.10-10.9.0.90",
            "--route", "10.9.0.0/24", home=home,
        )  # fmt: skip
        assert code == 0, err
        nwid = out.strip()
        assert nwid[:10] == node.first["address"]
        code, out, _ = zt(program, "network", "set", nwid, 'name="m"', "mtu=1400", home=home)
        assert code == 0
        made = json.loads(zt(program, "network", "list", "--json", home=home)[1])[0]
        assert (made["name"], made["mtu"], made["private"]) == ("m", 1400, True)
        fails(program, "network", "set", nwid, "name=m", home=home, words=("JSON",))
        fails(program, "network", "set", nwid[:15] + "z", "mtu=1", home=home)
        fails(program, "network", "set", NWID, "mtu=1400", home=home, words=("no such network",))
        fails(program, "member", "list", NWID, home=home, words=("no such network",))
        for pool in ("10.9.0.1", "10.9.0.9-10.9.0.1", "10.9.0.1-fd00::1", "x-y"):
            fails(program, "network", "new", "--pool", pool, home=home)
        for route in ("10.9.0.0", "10.9.0.0/33", "x/8", "10.9.0.0/24@fd00::1"):
            fails(program, "network", "new", "--route", route, home=home)
        fails(program, "member", "authorize", nwid, "12", home=home, words=("node address",))

        member = Running(program, folder + "/m", folder + "/planet", 0, "--join", nwid)
        member.until(event="network", status="ACCESS_DENIED")
        address = member.first["address"]
        assert address in zt(program, "member", "list", nwid, home=home)[1]
        assert zt(program, "member", "authorize", nwid, address, home=home)[0] == 0
        added = member.until(event="address", nwid=nwid, added=True)
        assert added["ip"].startswith("10.9.0.") and added["ip"].endswith("/24")
        member.until(event="network", nwid=nwid, status="OK")
        assert zt(program, "member", "deauthorize", nwid, address, home=home)[0] == 0
        member.until(event="network", nwid=nwid, status="ACCESS_DENIED")
        member.stop()
        node.stop()

    with_node(check, "--controller")


def test_a_ping_by_address_comes_back_and_a_dead_one_does_not():
    def check(program, folder, home, node):
        node.until(event="online")
        options = ["--planet", folder + "/planet", "--allow-loopback", "--json", "--count", "1"]
        tmp = folder + "/tmp"
        os.mkdir(tmp)
        code, out, err = zt(program, "ping", node.first["address"], *options, tmp=tmp)
        assert code == 0, err
        result = json.loads(out)
        assert (result["sent"], result["received"], result["path"]) == (1, 1, "direct")
        assert len(result["rtt_ms"]) == 1
        code, out, err = zt(program, "ping", "1122334455", *options, tmp=tmp)
        assert code == 1 and json.loads(out)["received"] == 0
        assert os.listdir(tmp) == []  # the temporary homes are gone

    with_node(check)


def test_commands_that_need_the_stack_say_so_without_one():
    program = PROGRAMS[0]
    for args in (
        ["ping", "10.0.0.1"], ["nc", "10.0.0.1", "80"], ["perf", "server"],
        ["perf", "client", "10.0.0.1"], ["exec", "x.py"],
    ):  # fmt: skip
        fails(program, *args, words=("network stack",))


def test_without_a_root_it_says_so_and_does_not_spin():
    def check(program, folder):
        planet, _ = make_world(program, folder)
        node = Running(program, folder + "/leaf", planet, 0)
        before = time.monotonic()
        used = cpu(node.process.pid)
        line = node.process.stderr.readline()
        assert "no root answers; still trying" in line, line
        seconds = time.monotonic() - before
        assert cpu(node.process.pid) - used < 0.2 * seconds
        assert node.stop()["event"] == "stopped"

    everywhere(check)


def cpu(pid):
    """Seconds of processor time a process has used."""
    words = open("/proc/%d/stat" % pid).read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def test_the_page_names_every_command_and_option():
    from zt import cli

    page = open(os.path.join(TOP, "docs", "cli.md")).read()
    for _, module, _ in cli._MODULES:
        commands = cli._load(module).COMMANDS
        for key in commands:
            assert "zt " + " ".join(key) in page, key
            for names, _, _, _ in tuple(commands[key].options) + cli.COMMON:
                assert names[0] in page, (key, names)
