# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Where tools/provision.py writes settings: a board through its raw REPL, or a littlefs image
# through our unix port. Each has facts(), set(name, value) and done(). Values travel by pipe or
# serial line, never as arguments of a process, and no error text repeats one.

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import rawrepl

TOP = pathlib.Path(__file__).resolve().parent.parent
UNIX_PORT = TOP / "build" / "microzt"


class Failure(Exception):
    """What the user is told; the text is a whole sentence about what is wrong."""


# What both MicroPythons run. Of secrets it says only whether they are there.
FACTS = """
import json
def _facts(s):
    secret = s.get("identity.secret")
    planet = s.get("planet")
    address = None
    if secret and len(secret) > 10 and secret[10:11] == b":":
        address = secret[:10].decode()
    print(json.dumps({
        "address": address,
        "secret": bool(secret),
        "planet": None if planet is None else planet[1:9].hex() if len(planet) > 9 else "damaged",
        "networks": s.text("networks") or "",
        "ssid": s.text("wifi.ssid") or "",
        "psk": bool(s.get("wifi.psk")),
        "hostname": s.text("hostname") or "",
    }))
"""


class Board:
    """A board that runs our firmware, at a serial port."""

    def __init__(self, port, detail):
        self.port = port
        self.detail = detail
        self.repl = None

    def __enter__(self):
        try:
            self.repl = rawrepl.RawRepl(rawrepl.connect(self.port))
            self.detail("interrupting the board")
            self.repl.enter()
            # What runs from boot.py must not write while we do.
            self.repl.run(
                "import sys\n"
                "if 'zt' in sys.modules:\n"
                "    import zt.card\n"
                "    if zt.card.active():\n"
                "        zt.card.active().active(False)\n"
            )
            self.repl.run("import zt.settings\n_s = zt.settings.default()\n" + FACTS)
        except rawrepl.Failed as e:
            self.close()
            if "ImportError" in str(e):
                raise Failure(
                    "%s: its firmware is MicroPython without microzt; flash ours first "
                    "(make flash)" % self.port
                ) from None
            raise Failure("%s: the board says: %s" % (self.port, _last(e))) from None
        except rawrepl.Silent:
            self.close()
            raise Failure(
                "%s: nothing there answers as MicroPython does; is it the board's port, and is "
                "the firmware flashed?" % self.port
            ) from None
        except rawrepl.NoPort as e:
            raise Failure(str(e)) from None
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.repl is not None:
            self.repl.close()
            self.repl = None

    def _run(self, code):
        try:
            return self.repl.run(code)
        except rawrepl.Failed as e:
            raise Failure("%s: the board says: %s" % (self.port, _last(e))) from None
        except (rawrepl.Silent, EOFError, OSError):
            raise Failure("%s: the board went away" % self.port) from None

    def facts(self):
        return dict(_json(self._run("_facts(_s)")), where="the board")

    def set(self, name, value):
        if value is None:
            self._run("_s.set(%r, None)" % name)
            return
        code = "_v = bytes.fromhex(%r)\n_s.set(%r, _v)\nprint(_s.get(%r) == _v)\n_v = None\n"
        if self._run(code % (value.hex(), name, name)).strip() != "True":
            raise Failure("%s: what the board stored as %s is not what it got" % (self.port, name))

    def done(self):
        """Start the board anew, with its settings."""
        self.detail("restarting the board")
        self.repl.restart()


def _last(e):
    """The last line of a board's traceback: the exception itself."""
    return (str(e).strip().splitlines() or ["?"])[-1]


def _json(text):
    try:
        return json.loads(text.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise Failure("the answer to what is set cannot be read") from None


# The image is the flash of ports/qemu: blocks of 4 KB that are 0xff when erased. The job comes on
# standard input: arguments can be read by others, and MicroPython takes none above 255 bytes.
_IMAGE_PROGRAM = (
    FACTS
    + """
import sys, vfs
from zt import settings
_job = json.loads(sys.stdin.read())

class _File:
    def __init__(self, path):
        self.f = open(path, "r+b")
        self.f.seek(0, 2)
        self.n = self.f.tell() // 4096

    def readblocks(self, block, buf, at=0):
        self.f.seek(block * 4096 + at)
        self.f.readinto(buf)

    def writeblocks(self, block, buf, at=0):
        self.f.seek(block * 4096 + at)
        self.f.write(buf)

    def ioctl(self, op, arg):
        if op in (2, 3):
            self.f.flush()
        elif op == 4:
            return self.n
        elif op == 5:
            return 4096
        elif op == 6:
            self.f.seek(arg * 4096)
            self.f.write(b"\\xff" * 4096)
        if op in (1, 2, 3, 6):
            return 0

_disk = _File(_job["path"])
if _job["format"]:
    vfs.VfsLfs2.mkfs(_disk, progsize=256)
_fs = vfs.VfsLfs2(_disk, progsize=256)
vfs.mount(_fs, "/image")
_s = settings.Files("/image" + settings.FOLDER, settings.write_whole)
for _name, _value in _job["set"]:
    _s.set(_name, None if _value is None else bytes.fromhex(_value))
_facts(_s)
vfs.umount("/image")
_disk.f.close()
"""
)


class Image:
    """A littlefs image. It is worked on as a copy that takes the file's place at the end."""

    def __init__(self, path, size, detail):
        self.path = path
        self.size = size
        self.detail = detail
        self.work = None
        self.format = False
        self.pending = []

    def __enter__(self):
        if not UNIX_PORT.exists():
            raise Failure("an image is made by the unix port; run: make build")
        folder = os.path.dirname(os.path.abspath(self.path))
        try:
            fd, self.work = tempfile.mkstemp(".part", os.path.basename(self.path), folder)
            with os.fdopen(fd, "wb") as out:  # mode 0600
                if os.path.exists(self.path):
                    with open(self.path, "rb") as f:
                        shutil.copyfileobj(f, out)
                else:
                    out.write(b"\xff" * self.size)
        except OSError as e:
            self.close()
            raise Failure("%s: %s" % (self.path, e.strerror)) from None
        n = os.path.getsize(self.work)
        if n < 8 * 4096 or n % 4096:
            self.close()
            raise Failure("%s: %d bytes are no flash image (blocks of 4096)" % (self.path, n))
        self.format = _is_blank(self.work)
        if self.format:
            self.detail("making a file system")
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.work is not None:
            try:
                os.remove(self.work)
            except FileNotFoundError:
                pass
            self.work = None

    def _run(self, changes):
        job = {"path": self.work, "format": self.format, "set": changes}
        done = subprocess.run(
            [UNIX_PORT, "-c", _IMAGE_PROGRAM],
            input=json.dumps(job).encode(),
            capture_output=True,
            check=False,
            timeout=120,
        )
        self.format = False
        if done.returncode:
            said = _last(done.stderr.decode(errors="replace"))
            number = said.rpartition(": ")[2]
            if number in ("84", "19"):  # littlefs: corrupt; no such file system
                raise Failure("%s: no littlefs file system is in it" % self.path)
            if number == "28" or "ENOSPC" in said:
                raise Failure("%s: it is full" % self.path)
            raise Failure("%s: cannot be written: %s" % (self.path, said))
        return dict(_json(done.stdout.decode()), where=self.path)

    def facts(self):
        return self._run([])

    def set(self, name, value):
        self.pending.append((name, None if value is None else value.hex()))

    def done(self):
        self._run(self.pending)
        os.replace(self.work, self.path)
        self.work = None


def _is_blank(path):
    with open(path, "rb") as f:
        while True:
            piece = f.read(65536)
            if not piece:
                return True
            if piece.strip(b"\xff"):
                return False
