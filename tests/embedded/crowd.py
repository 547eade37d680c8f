# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# A crowd for one board: a root that is the controller too and some members of its network, all in
# this process, on one address. Told to, each member pings the board (ARP and ICMP made by hand:
# CPython has no stack) as long as the crowd lives. Knows nothing of how the board is started.
#
#   crowd.py --home DIR [--peers 8] [--port 0] [--address 127.0.0.1]
#
# On stdout a line of JSON: {"planet", "nwid", "ip", "port"}. A line with the board's address on
# stdin admits it, the line "ping" makes the members ping. Then a line each second: {"answered":
# [pings answered, per member]}.

import argparse
import json
import os
import pathlib
import select
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lib"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "unit"))

from _inet import checksum
from zt import crypto, hal, identity, inet, mac, world
from zt._compat import be16, be64, hexs, ticks_ms, unhex
from zt.driver import Driver, Settings
from zt.host import Host
from zt.node import Node
from zt.store import FileStore, MemoryStore

LOOP = bytes((127, 0, 0, 1))
NET = "10.99.0.0/24"
BOARD = "10.99.0.2"
PING_MS = 500
ARP, IPV4 = 0x0806, 0x0800


class Member(Driver):
    """A node with the least of an IP stack: it answers ARP and pings one address."""

    def __init__(self, ident, planet, nwid, ip, dest, at):
        settings = Settings()
        settings.port = 0
        settings.bind = [at]
        settings.allow_loopback = True
        Driver.__init__(self, hal, settings)
        store = MemoryStore()
        store.put("identity.secret", ident.text(True).encode())
        store.put("planet", planet)
        self.open()
        self.attach(
            Node(self, store, lambda: time.time_ns() // 1000000, os.urandom, "unix", True)
        )
        self.nwid, self.ip, self.dest = nwid, ip, dest
        self.mac = mac.from_address(ident.address, nwid)
        self.dest_mac = None
        self.answered = 0
        self.seq = 0
        self.node.join(ticks_ms(), nwid)

    def send(self, dest, ethertype, data):
        self.node.process_virtual_network_frame(
            ticks_ms(), self.nwid, self.mac, dest, ethertype, 0, data
        )

    def arp(self, op, dest_mac, dest_ip, to):
        self.send(
            to,
            ARP,
            b"\0\1\x08\0\6\4" + be16(op) + self.mac + self.ip + dest_mac + dest_ip,
        )

    def ping(self):
        net = self.node.network(self.nwid)
        if net is None or net.config is None:
            return
        if self.dest_mac is None:
            self.node.multicast_subscribe(ticks_ms(), self.nwid, *mac.group_for_ip(self.ip))
            self.arp(1, bytes(6), self.dest, mac.BROADCAST)
            return
        self.seq += 1
        echo = b"\x08\0\0\0zt" + be16(self.seq & 0xFFFF) + bytes(56)
        echo = echo[:2] + be16(checksum(echo)) + echo[4:]
        head = b"\x45\0" + be16(20 + len(echo)) + bytes(4) + b"\x40\1\0\0" + self.ip + self.dest
        head = head[:10] + be16(checksum(head)) + head[12:]
        self.send(self.dest_mac, IPV4, head + echo)

    def frame(self, nwid, src_mac, dst_mac, ethertype, vlan, data):
        data = bytes(data)
        if ethertype == ARP and data[24:28] == self.ip:
            if data[14:18] == self.dest:
                self.dest_mac = data[8:14]
            if data[7] == 1:
                self.arp(2, data[8:14], data[14:18], bytes(src_mac))
        elif ethertype == IPV4 and data[9] == 1 and data[12:16] == self.dest and data[20] == 0:
            self.answered += 1


class Crowd:
    def __init__(self, home, peers=8, port=0, at=LOOP):
        """All of them on the address `at`."""
        me = identity.generate(os.urandom)
        keys = os.urandom(64)
        if not port:
            wire = hal.wire_open(at, 0)
            port = hal.wire_port(wire)
            hal.wire_close(wire)
        self.port = port
        roots = [(me, [(at, port)])]
        made = world.World.make(
            world.PLANET, os.urandom(8), be64(1), keys, crypto.public_key(keys), roots
        )
        self.planet = made.pack()
        store = FileStore(home, hal)
        store.put("identity.secret", me.text(True).encode())
        store.put("planet", self.planet)
        bind = '{"settings": {"bind": ["%s"]}}' % inet.ip_text(at)
        store.put("local.conf", bind.encode())
        store.close()
        self.root = Host(home, port=port, controller=True, allow_loopback=True)
        self.nwid = unhex(self._network())
        self.members = []
        for i in range(peers):
            ident = identity.generate(os.urandom)
            ip = "10.99.0.%d" % (10 + i)
            self.admit(ident.address, ip)
            self.members.append(
                Member(ident, self.planet, self.nwid, inet.parse_ip(ip), inet.parse_ip(BOARD), at)
            )
        self._ping_at = None

    def _network(self):
        routes = [{"target": NET, "via": None}]
        body = {"private": True, "routes": routes, "mtu": 2800}
        return self.root.controller.put_network(ticks_ms(), None, body)["nwid"]

    def admit(self, address, ip=BOARD):
        body = {"authorized": True, "ipAssignments": [ip]}
        self.root.controller.put_member(ticks_ms(), self.nwid, address, body)

    def ping(self):
        """From now on."""
        self._ping_at = time.monotonic()

    def step(self):
        """A turn of everybody; ms until the next."""
        if self._ping_at is not None and time.monotonic() >= self._ping_at:
            self._ping_at += PING_MS / 1000
            for m in self.members:
                m.ping()
        return min([self.root.driver.step()] + [m.step() for m in self.members] + [50])

    def run(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            hal.wait(self.step())

    def answered(self):
        return [m.answered for m in self.members]

    def close(self):
        for m in self.members:
            m.close()
        self.root.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", required=True)
    parser.add_argument("--peers", type=int, default=8)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--address", default="127.0.0.1")
    args = parser.parse_args()
    crowd = Crowd(args.home, args.peers, args.port, inet.parse_ip(args.address))
    told = {"planet": hexs(crowd.planet), "nwid": hexs(crowd.nwid)}
    print(json.dumps(dict(told, ip=BOARD, port=crowd.port)), flush=True)
    try:
        while True:
            crowd.run(1)
            if select.select([0], [], [], 0)[0]:
                line = sys.stdin.readline().strip()
                if not line:
                    break
                if line == "ping":
                    crowd.ping()
                else:
                    crowd.admit(unhex(line))
            print(json.dumps({"answered": crowd.answered()}), flush=True)
    except (KeyboardInterrupt, BrokenPipeError):
        pass
    finally:
        crowd.close()


if __name__ == "__main__":
    main()
