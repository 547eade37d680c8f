# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Binds each joined network to one network interface of the in-process stack: MAC, MTU, addresses,
# routes, DNS and multicast groups follow the network's configuration. Where the build has no stack
# (CPython) the bookkeeping and the events are the same and no frame moves. Knows no protocol: it
# reads what the network object grants.

from . import inet, log, mac
from ._compat import hexs, ticks_diff, ticks_ms, u16
from .osutil import errtext

_FRAME_SIZE = 10240
_FRAMES_PER_STEP = 128  # our choice, as for datagrams
_GROUPS_MS = (
    1000  # our choice (the original looks every 5 s): a new group is announced within a second
)
_IDLE = 1000
_PAYLOAD = b"microzt ping " + bytes(43)  # 56 bytes, as ping(8) has it


class NIC:
    """What is set on the interface of one network; `n` is the stack's number or None."""

    def __init__(self, nwid):
        self.nwid = nwid
        self.n = None
        self.mtu = 0
        self.addresses = []
        self.routes = []
        self.dns = None
        self.groups = []
        self.status = None


class NICs:
    """The interfaces of one driver."""

    def __init__(self, driver):
        self._driver = driver
        self._hal = driver.hal
        self.stack = self._hal.HAS_STACK
        self.by_nwid = {}
        self._by_n = {}
        self._groups_at = None
        self._tx = bytearray(_FRAME_SIZE if self.stack else 0)
        self._tx_mv = memoryview(self._tx)
        self._rx = bytearray(_FRAME_SIZE if self.stack else 0)
        self._rx_mv = memoryview(self._rx)
        self._meta = bytearray(8)
        self._pings = {}
        self._seq = 0
        self._ident = u16(self._hal.random(2), 0)
        self._pong = bytearray(len(_PAYLOAD))
        self.watch = None  # an IP whose sender we want to know (ping), then its MAC
        self.watched_mac = None

    def changed(self, nwid, what):
        """The node's `network` callback."""
        card = self.by_nwid.get(nwid)
        network = None if what == "down" else self._driver.node.network(nwid)
        if network is None:
            if card is not None:
                self._remove(card)
                self._driver.emit("network", {"nwid": hexs(nwid), "status": "DOWN"})
            return
        if card is None:
            card = NIC(nwid)
            self.by_nwid[nwid] = card
        self._sync(card, network)
        status = network.describe()["status"]
        if status != card.status:
            card.status = status
            self._driver.emit("network", {"nwid": hexs(nwid), "status": status})

    def _sync(self, card, network):
        if self.stack and card.n is None:
            try:
                card.n = self._hal.nic_add(network.mac, network.mtu)
            except OSError as e:
                log.error("nic", "%s: no interface: %s" % (hexs(card.nwid), errtext(e)))
                network.set_port_error(e.errno)
                return
            card.mtu = network.mtu
            self._by_n[card.n] = card.nwid
            network.device = "zt%d" % card.n
        if card.mtu != network.mtu:
            card.mtu = network.mtu
            if card.n is not None:
                self._hal.nic_mtu(card.n, card.mtu)
        self._sync_addresses(card, network.managed_addresses())
        self._sync_routes(card, network.managed_routes())
        dns = network.dns
        if dns != card.dns:
            card.dns = dns
            if card.n is not None:
                self._hal.nic_dns(dns[0] if dns else "", list(dns[1]) if dns else [])
        self._sync_groups(card, ticks_ms())

    def _sync_addresses(self, card, wanted):
        wanted = [(bytes(ip), bits) for ip, bits in wanted]
        for address in card.addresses:
            if address not in wanted:
                self._set_address(card, address, False)
        for address in wanted:
            if address not in card.addresses:
                self._set_address(card, address, True)
        card.addresses = wanted

    def _set_address(self, card, address, add):
        if card.n is not None:
            try:
                self._hal.nic_addr(card.n, address[0], address[1], add)
            except OSError as e:
                log.warn("nic", "%s: %s" % (inet.text(address[0], address[1]), errtext(e)))
        text = inet.text(address[0], address[1])
        self._driver.emit("address", {"nwid": hexs(card.nwid), "ip": text, "added": add})

    def _sync_routes(self, card, wanted):
        own = [ip for ip, _bits in card.addresses]
        # A route through one of our own addresses is for the others (VL2 8.3).
        wanted = [(r[0], r[1], r[2]) for r in wanted if r[2] is None or r[2] not in own]
        for route in card.routes:
            if route not in wanted:
                self._set_route(card, route, False)
        for route in wanted:
            if route not in card.routes:
                self._set_route(card, route, True)
        card.routes = wanted

    def _set_route(self, card, route, add):
        if card.n is None:
            return
        try:
            self._hal.nic_route(card.n, route[0], route[1], route[2], add)
        except OSError as e:
            log.warn("nic", "route %s: %s" % (inet.text(route[0], route[1]), errtext(e)))

    def _remove(self, card):
        self._sync_routes(card, [])
        self._sync_addresses(card, [])
        if card.n is not None:
            self._hal.nic_remove(card.n)
            del self._by_n[card.n]
        del self.by_nwid[card.nwid]

    # Frames.

    def deliver(self, nwid, src_mac, dst_mac, ethertype, vlan, data):
        """A frame from the network for the stack; dropped where there is none."""
        card = self.by_nwid.get(nwid if isinstance(nwid, bytes) else bytes(nwid))
        n = len(data) + 14
        if card is None or card.n is None or n > _FRAME_SIZE or vlan:
            return
        buf = self._rx_mv
        buf[0:6] = dst_mac
        buf[6:12] = src_mac
        buf[12] = ethertype >> 8
        buf[13] = ethertype & 0xFF
        buf[14:n] = data
        if self.watch is not None:
            self._look(buf, ethertype)
        self._hal.nic_input(card.n, buf[:n])

    def _look(self, buf, ethertype):
        ip = self.watch
        if ethertype == 0x0800 and len(ip) == 4 and buf[26:30] == ip:
            self.watched_mac = bytes(buf[6:12])
        elif ethertype == 0x86DD and len(ip) == 16 and buf[22:38] == ip:
            self.watched_mac = bytes(buf[6:12])

    def step(self, now):
        """Run the stack's timers and hand its frames to the node; ms to its next turn."""
        if self._groups_at is None or ticks_diff(now, self._groups_at) >= _GROUPS_MS:
            self._groups_at = now
            for card in list(self.by_nwid.values()):
                self._sync_groups(card, now)
        if not self.stack:
            return _IDLE
        ms = self._hal.stack_poll()
        if self._pings:
            self._take_pongs()
        if self._drain(now):
            return 0
        return ms if 0 <= ms < _IDLE else _IDLE

    def _drain(self, now):
        recv = self._hal.nic_recv
        buf = self._tx
        mv = self._tx_mv
        meta = self._meta
        for _ in range(_FRAMES_PER_STEP):
            n = recv(buf, meta)
            if not n:
                return False
            self.sent(now, meta[0], mv, n)
        return True

    def sent(self, now, n, frame, size):
        """Frame `frame[:size]` of interface `n` is for the network."""
        nwid = self._by_n.get(n)
        if nwid is not None and size > 14:
            self._driver.node.process_virtual_network_frame(
                now,
                nwid,
                bytes(frame[6:12]),
                bytes(frame[0:6]),
                frame[12] << 8 | frame[13],
                0,
                frame[14:size],
            )

    def _sync_groups(self, card, now):
        """Tell the node which multicast groups this interface listens to."""
        wanted = []  # the broadcast group is the configuration's affair, not ours
        for ip, _bits in card.addresses:
            group = mac.group_for_ip(ip)
            if group not in wanted:
                wanted.append(group)
        if card.n is not None:
            for m in self._hal.nic_groups(card.n):
                group = (bytes(m), 0)
                if group not in wanted:
                    wanted.append(group)
        node = self._driver.node
        for m, adi in card.groups:
            if (m, adi) not in wanted:
                node.multicast_unsubscribe(now, card.nwid, m, adi)
        for m, adi in wanted:
            if (m, adi) not in card.groups:
                node.multicast_subscribe(now, card.nwid, m, adi)
        card.groups = wanted

    def sender(self, ip):
        """The MAC behind an IP that was pinged, or None."""
        if self.watched_mac is None and self.stack:
            for card in self.by_nwid.values():
                found = self._hal.nic_mac(card.n, ip) if card.n is not None else None
                if found is not None:
                    return found
        return self.watched_mac

    # ICMP echo.

    def ping(self, ip, callback):
        """Send an echo request; callback() runs when its answer came. A number for forget().

        OSError when there is no route to `ip`.
        """
        self._seq = self._seq + 1 & 0xFFFF
        self._hal.ping_send(ip, self._ident, self._seq, _PAYLOAD)
        self._pings[self._seq] = callback
        return self._seq

    def forget(self, seq):
        self._pings.pop(seq, None)

    def _take_pongs(self):
        while True:
            reply = self._hal.ping_recv(self._pong)
            if reply is None:
                return
            if reply[1] == self._ident and reply[2] in self._pings:
                self._pings.pop(reply[2])()

    # Questions.

    def inside(self, ip):
        """True when `ip` lies in a subnet a network gave us: it must not become a path."""
        for card in self.by_nwid.values():
            for net, bits in card.addresses:
                if len(net) == len(ip) and inet.in_net(ip, net, bits):
                    return True
        return False

    def addresses(self):
        """All (nwid, ip, bits) set at this moment."""
        return [
            (card.nwid, ip, bits) for card in self.by_nwid.values() for ip, bits in card.addresses
        ]

    def close(self):
        for card in list(self.by_nwid.values()):
            if card.n is not None:
                self._hal.nic_remove(card.n)
        self.by_nwid = {}
        self._by_n = {}
