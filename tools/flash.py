#!/usr/bin/env python3
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Puts our firmware on an ESP32 and watches it start: finds the port and the chip, checks that the
# image is whole and fits, writes only what must change, so that identity and settings stay, and
# says what to do when something fails. esptool does the talking to the chip; what an image is made
# of is in flash_image, what the words of a failure mean in flash_advice.
#
# Untried on hardware: its tests play what esptool and chips say.

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tools"))

import flash_advice  # noqa: E402
import in_venv  # noqa: E402
import rawrepl  # noqa: E402
from flash_image import TABLE_AT, TABLE_BYTES, Firmware, Unfit  # noqa: E402

_BUILDS = TOP / "build" / "esp32"
_SLOW = 115200
# Vendors of the adapters on such boards: Espressif, Silicon Labs, WCH, FTDI, Prolific.
_VENDORS = (0x303A, 0x10C4, 0x1A86, 0x0403, 0x067B)
_UNITS = {"KB": 1024, "MB": 1 << 20}
_QUESTION = "import zt, sys; print(zt.__version__, 'on', sys.platform)"


class Failure(Exception):
    """What the user is told."""


def say(text):
    print("flash: " + text, file=sys.stderr, flush=True)


# --- ports


def ports():
    """[(device, description)] of the serial ports that may be boards."""
    try:
        from serial.tools import list_ports
    except ImportError:
        raise Failure("the Python package pyserial is missing; run: make setup") from None
    found = [p for p in list_ports.comports() if p.vid is not None]
    likely = [p for p in found if p.vid in _VENDORS]
    return [(p.device, p.description or "?") for p in likely or found]


def listed():
    found = ports()
    return (
        "\n".join("  %s  %s" % p for p in found) if found else "  (no serial port of a USB device)"
    )


def choose_port():
    found = ports()
    if len(found) == 1:
        say("port %s (%s)" % found[0])
        return found[0][0]
    if not found:
        raise Failure(
            "no board found; plug it in with a cable that has data lines, or name the port: "
            "PORT=/dev/ttyUSB0"
        )
    raise Failure("several boards; name one of them, as PORT=%s:\n%s" % (found[0][0], listed()))


# --- esptool


def esptool_command(given):
    if given:
        return given.split()
    try:
        import esptool  # noqa: F401

        return [sys.executable, "-m", "esptool"]
    except ImportError:
        pass
    for name in ("esptool.py", "esptool"):
        if shutil.which(name):
            return [name]
    raise Failure("esptool is missing; `make flash` installs it, or: pip install esptool")


class Chip:
    """What esptool says of the chip at a port: `name`, `flash_bytes`, `features`."""

    def __init__(self, text):
        # An ESP32's own names go on with the package: ESP32-D0WD-V3, ESP32-U4WDH.
        name = re.search(
            r"(?:Chip is|Chip type:)\s+(ESP32(?:-(?:S2|S3|C2|C3|C5|C6|C61|H2|P4)\b)?)", text
        )
        size = re.search(r"Detected flash size:\s+(\d+)(KB|MB)", text)
        if name is None:
            other = re.search(r"(?:Chip is|Chip type:)\s+(\S+)", text)
            raise Failure("this is no ESP32 but %s" % (other.group(1) if other else "unknown"))
        self.name = name.group(1)
        if "Secure Download Mode" in text:
            raise Failure("%s: %s" % (self.name, flash_advice.of_esptool("Secure Download Mode")))
        if size is None:
            raise Failure(
                "%s: the size of its flash is not known; is the module whole?" % self.name
            )
        self.flash_bytes = int(size.group(1)) * _UNITS[size.group(2)]
        features = re.search(r"Features:\s*(.*)", text)
        self.features = features.group(1).strip() if features else ""


class Esptool:
    def __init__(self, command, port, baud):
        self.command = command
        self.port = port
        self.baud = baud
        self.log = ""  # all that it said

    def run(self, *words, show=False):
        """Run one command of esptool; its output. Failure with advice if it fails."""
        for attempt in (0, 1):
            text, status = self._once(words, show)
            if status == 0:
                return text
            if attempt == 0 and self.baud != _SLOW and flash_advice.wants_slower(text):
                say("failed at %d baud; once more at %d" % (self.baud, _SLOW))
                self.baud = _SLOW
                continue
            break
        advice = flash_advice.of_esptool(text)
        last = [line for line in text.splitlines() if line.strip()]
        reason = next((s for s in last if "fatal error" in s or "exception error" in s), None)
        said = (reason or (last[-1] if last else "nothing")).strip()
        if advice is None:
            raise Failure("esptool failed, and this is all it says:\n%s" % "\n".join(last[-8:]))
        if "below" in advice:
            advice += ":\n" + listed()
        raise Failure("%s\nesptool said: %s" % (advice, said))

    def _once(self, words, show):
        command = self.command + ["--port", self.port, "--baud", str(self.baud)] + list(words)
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
        except OSError as e:
            raise Failure("%s: %s" % (command[0], e.strerror)) from None
        said = b""
        with process:
            while True:
                data = process.stdout.read1(4096)
                if not data:
                    break
                said += data
                if show:
                    sys.stderr.write(data.decode(errors="replace"))
                    sys.stderr.flush()
        text = said.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")
        self.log += text
        return text, process.returncode


# --- images


def find_image(chip, board, variant):
    """The one firmware.bin that was built for this chip, or for the named board."""
    found = []
    for path in sorted(_BUILDS.glob("*/firmware.bin")):
        if board and path.parent.name != board + ("-" + variant if variant else ""):
            continue
        try:
            if Firmware(path.read_bytes()).chip == chip:
                found.append(path)
        except (Unfit, OSError):
            continue
    if len(found) == 1:
        return found[0]
    if not found:
        raise Failure(
            "no firmware for an %s in build/esp32; build it (make esp32 BOARD=...) or name a "
            "file: IMAGE=firmware.bin" % chip
        )
    names = "\n".join("  %s" % p.parent.name for p in found)
    raise Failure(
        "several images for an %s; name one with BOARD= and VARIANT=:\n%s" % (chip, names)
    )


def load_image(path):
    try:
        data = pathlib.Path(path).read_bytes()
    except OSError as e:
        raise Failure("%s: %s" % (path, e.strerror)) from None
    try:
        return Firmware(data)
    except Unfit as e:
        raise Failure("%s: %s" % (path, e)) from None


def check_settings(tool, firmware, folder, force):
    """Stop before identity and settings of the board are lost by a moved nvs partition."""
    path = os.path.join(folder, "table.bin")
    tool.run("read_flash", hex(TABLE_AT), hex(TABLE_BYTES), path)
    with open(path, "rb") as f:
        keeps = firmware.keeps_settings(f.read())
    if keeps:
        say("identity and settings of the board stay")
    elif keeps is False and not force:
        raise Failure(
            "the board's settings lie elsewhere than this image has them: its identity would be "
            "lost. Nothing was written. --force does it; then provision the board again"
        )


def write(tool, firmware, folder):
    words = []
    for offset, data in firmware.parts:
        path = os.path.join(folder, "%x.bin" % offset)
        with open(path, "wb") as f:
            f.write(data)
        words += [hex(offset), path]
    say("writing %d KB" % (sum(len(d) for _, d in firmware.parts) // 1024))
    tool.run("write_flash", *words, show=True)


# --- the start


def open_again(port, timeout_s):
    """The port, which vanishes for a moment where the chip itself is the USB device."""
    end = time.monotonic() + timeout_s
    while True:
        try:
            return rawrepl.connect(port)
        except rawrepl.NoPort as e:
            if time.monotonic() > end or "permission" in str(e):
                raise Failure(str(e)) from None
            time.sleep(0.3)


def watch(port, seconds):
    """Reset the board and look at its start; what MicroPython says of itself, else Failure."""
    link = open_again(port, max(3, seconds))
    try:
        link.reset()
        log = b""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            log += link.read(4096, 0.2)
            if b">>> " in log or flash_advice.of_boot(log):
                break
        advice = flash_advice.of_boot(log)
        if advice is None and log and flash_advice.readable(log) < 0.7:
            advice = "what comes is no text: a wrong port, or another speed than 115200 baud"
        if advice is not None:
            raise Failure("%s\nit said:\n%s" % (advice, _tail(log)))
        return _ask(link, log, seconds)
    finally:
        link.close()


def _ask(link, log, seconds):
    repl = rawrepl.RawRepl(link)
    try:
        repl.enter(seconds)
        said = repl.run(_QUESTION)
        repl.restart()
        return said.strip()
    except rawrepl.Failed as e:
        raise Failure(
            "MicroPython runs, but without microzt: %s" % str(e).strip().splitlines()[-1]
        ) from None
    except (rawrepl.Silent, EOFError, OSError):
        if not log:
            raise Failure(
                "written, but the board says nothing: press RESET; a board with two USB sockets "
                "may have its console on the other one"
            ) from None
        raise Failure("the board starts, but gives no prompt; it said:\n%s" % _tail(log)) from None


def _tail(log):
    lines = log.decode(errors="replace").replace("\r", "").splitlines()
    return "\n".join("  " + line[:120] for line in lines[-12:])


def flash(args):
    command = esptool_command(args.esptool)
    firmware = load_image(args.image) if args.image else None
    port = args.port or choose_port()
    tool = Esptool(command, port, args.baud)
    chip = Chip(tool.run("flash_id"))
    say("%s, %g MB of flash; %s" % (chip.name, chip.flash_bytes / (1 << 20), chip.features))
    if firmware is None:
        path = find_image(chip.name, args.board, args.variant)
        say("image %s" % path.relative_to(TOP))
        firmware = load_image(path)
    try:
        firmware.check(chip.name, chip.flash_bytes)
    except Unfit as e:
        raise Failure("%s. Nothing was written." % e) from None
    say("the application takes %d of %d bytes" % (firmware.app_bytes, firmware.app.size))
    if args.check:
        return
    with tempfile.TemporaryDirectory() as folder:
        if args.erase:
            say("erasing everything, the identity too")
            tool.run("erase_flash")
        else:
            check_settings(tool, firmware, folder, args.force)
        write(tool, firmware, folder)
    say("written and verified; looking at its start")
    print("microzt %s" % watch(port, args.watch))
    say("next: tools/provision.py --port %s (it keeps an identity that is there)" % port)


def main(words):
    parser = argparse.ArgumentParser(
        prog="flash.py",
        description="Put our firmware on an ESP32. Untried on hardware.",
        epilog="`make flash PORT=... BOARD=...` installs esptool and runs this.",
    )
    parser.add_argument("--port", help="the serial port; found by itself if there is one board")
    parser.add_argument("--image", help="a firmware.bin; else the one built for the chip")
    parser.add_argument("--board", help="of several built ones, such as ZT_ESP32_S3")
    parser.add_argument("--variant", help="such as PSRAM_OCT")
    parser.add_argument("--baud", type=int, default=460800)
    parser.add_argument("--check", action="store_true", help="check only, write nothing")
    parser.add_argument("--erase", action="store_true", help="erase all, with the identity")
    parser.add_argument("--force", action="store_true", help="write though settings get lost")
    parser.add_argument("--watch", type=float, default=8, help="seconds to look at the start")
    parser.add_argument("--esptool", help="the command, if not the installed one")
    args = parser.parse_args(words)
    try:
        flash(args)
    except Failure as e:
        say(str(e))
        return 1
    except KeyboardInterrupt:
        say("interrupted; if it was writing, the board does not start until it is flashed again")
        return 1
    return 0


if __name__ == "__main__":
    in_venv.enter()
    sys.exit(main(sys.argv[1:]))
