# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# tools/provision.py as its user runs it, on boards that answer as MicroPython's raw REPL does and
# on flash images that our unix port makes. In every run all that is printed is searched for
# secrets.
#
# cpython-only: starts processes.

import json
import os
import pathlib
import signal
import stat
import subprocess
import sys
import tempfile

import pytest
from _fakeboard import FakeBoard
from _people import IDS
from _sim import make_planet
from zt import settings
from zt.identity import Identity

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
TOOL = TOP / "tools" / "provision.py"
NWID = "8056c2e21c000001"
OTHER = "8056c2e21c000002"
PASSWORD = "correct horse battery"
ADDRESS = IDS["A"][:10]
PLANET = make_planet(IDS["R"], [(bytes((10, 9, 0, 1)), 9993)])


class Bench:
    """A folder with what the tool is given, and the tool's runs."""

    def __init__(self, folder):
        self.folder = folder
        self.secrets = [PASSWORD]
        self.write("planet", PLANET)
        self.write("password", PASSWORD + "\n")
        self.write("a.secret", IDS["A"])
        self.write("b.secret", IDS["B"])
        for name in "AB":
            self.secrets.append(IDS[name].split(":")[3])

    def write(self, name, data):
        path = self.folder / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        path.chmod(0o600)
        return str(path)

    def path(self, name):
        return str(self.folder / name)

    def run(self, *words, status=0, stdin="", board=None):
        """Run the tool; (stdout, stderr). No secret of the bench or of the board is in either."""
        environment = {k: v for k, v in os.environ.items() if k != "ZT_WIFI_PASSWORD"}
        done = subprocess.run(
            [sys.executable, TOOL, *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=self.folder,
            env=environment,
        )
        said = done.stdout + done.stderr
        secrets = list(self.secrets)
        if board is not None:
            made = board.settings.text("identity.secret")
            if made and made.count(":") == 3:
                secrets.append(made.split(":")[3])
        for secret in secrets:
            halves = (secret, secret[: len(secret) // 2], secret[len(secret) // 2 :])
            for form in halves + (secret.encode().hex(),):
                assert form not in said, "a secret is printed"
        assert "Traceback" not in said, said
        assert done.returncode == status, said
        return done.stdout, done.stderr


@pytest.fixture
def bench(tmp_path):
    (tmp_path / "bench").mkdir()
    return Bench(tmp_path / "bench")


@pytest.fixture
def board(tmp_path):
    made = FakeBoard(tmp_path / "flash")
    yield made
    made.close()


def full(bench):
    return (
        "--identity", bench.path("a.secret"), "--planet", bench.path("planet"),
        "--network", NWID, "--wifi", "home", "--wifi-password-file", bench.path("password"),
        "--hostname", "sensor-1", "--ota-key", "ab" * 32, "-v",
    )  # fmt: skip


def check_full(s):
    assert s.get("identity.secret") == IDS["A"].encode()
    assert s.text("identity.public") == Identity.parse(IDS["A"]).text()
    assert s.get("planet") == PLANET and s.text("networks").split() == [NWID]
    assert s.text("wifi.ssid") == "home" and s.text("wifi.psk") == PASSWORD
    assert s.text("hostname") == "sensor-1" and s.get("ota.key") == b"\xab" * 32


def unpack_image(path):
    """{name: bytes} of the settings in an image, read by the unix port."""
    code = (
        "import sys, vfs, json, os\n"
        "p = sys.stdin.read()\n"
        "class D:\n"
        "    d = bytearray(open(p, 'rb').read())\n"
        "    def readblocks(self, n, b, o=0): b[:] = self.d[n * 4096 + o:n * 4096 + o + len(b)]\n"
        "    def ioctl(self, op, a): return {4: len(self.d) // 4096, 5: 4096}.get(op, 0)\n"
        "vfs.mount(vfs.VfsLfs2(D(), progsize=256), '/m', readonly=True)\n"
        "print(json.dumps({n: open('/m/.zt/' + n, 'rb').read().hex()"
        " for n in os.listdir('/m/.zt') if '.' in n or n != 'cache'}))\n"
    )
    done = subprocess.run(
        [TOP / "build" / "microzt", "-c", code], input=str(path), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = {n: bytes.fromhex(v) for n, v in json.loads(done.stdout).items()}
    return settings.Memory(found)


def need_unix_port():
    if not (TOP / "build" / "microzt").exists():
        pytest.skip("the unix port is not built")


# --- a board


def test_a_board_gets_all_of_it_and_is_restarted(bench, board):
    out, _ = bench.run("--port", board.port, *full(bench), board=board)
    assert out.strip() == ADDRESS
    check_full(board.settings)
    assert board.restarts == 1


def test_over_a_serial_port(bench, tmp_path):
    board = FakeBoard(tmp_path / "flash", terminal=True)
    try:
        bench.run("--port", board.port, *full(bench), board=board)
        check_full(board.settings)
    finally:
        board.close()


def test_a_new_identity_is_made_here_and_is_good(bench, board):
    out, err = bench.run("--port", board.port, "--keep-copy", bench.path("kept"), board=board)
    made = Identity.parse(board.settings.get("identity.secret"))
    assert made.validate() and out.strip() == made.address.hex()
    assert "making an identity" in err and "public roots" in err
    kept = bench.folder / "kept"
    assert (kept / "identity.secret").read_text() == made.text(True)
    assert stat.S_IMODE((kept / "identity.secret").stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    board.settings.set("identity.secret", None)
    _, err = bench.run("--port", board.port, "--keep-copy", bench.path("kept"), status=1)
    assert "not overwritten" in err and board.settings.get("identity.secret") is None


def test_an_identity_stays_unless_told(bench, board):
    board.settings.set("identity.secret", IDS["B"])
    kept = IDS["B"].encode()
    for words in (("--new-identity",), ("--identity", bench.path("a.secret"))):
        _, err = bench.run("--port", board.port, "--network", NWID, *words, status=1)
        assert IDS["B"][:10] in err and "not overwritten" in err
        assert board.settings.names() == ["identity.secret"]
    out, err = bench.run("--port", board.port, "--network", NWID)
    assert "keeps its identity" in err and out.strip() == IDS["B"][:10]
    assert board.settings.get("identity.secret") == kept
    _, err = bench.run("--port", board.port, "--remove", "identity.secret", status=1)
    assert "--force" in err and board.settings.get("identity.secret") == kept
    # Its own identity again is no overwrite.
    bench.run("--port", board.port, "--identity", bench.path("b.secret"))
    assert board.settings.get("identity.secret") == kept
    bench.run("--port", board.port, "--identity", bench.path("a.secret"), "--force")
    assert board.settings.get("identity.secret") == IDS["A"].encode()
    board.settings.set("identity.secret", b"\xff damaged")
    _, err = bench.run("--port", board.port, "--new-identity", status=1)
    assert "damaged" in err and board.settings.get("identity.secret") == b"\xff damaged"
    _, err = bench.run("--port", board.port, "--remove", "identity.secret", status=1)
    assert "damaged" in err and board.settings.get("identity.secret") == b"\xff damaged"


def test_networks_are_added_and_keep_their_local_settings(bench, board):
    board.settings.set("identity.secret", IDS["B"])
    board.settings.set("networks", NWID + " allowDNS=1\n")
    bench.run("--port", board.port, "--network", OTHER, "--network", NWID)
    lines = board.settings.text("networks").splitlines()
    assert lines == [NWID + " allowDNS=1", OTHER]
    bench.run("--port", board.port, "--remove", "networks", "--network", OTHER)
    assert board.settings.text("networks").splitlines() == [OTHER]


def test_what_is_set_is_shown_without_its_secrets(bench, board):
    bench.run("--port", board.port, *full(bench))
    before = len(board.programs)
    out, _ = bench.run("--port", board.port, "--show")
    for word in (ADDRESS, NWID, "home (with a password)", "sensor-1", "000000000000002a"):
        assert word in out
    facts = json.loads(bench.run("--port", board.port, "--show", "--json")[0])
    assert facts["address"] == ADDRESS and facts["psk"] is True
    assert not [p for p in board.programs[before:] if ".set(" in p]


def test_a_board_that_repeats_what_it_got_gives_no_secret_away(bench, tmp_path):
    for chatty in ("planet", "wifi.psk", "identity.secret"):

        class Chatty(settings.Files):
            def set(self, name, value, chatty=chatty):
                settings.Files.set(self, name, value)
                if name == chatty:
                    raise OSError("cannot store %r %r %s" % (name, value, value.hex()))

        board = FakeBoard(tmp_path / chatty, settings_class=Chatty)
        _, err = bench.run("--port", board.port, *full(bench), status=1)
        assert "the board says: OSError" in err and "cannot store '%s'" % chatty in err
        assert ("<secret>" in err) == (chatty != "planet")
        board.close()


def test_a_board_that_stores_something_else_is_noticed(bench, tmp_path):
    class Forgetful(settings.Files):
        def set(self, name, value):
            settings.Files.set(self, name, b"x" if name == "planet" else value)

    board = FakeBoard(tmp_path / "flash", settings_class=Forgetful)
    _, err = bench.run("--port", board.port, *full(bench), status=1)
    assert "stored as planet" in err
    assert board.settings.get("identity.secret") is None, "the identity comes last"
    board.close()


def test_ports_that_are_none(bench, tmp_path):
    _, err = bench.run("--port", "/dev/there-is-no-such", status=1)
    assert "no such port" in err and "plugged in" in err
    _, err = bench.run("--port", "socket://127.0.0.1:1", status=1)
    assert "refused" in err
    board = FakeBoard(tmp_path / "flash", ours=False)
    _, err = bench.run("--port", board.port, status=1)
    assert "without microzt" in err and "make flash" in err
    board.close()


# --- an image


def test_an_image_is_made_and_changed(bench):
    need_unix_port()
    image = bench.path("flash.img")
    bench.run("--image", image, *full(bench))
    check_full(unpack_image(image))
    assert os.path.getsize(image) == 512 * 1024
    assert stat.S_IMODE(os.stat(image).st_mode) == 0o600
    before = pathlib.Path(image).read_bytes()
    _, err = bench.run("--image", image, "--identity", bench.path("b.secret"), status=1)
    assert ADDRESS in err and pathlib.Path(image).read_bytes() == before
    bench.run("--image", image, "--identity", bench.path("b.secret"), "--force")
    found = unpack_image(image)
    assert found.get("identity.secret") == IDS["B"].encode() and found.get("planet") == PLANET
    assert sorted(os.listdir(bench.folder)) == sorted(
        ["a.secret", "b.secret", "flash.img", "password", "planet"]
    )


def test_files_that_are_no_image(bench):
    need_unix_port()
    bench.write("small", b"\xff" * 4096)
    bench.write("odd", b"\xff" * 100000)
    bench.write("zeros", bytes(131072))
    for name, word in (("small", "4096 bytes"), ("odd", "100000 bytes"), ("zeros", "no littlefs")):
        before = pathlib.Path(bench.path(name)).read_bytes()
        _, err = bench.run("--image", bench.path(name), status=1)
        assert word in err, err
        assert pathlib.Path(bench.path(name)).read_bytes() == before
    _, err = bench.run("--image", "/nowhere/at/all", status=1)
    assert "No such file" in err


def test_an_image_that_is_full_stays_as_it_was(bench):
    need_unix_port()
    image = bench.path("tiny.img")
    bench.write("tiny.img", b"\xff" * 8 * 4096)
    roots = [(IDS["S"], [(bytes((10, 9, 0, 2)), 9993)] * 30)] * 3
    bench.write("planet", make_planet(IDS["R"], [(bytes((10, 9, 0, 1)), 9993)] * 30, more=roots))
    before = pathlib.Path(image).read_bytes()
    words = ["--network"] + " --network ".join("%016x" % (0x100 + i) for i in range(1600)).split()
    _, err = bench.run("--image", image, *full(bench), *words, status=1)
    assert "full" in err or "10240" in err, err
    assert pathlib.Path(image).read_bytes() == before


# --- what is wrong with what it is given


def test_bad_input_is_named_before_anything_is_written(bench, board):
    bad = Identity.parse(IDS["A"])
    bench.write("public", bad.text())
    bench.write("moved", "0102030405" + IDS["A"][10:])
    bench.write("mixed", bad.text() + ":" + IDS["B"].split(":")[3])
    bench.write("cut", IDS["A"][:-4])
    bench.write("torn", PLANET[:-3])
    bench.write("forged", PLANET[:100] + bytes([PLANET[100] ^ 1]) + PLANET[101:])
    bench.write("short", "1234567")
    cases = (
        (("--identity", bench.path("none")), "No such file"),
        (("--identity", bench.path("public")), "public half"),
        (("--identity", bench.path("moved")), "does not belong to the key"),
        (("--identity", bench.path("mixed")), "does not match"),
        (("--identity", bench.path("cut")), "bad secret key"),
        (("--identity", bench.path("planet")), "identity"),
        (("--planet", bench.path("torn")), "not a planet"),
        (("--planet", bench.path("forged")), "wrong signature"),
        (("--planet", bench.path("a.secret")), "not a planet"),
        (("--network", "8056c2e21c00000"), "16 hex digits"),
        (("--network", "0000000000000000"), "16 hex digits"),
        (("--network", "8056c2e21c00000g"), "16 hex digits"),
        (("--wifi", "", "--wifi-open"), "1 to 32"),
        (("--wifi", "x" * 33, "--wifi-open"), "1 to 32"),
        (("--wifi", "home"), "--wifi-password-file"),
        (("--wifi", "home", "--wifi-password-file", bench.path("short")), "7 bytes"),
        (("--hostname", "No_such"), "--hostname"),
        (("--hostname=-x",), "--hostname"),
        (("--remove", "nonsense"), "identity.secret"),
        (("--ota-key", "00" * 31), "64 hex digits"),
        (("--ota-key", "x" * 64), "64 hex digits"),
        (("--identity", bench.path("a.secret"), "--keep-copy", "x"), "--keep-copy"),
    )
    for words, reason in cases:
        status = 2 if "--keep-copy" in words else 1
        _, err = bench.run("--port", board.port, *words, status=status)
        assert reason in err, (words, err)
        assert board.settings.names() == [], words
    for words in ((), ("--port", "x", "--image", "y"), ("--port", "x", "--wifi-open"), ("-x",)):
        bench.run(*words, status=2)


def test_a_password_comes_from_a_pipe_or_the_environment_not_the_command_line(bench, board):
    board.settings.set("identity.secret", IDS["B"])
    words = ("--port", board.port, "--wifi", "home")
    bench.run(*words, "--wifi-password-file", "-", stdin=PASSWORD + "\n")
    assert board.settings.text("wifi.psk") == PASSWORD
    bench.run(*words, "--wifi-open")
    assert board.settings.get("wifi.psk") is None
    option = "--wifi-password"
    for tried in ((option, PASSWORD), (option + "=" + PASSWORD,), ("-p" + PASSWORD,)):
        _, err = bench.run(*words, *tried, status=2)
        assert PASSWORD not in err
    assert board.settings.get("wifi.psk") is None


def test_help_names_every_option(bench):
    out, _ = bench.run("--help")
    for option in ("--port", "--image", "--identity", "--force", "--wifi-password-file", "--show"):
        assert option in out


def test_no_temporary_file_is_left(bench):
    need_unix_port()
    before = set(os.listdir(tempfile.gettempdir()))
    bench.run("--image", bench.path("flash.img"), *full(bench))
    new = set(os.listdir(tempfile.gettempdir())) - before
    assert not [n for n in new if n.startswith(("flash.img", "nvs"))]


@pytest.mark.parametrize("by", (signal.SIGINT, signal.SIGTERM))
def test_an_end_before_its_time_leaves_the_image_as_it_was(bench, by):
    need_unix_port()
    image = bench.path("flash.img")
    bench.run("--image", image, *full(bench))
    before = pathlib.Path(image).read_bytes()
    os.mkfifo(bench.path("fifo"))  # it reads the identity last, and this one never ends
    words = ("--image", image, "--identity", bench.path("fifo"), "--force")
    tool = subprocess.Popen([sys.executable, TOOL, *words], stderr=subprocess.PIPE)
    try:
        with open(bench.path("fifo"), "wb"):
            assert list(bench.folder.glob("*.part"))
            tool.send_signal(by)
            _, err = tool.communicate(timeout=60)
    finally:
        tool.kill()
        tool.wait()
    assert tool.returncode == 1 and b"interrupted" in err
    assert not list(bench.folder.glob("*.part"))
    assert pathlib.Path(image).read_bytes() == before
