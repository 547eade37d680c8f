# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# One real libzt node in this process, driven by JSON lines: a command per line on stdin, an answer
# per line on stdout with the command's "id". Run it in a network namespace without a default
# route. It knows the C functions of libzt 1.8.4 through ctypes and nothing of lib/zt.
#
# usage: libzt_node.py LIBZT_DIR HOME PLANET PORT

import ctypes
import glob
import hashlib
import json
import os
import sys
import threading
import time

STATUS = (
    "REQUESTING_CONFIGURATION",
    "OK",
    "ACCESS_DENIED",
    "NOT_FOUND",
    "PORT_ERROR",
    "CLIENT_TOO_OLD",
)
AF_INET, AF_INET6 = 2, 10
SOCK_STREAM, SOCK_DGRAM = 1, 2
ADDR_LEN = 46  # zts_*_str and zts_accept want their text buffers to be exactly this long


def pattern(seed, n):
    """n bytes that both ends of a test can make for themselves; agent.py makes the same."""
    pages = (n + 4095) // 4096
    out = b"".join(
        hashlib.sha512(b"%s %d" % (seed.encode(), i)).digest() * 64 for i in range(pages)
    )
    return out[:n]


class LibztError(Exception):
    pass


class Libzt:
    """The functions of the library that tests use; raises LibztError where it reports an error."""

    def __init__(self, folder):
        ctypes.CDLL(os.path.join(folder, "stub.so"), ctypes.RTLD_GLOBAL)
        found = glob.glob(os.path.join(folder, "libzt", "_libzt*.so"))
        self.lib = ctypes.CDLL(found[0], os.RTLD_LAZY)
        self.lib.zts_node_get_id.restype = ctypes.c_uint64

    def call(self, name, *args):
        result = getattr(self.lib, name)(*args)
        if result < 0:
            errno = ctypes.c_int.in_dll(self.lib, "zts_errno").value
            raise LibztError("%s: %d (errno %d)" % (name, result, errno))
        return result

    def start(self, home, planet, port):
        os.makedirs(home, exist_ok=True)
        with open(planet, "rb") as f:
            roots = f.read()
        self.call("zts_init_from_storage", home.encode())
        self.call("zts_init_set_roots", roots, len(roots))
        self.call("zts_init_set_port", port)
        self.call("zts_init_allow_secondary_port", 0)
        self.call("zts_init_allow_port_mapping", 0)
        self.call("zts_node_start")

    def online(self):
        return self.lib.zts_node_is_online() == 1

    def address(self):
        return "%010x" % self.lib.zts_node_get_id()

    def status(self, nwid):
        code = self.lib.zts_net_get_status(ctypes.c_uint64(nwid))
        return STATUS[code] if 0 <= code < len(STATUS) else str(code)

    def ready(self, nwid):
        return self.lib.zts_net_transport_is_ready(ctypes.c_uint64(nwid)) == 1

    def ip(self, nwid, family):
        text = ctypes.create_string_buffer(ADDR_LEN)
        if self.lib.zts_addr_get_str(ctypes.c_uint64(nwid), family, text, ADDR_LEN) != 0:
            return None
        return text.value.decode() or None

    def socket(self, ip, kind):
        return self.call("zts_socket", AF_INET6 if ":" in ip else AF_INET, kind, 0)

    def write_all(self, fd, data):
        sent = 0
        while sent < len(data):
            piece = data[sent : sent + 32768]
            sent += self.call("zts_write", fd, piece, len(piece))

    def read(self, fd, most):
        buf = ctypes.create_string_buffer(65536)
        n = self.call("zts_read", fd, buf, min(most, 65536))
        return buf.raw[:n]

    def read_exactly(self, fd, n):
        got = bytearray()
        while len(got) < n:
            piece = self.read(fd, n - len(got))
            if not piece:
                break
            got += piece
        return bytes(got)


class Node:
    """The commands."""

    def __init__(self, folder, home, planet, port):
        self.zts = Libzt(folder)
        self.where = (home, planet, port)
        self.listening = {}

    def do_start(self, timeout=60):
        began = time.monotonic()
        self.zts.start(*self.where)
        while not self.zts.online():
            if time.monotonic() - began > timeout:
                return {"online": False, "address": self.zts.address()}
            time.sleep(0.02)
        return {
            "online": True,
            "address": self.zts.address(),
            "seconds": round(time.monotonic() - began, 2),
        }

    def do_status(self, nwid=None):
        answer = {"online": self.zts.online(), "address": self.zts.address()}
        if nwid:
            number = int(nwid, 16)
            answer["status"] = self.zts.status(number)
            answer["ready"] = self.zts.ready(number)
            answer["ips"] = [
                ip for ip in (self.zts.ip(number, AF_INET), self.zts.ip(number, AF_INET6)) if ip
            ]
        return answer

    def do_join(self, nwid):
        self.zts.call("zts_net_join", ctypes.c_uint64(int(nwid, 16)))
        return {}

    def do_leave(self, nwid):
        self.zts.call("zts_net_leave", ctypes.c_uint64(int(nwid, 16)))
        return {}

    def do_tcp_listen(self, port, ip="0.0.0.0"):
        fd = self.zts.socket(ip, SOCK_STREAM)
        self.zts.call("zts_bind", fd, ip.encode(), port)
        self.zts.call("zts_listen", fd, 4)
        self.listening[port] = fd
        return {}

    def do_tcp_accept(self, port, receive=0, receive_seed="", send=0, send_seed=""):
        """Accept one connection, receive, then send; "good" tells whether the data was as
        expected.
        """
        remote = ctypes.create_string_buffer(ADDR_LEN)
        number = ctypes.c_uint16()
        fd = self.zts.call(
            "zts_accept", self.listening[port], remote, ADDR_LEN, ctypes.byref(number)
        )
        got = self.zts.read_exactly(fd, receive)
        self.zts.write_all(fd, pattern(send_seed, send))
        self.finish(fd)
        good = got == pattern(receive_seed, receive)
        return {"from": remote.value.decode(), "received": len(got), "sent": send, "good": good}

    def do_tcp_connect(
        self, ip, port, send=0, send_seed="", receive=0, receive_seed="", timeout=60
    ):
        """Connect, send, then receive."""
        began = time.monotonic()
        while True:
            fd = self.zts.socket(ip, SOCK_STREAM)
            try:
                self.zts.call("zts_connect", fd, ip.encode(), port, 5000)
                break
            except LibztError:
                self.zts.lib.zts_close(fd)
                if time.monotonic() - began > timeout:
                    raise
                time.sleep(0.2)
        started = time.monotonic()
        self.zts.write_all(fd, pattern(send_seed, send))
        got = self.zts.read_exactly(fd, receive)
        seconds = time.monotonic() - started
        self.finish(fd)
        good = got == pattern(receive_seed, receive)
        return {"received": len(got), "sent": send, "good": good, "seconds": round(seconds, 3)}

    def finish(self, fd):
        # Our FIN, then wait for theirs, so that a close does not reset data still under way.
        self.zts.lib.zts_shutdown_wr(fd)
        self.zts.lib.zts_set_recv_timeout(fd, 60, 0)
        try:
            while self.zts.read(fd, 65536):
                pass
        except LibztError:
            pass
        self.zts.lib.zts_close(fd)

    def do_http_get(self, ip, port, path="/"):
        """The whole answer as text."""
        fd = self.zts.socket(ip, SOCK_STREAM)
        self.zts.call("zts_connect", fd, ip.encode(), port, 30000)
        self.zts.write_all(fd, ("GET %s HTTP/1.0\r\nHost: %s\r\n\r\n" % (path, ip)).encode())
        answer = self.zts.read_exactly(fd, 1 << 20)
        self.zts.lib.zts_close(fd)
        return {"answer": answer.decode()}

    def do_http_serve(self, port, body):
        """Serve one page from now on."""
        self.do_tcp_listen(port)

        def serve():
            while True:
                remote = ctypes.create_string_buffer(ADDR_LEN)
                number = ctypes.c_uint16()
                fd = self.zts.call(
                    "zts_accept", self.listening[port], remote, ADDR_LEN, ctypes.byref(number)
                )
                request = b""
                while b"\r\n\r\n" not in request:
                    request += self.zts.read(fd, 1024)
                self.zts.write_all(fd, ("HTTP/1.0 200 OK\r\n\r\n" + body).encode())
                self.finish(fd)

        threading.Thread(target=serve, daemon=True).start()
        return {}

    def do_udp_echo(self, port, count, ip="0.0.0.0"):
        """Send `count` datagrams back to where they came from."""
        fd = self.zts.socket(ip, SOCK_DGRAM)
        self.zts.call("zts_bind", fd, ip.encode(), port)
        buf = ctypes.create_string_buffer(65536)
        for _ in range(count):
            source = ctypes.create_string_buffer(28)
            length = ctypes.c_uint32(28)
            n = self.zts.call("zts_bsd_recvfrom", fd, buf, 65536, 0, source, ctypes.byref(length))
            self.zts.call("zts_bsd_sendto", fd, buf.raw[:n], n, 0, source, length)
        self.zts.lib.zts_close(fd)
        return {"echoed": count}

    def do_udp_exchange(self, ip, port, size=100, count=3, tries=20, seed="udp"):
        """Send datagrams until each has come back once; "good" is whether all did."""
        fd = self.zts.socket(ip, SOCK_DGRAM)
        self.zts.call("zts_connect", fd, ip.encode(), port, 0)
        self.zts.lib.zts_set_recv_timeout(fd, 1, 0)
        good = 0
        for i in range(count):
            data = pattern("%s %d" % (seed, i), size)
            for _ in range(tries):
                self.zts.call("zts_write", fd, data, len(data))
                try:
                    if self.zts.read(fd, 65536) == data:
                        good += 1
                        break
                except LibztError:
                    pass
        self.zts.lib.zts_close(fd)
        return {"good": good == count, "answered": good}

    def do_stop(self):
        # Returns at once; the library's thread needs a moment to end.
        self.zts.lib.zts_node_stop()
        time.sleep(0.5)
        return {}


def main(folder, home, planet, port):
    node = Node(folder, home, planet, int(port))
    lock = threading.Lock()

    def answer(ident, value):
        with lock:
            print(json.dumps(dict(value, id=ident)), flush=True)

    def perform(command):
        ident = command.pop("id", None)
        name = command.pop("cmd")
        try:
            answer(ident, dict(getattr(node, "do_" + name)(**command), ok=True))
        except (LibztError, AttributeError, TypeError, KeyError, OSError) as e:
            answer(ident, {"ok": False, "error": "%s: %s" % (type(e).__name__, e)})
        if name == "stop":
            os._exit(0)

    for line in sys.stdin:
        threading.Thread(target=perform, args=(json.loads(line),), daemon=True).start()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:5])
