#!/usr/bin/env python3
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The emulated RV32 board (ports/qemu) on this machine: starts and stops QEMU, knows its command
# line. The serial line is a TCP socket on loopback, the flash a file.
#
# usage: qemu_board.py [--image ELF] [--disk FILE] [--net user|none|tap=NAME] [--append TEXT]
# [--icount]
#
# Run as a program it gives the board's prompt (Ctrl-] ends it). A user-mode network lets the
# board reach whatever this machine reaches, so the program insists on being in a network
# namespace of its own (`make qemu` makes one without a way out).

import argparse
import os
import select
import shutil
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rawrepl  # noqa: E402

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
IMAGE = os.path.join(TOP, "build", "microzt-rv32.elf")
QEMU = "qemu-system-riscv32"
DISK_BYTES = 512 * 1024
CUT = 77  # the exit status when `cut=` has stopped the machine


def make_disk(path, size=DISK_BYTES):
    """A blank flash: all bits set. For its owner only: an identity will be in it."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as f:
        f.write(b"\xff" * size)


def user_network(forward=()):
    """-netdev of QEMU's own network stack: the guest is 10.0.2.15, this namespace's loopback is
    10.0.2.2. `forward`: texts like "udp:127.0.0.1:19993-:9993"."""
    return "user,id=n0" + "".join(",hostfwd=" + f for f in forward)


def tap_network(name):
    """-netdev of an existing TAP device, which is this process's to use."""
    return "tap,id=n0,ifname=%s,script=no,downscript=no" % name


class Board:
    """A running machine. `namespace`: a prefix of words that runs a command where the board is to
    be, such as ["ip", "netns", "exec", NAME]; `log`: a file for what QEMU says;
    `icount`: count instructions, 100 to a tick of the clock; with True waiting takes no time,
    with "sleep=on" its own, which a board on a network needs;
    `hold`: it starts when the serial line is connected, so that nothing said is lost; `monitor`:
    the path of a unix socket for QEMU's monitor, which can pull the cable and press reset."""

    def __init__(
        self,
        image=None,
        disk=None,
        netdev=None,
        mac=None,
        append="",
        icount=False,
        namespace=(),
        log=None,
        hold=False,
        monitor=None,
    ):
        self.repl = None
        # The socket is made here and handed down: no port to agree on, nothing to race for, and
        # it is reached from this namespace whichever one the board lives in.
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        self.port = listener.getsockname()[1]
        command = list(namespace) + [QEMU, "-machine", "virt", "-bios", "none", "-m", "16M"]
        command += ["-cpu", "rv32,a=false,f=false,d=false", "-display", "none"]
        command += ["-monitor", "unix:%s,server=on,wait=off" % monitor if monitor else "none"]
        command += ["-semihosting", "-global", "virtio-mmio.force-legacy=false"]
        command += ["-device", "virtio-rng-device", "-kernel", image or IMAGE]
        if append:
            command += ["-append", append]
        if disk:
            # The board's power may fail, this machine's is taken for granted: no fsync per write.
            command += ["-drive", "if=none,format=raw,id=d0,cache=unsafe,file=" + disk]
            command += ["-device", "virtio-blk-device,drive=d0"]
        if netdev:
            mac = mac or "52:54:00:%02x:%02x:%02x" % tuple(os.urandom(3))
            command += ["-netdev", netdev, "-device", "virtio-net-device,netdev=n0,mac=" + mac]
        if icount:
            how = "sleep=off" if icount is True else icount
            command += ["-icount", "shift=0,align=off," + how]
        wait = "on" if hold else "off"
        command += ["-chardev", "socket,id=s0,fd=%d,server=on,wait=%s" % (listener.fileno(), wait)]
        command += ["-serial", "chardev:s0"]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(listener.fileno(),),
        )
        listener.close()

    def url(self):
        return "socket://127.0.0.1:%d" % self.port

    def connect(self, echo=None):
        """The board's raw REPL, entered by enter()."""
        self.repl = rawrepl.RawRepl(rawrepl.connect(self.url()), echo)
        return self.repl

    def exit_status(self, timeout=None):
        """The machine's exit status; None if it still runs after `timeout` seconds."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def stop(self):
        """Switch it off. What it has not written to the flash is lost, as with any board."""
        if self.repl is not None:
            self.repl.close()
            self.repl = None
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def _has_way_out():
    """True where this network namespace has a default route."""
    with open("/proc/net/route") as f:
        rows = [line.split() for line in f.readlines()[1:]]
    return any(row[1] == "00000000" for row in rows)


def _terminal(board):
    import termios
    import tty

    sock = socket.create_connection(("127.0.0.1", board.port))
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd) if sys.stdin.isatty() else None
    if before:
        tty.setraw(fd)
    sources = [fd, sock]
    try:
        sock.sendall(b"\r")
        while board.process.poll() is None:
            ready, _, _ = select.select(sources, [], [], 0.5)
            if sock in ready:
                data = sock.recv(4096)
                if not data:
                    break
                os.write(1, data)
            if fd in ready:
                data = os.read(fd, 1024)
                if b"\x1d" in data:
                    break
                if not data:
                    sources.remove(fd)
                    time.sleep(0.5)
                    if not before:
                        break
                sock.sendall(data)
    finally:
        if before:
            termios.tcsetattr(fd, termios.TCSADRAIN, before)
        sock.close()


def main():
    parser = argparse.ArgumentParser(description="start the emulated RV32 board")
    parser.add_argument("--image", default=IMAGE)
    parser.add_argument("--disk", default=os.path.join(TOP, "build", "rv32-flash.img"))
    parser.add_argument("--net", default="user", help="user, none or tap=NAME")
    parser.add_argument("--append", default="", help="arguments for the machine, such as cut=100")
    parser.add_argument("--icount", action="store_true", help="count instructions exactly")
    args = parser.parse_args()
    if not shutil.which(QEMU):
        raise SystemExit("qemu_board: %s is missing; tools/toolchain.sh board installs it" % QEMU)
    if args.net == "user" and _has_way_out():
        raise SystemExit("qemu_board: run it in a network namespace without a way out (make qemu)")
    netdev = None
    if args.net == "user":
        netdev = user_network()
    elif args.net.startswith("tap="):
        netdev = tap_network(args.net[4:])
    if not os.path.exists(args.disk):
        make_disk(args.disk)
    with Board(args.image, args.disk, netdev, append=args.append, icount=args.icount) as board:
        print("board: Ctrl-] ends it; the flash is %s" % args.disk, file=sys.stderr)
        _terminal(board)


if __name__ == "__main__":
    main()
