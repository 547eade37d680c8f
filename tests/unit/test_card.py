# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# zt.NIC on loopback: the root, which is the controller too, is a second node of this process.

import os
import sys

import zt
from _people import IDS
from _raised import raised
from zt import card, hal, identity, osutil, settings, world
from zt._compat import be64, hexs, ticks_diff, ticks_ms, unhex
from zt.crypto import public_key
from zt.flashstore import FlashStore
from zt.host import Host
from zt.store import FileStore

# A process has one node; the plane would take the datagrams of both.
if hasattr(os, "putenv"):
    os.putenv("ZT_PLANE", "python")

LOOP = bytes((127, 0, 0, 1))
KEYS = bytes(range(64))
ME = identity.Identity.parse(IDS["A"])
ROOT = identity.Identity.parse(IDS["R"])


def free_port():
    h = hal.wire_open(LOOP, 0)
    port = hal.wire_port(h)
    hal.wire_close(h)
    return port


class World:
    """A root with a controller, and the settings of a board that knows it."""

    def __init__(self, **options):
        self.port = free_port()
        self.own = free_port()
        self.home = osutil.temp_path(hal.random)
        planet = self.planet(self.port)
        self.settings = settings.Memory(
            {
                "identity.secret": ME.text(True),
                "identity.public": ME.text(),
                "planet": planet,
            }
        )
        store = FileStore(self.home + "/root", hal)
        store.put("identity.secret", ROOT.text(True).encode())
        store.put("planet", planet)
        store.close()
        self.events = []
        self.nic = self.make(**options)
        self.nic.active(True)
        self.root = None
        self.open_root()

    def planet(self, port):
        roots = [(ROOT, [(LOOP, port)])]
        made = world.World.make(world.PLANET, b"\1" * 8, be64(1), KEYS, public_key(KEYS), roots)
        return made.pack()

    def make(self, **options):
        options.setdefault("profile", "small")
        nic = zt.NIC(
            self.settings, self.home + "/cache", port=self.own, allow_loopback=True, **options
        )
        nic.irq(self.events.append)
        return nic

    def open_root(self):
        self.root = Host(self.home + "/root", port=self.port, controller=True, allow_loopback=True)
        hal.set_pump(self.step)

    def step(self):
        ms = self.nic.step()
        return min(ms, self.root.driver.step()) if self.root is not None else ms

    def network(self, **more):
        more.setdefault("private", True)
        more["v4AssignMode"] = {"zt": True}
        more["ipAssignmentPools"] = [{"ipRangeStart": "10.9.0.7", "ipRangeEnd": "10.9.0.7"}]
        more.setdefault("routes", [{"target": "10.9.0.0/24", "via": None}])
        made = self.root.controller.put_network(0, None, more)
        self.admit(made["nwid"], True)
        return made["nwid"]

    def admit(self, nwid, yes):
        self.root.controller.put_member(ticks_ms(), unhex(nwid), ME.address, {"authorized": yes})

    def until(self, done, ms=20000):
        start = ticks_ms()
        while not done():
            assert ticks_diff(ticks_ms(), start) < ms, "it does not happen"
            hal.wait(50)

    def close(self):
        self.nic.active(False)
        if self.root is not None:
            self.root.close()
        osutil.rmtree(self.home)


def in_world(test, **options):
    w = World(**options)
    try:
        test(w)
    finally:
        w.close()


def test_it_joins_and_shows_itself_as_a_network_interface_does():
    def check(w):
        nic = w.nic
        assert nic.active() and not nic.isconnected()
        assert nic.status() == nic.STAT_IDLE
        w.until(lambda: nic.status("online"))
        nwid = w.network(
            routes=[
                {"target": "10.9.0.0/24", "via": None},
                {"target": "0.0.0.0/0", "via": "10.9.0.1"},
            ],
            dns={"domain": "home.arpa", "servers": ["10.9.0.2"]},
            v6AssignMode={"rfc4193": True},
        )
        nic.connect(nwid)
        assert nic.status() == nic.STAT_CONNECTING
        w.until(nic.isconnected)
        assert nic.status() == nic.STAT_GOT_IP
        assert nic.isconnected(nwid) and nic.isconnected(unhex(nwid))
        assert not nic.isconnected("8056c2e21c000001")
        assert nic.ifconfig() == ("10.9.0.7", "255.255.255.0", "0.0.0.0", "0.0.0.0")
        nic.config(allow_dns=True, allow_default=True)
        assert nic.config("allow_dns") is True and nic.config("allow_global") is False
        assert nic.ifconfig() == ("10.9.0.7", "255.255.255.0", "10.9.0.1", "10.9.0.2")
        nic.ifconfig("dhcp")
        assert nic.ipconfig("addr4") == ("10.9.0.7", "255.255.255.0")
        assert nic.ipconfig("gw4") == "10.9.0.1"
        six = nic.ipconfig("addr6")
        assert len(six) == 1 and six[0][0].startswith("fd") and len(six[0]) == 4
        assert nic.ipconfig("dhcp4") is False
        assert nic.config("address") == hexs(ME.address)
        assert nic.config("identity") == ME.text()
        assert len(nic.config("mac")) == 6 and nic.config("mtu") == 2800
        assert nic.config("networks") == [nwid]
        assert nic.config("profile") == "small"
        assert nic.config("port") == nic.driver.port
        assert [n["status"] for n in nic.status("networks")] == ["OK"]
        assert [p["address"] for p in nic.status("peers")] == [hexs(ROOT.address)]
        assert nic.status("node")["online"] is True
        assert [e["event"] for e in w.events][:3] == ["online", "address", "address"]
        before = nic.ifconfig()
        w.admit(nwid, False)
        w.until(lambda: nic.status() == nic.STAT_ACCESS_DENIED)
        assert not nic.isconnected()
        # As WLAN without a connection: nothing is left of what the network gave.
        card = nic.driver.nics.by_nwid[unhex(nwid)]
        assert nic.ifconfig() == ("0.0.0.0",) * 4 and nic.ipconfig("addr6") == []
        assert card.addresses == [] and card.routes == []
        net = nic.status("networks")[0]
        assert net["assignedAddresses"] == [] and net["routes"] == []
        del w.events[:]
        w.admit(nwid, True)
        w.until(nic.isconnected)
        assert nic.ifconfig() == before and card.routes
        added = [e["ip"] for e in w.events if e["event"] == "address" and e["added"]]
        assert "10.9.0.7/24" in added

    in_world(check)


def test_what_it_joined_it_joins_again():
    def check(w):
        nic = w.nic
        nwid = w.network()
        w.until(lambda: nic.status("online"))
        nic.join(nwid)
        w.until(nic.isconnected)
        nic.config(allow_dns=True)
        nic.active(False)
        assert not nic.active() and nic.status() == nic.STAT_IDLE
        assert nic.config("networks") == [nwid]
        # Without its root: the address is in the cache.
        w.root.close()
        w.root = None
        nic.active(True)
        assert nic.isconnected() and nic.ifconfig()[0] == "10.9.0.7"
        assert nic.config("allow_dns") is True
        nic.disconnect()
        assert nic.status() == nic.STAT_IDLE and nic.status("networks") == []
        assert nic.config("networks") == [nwid]
        nic.connect()
        assert nic.status() == nic.STAT_CONNECTING
        nic.leave(nwid)
        assert nic.config("networks") == [] and nic.status("networks") == []
        nic.active(False)
        nic.active(True)
        assert nic.status("networks") == []

    in_world(check)


def test_a_sleeper_resumes_from_what_it_carried():
    def check(w):
        nic = w.nic
        nwid = w.network()
        w.until(lambda: nic.status("online"))
        nic.join(nwid)
        w.until(nic.isconnected)
        carried = nic.suspend()
        assert not nic.active() and 100 < len(carried) <= 2048
        osutil.rmtree(w.home + "/cache")
        # Where the planet says, nobody answers.
        w.settings.set("planet", w.planet(9))
        w.nic = nic = w.make(carried=carried)
        nic.active(True)
        hal.set_pump(w.step)
        w.until(nic.isconnected)
        assert nic.status("flash")["problems"] == []

    in_world(check)


def test_peers_are_stored_while_it_runs():
    def check(w):
        nic = w.nic
        w.until(lambda: nic.status("online"))
        assert nic.status("flash")["bytes"] == 0
        nic._saved = ticks_ms() - card._SAVE_MS
        w.until(lambda: nic.status("flash")["writes"] == 1)
        store = FlashStore(w.settings, w.home + "/cache")
        assert store.keys("peer") == [ROOT.address]

    in_world(check)


def test_what_it_does_not_know_it_refuses():
    def check(w):
        nic = w.nic
        for f, args, kw in (
            (nic.status, ("rssi",), {}),
            (nic.config, ("essid",), {}),
            (nic.config, (), {"essid": "x"}),
            (nic.config, (), {"mac": b"\2\0\0\0\0\1"}),
            (nic.config, (), {"mtu": 1280}),
            (nic.ifconfig, (("10.0.0.1", "255.0.0.0", "10.0.0.2", "10.0.0.3"),), {}),
            (nic.ipconfig, ("addr5",), {}),
            (nic.ipconfig, (), {"addr4": "10.0.0.1/24"}),
            (nic.connect, ("8056c2e21c00000",), {}),
            (nic.connect, ("8056c2e21c00000x",), {}),
            (nic.connect, (b"12345",), {}),
            (nic.connect, (bytes(8),), {}),
        ):
            raised(ValueError, f, *args, **kw)
        raised(TypeError, nic.config, "mac", port=1)
        raised(OSError, nic.config, "mac")
        raised(OSError, nic.config, port=9)
        assert "watchdog" in str(raised(OSError, nic.config, watchdog=8000))
        raised(TypeError, nic.irq, 1)
        assert "another" in str(raised(OSError, w.make().active, True))
        nic.config(hostname="sensor")
        assert nic.config("hostname") == "sensor"
        nic.active(False)
        nic.config(port=w.port + 1)
        assert nic.config("port") == w.port + 1
        raised(ValueError, nic.config, port=65536)
        for f in (nic.connect, nic.disconnect, nic.suspend):
            assert "not active" in str(raised(OSError, f))
        assert nic.config("address") == hexs(ME.address)
        assert nic.ifconfig() == ("0.0.0.0",) * 4 and nic.ipconfig("addr6") == []

    in_world(check)


def test_what_is_missing_or_bad_is_named():
    def start(**values):
        s = settings.Memory(values)
        nic = zt.NIC(s, osutil.temp_path(hal.random), port=0, allow_loopback=True, profile="small")
        nic._room = False
        return str(raised(OSError, nic.active, True)), nic

    text, nic = start()
    assert "tools/provision.py" in text
    assert not nic.active() and card.active() is None
    secret = ME.text(True)
    names = {"identity.secret": secret[:40]}
    text, _ = start(**names)
    assert "identity.secret" in text and secret[20:] not in text
    names = {"identity.secret": ME.text()}
    assert "private key" in start(**names)[0]
    names = {"identity.secret": secret, "planet": world.DEFAULT_PLANET[:-1]}
    assert "planet" in start(**names)[0]
    names["planet"] = world.DEFAULT_PLANET[:20] + b"\0" + world.DEFAULT_PLANET[21:]
    assert "signature" in start(**names)[0]


def test_with_memory_it_makes_its_identity():
    s = settings.Memory()
    nic = zt.NIC(s, osutil.temp_path(hal.random), port=0, allow_loopback=True)
    made = identity.generate
    identity.generate = lambda random: ME
    try:
        nic._ensure_identity()
        nic._room = True
        nic._ensure_identity()
    except OSError:
        nic._room = True
        nic._ensure_identity()
    finally:
        identity.generate = made
    assert s.get("identity.secret") == ME.text(True).encode()
    assert nic.config("address") == hexs(ME.address)


def test_the_watchdog_is_fed_by_the_node():
    class WDT:
        made = []

        def __init__(self, timeout):
            self.timeout = timeout
            self.fed = 0
            self.made.append(self)

        def feed(self):
            self.fed += 1

    class Machine:
        pass

    Machine.WDT = WDT
    sys.modules["machine"] = Machine
    try:

        def check(w):
            w.nic.config(watchdog=8000)
            assert [d.timeout for d in WDT.made] == [8000]
            fed = WDT.made[0].fed
            hal.wait(5)
            assert WDT.made[0].fed > fed

        in_world(check)
    finally:
        del sys.modules["machine"]
