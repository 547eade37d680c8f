# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The HTTP API, request bytes in and response bytes out: tokens, permissions, bounds, the
# original's shapes, the controller's objects.

import asyncio

from _edge import FakeNode
from zt import api, httpd, inet, jsontext
from zt._compat import unhex
from zt.controller import Controller
from zt.identity import Identity
from zt.localconf import LocalConf
from zt.store import MemoryStore

NWID = "8056c2e21c000001"
TOKEN = "a1" * 12


class Port:
    port = 9993

    def __init__(self, node):
        self.node = node

    def networks(self):
        return self.node.networks()


class FakeHost:
    def __init__(self):
        self.node = FakeNode()
        self.store = MemoryStore()
        self.conf = LocalConf()
        self.driver = Port(self.node)
        self.home = "/home/of/test"
        self.controller = None
        self.running = False

    def listening(self):
        return ["192.0.2.1/9993"]

    def address(self):
        return "1122334455"


class Out:
    """Who publishes for the controller: nobody here."""

    def config(self, *args):
        pass

    error = credentials = config


class Reader:
    def __init__(self, data, step=7):
        self._data = data
        self._step = step

    async def read(self, n=-1):
        n = min(n, self._step)
        part = self._data[:n]
        self._data = self._data[n:]
        return part


class Writer:
    def __init__(self):
        self.data = b""
        self.closed = False
        self.transport = self.s = self  # what the two interpreters' streams are made of

    def abort(self):
        self.closed = True

    def get_extra_info(self, name):
        return ("127.0.0.1", 5)

    def write(self, data):
        self.data += bytes(data)

    async def drain(self):
        pass

    def close(self):
        self.closed = True

    async def wait_closed(self):
        pass


def exchange(host, data):
    """One raw request; the whole response."""
    server = httpd.Server(api.API(host, TOKEN).app, lambda ip: True)
    writer = Writer()
    asyncio.run(server._serve(Reader(data), writer))
    return writer.data


def ask(host, method, path, body=None, head="X-ZT1-Auth: " + TOKEN):
    """(status, decoded JSON or None)."""
    data = b"" if body is None else jsontext.dumps(body).encode()
    text = "%s %s HTTP/1.1\r\n%s\r\nContent-Length: %d\r\n\r\n" % (method, path, head, len(data))
    answer = exchange(host, text.encode() + data)
    top, _, rest = answer.partition(b"\r\n\r\n")
    return int(top.split()[1]), jsontext.loads(rest) if rest else None


def with_controller():
    host = FakeHost()
    identity = Identity(unhex("1122334455"), bytes(64), bytes(64))
    host.controller = Controller(
        identity, host.store, lambda: 1700000000000, lambda n: bytes(range(1, n + 1)), Out()
    )
    return host


def test_without_the_token_everything_but_health_is_refused():
    host = FakeHost()
    for head in (
        "X: y",
        "X-ZT1-Auth: wrong",
        "X-ZT1-Auth: ",
        "Authorization: Bearer " + TOKEN[:-1],
    ):
        for path in ("/status", "/network", "/peer", "/controller", "/config", "/nonsense"):
            assert ask(host, "GET", path, None, head) == (401, {}), (head, path)
        assert ask(host, "POST", "/network/" + NWID, {}, head) == (401, {})
    assert host.node.joined == {}
    assert ask(host, "GET", "/health", None, "X: y")[0] == 200


def test_the_token_is_taken_from_three_places_the_first_decides():
    host = FakeHost()
    assert ask(host, "GET", "/status", None, "X-ZT1-Auth: " + TOKEN)[0] == 200
    assert ask(host, "GET", "/status", None, "Authorization: Bearer " + TOKEN)[0] == 200
    assert ask(host, "GET", "/status?auth=" + TOKEN, None, "X: y")[0] == 200
    assert ask(host, "GET", "/status?auth=" + TOKEN, None, "X-ZT1-Auth: wrong")[0] == 401


def test_a_token_is_made_once_of_24_characters_and_kept():
    store = MemoryStore()
    made = api.token(store, lambda n: bytes(range(n)))
    assert len(made) == 24
    assert all([c in "abcdefghijklmnopqrstuvwxyz0123456789" for c in made])
    assert store.get("authtoken") == made.encode()
    assert api.token(store, lambda n: bytes(n)) == made
    store.put("authtoken", b" mine\n")
    assert api.token(store, None) == "mine"


def test_a_token_file_with_nothing_in_it_is_no_open_door():
    for data in (b"", b" \n", b"\xff\xff"):
        store = MemoryStore()
        store.put("authtoken", data)
        try:
            api.token(store, None)
        except ValueError:
            continue
        raise AssertionError("accepted")


def test_random_bytes_do_not_favour_characters():
    made = api.make_token(lambda n: b"\xff" * (n - 1) + b"\x00")
    assert made == "a" * 24


def test_clients_are_admitted_by_address():
    host = FakeHost()
    a = api.API(host, TOKEN)
    assert a.allow(bytes((127, 0, 0, 1)))
    assert a.allow(bytes(15) + b"\1")
    assert not a.allow(bytes((10, 0, 0, 1)))
    host.conf.management = [(bytes((10, 0, 0, 0)), 8)]
    assert a.allow(bytes((10, 0, 0, 1)))
    assert not a.allow(bytes((11, 0, 0, 1)))


def test_client_addresses_are_read_on_both_interpreters():
    assert httpd.client_ip(("127.0.0.1", 80)) == bytes((127, 0, 0, 1))
    assert httpd.client_ip(("fe80::1%eth0", 80, 0, 1)) == inet.parse_ip("fe80::1")
    assert httpd.client_ip(b"\2\0\0\x50\x7f\0\0\1" + bytes(8)) == bytes((127, 0, 0, 1))
    v6 = b"\x0a\0\0\x50" + bytes(4) + bytes(10) + b"\xff\xff\x0a\0\0\1" + bytes(4)
    assert httpd.client_ip(v6) == bytes((10, 0, 0, 1))
    assert httpd.client_ip(None) is None


def test_a_client_from_elsewhere_hears_nothing():
    host = FakeHost()
    a = api.API(host, TOKEN)
    server = httpd.Server(a.app, lambda ip: False)
    writer = Writer()
    asyncio.run(server._serve(Reader(b"GET /health HTTP/1.0\r\n\r\n"), writer))
    assert writer.data == b""
    assert writer.closed


def test_status_has_what_the_original_has():
    status, s = ask(FakeHost(), "GET", "/status")
    assert status == 200
    assert s["address"] == "1122334455"
    assert s["online"] is False
    settings = s["config"]["settings"]
    assert settings["primaryPort"] == 9993
    assert settings["listeningOn"] == ["192.0.2.1/9993"]
    assert settings["surfaceAddresses"] == ["x"]


def test_join_leave_and_list():
    host = FakeHost()
    key = unhex(NWID)
    assert ask(host, "GET", "/network") == (200, [])
    assert ask(host, "GET", "/network/" + NWID) == (404, {})
    status, joined = ask(host, "POST", "/network/" + NWID, {"allowGlobal": True, "name": "x"})
    assert status == 200 and joined["nwid"] == NWID
    assert host.node.joined[key].settings == {"allowGlobal": True}
    assert ask(host, "GET", "/network/" + NWID)[1]["nwid"] == NWID
    assert ask(host, "PUT", "/network/" + NWID)[0] == 200
    assert ask(host, "DELETE", "/network/" + NWID) == (200, {"result": True})
    assert ask(host, "DELETE", "/network/" + NWID) == (200, {})
    assert ask(host, "POST", "/network/12") == (404, {})
    assert host.node.joined == {}


def test_peers():
    host = FakeHost()
    assert ask(host, "GET", "/peer")[1][0]["address"] == "aabbccddee"
    assert ask(host, "GET", "/peer/aabbccddee")[1]["address"] == "aabbccddee"
    assert ask(host, "GET", "/peer/0000000001") == (200, {})


def test_settings_are_merged_checked_and_written():
    host = FakeHost()
    host.store.put("local.conf", b'{"settings": {"primaryPort": 1}, "physical": {}}')
    assert ask(host, "POST", "/config/settings", {"bind": ["10.0.0.1"]}) == (200, {})
    kept = jsontext.loads(host.store.get("local.conf"))
    assert kept == {"settings": {"primaryPort": 1, "bind": ["10.0.0.1"]}, "physical": {}}
    before = host.store.get("local.conf")
    assert ask(host, "POST", "/config/settings", {"primaryPort": "x"})[0] == 500
    assert host.store.get("local.conf") == before


def test_unknown_paths_and_methods():
    host = FakeHost()
    assert ask(host, "GET", "/nonsense")[0] == 404
    assert ask(host, "DELETE", "/status")[0] == 404


def test_a_body_that_is_no_json_object_is_refused():
    host = FakeHost()
    for body in (b"{", b"[]", b"1", b"\xff"):
        head = "POST /network/%s HTTP/1.1\r\nX-ZT1-Auth: %s\r\nContent-Length: %d\r\n\r\n" % (
            NWID,
            TOKEN,
            len(body),
        )
        answer = exchange(host, head.encode() + body)
        assert b" 500 " in answer.split(b"\r\n")[0], answer
    assert host.node.joined == {}


def test_what_is_no_http_gets_an_answer_or_silence_and_never_a_crash():
    host = FakeHost()
    for data in (
        b"",
        b"\r\n",
        b"GET\r\n\r\n",
        b"\xff\xfe\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /status HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"GET /status HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /status HTTP/1.1\r\nContent-Length: 50\r\n\r\nshort",
        b"POST /status HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\nshort",
        b"GET /status HTTP/1.1\r\nX: " + b"y" * 100000,
        b"GET /status HTTP/1.1\r\n" + b"X: y\r\n" * 20000,
    ):
        answer = exchange(host, data)
        assert answer == b"" or b" 40" in answer[:16] or b" 413 " in answer[:16], (
            data[:60],
            answer,
        )


def test_a_node_that_is_no_controller_says_so():
    host = FakeHost()
    for path in ("/controller", "/controller/network", "/controller/network/" + NWID):
        assert ask(host, "GET", path)[0] == 404
    assert ask(host, "POST", "/controller/network", {})[0] == 404


def test_controller_networks_are_made_changed_listed_and_deleted():
    host = with_controller()
    assert ask(host, "GET", "/controller")[1]["controller"] is True
    status, made = ask(host, "POST", "/controller/network/1122334455______", {"name": "a"})
    assert status == 200 and made["name"] == "a" and made["private"] is True
    nwid = made["id"]
    assert nwid[:10] == "1122334455"
    assert ask(host, "GET", "/controller/network") == (200, [nwid])
    path = "/controller/network/" + nwid
    assert ask(host, "POST", path, {"name": "b"})[1]["revision"] == made["revision"] + 1
    assert ask(host, "GET", path)[1]["name"] == "b"
    assert ask(host, "DELETE", path)[1]["name"] == "b"
    assert ask(host, "DELETE", path)[0] == 404
    assert ask(host, "GET", "/controller/network") == (200, [])
    assert ask(host, "POST", "/controller/network/aabbccddee______", {})[0] == 400
    assert ask(host, "POST", "/controller/network/aabbccddee000001", {})[0] == 400


def test_controller_members_are_authorized_listed_and_deleted():
    host = with_controller()
    nwid = ask(host, "POST", "/controller/network", {})[1]["id"]
    path = "/controller/network/%s/member" % nwid
    assert ask(host, "GET", path) == (200, {})
    status, member = ask(host, "POST", path + "/aabbccddee", {"authorized": True})
    assert status == 200 and member["authorized"] is True
    assert ask(host, "GET", path) == (200, {"aabbccddee": member["revision"]})
    assert ask(host, "GET", path + "/aabbccddee")[1]["authorized"] is True
    all_of_it = ask(host, "GET", "/unstable" + path)[1]
    assert all_of_it["meta"] == {"authorizedCount": 1, "totalCount": 1}
    networks = ask(host, "GET", "/unstable/controller/network")[1]
    assert networks["data"][0]["meta"]["totalMemberCount"] == 1
    assert ask(host, "DELETE", path + "/aabbccddee")[0] == 200
    assert ask(host, "GET", path + "/aabbccddee")[0] == 404
    other = "/controller/network/1122334455fffffe/member"
    assert ask(host, "GET", other)[0] == 404
    assert ask(host, "POST", other + "/aabbccddee", {})[0] == 404
    assert ask(host, "POST", path + "/nonsense", {})[0] == 404


def test_the_token_is_not_in_answers():
    host = with_controller()
    for path in ("/status", "/config", "/network", "/health", "/controller", "/nonsense"):
        data = exchange(
            host, ("GET %s HTTP/1.1\r\nX-ZT1-Auth: %s\r\n\r\n" % (path, TOKEN)).encode()
        )
        assert TOKEN.encode() not in data
