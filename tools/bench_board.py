#!/usr/bin/env python3
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The part of `make bench-embedded` that runs on the emulated board: what the node adds to the
# firmware, what it takes of the memory at each stage of its life, the instructions from power-on
# to its network, and TCP over the network beside TCP outside of it, on the same firmware.
# Seconds are printed and mean little in an emulator; instructions and bytes are exact.

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
for folder in ("tests/embedded", "tests/interop", "tools"):
    sys.path.insert(0, str(TOP / folder))

import bench_row  # noqa: E402
import boards  # noqa: E402
import footprint  # noqa: E402
import qemu_board  # noqa: E402
from boards import OK, Scene  # noqa: E402
from client import Ours, wait_for  # noqa: E402
from lab import Lab  # noqa: E402

COMMAND = "make bench-embedded"
TCP_BYTES = 1 << 20
TCP_RUNS = 5
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


# All rows: name -> (unit, target). bench_doc.BOARD says what each is.
ROWS = {
    "firmware_flash_kb": ("KiB", None),
    "flash_added_kb": ("KiB", 200),
    "firmware_static_ram_kb": ("KiB", None),
    "node_heap_boot": ("bytes", None),
    "node_heap_online": ("bytes", None),
    "node_heap_joined": ("bytes", None),
    "node_heap_8_peers": ("bytes", None),
    "node_static": ("bytes", None),
    "node_tables": ("bytes", None),
    "node_slots": ("bytes", None),
    "node_ram_kb": ("KiB", 64),
    "heap_free_8_peers_kb": ("KiB free", 128),
    "heap_largest_free_8_peers_kb": ("KiB free", None),
    "boot_to_network_instr": ("instructions", None),
    "tcp_plain_in_instr_per_byte": ("instructions/byte", None),
    "tcp_network_in_instr_per_byte": ("instructions/byte", None),
    "tcp_in_ratio": ("of plain TCP", 0.33),
    "tcp_plain_out_instr_per_byte": ("instructions/byte", None),
    "tcp_network_out_instr_per_byte": ("instructions/byte", None),
    "tcp_out_ratio": ("of plain TCP", 0.33),
}


def row(name, value):
    unit, target = ROWS[name]
    return bench_row.row(name, value, unit, target, command=COMMAND)


def firmware_bytes(path):
    """(flash, static RAM) of an image, in bytes."""
    done = subprocess.run(
        ["riscv64-unknown-elf-size", str(path)], capture_output=True, text=True, check=True
    )
    text, data, bss = [int(x) for x in done.stdout.splitlines()[1].split()[:3]]
    return text + data, data + bss


def flash_rows():
    subprocess.run(["make", "-s", "-C", str(TOP), "qemu-firmware", "qemu-plain"], check=True)
    flash, ram = firmware_bytes(qemu_board.IMAGE)
    plain, _ = firmware_bytes(qemu_board.IMAGE.replace("microzt-", "plain-"))
    return [
        row("firmware_flash_kb", round(flash / KB, 1)),
        row("flash_added_kb", round((flash - plain) / KB, 1)),
        row("firmware_static_ram_kb", round(ram / KB, 1)),
    ]


def memory_rows(stages):
    """Of what footprint.measure() found."""
    out = []
    for stage in footprint.STAGES:
        print("%s: %s" % (stage, stages[stage]), file=sys.stderr)
        out.append(row("node_heap_" + stage, stages[stage]["node_heap"]))
    last = stages[footprint.STAGES[-1]]
    out.append(row("node_static", last["static"]))
    out.append(row("node_tables", last["tables"]))
    out.append(row("node_slots", last["slots"]))
    out.append(row("node_ram_kb", round(last["node"] / KB, 1)))
    out.append(row("heap_free_8_peers_kb", round(last["heap_free"] / KB, 1)))
    out.append(row("heap_largest_free_8_peers_kb", round(last["heap_largest_free"] / KB, 1)))
    return out


class Bench:
    """One board through its life, on a lab."""

    def __init__(self, net, folder):
        self.scene = Scene(net, folder)
        self.board = self.scene.board
        self.net = net
        self.rows = []

    def admit(self):
        """Let it come online and into the network, once."""
        self.scene.authorize(self.scene.boot())
        self.board.wait("nic.status() == %d" % OK, 60)
        self.board.stop()

    def boot_instructions(self):
        """Executed from power-on to the controller's confirmation, waiting not counted."""
        board = self.board
        board.start(icount="sleep=on")
        began = time.monotonic()
        board.prompt()
        said = board.run(FRESH, 240)
        ticks, idle = [int(x) for x in said.split()]
        print("to the network in %.1f s" % (time.monotonic() - began), file=sys.stderr)
        board.stop()
        self.rows.append(row("boot_to_network_instr", (ticks - idle) * 100))

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
        after = board.json("zt.memory()")
        print("after TCP: %s" % after, file=sys.stderr)
        drops = board.eval("__import__('_zthal').wire_drops()")
        print("tcp: %s, drops %s" % (best, drops), file=sys.stderr)
        board.stop()
        for way in ("in", "out"):
            for kind in ("plain", "network"):
                name = "%s_%s" % (kind, way)
                self.rows.append(row("tcp_%s_instr_per_byte" % name, round(best[name], 1)))
            ratio = best["plain_" + way] / best["network_" + way]
            self.rows.append(row("tcp_%s_ratio" % way, round(ratio, 2)))


def measure():
    why = boards.missing()
    if why:
        raise SystemExit("bench_board: " + why)
    out = flash_rows()
    with tempfile.TemporaryDirectory() as folder, Lab("crowd") as net:
        out += memory_rows(footprint.measure(net, "crowd", Path(folder)))
    with tempfile.TemporaryDirectory() as folder, Lab("root", "control", "other") as net:
        bench = Bench(net, Path(folder))
        bench.admit()
        bench.boot_instructions()
        bench.tcp()
        out += bench.rows
    return out


if __name__ == "__main__":
    os.chdir(TOP)
    for r in measure():
        target = "" if r["target"] is None else "target %s" % r["target"]
        print("%-28s %10s %-14s %s" % (r["name"], r["value"], r["unit"], target))
