# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# zt.NIC: a node with the manners of network.WLAN, for boards. It brings the node up from the
# settings, keeps it running in every wait of the process, and answers active, connect, status,
# config, ifconfig, ipconfig. What has no place here (peers, multicast, controllers) is under
# `nic.node`.

import gc

from . import _state, hal, inet, log
from ._compat import elapsed, hexs, ticks_diff, ticks_ms, wall_ms
from .cardinfo import Asked, network_id
from .const import DEFAULT_PORT
from .driver import Driver, Settings
from .flashstore import FlashStore
from .node import Node
from .settings import FOLDER, default
from .world import check_planet

_ROOM = 3145728  # our choice: memory for the 2 MiB identity hash and for the large limits
_SAVE_MS = 600000


def active():
    """The zt.NIC that is up, or None."""
    return _state.running


def _roomy():
    """Is there memory for the identity hash? Boards with PSRAM and desktops."""
    if not hasattr(gc, "mem_free"):
        return True
    try:
        import esp32  # noqa: F401
    except ImportError:
        import os

        if hasattr(os, "getenv"):
            return True  # a desktop, whose heap grows
    gc.collect()
    return gc.mem_free() >= _ROOM


class NIC(Asked):
    """One node as a network interface.

    All arguments are for programs that are no ordinary board's: `settings` (zt.settings), `folder`
    of the caches, `profile` ("small" or "unix"; by itself as the memory is), `port`, `carried`
    (what suspend() gave), `allow_loopback` (tests).
    """

    def __init__(
        self,
        settings=None,
        folder=None,
        profile=None,
        port=DEFAULT_PORT,
        carried=None,
        allow_loopback=False,
    ):
        self.settings = settings if settings is not None else default()
        self.node = None
        self.driver = None
        self.store = None
        self._folder = folder
        self._profile = profile
        self._port = port
        self._carried = carried
        self._allow_loopback = allow_loopback
        self._handler = None
        self._watchdog = None
        self._trial = None
        self._saved = None
        self._room = None

    # --- up and down

    def active(self, on=None):
        """Bring the node up or down, or say whether it is up.

        OSError with a text for the user where it cannot be."""
        if on is None:
            return self.node is not None
        if on and self.node is None:
            self._start()
        elif not on and self.node is not None:
            self._stop()
        return self.node is not None

    def _start(self):
        if _state.running is not None:
            raise OSError("another zt.NIC is active")
        try:
            self._open()
        except BaseException:
            self._close()
            raise
        _state.running = self
        hal.set_pump(self.step)
        hal.kick()

    def _open(self):
        if self._room is None:
            self._room = _roomy()
        if self._profile is None:
            self._profile = "unix" if self._room else "small"
        self._ensure_identity()
        self._check_planet()
        self.store = FlashStore(self.settings, self._caches(), carried=self._carried)
        self._carried = None
        how = Settings()
        how.port = self._port
        how.allow_loopback = self._allow_loopback
        self.driver = Driver(hal, how)
        self.driver.on_event = self._tell
        self.driver.open()
        try:
            self.node = Node(
                self.driver,
                self.store,
                wall_ms,
                hal.random,
                self._profile,
                self._allow_loopback,
                idhash=self._room,
            )
        except ValueError as e:
            raise OSError("%s" % e)
        self.driver.attach(self.node)
        self._rejoin()
        gc.collect()

    def _caches(self):
        if self._folder is None:
            self._folder = getattr(self.settings, "folder", FOLDER) + "/cache"
        return self._folder

    def _ensure_identity(self):
        if self.settings.get("identity.secret") is not None:
            return
        if not self._room:
            raise OSError("no identity: give this board one with tools/provision.py")
        from . import identity

        log.info("identity", "making a new identity")
        made = identity.generate(hal.random)
        self.settings.set("identity.secret", made.text(True))
        self.settings.set("identity.public", made.text())

    def _check_planet(self):
        # Without one it is the built-in planet. A bad one must not mean strangers' roots.
        data = self.settings.get("planet")
        if data is not None:
            try:
                check_planet(data)
            except ValueError as e:
                raise OSError("the setting planet: %s" % e)

    def _stop(self):
        self._close()

    def _close(self):
        if _state.running is self:
            hal.set_pump(None)
            _state.running = None
        if self.driver is not None:
            self.driver.close()
            self.driver = None
        self.node = None
        if self.store is not None:
            self.store.close()
            self.store = None

    def suspend(self, limit=2048):
        """End before a deep sleep: what to put into machine.RTC().memory(), `limit` bytes at most,
        and to give to the next NIC as `carried`. Its first HELLOs go where it was reachable."""
        node, store = self._need(), self.store
        now = ticks_ms()
        for peer in node.topology.peers.values():
            node.topology.save_peer(now, peer)
        carried = store.carry(limit)
        self._stop()
        return carried

    def step(self):
        """A turn of the node; the pump of the process calls it. ms until the next."""
        driver = self.driver
        if driver is None:
            return 1000
        ms = driver.step()
        now = ticks_ms()
        if self._trial is not None:
            self._trial = self._trial(now, self.node.online)
        if self._watchdog is not None:
            self._watchdog.feed()
        self._save(now)
        return ms

    def _save(self, now):
        # What is known of peers is stored while the board has power, not when it loses it.
        if self._saved is None:
            self._saved = now
        elif elapsed(now, self._saved, _SAVE_MS):
            self._saved = now
            topology = self.node.topology
            for peer in topology.peers.values():
                topology.save_peer(now, peer)
        self.store.tick(now)

    def _tell(self):
        events = self.driver.events
        while events:
            event = events.pop(0)
            if self._handler is not None:
                self._handler(event)

    def on_trial(self, judge):
        """Call judge(now, online) at each turn until it returns None (zt.ota)."""
        self._trial = judge

    def irq(self, handler=None):
        """Call handler(event) for each event, a dict as in docs/api.md; None ends it. It runs
        between two turns of the node: keep it short."""
        if handler is not None and not callable(handler):
            raise TypeError("the handler must be callable")
        self._handler = handler

    # --- networks

    def connect(self, nwid=None):
        """Join a network (16 hex digits or 8 bytes) now and after each start; without an id all
        networks that were joined before disconnect()."""
        node = self._need()
        if nwid is None:
            self._rejoin()
        else:
            node.join(ticks_ms(), network_id(nwid))
        hal.kick()

    join = connect

    def disconnect(self, nwid=None):
        """Leave a network, or all, until connect() or the next start."""
        self._leave(nwid, True)

    def leave(self, nwid):
        """Leave a network and forget it."""
        self._leave(nwid, False)

    def _leave(self, nwid, keep):
        node = self._need()
        ids = list(node.vl2.networks) if nwid is None else [network_id(nwid)]
        self.store.keep = keep
        try:
            for i in ids:
                node.leave(ticks_ms(), i)
        finally:
            self.store.keep = False
        hal.kick()

    def _rejoin(self):
        for nwid in self.store.keys("network"):
            try:
                self.node.join(ticks_ms(), nwid)
            except ValueError as e:
                log.error("nic", "%s: %s" % (hexs(nwid), e))

    def _need(self):
        if self.node is None:
            raise OSError("the zt.NIC is not active")
        return self.node

    def ping(self, host, timeout_ms=5000):
        """ICMP echo over the network: ms, or None without an answer in time."""
        self._need()
        answered = []
        start = ticks_ms()

        def pong():
            answered.append(ticks_diff(ticks_ms(), start))
            hal.kick()  # ends the wait below

        seq = self.driver.nics.ping(inet.parse_ip(host), pong)
        while not answered:
            left = timeout_ms - ticks_diff(ticks_ms(), start)
            if left <= 0 or self.driver is None:
                if self.driver is not None:
                    self.driver.nics.forget(seq)
                return None
            hal.wait(left)
        return answered[0]
