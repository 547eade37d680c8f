# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Brings one node up from a home directory: lock, local.conf, planet, identity, wires, controller,
# joins. Every failure is a Failure with one line that says what and where. How the node is then
# driven (asyncio or a plain loop) is the caller's choice.

from . import hal, identity, inet, localconf, log, osutil, world
from ._compat import hexs, ticks_add, ticks_diff, ticks_ms, unhex, wall_ms
from .const import DEFAULT_PORT
from .driver import Driver, Settings
from .netconf import NetworkConfig
from .node import Node
from .osutil import Failure
from .store import FileStore

_PEER_CACHE_S = 30 * 86400  # VL1 8.3


def network_id(text):
    """A network id from its 16 hex digits; Failure otherwise."""
    text = text.lower()
    if len(text) == 16:
        try:
            nwid = unhex(text)
        except ValueError:
            nwid = b""
        if len(nwid) == 8:
            return nwid
    raise Failure("%s is not a network id (16 hex digits)" % text)


def node_address(text):
    """A node address from its 10 hex digits; Failure otherwise."""
    text = text.lower()
    if len(text) == 10:
        try:
            address = unhex(text)
        except ValueError:
            address = b""
        if len(address) == 5:
            return address
    raise Failure("%s is not a node address (10 hex digits)" % text)


def load_planet(path):
    """The bytes of a planet file whose own signature is good; Failure otherwise."""
    try:
        data = osutil.read_file(path)
    except OSError as e:
        raise Failure("%s: %s" % (path, osutil.errtext(e)))
    check_planet(data, path)
    return data


def check_planet(data, path):
    """Failure that names the file and the reason unless it holds a planet we may use."""
    try:
        world.check_planet(data)
    except ValueError as e:
        raise Failure("%s: %s" % (path, e))


class Host:
    """A running node and what it stands on: `node`, `driver`, `store`, `conf`."""

    def __init__(
        self,
        home=None,
        port=None,
        planet=None,
        join=(),
        controller=False,
        allow_loopback=False,
        profile="unix",
        progress=None,
        tap=False,
    ):
        self.started = ticks_ms()
        self.temporary = home is None
        self.home = osutil.temp_path(hal.random) if home is None else home
        self.store = None
        self.driver = None
        self.node = None
        self.controller = None
        self.running = False  # the HTTP API has written zerotier-one.port
        nwids = [network_id(n) for n in join]
        planet_data = load_planet(planet) if planet else None
        stack = self._tap() if tap else None
        try:
            self._open(port, planet_data, allow_loopback, profile, progress, stack)
            if controller:
                self._add_controller()
            for nwid in self.store.keys("network") + nwids:
                self._join(nwid)
            # From here on every wait of the process gives the node its turn.
            hal.set_pump(self.driver.step)
            self.store.warn_of_modes()
        except OSError as e:
            self.close()
            raise Failure(osutil.errtext(e))
        except BaseException:
            self.close()
            raise

    def _tap(self):
        from . import tap

        tap.check()
        return tap.TapStack(hal)

    def _open(self, port, planet_data, allow_loopback, profile, progress, stack):
        self.store = FileStore(self.home, hal)
        try:
            self.conf = localconf.load(self.store)
        except ValueError as e:
            raise Failure(str(e))
        settings = Settings()
        settings.port = self._port(port)
        if planet_data is not None and planet_data != self.store.get("planet"):
            self.store.put("planet", planet_data)
        self._check_planet()
        self._check_caches()
        self.store.expire("peer", wall_ms() // 1000, _PEER_CACHE_S)
        self._ensure_identity(progress)
        settings.bind = self.conf.bind
        settings.blacklist = self.conf.blacklist
        settings.allow_loopback = allow_loopback
        settings.tap = stack
        self.driver = Driver(hal, settings, self.started)
        self.driver.open()
        try:
            self.node = Node(self.driver, self.store, wall_ms, hal.random, profile, allow_loopback)
        except ValueError as e:
            raise Failure("%s/%s" % (self.home, e))
        self.driver.attach(self.node)

    def _port(self, port):
        if port is None:
            port = self.conf.primary_port
        if port is None:
            port = 0 if self.temporary else DEFAULT_PORT
        if not 0 <= port <= 65535:
            raise Failure("port %d is not 0 to 65535" % port)
        return port

    def _check_planet(self):
        # Falling back to the built-in planet would send a private node to strangers: refuse.
        data = self.store.get("planet")
        if data is not None:
            check_planet(data, self.store.path("planet"))

    def _check_caches(self):
        # What is torn is set aside; the network itself stays joined and asks its controller anew.
        for nwid in self.store.keys("network"):
            data = self.store.get("network", nwid)
            try:
                if data.strip():
                    NetworkConfig.parse(data)
            except ValueError:
                self.store.set_aside("network", nwid)
                self.store.put("network", b"\n", nwid)
        for moon in self.store.keys("moon"):
            log.warn("host", "%s: moons are not supported" % self.store.path("moon", moon))

    def _ensure_identity(self, progress):
        if self.store.get("identity.secret") is not None:
            return
        log.info("identity", "making a new identity")
        ident = identity.generate(hal.random, progress)
        self.store.put("identity.secret", ident.text(True).encode())
        self.store.put("identity.public", ident.text().encode())

    def _join(self, nwid):
        try:
            self.node.join(ticks_ms(), nwid)
        except ValueError as e:
            raise Failure("network %s: %s" % (hexs(nwid), e))

    def _add_controller(self):
        from .controller import Controller

        node = self.node
        node.attach_controller(Controller(node.identity, self.store, wall_ms, hal.random))
        self.controller = node.controller

    # Driving it without asyncio.

    def run_until(self, done, timeout_ms):
        """Run the node until done() is true; False after `timeout_ms` (None: no bound)."""
        end = None if timeout_ms is None else ticks_add(ticks_ms(), timeout_ms)
        while True:
            ms = self.driver.step()
            if done():
                return True
            if end is not None:
                left = ticks_diff(end, ticks_ms())
                if left <= 0:
                    return False
                ms = min(ms, left)
            hal.wait(ms)

    def ready(self):
        """Online, and every joined network has its configuration."""
        if not self.node.online:
            return False
        for n in self.node.networks():
            if n["status"] != "OK":
                return False
        return True

    def why_not_ready(self):
        """One line for a person who waits."""
        if not self.node.online:
            return "no root answers; still trying"
        for n in self.node.networks():
            if n["status"] != "OK":
                return "network %s: %s" % (n["nwid"], n["status"])
        return "ready"

    def address(self):
        return hexs(self.node.address)

    def listening(self):
        return [inet.text(ip, port) for ip, port in self.driver.listening()]

    def close(self):
        """Save the state, close everything, remove a temporary home; idempotent. A signal
        meanwhile changes nothing."""
        while self.store is not None:
            try:
                self._close()
            except KeyboardInterrupt:
                pass

    def _close(self):
        hal.set_pump(None)
        if self.driver is not None:
            self.driver.close()
        if self.running:
            self.store.put("port", None)
        if self.temporary:
            osutil.rmtree(self.home)
        self.store.close()
        self.store = None
