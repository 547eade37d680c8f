#!/usr/bin/env python3
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The part of `make bench-embedded` that runs on the emulated board: what the node adds to the
# firmware, what it takes of the memory at each stage of its life, the instructions from power-on
# to its network, and TCP over the network beside TCP outside of it, on the same firmware.
# Seconds are printed and mean little in an emulator; instructions and bytes are exact.

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
for folder in ("tests/embedded", "tests/interop", "tools"):
    sys.path.insert(0, str(TOP / folder))

import boards  # noqa: E402
import qemu_board  # noqa: E402
from boards import DENIED, OK, Scene  # noqa: E402
from client import Ours, wait_for  # noqa: E402
from lab import Lab  # noqa: E402

COMMAND = "make bench-embedded"
TCP_BYTES = 1 << 20
TCP_RUNS = 3
KB = 1024

# Each prints what is left and the ticks (of 100 instructions) that were not spent asleep.
RECEIVE = """
import socket, _board
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("0.0.0.0", %d))
listener.listen(1)
print("ready")
s, _ = listener.accept()
buf = memoryview(bytearray(1460))
left, start = %d, _board.ticks()
while left > 0:
    n = s.readinto(buf[:left])  # fills it
    if not n:
        break
    left -= n
end = _board.ticks()
print(left, end[0] - end[1] - start[0] + start[1])
s.close()
listener.close()
"""

SEND = """
import socket, _board
s = socket.socket()
s.connect((%r, %d))
buf = bytes(1460)
left, start = %d, _board.ticks()
while left > 0:
    left -= s.write(buf[:left])
s.close()
end = _board.ticks()
print(left, end[0] - end[1] - start[0] + start[1])
"""

FRESH = """
import time, _board
while not nic._net().request.fresh:
    time.sleep_ms(20)
print(*_board.ticks())
"""

PLAIN_SEND = """
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
s.sendall(bytes(int(sys.argv[3])))
s.shutdown(1)
s.recv(1)
"""

PLAIN_RECEIVE = """
import socket, sys
listener = socket.create_server(("", int(sys.argv[1])))
print("ready", flush=True)
s, _ = listener.accept()
while s.recv(65536):
    pass
"""


def row(name, value, unit, target=None):
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "target": target,
        "peer": None,
        "peer_value": None,
        "command": COMMAND,
    }


def firmware_bytes(path):
    """(flash, static RAM) of an image, in bytes."""
    done = subprocess.run(
        ["riscv64-unknown-elf-size", str(path)], capture_output=True, text=True, check=True
    )
    text, data, bss = [int(x) for x in done.stdout.splitlines()[1].split()[:3]]
    return text + data, data + bss


def c_heap_bytes(path):
    """Of the firmware's C heap, in which only the node's tables and slots are."""
    done = subprocess.run(
        ["riscv64-unknown-elf-nm", str(path)], capture_output=True, text=True, check=True
    )
    at = {words[-1]: int(words[0], 16) for words in map(str.split, done.stdout.splitlines())}
    return at["__heap_end"] - at["__heap_start"]


def flash_rows():
    subprocess.run(["make", "-s", "-C", str(TOP), "qemu-firmware", "qemu-plain"], check=True)
    flash, ram = firmware_bytes(qemu_board.IMAGE)
    plain, _ = firmware_bytes(qemu_board.IMAGE.replace("microzt-", "plain-"))
    return [
        row("firmware_flash_kb", round(flash / KB, 1), "KiB"),
        row("flash_added_kb", round((flash - plain) / KB, 1), "KiB", 200),
        row("firmware_static_ram_kb", round(ram / KB, 1), "KiB"),
    ]


class Bench:
    """One board through its life, on a lab."""

    def __init__(self, net, folder):
        self.scene = Scene(net, folder)
        self.board = self.scene.board
        self.net = net
        self.rows = []

    def memory(self, stage):
        """What zt.memory() says now."""
        found = self.board.json("zt.memory()")
        print("%s: %s" % (stage, json.dumps(found, sort_keys=True)), file=sys.stderr)
        self.rows.append(row("heap_used_%s" % stage, found["heap_used"], "bytes"))
        return found

    def stages(self):
        scene, board = self.scene, self.board
        board.start()
        board.prompt()
        self.memory("booted")
        board.wait("nic.status('online')", 60)
        address = board.eval("nic.config('address')")
        board.wait("nic.status() == %d" % DENIED, 60)
        scene.authorize(address)
        board.wait("nic.status() == %d" % OK, 60)
        joined = self.memory("joined")
        c_heap = c_heap_bytes(qemu_board.IMAGE) - board.eval("__import__('_board').memory()[1]")
        # The same firmware before anything of ours is imported.
        board.repl.soft_reset()
        before = board.eval("(__import__('gc').collect(), __import__('gc').mem_alloc())[1]")
        total = joined["static"] + c_heap + joined["heap_used"] - before
        self.rows.append(row("node_ram_kb", round(total / KB, 1), "KiB", 64))
        free = joined["heap_free"] / KB
        self.rows.append(row("heap_free_joined_kb", round(free, 1), "KiB", 128))
        board.stop()

    def boot_instructions(self):
        """Executed from power-on to the controller's confirmation, waiting not counted."""
        board = self.board
        board.repl = None
        board.start(icount="sleep=on")
        began = time.monotonic()
        board.prompt()
        said = board.run(FRESH, 240)
        ticks, idle = [int(x) for x in said.split()]
        print("to the network in %.1f s" % (time.monotonic() - began), file=sys.stderr)
        board.stop()
        self.rows.append(row("boot_to_network_instr", (ticks - idle) * 100, "instructions"))

    def other(self):
        scene = self.scene
        other = Ours(self.net, "other", scene.world.home("other"), scene.world.planet)
        other.start()
        other.join(scene.nwid)
        members = lambda: scene.controller.zt("member", "list", scene.nwid)  # noqa: E731
        wait_for("the other has asked", lambda: len(members()) == 2, 60)
        scene.authorize(other.address)
        return other, other.wait_ready(scene.nwid)

    def receive(self, port, send):
        """Instructions of the board for each byte it receives of what send() sends."""
        self.board.repl.start(RECEIVE % (port, TCP_BYTES))
        self.board.repl.wait_for("ready\r\n", 30)
        done = send()
        left, ticks = [int(x) for x in self.board.repl.finish(300).split()[-2:]]
        done()
        assert left == 0, "%d bytes were not received" % left
        return ticks * 100 / TCP_BYTES

    def send(self, ip, port):
        said = self.board.run(SEND % (ip, port, TCP_BYTES), 300)
        left, ticks = [int(x) for x in said.split()[-2:]]
        assert left == 0
        return ticks * 100 / TCP_BYTES

    def tcp(self):
        board = self.board
        board.start(icount="sleep=on")
        board.prompt()
        board.wait("nic.status() == %d" % OK, 60)
        other, other_ip = self.other()
        ip = board.eval("nic.ifconfig()[0]")
        python = [sys.executable, "-c"]
        best = {}

        def better(name, value):
            best[name] = min(best.get(name, value), value)

        for run in range(TCP_RUNS):
            port = 7000 + run
            words = python + [PLAIN_SEND, boards.BOARD_IP, str(port), str(TCP_BYTES)]
            better("plain_in", self.receive(port, lambda w=words: self.net.popen("other", w).wait))
            words = python + [PLAIN_RECEIVE, str(port)]
            sink = self.net.popen("other", words, stdout=subprocess.PIPE, text=True)
            sink.stdout.readline()
            better("plain_out", self.send(self.net.ipv4("other"), port))
            sink.wait()

            def begin(p=port):
                return other.begin("tcp_connect", ip=ip, port=p, send=TCP_BYTES)

            better("network_in", self.receive(port, begin))
            other.call("tcp_listen", port=port)
            ended = other.begin("tcp_accept", port=port, receive=TCP_BYTES)
            better("network_out", self.send(other_ip, port))
            ended()
        self.memory("after_tcp")
        drops = board.eval("__import__('_zthal').wire_drops()")
        print("tcp: %s, drops %s" % (best, drops), file=sys.stderr)
        board.stop()
        for way in ("in", "out"):
            for kind in ("plain", "network"):
                name = "%s_%s" % (kind, way)
                unit = "instructions/byte"
                self.rows.append(row("tcp_%s_instr_per_byte" % name, round(best[name], 1), unit))
            ratio = best["plain_" + way] / best["network_" + way]
            self.rows.append(row("tcp_%s_ratio" % way, round(ratio, 2), "of plain TCP", 0.33))


def measure():
    why = boards.missing()
    if why:
        raise SystemExit("bench_board: " + why)
    out = flash_rows()
    with tempfile.TemporaryDirectory() as folder, Lab("root", "control", "other") as net:
        bench = Bench(net, Path(folder))
        bench.stages()
        bench.boot_instructions()
        bench.tcp()
        out += bench.rows
    return out


if __name__ == "__main__":
    os.chdir(TOP)
    for r in measure():
        target = "" if r["target"] is None else "target %s" % r["target"]
        print("%-28s %10s %-14s %s" % (r["name"], r["value"], r["unit"], target))
