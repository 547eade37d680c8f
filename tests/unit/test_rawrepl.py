# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# tools/rawrepl.py against a board that answers as MicroPython does. cpython-only: sockets and
# pseudo terminals.

import pathlib
import sys

from _fakeboard import FakeBoard

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.append(str(TOP / "tools"))

import rawrepl  # noqa: E402


def _boards(tmp_path, **kw):
    for terminal in (False, True):
        board = FakeBoard(tmp_path / str(terminal), terminal=terminal, **kw)
        repl = rawrepl.RawRepl(rawrepl.connect(board.port))
        try:
            yield board, repl
        finally:
            repl.close()
            board.close()


def test_programs_run_and_their_output_comes_back(tmp_path):
    for board, repl in _boards(tmp_path, greeting=b"ets Jul 29 2019\r\n>>> "):
        repl.enter()
        assert repl.run("x = 6\nprint(x * 7)\nprint('two')") == "42\ntwo\n"
        assert repl.eval("{'a': [x, b'1', None]}") == {"a": [6, b"1", None]}
        assert repl.run("pass") == ""
        assert len(board.programs) == 3


def test_an_exception_is_told_from_output(tmp_path):
    for _, repl in _boards(tmp_path):
        repl.enter()
        try:
            repl.run("print('before')\n1 // 0")
            raise AssertionError("nothing was raised")
        except rawrepl.Failed as e:
            assert str(e).endswith("ZeroDivisionError: integer division or modulo by zero")
            assert "before" not in str(e)
        assert repl.run("print('after')") == "after\n"


def test_a_long_program_and_a_file_arrive_whole(tmp_path):
    data = bytes(range(256)) * 5
    for _, repl in _boards(tmp_path):
        repl.enter()
        lines = "\n".join("v%d = %d" % (i, i) for i in range(800))
        assert repl.run(
            lines + "\nprint(sum(v for k, v in globals().items() if k[0] == 'v'))"
        ) == ("%d\n" % sum(range(800)))
        path = tmp_path / "file"
        repl.put(str(path), data)
        assert path.read_bytes() == data


def test_what_the_board_prints_is_handed_on_as_it_comes(tmp_path):
    for _, repl in _boards(tmp_path):
        heard = []
        repl.enter()
        repl.echo = heard.append
        repl.run("print('one')\nprint('two')")
        assert b"".join(heard) == b"one\r\ntwo\r\n"


def test_resets(tmp_path):
    for board, repl in _boards(tmp_path):
        repl.enter()
        repl.run("kept = 1")
        repl.soft_reset()
        assert repl.run("print('kept' in globals())") == "False\n"
        assert board.restarts == 0
        repl.restart()
        repl.enter()
        assert board.restarts == 1


def test_a_board_that_says_nothing_is_silent(tmp_path):
    for board, repl in _boards(tmp_path, prompt=False, greeting=b"I am a printer"):
        try:
            repl.enter(1)
            raise AssertionError("it entered")
        except rawrepl.Silent as e:
            # A serial port forgets what came before it was opened.
            assert "printer" in str(e) or "socket" not in board.port


def test_ports_that_cannot_be_opened_say_what_to_do(monkeypatch):
    import serial

    def said(url):
        try:
            rawrepl.connect(url)
        except rawrepl.NoPort as e:
            return str(e)

    assert "no such port" in said("/dev/there-is-no-such")
    assert "refused" in said("socket://127.0.0.1:1")
    assert said("socket://nonsense").startswith("socket://nonsense")
    for number, text, advice in (
        (13, "Permission denied", "dialout"),
        (16, "Device or resource busy", "in use"),
        (11, "Could not exclusively lock port", "in use"),
        (5, "Input/output error", "cannot be opened"),
    ):

        def fail(*_, number=number, text=text, **__):
            raise serial.SerialException(number, text)

        monkeypatch.setattr(serial, "serial_for_url", fail)
        assert advice in said("/dev/ttyUSB0"), text
