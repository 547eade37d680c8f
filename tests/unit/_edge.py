# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Stand-ins for the edge's tests: a host without sockets (Hal) and a node without a protocol
# (FakeNode).

from zt._compat import hexs, unhex
from zt.limits import Limits

LOOP = bytes((127, 0, 0, 1))
ETH = bytes((192, 0, 2, 7))
PRIVATE = bytes((10, 1, 1, 7))
ALL = bytes(4)
EADDRINUSE = 98


class Hal:
    """Records what is done to the host; `inbox` {handle: [(ip, port, bytes)]} is what it hears."""

    def __init__(self, stack=False):
        self.HAS_STACK = stack
        self.ifaces = [("lo", LOOP, 8), ("eth0", PRIVATE, 24)]
        self.taken = []  # (ip, port) somebody else has
        self.open = {}
        self.inbox = {}
        self.sent = []
        self.send_errors = {}
        self.calls = []
        self.frames = []
        self.groups = []
        self.pongs = []
        self._next = 10
        self._nic = 2
        self._random_port = 40000

    def interfaces(self):
        return self.ifaces

    def wire_open(self, ip, port):
        if (ip, port) in self.taken:
            raise OSError(EADDRINUSE, "taken")
        if not port:
            self._random_port += 1
            port = self._random_port
        self._next += 1
        self.open[self._next] = (ip, port)
        return self._next

    def wire_close(self, h):
        del self.open[h]

    def wire_port(self, h):
        return self.open[h][1]

    def wire_recv(self, h, buf, meta):
        queue = self.inbox.get(h)
        if not queue:
            return 0
        ip, port, data = queue.pop(0)
        buf[: len(data)] = data
        meta[0] = len(ip)
        meta[1 : 1 + len(ip)] = ip
        meta[17] = port >> 8
        meta[18] = port & 255
        return len(data)

    def wire_send(self, h, ip, port, data, n, ttl):
        error = self.send_errors.get(h, 0)
        if not error:
            self.sent.append((h, ip, port, bytes(data[:n]), ttl))
        return error

    def random(self, n):
        return bytes(range(n))

    # The stack.

    def nic_add(self, mac, mtu):
        self.calls.append(("add", mac, mtu))
        self._nic += 1
        return self._nic

    def nic_remove(self, n):
        self.calls.append(("remove", n))

    def nic_mtu(self, n, mtu):
        self.calls.append(("mtu", n, mtu))

    def nic_addr(self, n, ip, bits, add):
        self.calls.append(("addr", n, ip, bits, add))

    def nic_route(self, n, ip, bits, via, add):
        self.calls.append(("route", n, ip, bits, via, add))

    def nic_dns(self, domain, servers):
        self.calls.append(("dns", domain, servers))

    def nic_input(self, n, frame):
        self.calls.append(("input", n, bytes(frame)))

    def nic_recv(self, buf, meta):
        if not self.frames:
            return 0
        frame = self.frames.pop(0)
        buf[: len(frame)] = frame
        meta[0] = 3
        return len(frame)

    def nic_groups(self, n):
        return self.groups

    def stack_poll(self):
        return -1

    def ping_send(self, ip, ident, seq, payload):
        self.calls.append(("ping", ip, ident, seq))

    def ping_recv(self, buf):
        return self.pongs.pop(0) if self.pongs else None


class FakeNetwork:
    def __init__(self, nwid):
        self.nwid = nwid
        self.mac = b"\x02zt\0\0\1"
        self.mtu = 2800
        self.dns = None
        self.addresses = []
        self.routes = []
        self.status = "REQUESTING_CONFIGURATION"
        self.device = ""
        self.port_error = 0
        self.on_port_error = None

    def managed_addresses(self):
        return self.addresses

    def managed_routes(self):
        return self.routes

    def set_port_error(self, errno):
        self.port_error = errno
        if self.on_port_error:
            self.on_port_error()

    def describe(self):
        return {
            "nwid": hexs(self.nwid),
            "status": "PORT_ERROR" if self.port_error else self.status,
            "assignedAddresses": [],
        }


class FakeNode:
    limits = Limits()

    def __init__(self):
        self.address = unhex("1122334455")
        self.online = False
        self.packets = []
        self.frames = []
        self.groups = []
        self.local = None
        self.joined = {}
        self.closed = 0
        self.wait = 700
        self.fail = None
        self.changed_below = 0

    def set_local_addresses(self, addresses):
        self.local = addresses

    def network_changed_below(self, now):
        self.changed_below += 1

    def room(self, n):
        return memoryview(bytearray(n))

    def process_wire_packet(self, now, local_socket, remote, packet):
        if self.fail:
            raise self.fail
        self.packets.append((local_socket, remote, bytes(packet)))

    def process_virtual_network_frame(self, now, nwid, src, dst, ethertype, vlan, frame):
        self.frames.append((nwid, src, dst, ethertype, vlan, bytes(frame)))

    def process_background_tasks(self, now):
        return self.wait

    def multicast_subscribe(self, now, nwid, mac, adi=0):
        self.groups.append((mac, adi))

    def multicast_unsubscribe(self, now, nwid, mac, adi=0):
        self.groups.remove((mac, adi))

    def network(self, nwid):
        return self.joined.get(nwid)

    def networks(self):
        return [n.describe() for n in self.joined.values()]

    def join(self, now, nwid, settings=None):
        net = self.joined.setdefault(nwid, FakeNetwork(nwid))
        net.settings = settings

    def leave(self, now, nwid):
        return self.joined.pop(nwid, None) is not None

    def peers(self):
        return [{"address": "aabbccddee", "paths": []}]

    def status(self):
        return {"address": hexs(self.address), "online": self.online, "surfaceAddresses": ["x"]}

    def close(self, now):
        self.closed += 1
