# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Whole networks in memory: a controller that is also the root, and nodes with the least of an IP
# stack.

from _vl2 import NOW, NWID, Controller, Host, Wire, identity
from zt import mac

CONTROLLER = identity("controller")
ARP = 0x0806
IPV4 = 0x0800
IPS = {"A": b"\x0a\0\0\x01", "B": b"\x0a\0\0\x02", "C": b"\x0a\0\0\x03"}


class Edge(Host):
    """A host with the least of an IP stack: subscribes its ARP group and answers ARP."""

    def network_changed(self, nwid, what):
        Host.network_changed(self, nwid, what)
        if what == "up":
            net = self.vl2.networks[nwid]
            for ip, _ in net.managed_addresses():
                self.vl2.subscribe(NOW, nwid, *mac.group_for_ip(ip))

    def deliver(self, nwid, src, dst, ethertype, frame):
        Host.deliver(self, nwid, src, dst, ethertype, frame)
        net = self.vl2.networks[nwid]
        mine = [ip for ip, _ in net.managed_addresses()]
        if ethertype == ARP and frame[7] == 1 and bytes(frame[24:28]) in mine:
            reply = bytes(frame[:7]) + b"\x02" + net.mac + bytes(frame[24:28]) + bytes(frame[8:18])
            self.vl2.tap_frame(NOW, nwid, net.mac, bytes(src), ARP, reply)


def arp_request(net, ip, wanted):
    return b"\0\x01\x08\0\x06\x04\0\x01" + net.mac + ip + bytes(6) + wanted


class Lab:
    """A controller that is also the root, and the nodes A, B, C on one wire."""

    def __init__(self, names="AB", nwids=(NWID,), **settings):
        self.wire = Wire()
        self.root = Host(CONTROLLER)
        self.root.am_upstream = True
        self.controller = self.root.controller = Controller(CONTROLLER)
        self.wire.add(self.root)
        self.hosts = {}
        for nwid in nwids:
            self.controller.networks[nwid] = dict(settings)
        for name in names:
            self.add(name)

    def add(self, name):
        host = Edge(identity(name))
        host.roots = [CONTROLLER.address]
        self.wire.add(host)
        self.hosts[name] = host
        return host

    def admit(self, names, nwid=NWID):
        for name in names:
            self.controller.members[(nwid, identity(name).address)] = [(IPS[name], 24)]

    def join(self, names, now=NOW, nwid=NWID):
        for name in names:
            self.hosts[name].vl2.join(now, nwid)
        self.wire.run(now)

    def net(self, name, nwid=NWID):
        return self.hosts[name].vl2.networks[nwid]

    def frame(self, now, source, dest, data, nwid=NWID):
        """Send one IPv4 frame; True if it arrived."""
        to = self.hosts[dest]
        before = len(to.delivered)
        self.hosts[source].vl2.tap_frame(
            now, nwid, self.net(source, nwid).mac, self.net(dest, nwid).mac, IPV4, data
        )
        self.wire.run(now)
        got = to.delivered[before:]
        assert len(got) <= 1
        if not got:
            return False
        assert got[0] == (self.net(source, nwid).mac, self.net(dest, nwid).mac, IPV4, data)
        return True

    def refresh(self, now, names, timestamp):
        """The minute passes: everybody named gets a configuration of this controller time."""
        self.controller.timestamp = timestamp
        for name in names:
            self.net(name).request.ask(now)
        self.wire.run(now)
