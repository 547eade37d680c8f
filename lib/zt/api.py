# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The local HTTP API in the shapes of the original service (VL2 8.1, 8.2), as a microdot
# application over a running Host. Knows requests and JSON; refuses to know sockets (httpd) and
# what a controller stores (api_controller).

from microdot import Microdot, Request, Response

from . import api_controller, crypto, inet, jsontext, localconf, log
from ._compat import hexs, ticks_ms, unhex, wall_ms
from .const import VERSION, VERSION_MAJOR, VERSION_MINOR, VERSION_REVISION
from .httpd import Server
from .osutil import EADDRINUSE, errtext

_TOKEN_LEN = 24
_TOKEN_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_BODY_MAX = 262144  # our choice: a controller network with 1024 rules is below this
_JSON = {"Content-Type": "application/json"}
_OPEN = ("/health",)
# Settings of the original that programs may look for, and that this build has not.
_NOT_BUILT = (
    ("allowTcpFallbackRelay", False),
    ("forceTcpRelay", False),
    ("secondaryPort", 0),
    ("softwareUpdate", "disable"),
    ("softwareUpdateChannel", "release"),
    ("tertiaryPort", 0),
)

Request.max_content_length = _BODY_MAX
Request.max_body_length = _BODY_MAX


def token(store, random):
    """The API token of a home, made at the first call; ValueError when the file holds none."""
    data = store.get("authtoken")
    if data is None:
        data = make_token(random).encode()
        store.put("authtoken", data)
    try:
        text = data.decode().strip()
    except UnicodeError:
        text = ""
    if not text:
        raise ValueError("%s: no token in it" % store.name("authtoken"))
    return text


def make_token(random):
    out = ""
    while len(out) < _TOKEN_LEN:
        for b in random(_TOKEN_LEN):
            # 252 is a multiple of 36: the others would favour some characters.
            if b < 252 and len(out) < _TOKEN_LEN:
                out += _TOKEN_ALPHABET[b % 36]
    return out


def _presented(request):
    """The token a request carries; the first place that has one decides."""
    given = request.headers.get("X-ZT1-Auth")
    if given is not None:
        return given
    if request.args and "auth" in request.args:
        return request.args["auth"]
    given = request.headers.get("Authorization")
    if given is not None and given.lower().startswith("bearer "):
        return given[7:].strip()
    return ""


def answer(value, status=200):
    return Response(jsontext.dumps(value), status, dict(_JSON))


def body_of(request):
    """The JSON object in a request body; {} for an empty one, ValueError for anything else."""
    data = request.body
    if not data or not data.strip():
        return {}
    value = jsontext.loads(data)
    if not isinstance(value, dict):
        raise ValueError("the body is not a JSON object")
    return value


def key_of(text, size):
    """An id from the URL: bytes, or None when it is not `size` bytes of hex."""
    if len(text) != 2 * size:
        return None
    try:
        key = unhex(text)
    except ValueError:
        return None
    return key if len(key) == size else None


class API:
    """The application of one Host; `app` is the microdot object."""

    answer = staticmethod(answer)
    body_of = staticmethod(body_of)
    key_of = staticmethod(key_of)

    def __init__(self, host, secret):
        self.host = host
        self._secret = secret.encode()
        self.app = Microdot()
        self.app.options_handler = None  # it would list our paths to those without a token
        self._routes()
        api_controller.Routes(self)

    def allow(self, ip):
        """Loopback, and the networks of allowManagementFrom."""
        if inet.scope(ip) == 2:
            return True
        for net, bits in self.host.conf.management:
            if len(net) == len(ip) and inet.in_net(ip, net, bits):
                return True
        return False

    def route(self, pattern, methods, handler):
        if "POST" in methods:
            methods = list(methods) + ["PUT"]
        self.app.route(pattern, methods=methods)(handler)

    async def _authenticate(self, request):
        if request.path in _OPEN:
            return None
        if crypto.equal(_presented(request).encode(), self._secret):
            return None
        return answer({}, 401)

    async def _failed(self, request, e):
        return answer({"error": 500, "description": str(e)}, 500)

    async def _not_found(self, request):
        if await self._authenticate(request):
            return answer({}, 401)
        return Response("", 404, dict(_JSON))

    def _routes(self):
        app = self.app
        app.before_request(self._authenticate)
        app.errorhandler(ValueError)(self._failed)
        app.errorhandler(OSError)(self._failed)
        app.errorhandler(404)(self._not_found)
        app.errorhandler(405)(self._not_found)
        self.route("/status", ["GET"], self._status)
        self.route("/health", ["GET"], self._health)
        self.route("/config", ["GET"], self._config)
        self.route("/config/settings", ["POST"], self._set_config)
        self.route("/network", ["GET"], self._networks)
        self.route("/network/<nwid>", ["GET"], self._network)
        self.route("/network/<nwid>", ["POST"], self._join)
        self.route("/network/<nwid>", ["DELETE"], self._leave)
        self.route("/peer", ["GET"], self._peers)
        self.route("/peer/<address>", ["GET"], self._peer)
        self.route("/moon", ["GET"], self._moons)

    # The node itself.

    def status(self):
        """The /status object."""
        host = self.host
        out = dict(host.node.status())
        config = dict(host.conf.raw)
        settings = dict(config.get("settings", {}))
        settings["primaryPort"] = host.driver.port
        for name, value in _NOT_BUILT:
            settings[name] = value
        settings["listeningOn"] = host.listening()
        settings["homeDir"] = host.home
        settings["portMappingEnabled"] = False
        settings["surfaceAddresses"] = out.pop("surfaceAddresses", [])
        config["settings"] = settings
        out["config"] = config
        return out

    async def _status(self, request):
        return answer(self.status())

    async def _health(self, request):
        return answer(
            {
                "clock": wall_ms(),
                "online": self.host.node.online,
                "version": VERSION,
                "versionBuild": 0,
                "versionMajor": VERSION_MAJOR,
                "versionMinor": VERSION_MINOR,
                "versionRev": VERSION_REVISION,
            }
        )

    def _conf(self):
        """local.conf as it is now: the owner may have edited it since the start."""
        store = self.host.store
        return localconf.parse(store.get("local.conf"), store.name("local.conf")).raw

    async def _config(self, request):
        return answer(self._conf())

    async def _set_config(self, request):
        changes = body_of(request)
        raw = dict(self._conf())
        settings = dict(raw.get("settings", {}))
        settings.update(changes)
        raw["settings"] = settings
        data = jsontext.dumps(raw).encode()
        localconf.parse(data)
        self.host.store.put("local.conf", data)
        return answer({})

    # Networks and peers.

    def _find(self, nwid):
        for n in self.host.driver.networks():
            if n["nwid"] == hexs(nwid):
                return n
        return None

    async def _networks(self, request):
        return answer(self.host.driver.networks())

    async def _network(self, request, nwid):
        key = key_of(nwid, 8)
        found = self._find(key) if key else None
        return answer(found) if found else answer({}, 404)

    async def _join(self, request, nwid):
        key = key_of(nwid, 8)
        if key is None:
            return answer({}, 404)
        body = body_of(request)
        settings = {}
        for name in ("allowManaged", "allowGlobal", "allowDefault", "allowDNS"):
            if isinstance(body.get(name), bool):
                settings[name] = body[name]
        self.host.node.join(ticks_ms(), key, settings or None)
        log.info("api", "join %s" % nwid)
        return answer(self._find(key) or {})

    async def _leave(self, request, nwid):
        key = key_of(nwid, 8)
        if key is None or self._find(key) is None:
            return answer({})
        self.host.node.leave(ticks_ms(), key)
        log.info("api", "leave %s" % nwid)
        return answer({"result": True})

    async def _peers(self, request):
        return answer(self.host.node.peers())

    async def _peer(self, request, address):
        for p in self.host.node.peers():
            if p["address"] == address:
                return answer(p)
        return answer({})

    async def _moons(self, request):
        return answer([])


async def serve(host, random):
    """Start the API of a Host on loopback at the UDP port's number; returns the Server.

    OSError when the TCP port is taken. Writes zerotier-one.port for the clients.
    """
    api = API(host, token(host.store, random))
    server = Server(api.app, api.allow)
    port = host.driver.port
    everywhere = bool(host.conf.management)
    await server.listen("0.0.0.0" if everywhere else "127.0.0.1", port)
    try:
        await server.listen("::" if everywhere else "::1", port)
    except OSError as e:
        if e.errno == EADDRINUSE:
            await server.close()
            raise
        log.info("api", "not on IPv6: %s" % errtext(e))
    host.store.put("port", str(port).encode())
    host.running = True
    return server
