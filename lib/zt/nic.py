# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Binds each joined network to one network interface of the in-process stack: MAC, MTU, addresses,
# routes, DNS and multicast groups follow the network's configuration. Where the build has no stack
# (CPython) the bookkeeping and the events are the same and no frame moves. Knows no protocol: it
# reads what the network object grants.

from . import inet, log, mac
from ._compat import hexs, ticks_diff, ticks_ms, u16
from .osutil import errtext

_FRAMES_PER_STEP = 128  # our choice, as for datagrams
_GROUPS_MS = (
    1000  # our choice (the original looks every 5 s): a new group is announced within a second
)
_IDLE = 1000
_EINVAL = 22
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
        self.busy = False
        self.refused = {}  # (ip, bits) or (ip, bits, via) -> why the stack did not take it


def _problem(key, why):
    kind = "address" if len(key) == 2 else "route"
    return "%s %s is not in use: %s" % (kind, inet.text(key[0], key[1]), why)


class NICs:
    """The interfaces of one driver."""

    def __init__(self, driver):
        self._driver = driver
        self._tap = driver.settings.tap
        self._hal = driver.hal if self._tap is None else self._tap
        self.stack = self._hal.HAS_STACK
        self.by_nwid = {}
        self._by_n = {}
        self._groups_at = None
        self._dns = None
        self._longest = 0
        self._mtu = 0
        self._meta = bytearray(8)
        self._pings = {}
        self._seq = 0
        self._ident = u16(driver.hal.random(2), 0)
        self._pong = bytearray(len(_PAYLOAD))
        self.watch = None  # an IP whose sender we want to know (ping), then its MAC
        self.watched_mac = None
        if self._tap is not None:
            self._tap.attach(driver, self._lost)

    def attach(self, limits):
        """Before the first network: the sizes of this node."""
        self._mtu = limits.nic_mtu
        self._longest = limits.packet_bytes

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
        if card.busy:
            return  # set_port_error() tells of a new status; who called it reports it
        card.busy = True
        try:
            self._sync(card, network)
        finally:
            card.busy = False
        status = network.describe()["status"]
        if status != card.status:
            card.status = status
            self._driver.emit("network", {"nwid": hexs(nwid), "status": status})

    def _sync(self, card, network):
        if self.stack and card.n is None and not self._plug_in(card, network):
            return
        mtu = min(network.mtu, self._mtu)
        if card.mtu != mtu:
            card.mtu = mtu
            if card.n is not None:
                self._hal.nic_mtu(card.n, card.mtu)
        self._sync_addresses(card, network.managed_addresses())
        self._sync_routes(card, network.managed_routes())
        card.dns = network.dns
        self._sync_dns()
        self._sync_groups(card, ticks_ms())

    def _plug_in(self, card, network):
        """An interface for the network; the status PORT_ERROR while there is none to be had."""
        try:
            card.n = self._add(card.nwid, network)
        except (OSError, ValueError) as e:
            number = e.errno if isinstance(e, OSError) else _EINVAL
            if network.port_error != number:
                why = errtext(e) if isinstance(e, OSError) else str(e)
                log.error("nic", "%s: no interface: %s" % (hexs(card.nwid), why))
            network.set_port_error(number)
            return False
        card.mtu = min(network.mtu, self._mtu)
        self._by_n[card.n] = card.nwid
        if network.port_error:
            network.set_port_error(0)
        return True

    def _retry(self):
        """What found no room in the stack may find it now that another network was left."""
        for card in list(self.by_nwid.values()):
            if self.stack and card.n is None:
                self.changed(card.nwid, "status")

    def _sync_dns(self):
        """The stack has one list of name servers: that of the first network that brings one."""
        dns = None
        for nwid in sorted(self.by_nwid):
            card = self.by_nwid[nwid]
            if dns is None and card.dns and card.n is not None:
                dns = card.dns
        if dns != self._dns:
            self._dns = dns
            if self.stack:
                self._hal.nic_dns(dns[0] if dns else "", list(dns[1]) if dns else [])

    def _add(self, nwid, network):
        if self._tap is None:
            n = self._hal.nic_add(network.mac, min(network.mtu, self._mtu))
            network.device = "zt%d" % n
        else:
            n = self._tap.nic_add(network.mac, min(network.mtu, self._mtu), nwid)
            network.device = self._tap.nic_name(n)
        return n

    def _lost(self, n):
        """Somebody deleted the host's device: make it anew, or show the network's error."""
        nwid = self._by_n.pop(n)
        card = self.by_nwid[nwid]
        card.n = None
        self._driver.nic_gone(nwid)
        card.addresses = []
        card.routes = []
        card.refused = {}
        self.changed(nwid, "status")

    def _sync_addresses(self, card, wanted):
        wanted = [(bytes(ip), bits) for ip, bits in wanted]
        for address in list(card.addresses):
            if address not in wanted:
                card.addresses.remove(address)
                self._set_address(card, address, False)
        refused = {}
        for address in wanted:
            if address not in card.addresses:
                why = self._set_address(card, address, True)
                if why is None:
                    card.addresses.append(address)
                else:
                    refused[address] = why
        card.addresses = [a for a in wanted if a in card.addresses]
        self._note(card, 2, refused)

    def _set_address(self, card, address, add):
        """None when done, else why not."""
        ip, bits = address
        text = inet.text(ip, bits)
        if card.n is not None:
            try:
                self._hal.nic_addr(card.n, ip, bits, add)
            except OSError as e:
                if add:
                    if (
                        self._tap is None
                        and len(ip) == 4
                        and [a for a in card.addresses if len(a[0]) == 4]
                    ):
                        return "a network has one IPv4 address here"
                    return errtext(e)
                log.warn("nic", "%s: %s" % (text, errtext(e)))
        self._driver.emit("address", {"nwid": hexs(card.nwid), "ip": text, "added": add})
        return None

    def _note(self, card, size, refused):
        """Keep, and tell once, what the stack did not take: addresses (keys of 2), routes (3)."""
        for key in refused:
            if key not in card.refused:
                log.warn("nic", "%s: %s" % (hexs(card.nwid), _problem(key, refused[key])))
        for key in card.refused:
            if len(key) != size:
                refused[key] = card.refused[key]
        card.refused = refused

    def _sync_routes(self, card, wanted):
        own = [ip for ip, _bits in card.addresses]
        # A route through one of our own addresses is for the others (VL2 8.3).
        wanted = [(r[0], r[1], r[2]) for r in wanted if r[2] is None or r[2] not in own]
        for route in list(card.routes):
            if route not in wanted:
                card.routes.remove(route)
                self._set_route(card, route, False)
        refused = {}
        for route in wanted:
            if route not in card.routes:
                why = self._set_route(card, route, True)
                if why is None:
                    card.routes.append(route)
                else:
                    refused[route] = why
        self._note(card, 3, refused)

    def _set_route(self, card, route, add):
        """None when done, else why not."""
        if card.n is None:
            return None
        try:
            self._hal.nic_route(card.n, route[0], route[1], route[2], add)
        except (OSError, ValueError) as e:
            why = errtext(e) if isinstance(e, OSError) else str(e)
            if add:
                return why
            log.warn("nic", "route %s: %s" % (inet.text(route[0], route[1]), why))
        return None

    def _remove(self, card):
        self._sync_routes(card, [])
        self._sync_addresses(card, [])
        if card.n is not None:
            self._hal.nic_remove(card.n)
            del self._by_n[card.n]
        del self.by_nwid[card.nwid]
        self._sync_dns()
        self._retry()

    # Frames.

    def deliver(self, nwid, src_mac, dst_mac, ethertype, vlan, data):
        """A frame from the network for the stack; dropped where there is none."""
        card = self.by_nwid.get(nwid if isinstance(nwid, bytes) else bytes(nwid))
        n = len(data) + 14
        if card is None or card.n is None or n > self._longest or vlan:
            return
        buf = self._driver.node.room(n)  # in which nothing is waiting to be sent
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
        if self._drain(now):
            return 0
        return ms if 0 <= ms < _IDLE else _IDLE

    def _drain(self, now):
        recv = self._hal.nic_recv
        buf = self._driver.buf
        mv = self._driver.buf_mv
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
        if self.watched_mac is None and self._tap is None and self.stack:
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

    def take_pongs(self):
        """Call back those whose echo was answered."""
        while self._seq:
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
        return self._tap is not None and self._tap.routed(ip)

    def problems(self, nwid):
        """What this network was given and does not have here, as texts."""
        card = self.by_nwid.get(nwid)
        if card is None:
            return []
        return sorted([_problem(key, card.refused[key]) for key in card.refused])

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
