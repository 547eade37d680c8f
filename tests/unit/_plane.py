# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The data plane of the core through ctypes, on the port of tests/core/plane_shim.c, for tests:
# builds the library, programs tables in the types of lib/zt, and gives back what was sent,
# delivered or handed to Python. CPython only.

import ctypes
import os
import subprocess
from ctypes import Structure, byref, c_int16, c_size_t, c_uint8, c_uint16, c_uint32, c_uint64

from zt import mac

HERE = os.path.dirname(os.path.abspath(__file__))
CORE = os.path.join(HERE, "..", "..", "firmware", "core")
SHIM = os.path.join(HERE, "..", "core", "plane_shim.c")
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror"]
SANITIZE = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

DROPPED, DONE, EVENT, KEPT = range(4)
PACKET, FRAME, COPY = 1, 2, 3
OPENED, WHOLE = 1, 2
ADMITTED, SENDABLE = 1, 2
SENT, DELIVERED = 1, 2
NET_BRIDGE, NET_REPLICATOR, NET_SIXPLANE, NET_RFC4193 = 1, 2, 4, 8
(
    FLUSH_PEERS,
    FLUSH_NETWORKS,
    FLUSH_MEMBERS,
    FLUSH_GROUPS,
    FLUSH_REASSEMBLY,
    FLUSH_EVENTS,
) = (1, 2, 4, 8, 16, 32)
NEVER = 0xFFFFFFFF
TTL = 6000


def sources():
    with open(os.path.join(CORE, "sources.mk")) as f:
        lines = [x.split() for x in f if x.startswith("CORE_SRC")]
    return [os.path.join(CORE, x[2]) for x in lines]


def build(path, cc, flags):
    """A library of the whole core and the shim."""
    command = [cc, *WARNINGS, *flags, "-I", CORE, "-fPIC", "-shared", "-o", path, SHIM]
    subprocess.run(command + sources(), check=True)
    return path


class Addr(Structure):
    _fields_ = [("ip", c_uint8 * 16), ("port", c_uint16), ("size", c_uint8), ("unused", c_uint8)]


class Path(Structure):
    _fields_ = [("remote", Addr), ("wire", c_int16), ("unused", c_uint16)]


class Way(Structure):
    _fields_ = [("path", Path), ("sources", Path * 2)]


class Net(Structure):
    _fields_ = [
        ("nwid", c_uint8 * 8),
        ("config_flags", c_uint32),
        ("multicast_limit", c_uint32),
        ("nic", c_int16),
        ("flags", c_uint16),
    ]


class LimitsC(Structure):
    _fields_ = [
        ("peers", c_uint16),
        ("networks", c_uint16),
        ("members", c_uint16),
        ("groups", c_uint16),
        ("group_members", c_uint16),
        ("reassembly", c_uint16),
        ("packet_bytes", c_uint16),
        ("unused", c_uint16),
        ("event_bytes", c_uint32),
        ("rules_bytes", c_uint32),
    ]


class Event(Structure):
    _fields_ = [
        ("kind", c_uint8),
        ("flags", c_uint8),
        ("wire", c_int16),
        ("network", c_int16),
        ("nic", c_int16),
        ("from_", Addr),
        ("address", c_uint8 * 5),
        ("copy_flags", c_uint8),
        ("n", c_uint16),
    ]


class Seg(Structure):
    _fields_ = [("p", ctypes.c_void_p), ("n", c_size_t)]


class NetStats(Structure):
    _fields_ = [
        ("rx_frames", c_uint64),
        ("rx_bytes", c_uint64),
        ("tx_frames", c_uint64),
        ("tx_bytes", c_uint64),
        ("drops", c_uint32 * 6),
    ]


class PeerStats(Structure):
    _fields_ = [
        ("rx_packets", c_uint64),
        ("rx_bytes", c_uint64),
        ("tx_packets", c_uint64),
        ("tx_bytes", c_uint64),
        ("rx_age", c_uint32),
        ("frame_age", c_uint32),
        ("source_age", c_uint32 * 2),
        ("tx_age", c_uint32),
    ]


class MemberStats(Structure):
    _fields_ = [("rx_age", c_uint32), ("tx_age", c_uint32)]


class Record(Structure):
    _fields_ = [
        ("kind", ctypes.c_int32),
        ("where", ctypes.c_int32),
        ("owned", ctypes.c_int32),
        ("n", c_uint32),
        ("to", Addr),
        ("bytes", ctypes.c_void_p),
    ]


def addr(remote):
    """An Addr of (ip, port) or None."""
    a = Addr()
    if remote is not None:
        ip, a.port = remote
        a.size = len(ip)
        a.ip[: len(ip)] = ip
    return a


def remote(a):
    return (bytes(a.ip[: a.size]), a.port) if a.size else None


def path(where):
    """A Path of (wire, (ip, port)) or None."""
    return Path() if where is None else Path(addr(where[1]), where[0])


def credentials(tags=(), capabilities=(), things=()):
    """The form of zt_plane.h. `tags` are (id, value), `things` (type, value)."""
    out = [b"\1" + i.to_bytes(4, "big") + v.to_bytes(4, "big") for i, v in sorted(tags)]
    out += [b"\2" + len(c).to_bytes(2, "big") + c for c in capabilities]
    out += [b"\3" + bytes((t,)) + bytes(v) + bytes(16 - len(v)) for t, v in things]
    return b"".join(out)


def load(path):
    lib = ctypes.CDLL(path)
    p, b, u32, i = ctypes.c_void_p, ctypes.c_char_p, c_uint32, ctypes.c_int
    signatures = {
        "zt_plane_size": (c_size_t, p),
        "zt_plane_sizes": (None, p, p),
        "zt_plane_init": (p, p, c_size_t, p, b, b, p, p),
        "zt_plane_wipe": (None, p),
        "zt_plane_peer_set": (i, p, u32, b, b, p, u32),
        "zt_plane_peer_path": (i, p, b, p),
        "zt_plane_peer_renew": (i, p, u32, b, u32),
        "zt_plane_peer_del": (i, p, b),
        "zt_plane_network_set": (i, p, p, b, c_size_t, b, c_size_t),
        "zt_plane_network_del": (i, p, i),
        "zt_plane_network_find": (i, p, b),
        "zt_plane_member_set": (i, p, u32, i, b, ctypes.c_uint, u32, b, c_size_t),
        "zt_plane_member_renew": (i, p, u32, i, b, u32),
        "zt_plane_member_del": (i, p, i, b),
        "zt_plane_group_set": (i, p, u32, i, b, b, u32, u32, b, c_size_t),
        "zt_plane_group_renew": (i, p, u32, i, b, b, u32),
        "zt_plane_group_del": (i, p, i, b, b),
        "zt_plane_flush": (None, p, ctypes.c_uint, i),
        "zt_plane_expire": (None, p, u32),
        "zt_plane_rx": (i, p, u32, i, p, p, c_size_t, p),
        "zt_plane_rx_run": (c_size_t, p, u32, i, p, p, c_size_t, c_size_t, p, p),
        "zt_plane_tx": (i, p, u32, i, p, c_size_t),
        "zt_plane_event_get": (i, p, p, p, c_size_t),
        "zt_plane_event_drop": (None, p),
        "zt_plane_counters": (None, p, p),
        "zt_plane_counter_name": (b, ctypes.c_uint),
        "zt_plane_network_stats": (i, p, i, p),
        "zt_plane_network_drop_name": (b, ctypes.c_uint),
        "zt_plane_peer_stats": (i, p, u32, b, p),
        "zt_plane_member_stats": (i, p, u32, i, b, p),
        "shim_hal": (p,),
        "shim_new": (p,),
        "shim_clear": (None, p),
        "shim_free": (None, p),
        "shim_count": (u32, p, ctypes.c_uint),
        "shim_slots": (None, p, ctypes.c_int32, ctypes.c_int32),
        "shim_answer": (None, p, p, u32, ctypes.c_int32, b, u32),
        "shim_take": (ctypes.POINTER(Record), p),
    }
    for name, (result, *arguments) in signatures.items():
        f = getattr(lib, name)
        f.restype = result
        f.argtypes = arguments
    return lib


def names(lib, function):
    out = []
    while (name := getattr(lib, function)(len(out))) is not None:
        out.append(name.decode())
    return out


UNIX = dict(
    peers=64,
    networks=4,
    members=64,
    groups=16,
    group_members=32,
    reassembly=16,
    packet_bytes=10024,
    event_bytes=65536,
    rules_bytes=65536,
)


class Plane:
    """One plane on a shim of its own. What a call sent or delivered is in `sent`, as (wire,
    remote, datagram), and `delivered`, as (nic, frame, owned), until clear().
    """

    def __init__(self, lib, address, random=bytes(16), skew=0, **limits):
        self.lib = lib
        self.address = address
        self.now = 1000
        self.limits = LimitsC(**dict(UNIX, **limits))
        self.shim = lib.shim_new()
        n = lib.zt_plane_size(byref(self.limits))
        assert n
        self.block = (c_uint8 * (n + skew)).from_buffer_copy(b"\xe7" * (n + skew))
        at = ctypes.addressof(self.block) + skew
        self.p = lib.zt_plane_init(
            at, n, byref(self.limits), address, random, lib.shim_hal(), self.shim
        )
        assert self.p
        self.counter_names = names(lib, "zt_plane_counter_name")
        self.drop_names = names(lib, "zt_plane_network_drop_name")
        self.buf = (c_uint8 * 10240)()
        self.sent = []
        self.delivered = []

    def close(self):
        self.lib.zt_plane_wipe(self.p)
        self.lib.shim_free(self.shim)

    # --- programming

    def peer(self, address, key, where=None, sources=(), ttl=TTL):
        way = Way(path(where))
        for i, s in enumerate(sources):
            way.sources[i] = path(s)
        return self.lib.zt_plane_peer_set(self.p, self.now, address, bytes(key), byref(way), ttl)

    def peer_path(self, address, where):
        return self.lib.zt_plane_peer_path(self.p, address, byref(path(where)))

    def peer_del(self, address):
        return self.lib.zt_plane_peer_del(self.p, address)

    def network(
        self, nwid, rules=b"\1\0", own=b"", config_flags=2, limit=32, nic=0, flags=0
    ):
        net = Net(config_flags=config_flags, multicast_limit=limit, nic=nic, flags=flags)
        net.nwid[:] = nwid
        return self.lib.zt_plane_network_set(
            self.p, byref(net), bytes(rules), len(rules), own, len(own)
        )

    def member(self, network, address, flags=ADMITTED | SENDABLE, raw=b"", ttl=TTL):
        return self.lib.zt_plane_member_set(
            self.p, self.now, network, address, flags, ttl, raw, len(raw)
        )

    def member_del(self, network, address):
        return self.lib.zt_plane_member_del(self.p, network, address)

    def group(self, network, m, addresses, adi=bytes(4), gather=0, ttl=TTL):
        return self.lib.zt_plane_group_set(
            self.p, self.now, network, m, adi, gather, ttl, b"".join(addresses), len(addresses)
        )

    def flush(self, kinds, network=-1):
        self.lib.zt_plane_flush(self.p, kinds, network)

    def expire(self):
        self.lib.zt_plane_expire(self.p, self.now)

    # --- moving

    def _collect(self):
        while r := self.lib.shim_take(self.shim):
            r = r.contents
            data = ctypes.string_at(r.bytes, r.n)
            if r.kind == SENT:
                self.sent.append((r.where, remote(r.to), data))
            else:
                self.delivered.append((r.where, data, bool(r.owned)))

    def rx(self, data, wire=1, source=(b"\x0a\0\0\1", 9993), owner=1):
        # A block of its own, so that a sanitizer sees a step outside it.
        block = (c_uint8 * len(data)).from_buffer_copy(data) if data else (c_uint8 * 1)()
        result = self.lib.zt_plane_rx(
            self.p, self.now, wire, byref(addr(source)), block, len(data), owner
        )
        self._collect()
        self.after = bytes(block)
        return result

    def rx_run(self, data, size, wire=1, source=(b"\x0a\0\0\1", 9993)):
        """(result of the last datagram, bytes used) of a message with datagrams of `size`."""
        block = (c_uint8 * len(data)).from_buffer_copy(data)
        result = ctypes.c_int()
        used = self.lib.zt_plane_rx_run(
            self.p, self.now, wire, byref(addr(source)), block, len(data), size, 1, byref(result)
        )
        self._collect()
        self.after = bytes(block)
        return result.value, used

    def tx(self, network, *pieces):
        """A frame in as many segments as there are pieces."""
        keep = [(c_uint8 * len(x)).from_buffer_copy(x) if x else None for x in pieces]
        segments = (Seg * max(len(keep), 1))()
        for s, k, x in zip(segments, keep, pieces):
            s.p = ctypes.addressof(k) if k is not None else None
            s.n = len(x)
        result = self.lib.zt_plane_tx(self.p, self.now, network, segments, len(keep))
        self._collect()
        for k, x in zip(keep, pieces):
            assert k is None or bytes(k) == x  # only read
        return result

    def events(self):
        """All that wait, as (Event, bytes)."""
        out = []
        while True:
            ev = Event()
            got = self.lib.zt_plane_event_get(self.p, byref(ev), self.buf, len(self.buf))
            if got != 1:
                assert got == 0
                return out
            out.append((ev, bytes(self.buf[: ev.n])))

    def clear(self):
        self.sent.clear()
        self.delivered.clear()

    # --- counters

    def counters(self):
        """Those that are not zero."""
        out = (c_uint32 * len(self.counter_names))()
        self.lib.zt_plane_counters(self.p, out)
        return {n: c for n, c in zip(self.counter_names, out) if c}

    def network_stats(self, network):
        out = NetStats()
        assert self.lib.zt_plane_network_stats(self.p, network, byref(out)) == 0
        return out

    def drops(self, network):
        stats = self.network_stats(network)
        return {n: c for n, c in zip(self.drop_names, stats.drops) if c}

    def peer_stats(self, address):
        out = PeerStats()
        if self.lib.zt_plane_peer_stats(self.p, self.now, address, byref(out)):
            return None
        return out

    def member_stats(self, network, address):
        out = MemberStats()
        if self.lib.zt_plane_member_stats(self.p, self.now, network, address, byref(out)):
            return None
        return out

    def shim_counts(self):
        """(kicks, slots given back, wrong calls, slots held)."""
        return tuple(self.lib.shim_count(self.shim, i) for i in range(4))


def frame(dst, src, ethertype, payload):
    return dst + src + ethertype.to_bytes(2, "big") + payload


def mac_of(address, nwid):
    return mac.from_address(address, nwid)
