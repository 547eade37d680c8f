# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Throws damaged frames at the stack in the process while it does what applications do: connections
# open, talk, break and are abandoned, datagrams are cut into fragments, groups are joined,
# addresses and interfaces come and go. Every frame is a real one of this run, or damaged in a few
# places, half of them with their checksums made true again so that the damage gets further in.
#
# At the end of each round all sockets are closed and the interface is taken away, and a line says
# what is still held; at the end what only time ends may take its time, and then nothing must be.
# Runs under the unix port, best the one of tools/build_asan.sh, in which every object of lwIP is a
# block of its own:
#
#   build/asan/microzt tests/fuzz/stack.py SECONDS [SEED [ROUND_SECONDS]]

import gc
import random
import sys
import time

_TOP = __file__.rsplit("tests/", 1)[0] or "./"
sys.path[:] = [_TOP + "lib", _TOP + "tests/unit", ".frozen"]

import lwip  # noqa: E402
from _mirror import FAR, FAR4, FAR6, IP4, IP6, MAC, Mirror, checksum  # noqa: E402
from zt import hal  # noqa: E402

HOSTS = ("10.9.0.77", "fd00::77")
GROUPS = (b"\xef\x01\x02\x03", b"\xef\x09\x08\x07")
PORT = 8080
SOCKETS = 12
KEPT = 96
TELLING = (0, 1, 255, 127, 128)
CHECKSUM_AT = {6: 16, 17: 6, 58: 2, 1: 2, 2: 2}  # protocol -> where it is
SETTLE_S = 150  # TIME_WAIT is 2 minutes, what waits for fragments or a neighbour less


def chance(one_in):
    return random.randrange(one_in) == 0


def repair(g):
    """Make lengths and checksums true again, as far as the frame lets us."""
    if len(g) < 34:
        return
    if g[12:14] == b"\x08\x00":
        head = (g[14] & 15) * 4
        if head < 20 or 14 + head > len(g):
            return
        if not chance(8):
            g[16:18] = (len(g) - 14).to_bytes(2, "big")
        g[24:26] = b"\0\0"
        g[24:26] = checksum(bytes(g[14 : 14 + head])).to_bytes(2, "big")
        proto, at = g[23], 14 + head
        n = (len(g) - at).to_bytes(2, "big")
        pseudo = bytes(g[26:34]) + b"\0" + bytes((proto,)) + n
    elif g[12:14] == b"\x86\xdd":
        if len(g) < 54:
            return
        if not chance(8):
            g[18:20] = (len(g) - 54).to_bytes(2, "big")
        proto, at = g[20], 54
        n = (len(g) - at).to_bytes(4, "big")
        pseudo = bytes(g[22:54]) + n + b"\0\0\0" + bytes((proto,))
    else:
        return
    place = CHECKSUM_AT.get(proto)
    if place is None or at + place + 2 > len(g):
        return
    place += at
    g[place : place + 2] = b"\0\0"
    body = bytes(g[at:])
    total = checksum(body if proto in (1, 2) else pseudo + body)
    g[place : place + 2] = total.to_bytes(2, "big")


def damaged(frame):
    g = bytearray(frame)
    if g[:6] == FAR:
        g[:6] = MAC
    for _ in range(random.randrange(5)):
        kind = random.randrange(6)
        if kind == 0 and len(g) > 20:
            g = g[: random.randint(14, len(g))]
        elif kind == 1:
            g += bytes([random.getrandbits(8) for _ in range(random.randint(1, 40))])
        elif len(g) > 14:
            # The fields of the headers more often than what they carry.
            at = random.randint(12, min(len(g) - 1, 12 + random.choice((10, 40, 70, 4000))))
            g[at] = random.choice(TELLING) if chance(2) else random.getrandbits(8)
    if chance(2):
        repair(g)
    return g if len(g) >= 14 else None


class Wild(Mirror):
    """The far end, which loses, repeats and damages what it passes on."""

    def __init__(self, kept):
        self.kept = kept  # frames towards us to make others of
        self.frames = 0
        Mirror.__init__(self)

    def keep(self, frame):
        if len(self.kept) < KEPT:
            self.kept.append(frame)
        else:
            self.kept[random.randrange(KEPT)] = frame

    def pump(self):
        # Bounded: some damage makes the stack and its far end answer each other for ever.
        for _ in range(100):
            n = hal.nic_recv(self.buf, self.meta)
            if not n:
                break
            back = self.answer(self.mv[:n])
            if back is not None:
                hal.nic_input(self.n, back)
        else:
            while hal.nic_recv(self.buf, self.meta):
                pass
        return hal.stack_poll()

    def put(self, frame):
        if frame is not None:
            self.frames += 1
            hal.nic_input(self.n, frame)

    def answer(self, f):
        del self.sizes[:], self.asked[:], self.seen[:]
        if f[0] & 1:
            self.keep(bytes(f))
        try:
            back = Mirror.answer(self, f)
        except (AssertionError, IndexError):
            return None  # the stack was told another MAC of ours
        if back is None or len(back) < 14:
            return None
        if len(back) < 3000:
            self.keep(bytes(back))
        what = random.randrange(40)
        if what == 0:
            return None
        if what == 1:
            self.put(bytes(back))
        elif what < 5:
            self.put(damaged(bytes(back)))
            if what == 2:
                return None
        self.frames += 1
        return back


class Application:
    """Sockets in all states."""

    def __init__(self):
        self.server = lwip.socket()
        self.server.setsockopt(lwip.SOL_SOCKET, lwip.SO_REUSEADDR, 1)
        self.server.bind(("", PORT))
        self.server.listen(4)
        self.server.settimeout(0)
        self.udp = lwip.socket(lwip.AF_INET, lwip.SOCK_DGRAM)
        self.udp.bind(("", 5353))
        self.udp.settimeout(0)
        self.tcp = []
        self.data = bytes([i & 0xFF for i in range(7000)])

    def do(self, wild):
        what = random.randrange(16)
        host = random.choice(HOSTS)
        if what == 0 and len(self.tcp) < SOCKETS:
            s = lwip.socket()
            self.tcp.append(s)
            s.settimeout(0)
            s.connect((host, PORT))
        elif what < 3:
            s = self.server.accept()[0]
            s.settimeout(0)
            self.tcp.append(s)
        elif what < 6 and self.tcp:
            random.choice(self.tcp).send(self.data[: random.randint(1, 6000)])
        elif what < 9 and self.tcp:
            random.choice(self.tcp).recv(random.randint(1, 8000))
        elif what == 9 and self.tcp:
            self.tcp.pop(random.randrange(len(self.tcp))).close()
        elif what == 10 and self.tcp:
            hal.shutdown(random.choice(self.tcp))
        elif what == 11:
            self.udp.sendto(self.data[: random.randint(0, 7000)], (host, 5353))
        elif what == 12:
            self.udp.recvfrom(9000)
        elif what == 13:
            hal.ping_send(random.choice((FAR4, FAR6)), 1, 1, self.data[: random.randint(0, 3000)])
        elif what == 14 and chance(4):
            option = random.choice((lwip.IP_ADD_MEMBERSHIP, lwip.IP_DROP_MEMBERSHIP))
            self.udp.setsockopt(lwip.IPPROTO_IP, option, random.choice(GROUPS) + IP4)
        elif what == 15 and chance(16):
            bits = 64 if chance(2) else 48
            for add in (False, True):
                hal.nic_addr(wild.n, IP6, bits, add)
            hal.nic_mtu(wild.n, random.choice((1280, 1500, 2800, 9000)))
        if len(self.tcp) > 2 * SOCKETS:
            self.tcp.pop(0).close()

    def close(self):
        for s in self.tcp:
            s.close()
        self.server.close()
        self.udp.close()


def resident_kb():
    with open("/proc/self/status") as f:
        for line in f:
            if line.startswith("VmRSS"):
                return int(line.split()[1])
    return 0


def one_round(kept, seconds):
    """Frames thrown, and bytes that the stack holds afterwards."""
    wild = Wild(kept)
    application = Application()
    pong = bytearray(64)
    end = time.ticks_add(time.ticks_ms(), seconds * 1000)
    while time.ticks_diff(end, time.ticks_ms()) > 0:
        for _ in range(30):
            try:
                application.do(wild)
            except OSError:
                pass
            for _ in range(4):
                if kept:
                    wild.put(damaged(random.choice(kept)))
            wild.pump()
        while hal.ping_recv(pong):
            pass
        hal.wait(0)
    frames = wild.frames
    application.close()
    hal.wait(20)
    wild.close()
    del application, wild
    gc.collect()
    hal.wait(20)
    return frames, hal.stack_memory()[0]


def still_works():
    """After all that, an undisturbed interface must do all it could before."""
    mirror = Mirror()
    pong = bytearray(64)
    for ip in (FAR4, FAR6):
        hal.ping_send(ip, 1, 1, b"ping")
        hal.wait(200)
        assert hal.ping_recv(pong)
    server = lwip.socket()
    server.setsockopt(lwip.SOL_SOCKET, lwip.SO_REUSEADDR, 1)
    server.bind(("", PORT + 1))
    server.listen(2)
    udp = lwip.socket(lwip.AF_INET, lwip.SOCK_DGRAM)
    udp.bind(("", 5354))
    udp.settimeout(5)
    for host in HOSTS:
        client = lwip.socket()
        client.settimeout(20)
        client.connect((host, PORT + 1))
        peer = server.accept()[0]
        data = bytes(30000)
        client.send(data[:20000])
        got = 0
        peer.settimeout(20)
        while got < 20000:
            got += len(peer.recv(4096))
        client.close()
        peer.close()
        udp.sendto(data[:7000], (host, 5354))
        assert udp.recv(9000) == data[:7000]
    server.close()
    udp.close()
    hal.wait(50)
    mirror.close()


def settled(least):
    """Bytes the stack still holds, and seconds that it took, when only `least` are left or what
    only time ends is over: TIME_WAIT, fragments that never come.
    """
    idle = hal.nic_add(MAC, 2800)  # without an interface the stack's slow timers rest
    buf, meta = bytearray(10100), bytearray(1)
    start = time.ticks_ms()
    while True:
        gone = time.ticks_diff(time.ticks_ms(), start) // 1000
        hal.wait(100)
        while hal.nic_recv(buf, meta):
            pass
        hal.nic_remove(idle)
        held = hal.stack_memory()[0]
        if held <= least or gone >= SETTLE_S:
            return held, gone
        idle = hal.nic_add(MAC, 2800)


def main(seconds, seed=1, round_seconds=10):
    random.seed(seed)
    still_works()
    gc.collect()
    least = settled(1000)[0]  # what pinging takes for good
    kept = []
    total = 0
    began = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), began) < seconds * 1000:
        frames, held = one_round(kept, round_seconds)
        total += frames
        print(
            "%d s, %d frames, held by the stack %d, python %d, resident %d kB"
            % (
                time.ticks_diff(time.ticks_ms(), began) // 1000,
                total,
                held,
                gc.mem_alloc(),
                resident_kb(),
            )
        )
    still_works()
    held, gone = settled(least)
    print("%d frames, seed %d: %d bytes held %d s later" % (total, seed, held - least, gone))
    return 1 if held > least else 0


if __name__ == "__main__":
    sys.exit(main(*[int(word) for word in sys.argv[1:]]))
