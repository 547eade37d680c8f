# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# cpython-only: starts processes
#
# zt run and the commands that talk to it, as processes: state kept, signals, restart, controller
# and member, ping, no root in sight.

import json
import os
import signal
import socket
import subprocess
import time

from _cli import ENVIRONMENT, NWID, Running, everywhere, fails, make_world, with_node, zt


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


def test_status_shows_what_was_counted_while_frames_flow():
    def check(program, folder, home, node):
        if "-m" in program:
            return  # no network stack to ping
        nwid = zt(
            program, "network", "new", "--public", "--pool", "10.9.0.10-10.9.0.90",
            "--route", "10.9.0.0/24", home=home,
        )[1].strip()  # fmt: skip
        member = Running(program, folder + "/m", folder + "/planet", 0, "--join", nwid)
        ip = member.until(event="address", nwid=nwid, added=True)["ip"].split("/")[0]
        options = ["--planet", folder + "/planet", "--allow-loopback", "--join", nwid]
        pings = subprocess.Popen(
            [*program, "ping", ip, "--count", "60", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=dict(ENVIRONMENT, TMPDIR=folder),
        )
        try:
            frames = []
            end = time.monotonic() + 30
            while len(frames) < 3 and time.monotonic() < end:
                code, out, err = zt(program, "status", "--counters", home=folder + "/m")
                assert (code, err) == (0, "")
                rows = [x.split() for x in out.split("\n")]
                found = [int(x[1]) for x in rows if x[:1] == [nwid]]
                peers = [x for x in rows if len(x) == 5 and len(x[0]) == 10 and int(x[2])]
                if peers and (not frames or found[0] > frames[-1]):
                    frames.append(found[0])
                time.sleep(0.3)
            assert len(frames) == 3 and pings.poll() is None, out
            assert rows[0] == [member.first["address"], "0.1.0", "ONLINE"]
            assert [x for x in rows if x[:2] == ["node", "received"]]
            assert [x for x in rows if x[:2] == ["plane", "rx"]]
        finally:
            pings.kill()
            pings.communicate()
        member.stop()

    with_node(check, "--controller")


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
