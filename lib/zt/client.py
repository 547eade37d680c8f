# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The command line's side of the HTTP API: one request, one JSON answer, over the host's loopback.
# Finds port and token in the home of the running node. Blocking and small; no keep-alive, no
# redirects.

import socket

from . import jsontext, osutil
from .osutil import Failure

_TIMEOUT_S = 15
_ANSWER_MAX = 4194304  # our choice: far above any list a node can give


class Client:
    """Talks to the node that runs on `home`. Failure with one clear line when there is none."""

    def __init__(self, home):
        self.home = home
        port = self._read("zerotier-one.port")
        if port is None or not port.isdigit():
            raise Failure("no node is running on %s" % home)
        self.port = int(port)
        self.token = self._read("authtoken.secret")
        if self.token is None:
            raise Failure("%s: no such file" % osutil.join(home, "authtoken.secret"))

    def _read(self, name):
        path = osutil.join(self.home, name)
        try:
            return osutil.read_file(path).decode().strip()
        except UnicodeError:
            raise Failure("%s: not text" % path)
        except OSError as e:
            if e.errno == osutil.ENOENT:
                return None
            raise Failure("%s: %s" % (path, osutil.errtext(e)))

    def request(self, method, path, body=None):
        """(HTTP status, decoded JSON or None). Failure when nobody answers."""
        data = b"" if body is None else jsontext.dumps(body).encode()
        head = "%s %s HTTP/1.0\r\nHost: 127.0.0.1\r\nX-ZT1-Auth: %s\r\n" % (
            method,
            path,
            self.token,
        )
        head += "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data)
        try:
            answer = _exchange("127.0.0.1", self.port, head.encode() + data)
        except OSError as e:
            if e.errno == 111:
                raise Failure("no node is running on %s" % self.home)
            raise Failure("the node on %s does not answer: %s" % (self.home, osutil.errtext(e)))
        return _parse(answer)

    def get(self, path):
        return self._checked("GET", path, None)

    def post(self, path, body):
        return self._checked("POST", path, body)

    def delete(self, path):
        return self._checked("DELETE", path, None)

    def _checked(self, method, path, body):
        status, value = self.request(method, path, body)
        if status == 200:
            return value
        if status == 401:
            raise Failure("the node on %s refuses our token" % self.home)
        reason = value.get("description") if isinstance(value, dict) else None
        raise NotOK(status, reason or "HTTP status %d" % status)


class NotOK(Failure):
    """The node answered with an HTTP error; `status` is its number."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


def _exchange(host, port, data):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        s.settimeout(_TIMEOUT_S)
        s.connect(socket.getaddrinfo(host, port)[0][-1])
        while data:
            data = data[s.send(data) :]
        parts = []
        size = 0
        while size < _ANSWER_MAX:
            part = s.recv(4096)
            if not part:
                break
            parts.append(part)
            size += len(part)
        return b"".join(parts)
    finally:
        s.close()


def _parse(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(b"\r\n")[0].split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise Failure("the node's port answers with something that is not HTTP")
    try:
        return int(words[1]), jsontext.loads(body) if body else None
    except ValueError:
        return int(words[1]), None
