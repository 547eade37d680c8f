# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# A host for VL2 without VL1, a wire that joins several of them, and a controller that signs real
# configurations: what the tests of the VL2 modules share.

from _vectors import load
from zt import const
from zt._compat import be64
from zt.const import VERB_ERROR, VERB_OK
from zt.credential import COM
from zt.identity import Identity
from zt.limits import Limits
from zt.netconf import NetworkConfig, pack_chunks
from zt.vl2 import VL2

V = load("vl2.json")
NWID = bytes.fromhex(V["network_id"])
BASE = V["base_timestamp"]
NOW = 5000
# A's configuration in most of the vectors.
CONFIG = bytes.fromhex(V["inbound"][0]["config"])


def identity(name):
    return Identity.parse(V["identities"][name]["secret"])


def public(name):
    return Identity.parse(V["identities"][name]["public"])


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


class Host:
    """What VL2 asks of a node; remembers what it was told."""

    def __init__(self, me, known=(), limits=None):
        self.identity = me
        self.address = me.address
        self.limits = limits or Limits()
        self.identities = {i.address: i for i in known}
        self.roots = []
        self.am_upstream = False
        self.controller = None
        self.alive = {}
        self.store = {}
        self.sent = []
        self.delivered = []
        self.changes = []
        self.asked = []
        self.wire = None
        self.now_ms = BASE
        self._random = 1
        self._id = 0
        self.vl2 = VL2(self)

    def random(self, n):
        out = bytearray(n)
        for i in range(n):
            self._random = (self._random * 1103 + 12345) % 65521
            out[i] = self._random >> 4 & 0xFF
        return bytes(out)

    def clock(self):
        return self.now_ms

    def send(self, now, dest, verb, *parts):
        if dest == self.address:
            return None
        self._id += 1
        packet_id = b"\x77" + self.address[:3] + self._id.to_bytes(4, "big")
        payload = b"".join([bytes(p) for p in parts])
        self.sent.append((dest, verb, payload))
        if self.wire is not None:
            self.wire.put(now, self, dest, verb, packet_id, payload)
        return packet_id

    def identity_of(self, address):
        if address == self.address:
            return self.identity
        return self.identities.get(address)

    def whois(self, now, address):
        self.asked.append(address)

    def upstreams(self):
        return self.roots

    def best_upstream(self, now):
        return self.roots[0] if self.roots else None

    def is_upstream(self, address):
        return address in self.roots

    def peer_alive(self, now, address):
        return address in self.alive

    def peer_latency(self, address):
        return self.alive.get(address)

    def deliver(self, nwid, src, dst, ethertype, frame):
        self.delivered.append((bytes(src), bytes(dst), ethertype, bytes(frame)))

    def network_changed(self, nwid, what):
        self.changes.append((nwid, what))

    def load(self, kind, key):
        return self.store.get((kind, key))

    def save(self, kind, key, data):
        if data is None:
            self.store.pop((kind, key), None)
        else:
            self.store[(kind, key)] = data

    # for tests

    def learn(self, now, who):
        self.identities[who.address] = who
        self.vl2.identity_learned(now, who)

    def take(self):
        """What was sent since the last call."""
        out = self.sent
        self.sent = []
        return out

    def handle(self, now, verb, source, payload, packet_id=b"\x01\x02\x03\x04\x05\x06\x07\x08"):
        """Hand a packet to VL2; (result, [(verb, payload)] of the replies)."""
        replies = []

        def reply(verb, *parts):
            replies.append((verb, b"".join([bytes(p) for p in parts])))

        result = self.vl2.handle(now, verb, source, packet_id, memoryview(payload), reply)
        return result, replies

    def with_config(self, now, config, nwid=NWID):
        """Join with this configuration in the cache; the Network, with `sent` emptied."""
        self.store[("network", nwid)] = config
        net = self.vl2.join(now, nwid)
        self.take()
        return net


class Wire:
    """Joins hosts: packets are delivered in order by run(), parked ones are offered again."""

    def __init__(self):
        self.hosts = {}
        self.queue = []
        self.parked = []
        self.log = []

    def add(self, host):
        host.wire = self
        self.hosts[host.address] = host
        for other in self.hosts.values():
            host.identities[other.address] = other.identity
            other.identities[host.address] = host.identity

    def put(self, now, host, dest, verb, packet_id, payload):
        self.queue.append((host.address, dest, verb, packet_id, payload))

    def run(self, now, rounds=200):
        """Deliver everything until nothing moves; `rounds` bounds a loop of answers."""
        for _ in range(rounds):
            if not self.queue:
                return
            while self.queue:
                work = self.queue
                self.queue = []
                for item in work:
                    self._deliver(now, item)
            again = self.parked
            self.parked = []
            for item in again:
                self._deliver(now, item)
        raise ValueError("the wire does not come to rest")

    def _deliver(self, now, item):
        source, dest, verb, packet_id, payload = item
        self.log.append((source, dest, verb))
        host = self.hosts.get(dest)
        if host is None:
            return
        p = memoryview(payload)
        if verb == VERB_OK:
            host.vl2.ok(now, source, p[0], bytes(p[1:9]), p[9:])
        elif verb == VERB_ERROR:
            host.vl2.error(now, source, p[0], bytes(p[1:9]), p[9], p[10:])
        else:

            def reply(verb, *parts):
                host.send(now, source, verb, *parts)

            if host.vl2.handle(now, verb, source, packet_id, p, reply) == 3:
                self.parked.append(item)

    def tick(self, now):
        for host in self.hosts.values():
            host.vl2.tick(now)
        self.run(now)


class Controller:
    """Answers configuration requests as a controller would, with real signatures."""

    def __init__(self, me):
        self.identity = me
        self.networks = {}  # nwid -> dict of settings
        self.members = {}  # (nwid, address) -> static ips
        self.served = {}
        self.timestamp = BASE
        self.window = 1800000
        self.updates = 0

    def config(self, nwid, member, **changes):
        settings = self.networks[nwid]
        c = NetworkConfig()
        c.nwid = nwid
        c.timestamp = be64(self.timestamp)
        c.ctmd = self.window
        c.revision = 1
        c.issued_to = member.address
        c.flags = 2
        c.multicast_limit = 32
        c.rules = b"\x01\x00"
        c.static_ips = self.members[(nwid, member.address)]
        c.com = COM.issue(nwid, member, be64(self.timestamp), self.window)
        c.com.sign(self.identity)
        for name in settings:
            setattr(c, name, settings[name])
        for name in changes:
            setattr(c, name, changes[name])
        return c

    def chunks(self, nwid, member, **changes):
        self.updates += 1
        text = self.config(nwid, member, **changes).pack()
        return pack_chunks(self.identity, nwid, text, be64(self.updates))

    def request(self, now, nwid, member, packet_id, metadata, reply):
        if nwid not in self.networks:
            reply(VERB_ERROR, b"\x0b", packet_id, b"\x03", nwid)
        elif (nwid, member.address) not in self.members:
            reply(VERB_ERROR, b"\x0b", packet_id, b"\x07", nwid)
        else:
            self.served[(nwid, member.address)] = now
            for chunk in self.chunks(nwid, member):
                reply(VERB_OK, b"\x0b", packet_id, chunk)

    def authorized_recently(self, now, nwid, address):
        return (nwid, address) in self.served


# What single tests do to a host.


def status_of(host, nwid=NWID):
    return const.NET_STATUS_NAMES[host.vl2.networks[nwid].status]


def requests_of(host):
    return [p for _, v, p in host.take() if v == const.VERB_NETWORK_CONFIG_REQUEST]


def changed(**changes):
    config = NetworkConfig.parse(CONFIG)
    for name in changes:
        setattr(config, name, changes[name])
    return config.pack()


_updates = [1]


def answer(host, now, config):
    """The controller's OK with this configuration."""
    _updates[0] += 1
    for chunk in pack_chunks(identity("controller"), NWID, config, be64(_updates[0])):
        host.vl2.ok(now, identity("controller").address, 0x0B, bytes(8), memoryview(chunk))
