# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# A board for the tests of the tools: MicroPython's raw REPL on a TCP socket or a pseudo terminal,
# whose programs run in this process, with settings in a folder.

import os
import pty
import socket
import threading
import traceback
import tty

from zt import settings


class FakeBoard:
    """`port` is what the tools take. `settings` are the board's; `programs` what it was sent. It
    says `greeting` first; without `prompt` that is all it ever says."""

    def __init__(
        self, folder, terminal=False, ours=True, settings_class=settings.Files,
        greeting=b"", prompt=True,
    ):  # fmt: skip
        self.settings = settings_class(str(folder))
        self.greeting = greeting
        self.prompt = prompt
        self.programs = []
        self.restarts = 0
        self.ours = ours
        self._out = b""
        if terminal:
            self._fd, self._slave = pty.openpty()
            tty.setraw(self._slave)
            self.port = os.ttyname(self._slave)
            self._listener = None
        else:
            self._listener = socket.create_server(("127.0.0.1", 0))
            self.port = "socket://127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        if self._listener is not None:
            self._listener.close()
        else:
            os.close(self._slave)

    def _serve(self):
        if self._listener is None:
            self._talk(lambda: os.read(self._fd, 4096), lambda b: os.write(self._fd, b))
            return
        while True:
            try:
                s, _ = self._listener.accept()
            except OSError:
                return
            with s:
                self._talk(lambda s=s: s.recv(4096), s.sendall)

    def _talk(self, read, write):
        raw = False
        line = b""
        space = {"print": self._print, "__builtins__": __builtins__}
        write(self.greeting)
        while True:
            try:
                data = read()
            except OSError:
                return
            if not data:
                return
            if not self.prompt:
                continue
            for c in data:
                if c == 1:
                    raw, line = True, b""
                    write(b"raw REPL; CTRL-B to exit\r\n>")
                elif c == 2:
                    raw, line = False, b""
                    write(b"\r\nMicroPython v1.25.0; fake board\r\n>>> ")
                elif c == 3:
                    line = b""
                    if not raw:
                        write(b"\r\n>>> ")
                elif c == 4:
                    if not raw:
                        self.restarts += 1
                        write(b"\r\nMPY: soft reboot\r\n>>> ")
                    elif not line.strip():
                        write(b"OK\r\nMPY: soft reboot\r\nraw REPL; CTRL-B to exit\r\n>")
                        space = {"print": self._print, "__builtins__": __builtins__}
                    else:
                        write(b"OK" + self._run(line, space) + b"\x04>")
                    line = b""
                elif raw:
                    line += bytes([c])
                else:
                    write(bytes([c]))  # the friendly REPL echoes

    def _print(self, *values):
        self._out += (" ".join(str(v) for v in values) + "\r\n").encode()

    def _run(self, line, space):
        program = line.decode().lstrip("\r\n")
        self.programs.append(program)
        self._out = b""
        error = b""
        kept = settings.default
        settings.default = lambda: self.settings
        try:
            if not self.ours and "import zt" in program:
                raise ImportError("no module named 'zt'")
            exec(program, space)
        except Exception:
            error = traceback.format_exc().replace("\n", "\r\n").encode()
        finally:
            settings.default = kept
        return self._out + b"\x04" + error
