# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# A peer: another node's identity, the session key we share with it, its version and the paths that
# lead to it (VL1 7.1, 7.7). Pure state; the node decides what to send.

from . import inet
from ._compat import be16, const, elapsed, ticks_diff, u16
from .const import (
    VERB_EXT_FRAME,
    VERB_FRAME,
    VERB_MULTICAST_FRAME,
    VERB_NETWORK_CONFIG,
    VERB_NETWORK_CONFIG_REQUEST,
)
from .identity import Identity
from .path import EXPIRE_MS, LATENCY_UNKNOWN, TRUST_MS

ACTIVITY_MS = const(500000)

STATE_UNKNOWN = const(0)
STATE_DIRECT = const(1)
STATE_RELAYED = const(2)
STATE_UNREACHABLE = const(3)
STATE_NAMES = ("unknown", "direct", "relayed", "unreachable")

NONTRIVIAL = (
    VERB_FRAME,
    VERB_EXT_FRAME,
    VERB_NETWORK_CONFIG_REQUEST,
    VERB_NETWORK_CONFIG,
    VERB_MULTICAST_FRAME,
)
_CACHE_VERSION = const(2)
_MAX_CACHED_PATHS = const(8)


class Slot:
    """One path of one peer: `lr` is when it last carried a direct valid packet."""

    def __init__(self, path, now, priority=1):
        self.path = path
        self.lr = now
        self.priority = priority

    def expired(self, now):
        return elapsed(now, self.lr, EXPIRE_MS)


class Peer:
    def __init__(self, identity, key):
        self.identity = identity
        self.address = identity.address
        self.key = key  # 48 bytes, secret
        self.proto = 0
        self.version = (0, 0, 0)
        self.slots = []
        self.state = STATE_UNKNOWN
        self.known_since = None
        self.last_receive = None
        self.last_nontrivial = None
        self.last_trusted = None
        self.last_hello = None
        self.unanswered_since = None
        self.last_push = None
        self.push_received = None
        self.push_count = 0
        self.last_whois_answer = None
        self.last_try_remote = None
        self.hello_tries = 0
        self.cached_paths = ()

    # --- paths

    def best_slot(self, now):
        """The slot with the lowest quality per priority among the unexpired ones, or None."""
        best = None
        best_q = 0
        for s in self.slots:
            if s.lr is None or elapsed(now, s.lr, EXPIRE_MS):
                continue
            q = s.path.quality(now) // s.priority
            if best is None or q <= best_q:
                best = s
                best_q = q
        return best

    def best_path(self, now):
        s = self.best_slot(now)
        return s.path if s else None

    def any_path(self):
        """A path even if expired, the one heard last; for when nothing else is left."""
        return self.slots[-1].path if self.slots else None

    def slot_of(self, path):
        for s in self.slots:
            if s.path is path:
                return s
        return None

    def same_ip_alive(self, path, now):
        ip = path.remote[0]
        for s in self.slots:
            p = s.path
            if p.remote[0] == ip and p.local_socket == path.local_socket and p.alive(now):
                return True
        return False

    def learn(self, path, now, max_slots):
        """Add a path proven by a direct OK (VL1 7.3)."""
        new = Slot(path, now)
        ip = path.remote[0]
        for i, s in enumerate(self.slots):
            if s.path.remote[0] == ip and s.path.local_socket == path.local_socket:
                self.slots[i] = new  # the caller saw that it is not alive
                return new
        if len(self.slots) < max_slots:
            self.slots.append(new)
            return new
        oldest = 0
        for i, s in enumerate(self.slots):
            if s.path.age(now) > self.slots[oldest].path.age(now):
                oldest = i
        self.slots[oldest] = new
        return new

    def redirect(self, path, now, priority):
        """A cluster redirect: this path replaces lower priorities and the same IP (VL1 7.6)."""
        ip = path.remote[0]
        prefix = ip if len(ip) == 4 else ip[:8]
        self.slots = [
            s
            for s in self.slots
            if s.priority >= priority and s.path.remote[0][: len(prefix)] != prefix
        ]
        self.slots.append(Slot(path, now, priority))

    def prune(self, now):
        top = 0
        for s in self.slots:
            if s.priority > top:
                top = s.priority
        self.slots = [s for s in self.slots if s.priority >= top and not s.expired(now)]

    # --- time

    def active(self, now):
        return self.last_nontrivial is not None and not elapsed(
            now, self.last_nontrivial, ACTIVITY_MS
        )

    def trusted(self, now):
        return self.last_trusted is not None and not elapsed(now, self.last_trusted, TRUST_MS)

    def heard_within(self, now, ms):
        return self.last_receive is not None and not elapsed(now, self.last_receive, ms)

    def latency(self, now):
        """Round trip in ms of the best path, LATENCY_UNKNOWN if there is none."""
        p = self.best_path(now)
        return p.latency if p else LATENCY_UNKNOWN

    def upstream_score(self, now):
        """Lower is a better relay (VL1 7.7)."""
        lat = self.latency(now) or LATENCY_UNKNOWN
        if not self.heard_within(now, ACTIVITY_MS):
            return 0x3FFFFFFF
        return lat * (max(ticks_diff(now, self.last_receive), 0) // 61000 + 1)

    def can_echo(self):
        return self.proto >= 5 and self.version != (1, 1, 0)

    # --- cache file (VL1 8.3)

    def pack(self, now):
        paths = [s.path.remote for s in self.slots if not s.expired(now)][:_MAX_CACHED_PATHS]
        out = [
            bytes([_CACHE_VERSION]),
            self.identity.pack(),
            be16(self.proto),
            be16(self.version[0]),
            be16(self.version[1]),
            be16(self.version[2]),
            be16(len(paths)),
        ]
        out.extend([inet.pack(ip, port) for ip, port in paths])
        return b"".join(out)


def unpack_cache(data):
    """(identity, proto, version, [remote, ...]) of a peers.d file; ValueError if it is not one."""
    if len(data) < 1 + 71 + 10 or data[0] != _CACHE_VERSION:
        raise ValueError("not a peer cache file of version 2")
    identity, o = Identity.unpack(data, 1)
    if len(data) < o + 10:
        raise ValueError("peer cache file truncated")
    proto = u16(data, o)
    version = (u16(data, o + 2), u16(data, o + 4), u16(data, o + 6))
    count = u16(data, o + 8)
    o += 10
    remotes = []
    for _ in range(count):
        remote, o = inet.unpack(data, o)
        if remote and len(remotes) < _MAX_CACHED_PATHS:
            remotes.append(remote)
    return identity, proto, version, remotes
