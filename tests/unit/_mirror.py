# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The far end of a test network: a pump that plays every other host of one interface. It answers
# ARP and neighbour solicitations for any address but our own, and sends each unicast packet back
# with source and destination swapped (which leaves every checksum true), so both ends of a
# conversation live in the one stack while every byte crosses the interface.

import _zthal as hal
from _inet import checksum

MAC = b"\x32\x01\x02\x03\x04\x05"
FAR = b"\x32\x99\x99\x99\x99\x99"
IP4 = bytes([10, 9, 0, 1])
FAR4 = bytes([10, 9, 0, 77])
IP6 = b"\xfd\x00" + bytes(13) + b"\x01"
FAR6 = b"\xfd\x00" + bytes(13) + b"\x77"


class Mirror:
    live = None  # left over by a test that failed

    def __init__(self, mtu=2800, pass_on=True):
        if Mirror.live is not None:
            Mirror.live.close()
        Mirror.live = self
        self.n = hal.nic_add(MAC, mtu)
        self.buf = bytearray(10100)
        self.mv = memoryview(self.buf)
        self.meta = bytearray(1)
        self.calls = 0
        self.sizes = []
        self.asked = []  # the addresses somebody resolved
        self.seen = []  # (ethertype, destination MAC, frame) of what was not passed on
        self.pass_on = pass_on
        hal.nic_addr(self.n, IP4, 24, True)
        hal.nic_addr(self.n, IP6, 64, True)
        hal.set_pump(self.pump)

    def close(self):
        hal.set_pump(None)
        hal.nic_remove(self.n)
        Mirror.live = None

    def pump(self):
        self.calls += 1
        while True:
            n = hal.nic_recv(self.buf, self.meta)
            if not n:
                return hal.stack_poll()
            assert self.meta[0] == self.n
            self.sizes.append(n)
            back = self.answer(self.mv[:n])
            if back is not None:
                hal.nic_input(self.n, back)

    def answer(self, f):
        kind = f[12] << 8 | f[13]
        if kind == 0x806:
            return self.arp(f)
        if kind == 0x86DD and f[20] == 58 and f[54] == 135:
            return self.neighbour(f)
        if f[0] & 1 or not self.pass_on:
            self.seen.append((kind, bytes(f[:6]), bytes(f)))
            return None
        assert bytes(f[:6]) == FAR
        f[:6] = MAC
        f[6:12] = FAR
        at, size = (26, 4) if kind == 0x800 else (22, 16)
        source = bytes(f[at : at + size])
        f[at : at + size] = f[at + size : at + 2 * size]
        f[at + size : at + 2 * size] = source
        return f

    def arp(self, f):
        target = bytes(f[38:42])
        if f[21] != 1 or target == bytes(f[28:32]):
            return None
        self.asked.append(target)
        return MAC + FAR + bytes(f[12:20]) + b"\x00\x02" + FAR + target + MAC + bytes(f[28:32])

    def neighbour(self, f):
        target = bytes(f[62:78])
        if bytes(f[22:38]) == bytes(16):
            return None  # somebody's duplicate detection
        self.asked.append(target)
        body = b"\x88\x00\x00\x00\x60\x00\x00\x00" + target + b"\x02\x01" + FAR
        to = bytes(f[22:38])
        pseudo = target + to + b"\x00\x00\x00" + bytes([len(body)]) + b"\x00\x00\x00\x3a"
        total = checksum(pseudo + body)
        body = body[:2] + total.to_bytes(2, "big") + body[4:]
        head = b"\x60\x00\x00\x00\x00" + bytes([len(body)]) + b"\x3a\xff"
        return MAC + FAR + b"\x86\xdd" + head + target + to + body
