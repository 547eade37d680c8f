# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# cpython-only: starts processes
#
# The command line from outside: exit statuses, one line for each mistake, no traceback, no file
# damaged, help everywhere.

import json
import os
import shutil
import tempfile

from _cli import NWID, PROGRAMS, TOP, everywhere, fails, make_world, zt


def test_version_and_help_everywhere():
    def check(program, folder):
        commands = [
            [], ["id", "new"], ["id", "show"], ["id", "check"], ["planet", "new"], ["run"],
            ["exec"], ["status"], ["peers"], ["networks"], ["join"], ["leave"], ["network", "new"],
            ["network", "set"], ["network", "list"], ["member", "list"], ["member", "authorize"],
            ["member", "deauthorize"], ["rules", "explain"], ["rules", "check"], ["ping"], ["nc"],
            ["perf", "server"], ["perf", "client"],
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
        # Never fall back to the planet of the internet.
        for data, word in (
            (good[:50], "cut short"),
            (good[:100] + bytes([good[100] ^ 1]) + good[101:], "wrong signature"),
        ):
            with open(folder + "/torn/planet", "wb") as f:
                f.write(data)
            fails(program, "run", "--home", folder + "/torn", words=("torn/planet", word))

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


def test_commands_that_need_the_stack_say_so_without_one():
    program = PROGRAMS[0]
    for args in (
        ["ping", "10.0.0.1"], ["nc", "10.0.0.1", "80"], ["perf", "server"],
        ["perf", "client", "10.0.0.1"], ["exec", "x.py"],
    ):  # fmt: skip
        fails(program, *args, words=("network stack",))


def test_a_port_that_cannot_be_is_refused_before_a_node_is_up():
    for program in PROGRAMS[1:]:
        for args in (
            ["perf", "server", "--listen", "99999"], ["perf", "server", "--listen", "0"],
            ["perf", "client", "10.0.0.1", "x"], ["nc", "10.0.0.1", "65536"], ["nc", "-l", "0"],
        ):  # fmt: skip
            fails(program, *args, words=("is not a port",))
        fails(program, "nc", "80", status=2, words=("HOST PORT",))
        fails(program, "nc", "-l", "10.0.0.1", "80", status=2, words=("HOST PORT",))


def test_a_script_that_fails_shows_its_own_lines_only():
    for program in PROGRAMS[1:]:
        folder = tempfile.mkdtemp(prefix="zt-test-")
        try:
            planet, port = make_world(program, folder)
            script = folder + "/app.py"
            for source, word in (
                ("def f():\n    1 / 0\n\n\nf()\n", "ZeroDivisionError"),
                ("import nothing_of_that_name\n", "ImportError"),
                ("a b\n", "SyntaxError"),
            ):
                with open(script, "w") as f:
                    f.write(source)
                code, _, err = zt(
                    program, "exec", "--home", folder + "/root", "--planet", planet, "--port",
                    str(port), "--allow-loopback", script,
                )  # fmt: skip
                assert code == 1, err
                lines = err.strip().split("\n")
                assert lines[0].startswith("Traceback"), err
                assert script in lines[1] and lines[-1].startswith(word), err
                assert "zt/" not in err, err
            with open(script, "w") as f:
                f.write("import sys\nsys.exit(7)\n")
            code, _, err = zt(
                program, "exec", "--home", folder + "/root", "--allow-loopback", "--port", "0",
                script,
            )  # fmt: skip
            assert (code, err) == (7, "")
        finally:
            shutil.rmtree(folder)


def test_what_others_named_does_not_drive_the_terminal():
    def check(program, folder):
        name = folder + "/\x1b[31mred\x07\n\x9b0m"
        for args in (["id", "check", name], ["exec", name], ["run", "--planet", name]):
            _, out, err = zt(program, *args, "--home", folder + "/h")
            assert err.startswith("zt: ") and err.count("\n") == 1, err
            assert not [c for c in err[:-1] if c < " " or "\x7f" <= c <= "\x9f"], err

    everywhere(check)


def test_an_endless_file_is_refused():
    def check(program, folder):
        fails(program, "id", "check", "/dev/zero", words=("too large",))

    everywhere(check)


def test_the_page_names_every_command_and_option():
    from zt import cli

    page = open(os.path.join(TOP, "docs", "cli.md")).read()
    for _, module, _ in cli._MODULES:
        commands = cli._load(module).COMMANDS
        for key in commands:
            assert "zt " + " ".join(key) in page, key
            for names, _, _, _ in tuple(commands[key].options) + cli.COMMON:
                assert names[0] in page, (key, names)
