# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The driver of one node: it owns the wires (UDP sockets), feeds datagrams and frames to the node,
# sends what the node wants sent and turns its callbacks into events. It has no loop of its own:
# step() does what is due and says when to come back. Files, options and asyncio are other modules'
# business.

import gc

from . import inet, log, nic, plane
from ._compat import ticks_diff, ticks_ms, u16, unhex, wall_ms
from .osutil import EADDRINUSE, errtext

_RX_MORE = 16  # above the longest packet, so that a longer one is seen as such
_SHORT = 1472  # holds a datagram, and a frame of a board's interfaces
_RX_PER_STEP = 64  # our choice: timers and the stack get their turn under a flood
_REFRESH_MS = 30000  # VL1 8.1: interface bindings and local addresses
_SETTLE_MS = 500  # our choice: an interface that comes up changes several times
_GC_MS = 10000
_JUMP_MS = 5000  # our choice: below this NTP is only slewing
_OFFLINE_HINT_MS = 10000
_EVENTS_MAX = 256  # our choice; the oldest is dropped
_UNREACHABLE = 101
_LINK_LOCAL = 5  # scopes of inet.scope (VL1 7.2)
_LOOPBACK = 2
_PORT_TRIES = 8


def _never_told():
    """For a host that does not say when its interfaces change."""
    return 0


class Settings:
    """What an owner may set: the command line over local.conf."""

    def __init__(self):
        self.port = 9993
        self.bind = []
        self.blacklist = []
        self.allow_loopback = False
        self.tap = None  # a tap.TapStack in the place of the stack in the process


class Driver:
    """Make it, open() its wires, make the node with it as `callbacks`, attach(node), step()."""

    def __init__(self, hal, settings, started=None):
        """`started`: ticks of the process's start, from which events count their seconds."""
        self.hal = hal
        self.settings = settings
        self.node = None
        self.port = 0
        self.events = []
        self.on_event = None  # called with no argument after an event was queued
        self.nics = nic.NICs(self)
        self.plane = None
        self._wires = {}  # (ip, port 0) -> handle
        self._ip_of = {}  # handle -> ip
        self._handles = []
        self._opening = None
        self.buf = None  # a datagram, an event of the plane or a frame of the stack at a time
        self.buf_mv = None
        self._meta = bytearray(20)
        self._refresh_at = None
        self._serial_of = getattr(hal, "interfaces_serial", None) or _never_told
        self._serial = 0
        self._gc_at = None
        self._wall = None
        self._offline_since = ticks_ms()
        self._up_at = self._offline_since if started is None else started
        self._up_ms = 0
        self._was_online = False
        self._hinted = False
        self.closed = False

    # Wires.

    def _wanted(self):
        """Local addresses to bind: those of `bind`, else every usable one."""
        if self.settings.bind:
            return list(self.settings.bind)
        wanted = []
        for name, ip, _bits in self.hal.interfaces():
            scope = inet.scope(ip)
            if scope == _LOOPBACK and self.settings.allow_loopback:
                pass
            elif name.startswith("zt") or not inet.valid_for_path(ip):
                continue
            for prefix in self.settings.blacklist:
                if name.startswith(prefix):
                    break
            else:
                wanted.append(bytes(ip))
        return wanted

    def open(self):
        """Bind the wires. OSError that names the port when it is in use."""
        port = self.settings.port
        for attempt in range(_PORT_TRIES):
            try:
                self._open_all(port)
                break
            except OSError as e:
                self._close_wires()
                # A random port was free on one address and taken on another: draw again.
                if port or e.errno != EADDRINUSE or attempt == _PORT_TRIES - 1:
                    where = inet.ip_text(self._opening)
                    raise OSError("UDP port %d on %s: %s" % (port, where, errtext(e)))
        self._serial = self._serial_of()
        self._refresh_at = ticks_ms()

    def _open_all(self, port):
        wanted = self._wanted() or [bytes(4)]
        for ip in wanted:
            self._opening = ip
            try:
                h = self.hal.wire_open(ip, port or self.port)
            except OSError as e:
                if e.errno == EADDRINUSE or ip in self.settings.bind:
                    raise
                log.warn("wire", "%s: %s" % (inet.ip_text(ip), errtext(e)))
                continue
            self._add_wire(ip, h)
        if not self._handles:
            self._opening = bytes(4)
            self._add_wire(bytes(4), self.hal.wire_open(bytes(4), port or self.port))

    def _add_wire(self, ip, h):
        self._wires[ip] = h
        self._ip_of[h] = ip
        self._handles.append(h)
        self.port = self.hal.wire_port(h)
        log.info("wire", "bound to %s" % inet.text(ip, self.port))

    def _drop_wire(self, ip):
        h = self._wires.pop(ip)
        del self._ip_of[h]
        self._handles.remove(h)
        if self.plane is not None:
            self.plane.paths_changed()
        self.hal.wire_close(h)
        log.info("wire", "closed %s" % inet.text(ip, self.port))

    def _close_wires(self):
        for ip in list(self._wires):
            self._drop_wire(ip)
        self.port = 0

    def _refresh(self):
        wanted = self._wanted()
        for ip in list(self._wires):
            if wanted and ip not in wanted:
                self._drop_wire(ip)
        for ip in wanted:
            if ip not in self._wires:
                try:
                    self._add_wire(ip, self.hal.wire_open(ip, self.port))
                except OSError as e:
                    log.warn("wire", "%s: %s" % (inet.text(ip, self.port), errtext(e)))
        if not self._handles:
            try:
                self._add_wire(bytes(4), self.hal.wire_open(bytes(4), self.port))
            except OSError as e:
                log.warn("wire", "port %d: %s" % (self.port, errtext(e)))
        self._announce()

    def _announce(self):
        self.node.set_local_addresses(
            [(ip, self.port) for ip in sorted(self._wires) if ip != bytes(len(ip))]
        )

    def reopen(self):  # not on boards
        """Give up a random port and draw another (somebody has its TCP twin)."""
        self._close_wires()
        self.open()
        if self.node is not None:
            self._announce()

    def listening(self):  # not on boards
        """The bound addresses as (ip, port)."""
        return [(ip, self.port) for ip in sorted(self._wires)]

    # The loop's body.

    def attach(self, node):
        self.node = node
        whole = node.limits.packet_bytes + _RX_MORE
        # The plane says when something is longer; without it the wires just give what has room.
        self._make_buf(_SHORT if node.limits.nic_mtu + 14 <= _SHORT else whole)
        self.nics.attach(node.limits)
        self.plane = plane.start(self, node)
        if self.plane is not None:
            node.use_plane(self.plane)
        elif len(self.buf) < whole:
            self._make_buf(whole)
        self._announce()

    def _make_buf(self, size):
        self.buf = bytearray(size)
        self.buf_mv = memoryview(self.buf)

    def step(self):
        """Do what is due. Returns the ms until the next deadline, at most."""
        if self.closed or self.node is None:
            return 1000
        now = ticks_ms()
        self.nics.take_pongs()
        more = self._drain(now) if self.plane is None else self.plane.drain(now)
        settle = self._follow(now)
        due = 1000 if self.plane is None else self.plane.tick(now)
        try:
            ms = self.node.process_background_tasks(now)
        except OSError as e:
            log.error("driver", errtext(e))
            ms = 1000
        stack = self.nics.step(now)
        if stack < ms and self.plane is None:  # who waits with the plane sees to the stack
            ms = stack
        self._housekeeping(now)
        return 0 if more else max(0, min(ms, due, settle, 1000))

    def _follow(self, now):
        """Keep the wires with the host's addresses. Returns the ms after which to look again.

        Where the host tells of changes (a board whose Wi-Fi was lost and found), what the node had
        heard by its paths is in doubt, even if the address is the same as before.
        """
        since = ticks_diff(now, self._refresh_at)
        serial = self._serial_of()
        changed = serial != self._serial
        if since < (_SETTLE_MS if changed else _REFRESH_MS):
            return _SETTLE_MS - since if changed else _REFRESH_MS
        self._serial = serial
        self._refresh_at = now
        self._refresh()
        if changed:
            self.node.network_changed_below(now)
        return _REFRESH_MS

    def _drain(self, now):
        """Hand waiting datagrams to the node; True when some may be left."""
        recv = self.hal.wire_recv
        rx = self.buf
        mv = self.buf_mv
        meta = self._meta
        more = False
        for h in self._handles:
            for _ in range(_RX_PER_STEP):
                n = recv(h, rx, meta)
                if not n:
                    break
                remote = (bytes(meta[1 : 1 + meta[0]]), u16(meta, 17))
                try:
                    self.node.process_wire_packet(now, h, remote, mv[:n])
                except OSError as e:
                    # A state file that cannot be written; the node itself is unharmed.
                    log.error("driver", errtext(e))
            else:
                more = True
        return more

    def _housekeeping(self, now):
        online = self.node.online
        if online != self._was_online:
            # The node's own event may have told it already; emit() drops what is no news.
            self.emit("online" if online else "offline", None)
        if (
            not online
            and not self._hinted
            and ticks_diff(now, self._offline_since) > _OFFLINE_HINT_MS
        ):
            self._hinted = True
            self.emit("trying", {"reason": "no root answers; still trying"})
        if self._gc_at is None or ticks_diff(now, self._gc_at) >= _GC_MS:
            self._gc_at = now
            self.uptime()
            self._watch_clock(now)
            if hasattr(self.hal, "tidy"):
                self.hal.tidy()
            else:
                gc.collect()

    def _watch_clock(self, now):
        wall = wall_ms()
        if self._wall is not None:
            then, ticks = self._wall
            jump = wall - then - ticks_diff(now, ticks)
            if jump > _JUMP_MS or jump < -_JUMP_MS:
                log.warn("driver", "the wall clock jumped by %d ms; timers are unaffected" % jump)
        self._wall = (wall, now)

    def networks(self):
        """The node's networks as JSON-ready dicts, with what the stack did not take of them."""
        found = self.node.networks()
        for n in found:
            n["problems"] = self.nics.problems(unhex(n["nwid"]))
        return found

    # Callbacks of the node.

    def wire_send(self, local_socket, remote, data, ttl):
        """0 when the datagram went out on at least one wire, else the errno of the last try."""
        ip, port = remote
        send = self.hal.wire_send
        n = len(data)
        if local_socket is not None and local_socket in self._ip_of:
            return send(local_socket, ip, port, data, n, ttl)
        size = len(ip)
        loop = inet.scope(ip) == _LOOPBACK
        result = _UNREACHABLE
        for h in self._handles:
            own = self._ip_of[h]
            if len(own) != size:
                continue
            if own != bytes(size) and (inet.scope(own) == _LOOPBACK) != loop:
                continue
            error = send(h, ip, port, data, n, ttl)
            if not error or result:
                result = error
        return result

    def frame(self, nwid, src_mac, dst_mac, ethertype, vlan, data):
        self.nics.deliver(nwid, src_mac, dst_mac, ethertype, vlan, data)

    def network(self, nwid, what):
        self.nics.changed(bytes(nwid), what)

    def event(self, name, info):
        if name in ("online", "offline"):
            self.emit(name, None)
        elif name == "peer":
            self.emit(name, info)
        elif name == "identity_collision":
            log.error("node", "another node uses our address; make a new identity")
            self.emit(name, {})
        elif name == "user_message":
            self.emit(name, info)

    def path_check(self, address, local_socket, remote):
        """May `remote` become a path? Not inside our own networks, loopback only by permission."""
        ip = remote[0]
        if inet.scope(ip) == _LOOPBACK:
            return self.settings.allow_loopback
        return inet.valid_for_path(ip) and not self.nics.inside(ip)

    def nic_gone(self, nwid):
        """The interface of a network is no more; another may have its number."""
        network = self.node.network(nwid)
        if self.plane is not None and network is not None:
            self.plane.network_changed(network)

    def path_lookup(self, address, family):
        return None

    # Events.

    def uptime(self):
        """Seconds since start; summed in steps, because the ticks of a long run wrap."""
        now = ticks_ms()
        self._up_ms += ticks_diff(now, self._up_at)
        self._up_at = now
        return self._up_ms / 1000

    def emit(self, name, info):
        """Queue an event: the public form of what happened, JSON-ready but for user messages."""
        if name in ("online", "offline"):
            online = name == "online"
            if online == self._was_online:
                return
            self._was_online = online
            if not online:
                self._hinted = False
                self._offline_since = ticks_ms()
        event = {"event": name, "t": self.uptime()}
        if info:
            event.update(info)
        log.info("event", name)
        if len(self.events) >= _EVENTS_MAX:
            self.events.pop(0)
        self.events.append(event)
        if self.on_event:
            self.on_event()

    def close(self):
        """Save the node's state and give up wires and interfaces; idempotent."""
        if self.node is not None:
            try:
                self.node.close(ticks_ms())
            except OSError as e:
                log.error("driver", errtext(e))
            self.node = None
        if self.plane is not None:
            self.plane.close()
            self.plane = None
        self.closed = True
        self.nics.close()
        self._close_wires()
