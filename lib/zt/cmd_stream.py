# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# zt nc and zt perf: one TCP stream over the virtual network, from stdin to stdout or as fast as it
# goes. Both bring up their own node and need the in-process stack.

import select
import sys

from . import hal, jsontext, sockets
from ._compat import const
from .args import FLAG, INT, UsageError
from .cli import Command
from .cmd_ping import wait_ready
from .options import NODE, open_host
from .osutil import EAGAIN, Failure, err, errtext, now_us, out, us_since

_CHUNK = const(16384)
_PERF_PORT = const(5201)
_CONNECT_S = 20
_SECONDS = 10


def _need_stack(what):
    if not hal.HAS_STACK:
        raise Failure("%s needs the unix port (./zt): no network stack in this build" % what)


def _port(text):
    text = str(text)
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise Failure("%s is not a port" % text)
    return int(text)


def _connect(socket, host, port):
    try:
        info = socket.getaddrinfo(host, port)[0]
        s = socket.socket(info[0], socket.SOCK_STREAM)
        s.settimeout(_CONNECT_S)
        s.connect(info[-1])
        s.settimeout(None)
        return s
    except OSError as e:
        raise Failure("%s port %d: %s" % (host, port, errtext(e)))


def _listen(socket, port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        s.bind(socket.getaddrinfo("0.0.0.0", port)[0][-1])
        s.listen(1)
    except OSError as e:
        raise Failure("port %d: %s" % (port, errtext(e)))
    return s


class _Copy:
    """Copies stdin to a socket and the socket to stdout until both have ended."""

    def __init__(self, sock):
        self._sock = sock
        self._poll = select.poll()
        self._stdin = sys.stdin.buffer
        self._stdout = sys.stdout.buffer
        self._out = b""
        self._stdin_open = True
        self._sock_open = True
        self._masks = {}
        self._buf = bytearray(_CHUNK)
        self._mv = memoryview(self._buf)

    def run(self):
        self._sock.setblocking(False)
        self._watch()
        while self._sock_open or self._stdin_open or self._out:
            for entry in self._poll.poll():
                if entry[0] is self._stdin:
                    self._from_stdin()
                elif self._out:
                    self._to_sock()
                if entry[0] is self._sock and self._sock_open:
                    self._from_sock()
            self._watch()

    def _watch(self):
        """Poll for what can be used: stdin waits until the last piece is on its way."""
        self._want(self._stdin, select.POLLIN if self._stdin_open and not self._out else 0)
        mask = select.POLLIN if self._sock_open else 0
        self._want(self._sock, mask | (select.POLLOUT if self._out else 0))

    def _want(self, stream, mask):
        key = stream is self._sock
        if self._masks.get(key, 0) == mask:
            return
        self._masks[key] = mask
        if mask:
            self._poll.register(stream, mask)
        else:
            self._poll.unregister(stream)

    def _from_stdin(self):
        n = hal.read(0, self._buf)
        if n:
            self._out = bytes(self._mv[:n])
            self._to_sock()
        else:
            self._stdin_open = False
            hal.shutdown(self._sock)

    def _to_sock(self):
        while self._out:
            try:
                n = self._sock.send(self._out)
            except OSError as e:
                if e.errno != EAGAIN:
                    raise
                return
            if not n:
                return
            self._out = self._out[n:]

    def _from_sock(self):
        try:
            data = self._sock.recv(_CHUNK)
        except OSError as e:
            if e.errno == EAGAIN:
                return
            raise
        if data:
            self._stdout.write(data)
        else:
            self._sock_open = False


def nc(args):
    _need_stack("nc")
    if len(args.rest) != (1 if args.l else 2):
        raise UsageError("zt nc needs HOST PORT, or -l PORT")
    port = _port(args.rest[-1])
    hal.sigterm_as_interrupt()
    host = open_host(args)
    try:
        wait_ready(host, False)
        socket = sockets.module()
        if args.l:
            listener = _listen(socket, port)
            s, _ = listener.accept()
            listener.close()
        else:
            s = _connect(socket, args.rest[0], port)
        try:
            _Copy(s).run()
        except OSError as e:
            raise Failure(errtext(e))
        s.close()
        _settle(host)
    finally:
        host.close()


def _settle(host):
    # The stack still owes the other side what was written and the end of the stream.
    host.run_until(lambda: False, 500)


def _report(args, count, micros):
    seconds = micros / 1000000
    rate = int(count * 8 / seconds) if seconds > 0 else 0
    if args.json:
        result = {"bytes": count, "seconds": micros // 1000 / 1000, "bits_per_second": rate}
        out(jsontext.dumps(result))
    else:
        out("%d bytes in %.3f s: %.1f Mbit/s" % (count, seconds, rate / 1000000))


def perf_server(args):
    _need_stack("perf")
    port = _port(_PERF_PORT if args.listen is None else args.listen)
    hal.sigterm_as_interrupt()
    host = open_host(args)
    try:
        wait_ready(host, False)
        listener = _listen(sockets.module(), port)
        buf = bytearray(_CHUNK)
        err("zt: listening on port %d" % port)
        while True:
            s, _ = listener.accept()
            _receive(args, s, buf)
            if args.once:
                _settle(host)
                return
    except KeyboardInterrupt:
        pass
    finally:
        host.close()


def _receive(args, s, buf):
    count = 0
    start = now_us()
    last = 0
    try:
        while True:
            # Not recv(): the interpreter would allocate and hash all that comes.
            n = s.readinto(buf)
            if not n:
                break
            count += n
        # The client closes when it has heard that all of it arrived.
        last = us_since(start)
    except OSError as e:
        err("zt: stream ended: %s" % errtext(e))
        last = us_since(start)
    s.close()
    _report(args, count, last)


def perf_client(args):
    _need_stack("perf")
    port = _port(args.rest[1]) if len(args.rest) > 1 else _PERF_PORT
    seconds = _SECONDS if args.seconds is None else args.seconds
    if not 0 < seconds <= 600:
        raise Failure("--seconds must be 1 to 600")
    hal.sigterm_as_interrupt()
    host = open_host(args)
    try:
        wait_ready(host, False)
        s = _connect(sockets.module(), args.rest[0], port)
        try:
            count, micros = _send(s, seconds * 1000000)
        except OSError as e:
            raise Failure("%s port %d: %s" % (args.rest[0], port, errtext(e)))
        s.close()
        _settle(host)
        _report(args, count, micros)
    finally:
        host.close()


def _send(s, micros):
    data = bytes(_CHUNK)
    count = 0
    start = now_us()
    while us_since(start) < micros:
        count += s.send(data)
    return count, us_since(start)


COMMANDS = {
    ("nc",): Command(
        nc,
        "[-l] [HOST] PORT",
        "Copy stdin to a TCP stream over the network and the stream to stdout.",
        ((("-l", "--listen"), FLAG, "", "listen on PORT instead of connecting"),) + NODE,
        1,
        2,
        False,
    ),
    ("perf", "server"): Command(
        perf_server,
        "",
        "Receive TCP streams and print what came.",
        (
            (("--listen",), INT, "PORT", "port (default 5201)"),
            (("--once",), FLAG, "", "end after one stream"),
        )
        + NODE,
        0,
        0,
        False,
    ),
    ("perf", "client"): Command(
        perf_client,
        "HOST [PORT]",
        "Send one TCP stream as fast as it goes.",
        ((("--seconds",), INT, "N", "how long (default 10)"),) + NODE,
        1,
        2,
        False,
    ),
}
