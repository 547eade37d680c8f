#!/usr/bin/env python3
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The raw REPL of a MicroPython board, over anything that can read and write bytes: a serial
# port, or a socket to an emulated one (PySerial's serial_for_url opens both; connect() below
# needs no PySerial for sockets). Knows MicroPython's raw mode and nothing of what runs in it.

import socket
import time


class Failed(Exception):
    """The program on the board ended with an exception; the text is its traceback."""


class Silent(Exception):
    """The board did not answer in time; the text is what it said last."""


class NoPort(Exception):
    """The port cannot be opened; the text says what to do."""


class SocketPort:
    """A TCP socket with the read and write of a serial port."""

    def __init__(self, host, port, timeout=5):
        self._sock = socket.create_connection((host, port), timeout)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self, n, timeout):
        """What has come, at most n bytes; b"" after `timeout` seconds. EOFError at the end."""
        self._sock.settimeout(max(timeout, 0.001))
        try:
            data = self._sock.recv(n)
        except (TimeoutError, socket.timeout):
            return b""
        if not data:
            raise EOFError("the board has gone")
        return data

    def write(self, data):
        self._sock.settimeout(30)
        self._sock.sendall(data)

    def reset(self):
        """An emulated board is reset by who started it."""

    def close(self):
        self._sock.close()


class SerialPort:
    """The same over PySerial."""

    def __init__(self, url, baud=115200):
        try:
            import serial
        except ImportError:
            raise NoPort("the Python package pyserial is missing; run: make setup") from None
        try:
            self._serial = serial.serial_for_url(url, baud, timeout=0, do_not_open=True)
            if "://" not in url:
                # Opening the port must not reset the board; two programs must not share it.
                self._serial.dtr = self._serial.rts = False
                self._serial.exclusive = True
            self._serial.open()
        except (OSError, ValueError) as e:
            raise NoPort(_why_not(url, e)) from None

    def read(self, n, timeout):
        self._serial.timeout = timeout
        return self._serial.read(max(1, min(n, self._serial.in_waiting or 1)))

    def write(self, data):
        # Without flow control a board that is busy loses what exceeds its buffer.
        for at in range(0, len(data), 128):
            self._serial.write(data[at : at + 128])
            self._serial.flush()
            time.sleep(0.01)

    def reset(self):
        """Reset the board by the lines that its USB adapter has for it: RTS holds the chip, DTR
        would choose its loader."""
        try:
            self._serial.dtr = False
            self._serial.rts = True
            time.sleep(0.1)
            self._serial.rts = False
        except OSError:
            pass  # an adapter without these lines

    def close(self):
        self._serial.close()


def _why_not(url, e):
    text = str(e)
    number = getattr(e, "errno", None)
    if number == 13 or "Permission" in text:
        return (
            "%s: no permission; add yourself to the group it belongs to (dialout on Debian: "
            "adduser NAME dialout) and log in again" % url
        )
    if number == 2 or "No such file" in text:
        return "%s: no such port; is the board plugged in, and its cable one for data?" % url
    if number in (11, 16) or "lock" in text or "busy" in text:
        return "%s: in use; close the terminal program that has it open" % url
    return "%s: cannot be opened: %s" % (url, text)


def connect(url):
    """A port for "socket://host:port" or whatever PySerial takes. NoPort with what to do."""
    if url.startswith("socket://"):
        try:
            host, port = url[9:].rsplit(":", 1)
            return SocketPort(host, int(port))
        except (OSError, ValueError) as e:
            raise NoPort("%s: %s" % (url, e)) from None
    return SerialPort(url)


class RawRepl:
    """Runs programs on a board. `echo`, if given, is called with what they print, as it comes."""

    def __init__(self, port, echo=None):
        self.port = port
        self.echo = echo
        self.seen = b""  # read and not yet taken

    def _until(self, mark, timeout, echo=False):
        """What comes up to `mark`, without it; Silent after `timeout` seconds."""
        end = time.monotonic() + timeout
        told = 0
        while mark not in self.seen:
            left = end - time.monotonic()
            if left <= 0:
                said = self.seen[-400:].decode("utf-8", "replace")
                raise Silent("no %r within %g s; last: %r" % (mark, timeout, said))
            self.seen += self.port.read(4096, min(left, 0.5))
            if echo and self.echo and mark not in self.seen:
                self.echo(self.seen[told:])
                told = len(self.seen)
        found, self.seen = self.seen.split(mark, 1)
        if echo and self.echo:
            self.echo(found[told:])
        return found

    def wait_for(self, text, timeout=10):
        """Read until the board has said `text` (outside of run())."""
        return self._until(text.encode(), timeout).decode("utf-8", "replace")

    def enter(self, timeout=10):
        """Interrupt what runs and enter the raw mode."""
        end = time.monotonic() + timeout
        while True:
            self.port.write(b"\r\x03\x03\r\x01")
            try:
                self._until(b"raw REPL; CTRL-B to exit\r\n>", 1)
                return
            except Silent:
                if time.monotonic() > end:
                    raise

    def enter_idle(self, timeout=60):
        """Enter the raw mode when boot.py and main.py have ended, without interrupting them; what
        they said meanwhile."""
        self.port.write(b"\r")
        said = self._until(b">>> ", timeout)
        self.port.write(b"\x01")
        self._until(b"raw REPL; CTRL-B to exit\r\n>", 5)
        return said.decode("utf-8", "replace").replace("\r\n", "\n")

    def leave(self):
        """Back to the prompt that people use."""
        self.port.write(b"\x02")
        self._until(b">>> ", 5)

    def soft_reset(self, timeout=10):
        """Restart the interpreter from the raw mode; main.py does not run."""
        self.port.write(b"\x04")
        self._until(b"raw REPL; CTRL-B to exit\r\n>", timeout)

    def restart(self):
        """Leave, and let the board's own programs start anew."""
        self.port.write(b"\r\x02")
        self._until(b">>> ", 5)
        self.port.write(b"\x04")

    def start(self, program):
        """Send a program, without waiting for its end."""
        data = program.encode() if isinstance(program, str) else program
        for at in range(0, len(data), 256):
            self.port.write(data[at : at + 256])
        self.port.write(b"\x04")
        self._until(b"OK", 30)

    def finish(self, timeout=30):
        """What the program printed, when it has ended. Failed with its traceback."""
        out = self._until(b"\x04", timeout, echo=True)
        error = self._until(b"\x04>", timeout)
        if error.strip():
            raise Failed(error.decode("utf-8", "replace").replace("\r\n", "\n").strip())
        return out.decode("utf-8", "replace").replace("\r\n", "\n")

    def run(self, program, timeout=30):
        """Run a program on the board; what it printed. Failed with its traceback."""
        self.start(program)
        return self.finish(timeout)

    def eval(self, expression, timeout=30):
        """The value of an expression: numbers, texts, bytes, tuples, lists, dicts."""
        import ast

        return ast.literal_eval(self.run("print(repr(%s))" % expression, timeout).strip())

    def put(self, path, data, piece=192):
        """Write a file on the board."""
        self.run("_f = open(%r, 'wb')" % path)
        for at in range(0, len(data), piece):
            self.run("_f.write(%r)" % bytes(data[at : at + piece]))
        self.run("_f.close()\ndel _f")

    def close(self):
        self.port.close()
