# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# A stand-in for the module _ztplane, whose tables are dicts: what the tests of the plane's Python
# side look into. Two members of a private network on the simulated wire, one of them with such a
# plane.

from test_join import _authorize, _joined
from zt import mac as macs
from zt.plane import Plane

NEVER = 0xFFFFFFFF
IPV4 = 0x0800
authorize = _authorize


class FakeC:
    def __init__(self):
        self.peers = {}  # address -> (key, way, ttl)
        self.networks = {}  # index -> arguments
        self.members = {}  # (index, address) -> (flags, ttl, credentials)
        self.groups = {}
        self.peer_ages = {}  # address -> 7 + 2 numbers
        self.member_ages = {}
        self.net_counts = [0] * 10
        self.full = False
        self.quiet = False  # no frame goes to a group
        self.renewed = []
        self.waiting = []

    def names(self):
        return ["rx", "tx", "mac"]

    def counters(self, out):
        out[0] = 7
        out[1] = 5

    def peer_set(self, address, key, way, ttl):
        if self.full:
            self.peers.pop(address, None)
            return False
        assert len(key) == 48 and len(way) == 60 and 0 < ttl <= 6000
        self.peers[address] = (key, bytes(way), ttl)
        return True

    def peer_renew(self, address, ttl):
        self.renewed.append(address)
        return address in self.peers

    def peer_del(self, address):
        return self.peers.pop(address, None) is not None

    def peer_stats(self, address, out):
        ages = self.peer_ages.get(address)
        if ages is None or address not in self.peers:
            return False
        for i, v in enumerate(ages):
            out[i] = v
        return True

    def network_set(self, *args):
        index = len(self.networks)
        self.networks[index] = args
        return index

    def network_del(self, index):
        del self.networks[index]
        for table in (self.members, self.groups):
            for key in [k for k in table if k[0] == index]:
                del table[key]
        return True

    def network_stats(self, index, out):
        for i, v in enumerate(self.net_counts):
            out[i] = v
        return index in self.networks

    def member_set(self, index, address, flags, ttl, credentials):
        assert index in self.networks and 0 < ttl <= 6000
        self.members[(index, address)] = (flags, ttl, bytes(credentials))
        return True

    def member_renew(self, index, address, ttl):
        return (index, address) in self.members

    def member_del(self, index, address):
        return self.members.pop((index, address), None) is not None

    def member_stats(self, index, address, out):
        ages = self.member_ages.get(address, (NEVER, NEVER))
        out[0], out[1] = ages
        return (index, address) in self.members

    def group_set(self, index, group, gather, ttl, addresses):
        self.groups[(index, bytes(group))] = bytes(addresses)
        return True

    def group_renew(self, index, group, ttl):
        assert (index, bytes(group)) in self.groups
        if self.quiet:
            return False
        self.renewed.append(bytes(group))
        return True

    def group_del(self, index, group):
        return self.groups.pop((index, bytes(group)), None) is not None

    def flush(self, kinds, network):
        for bit, table in ((1, self.peers), (4, self.members), (8, self.groups)):
            if kinds & bit:
                for key in [k for k in table if network < 0 or k[0] == network]:
                    del table[key]

    def expire(self):
        pass

    def drain(self):
        return False

    def event(self, buf, meta):
        if not self.waiting:
            return -1
        head, data = self.waiting[0]
        if len(data) > len(buf):
            return -1 - len(data)
        del self.waiting[0]
        meta[: len(head)] = head
        buf[: len(data)] = data
        return len(data)

    def event_drop(self):
        del self.waiting[0]

    def stop(self):
        self.flush(0xFF, -1)


class _Card:
    def __init__(self, n):
        self.n = n


class _NICs:
    def __init__(self, nwid):
        self.by_nwid = {nwid: _Card(3)}
        self.frames = []

    def sent(self, now, n, frame, size):
        self.frames.append((n, bytes(frame[:size])))


class _Driver:
    def __init__(self, nwid):
        self.nics = _NICs(nwid)
        self.buf = bytearray(10240)
        self.buf_mv = memoryview(self.buf)


class World:
    """Root and controller R, members A and B; A has the plane `p` over the tables `c`."""

    def __init__(self, **kw):
        self.sim, self.nwid, self.r, self.a, self.b = _joined(**kw)
        self.c = FakeC()
        self.p = Plane(self.c, _Driver(self.nwid), self.a)
        self.a.use_plane(self.p)
        self.net = self.a.network(self.nwid)
        self.mac_a = macs.from_address(self.a.address, self.nwid)
        self.mac_b = macs.from_address(self.b.address, self.nwid)
        self.key = (0, self.b.address)

    def a_to_b(self, data=b"x" * 60):
        self.a.process_virtual_network_frame(
            self.sim.now, self.nwid, self.mac_a, self.mac_b, IPV4, 0, data
        )

    def b_to_a(self, data=b"y" * 60):
        self.b.process_virtual_network_frame(
            self.sim.now, self.nwid, self.mac_b, self.mac_a, IPV4, 0, data
        )

    def settled(self):
        """Frames went both ways and a direct path was found; all is in the tables."""
        for _ in range(3):
            self.a_to_b()
            self.b_to_a()
            self.sim.run(1500)
        self.a_to_b()
        self.b_to_a()
        self.sim.run(50)
        assert self.b.address in self.c.peers and self.key in self.c.members
        return self

    def index(self):
        return self.p.networks.get(self.nwid)

    def member(self):
        return self.c.members.get((self.index(), self.b.address))

    def peer(self):
        return self.a.topology.peers[self.b.address]
