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

# Who says that this address belongs to this key.
VOUCHED_PLANET = const(0)  # the signed list of roots
VOUCHED_SELF = const(1)  # the identity hash, run here
VOUCHED_ROOT = const(2)  # a root, when we asked for the address
VOUCHED_CACHE = const(3)  # what we stored ourselves; only peers that spoke are
VOUCHED_NAMES = ("planet", "self", "root", "cache")

NONTRIVIAL = (
    VERB_FRAME,
    VERB_EXT_FRAME,
    VERB_NETWORK_CONFIG_REQUEST,
    VERB_NETWORK_CONFIG,
    VERB_MULTICAST_FRAME,
)
_CACHE_VERSION = const(2)
_MAX_CACHED_PATHS = const(8)
_QUIET_MS = const(4000)
_FRESH_MS = const(30000)
_PROBES = const(5)
_PROBE_MS = const(900)  # probes go out each second; those closer together count as one
_DEAD_MS = const(4500)
_FORGET_MS = const(3600000)
_SECOND = const(1000)
_PUSH_CHAIN_MS = const(30000)
_PUSH_CHAIN_MAX = const(8)


class Slot:
    """One path of one peer: `lr` is when it last carried a direct valid packet.

    The reference keeps using a silent path for up to 243 s (VL1 7.14). We ask: a request that can
    only be answered directly is a probe, and when five of them went out over 4.5 s and more and
    nothing was answered, the path is `dead`: used only if there is neither another path nor a
    relay. Any direct OK makes it good again.
    """

    priority = 1
    owed = None  # of unanswered probes: when the first went out, when the last, how many

    def __init__(self, path, now, priority=1):
        self.path = path
        self.lr = now
        if priority != 1:
            self.priority = priority

    @property
    def asked(self):
        return None if self.owed is None else self.owed[0]

    @property
    def last_probe(self):
        return None if self.owed is None else self.owed[1]

    @property
    def probes(self):
        return 0 if self.owed is None else self.owed[2]

    def expired(self, now):
        return elapsed(now, self.lr, EXPIRE_MS)

    def quiet(self, now):
        """Nothing came for so long that who sends here should ask whether anybody listens."""
        return elapsed(now, self.lr, _QUIET_MS)

    def stale(self, now):
        """Dead, or silent for longer than any keep-alive: better asked before it is used."""
        return elapsed(now, self.lr, _FRESH_MS) or self.dead(now)

    def dead(self, now):
        owed = self.owed
        return owed is not None and owed[2] >= _PROBES and elapsed(now, owed[0], _DEAD_MS)

    def probed(self, now):
        """A HELLO or ECHO goes out here."""
        owed = self.owed
        if owed is None:
            self.owed = (now, now, 1)
        elif elapsed(now, owed[1], _PROBE_MS):
            self.owed = (owed[0], now, min(owed[2] + 1, 255))

    def answered(self):
        self.owed = None


class Peer:
    # What most peers never need stands here: an attribute takes memory once it is set.
    slots = ()
    vouched = VOUCHED_SELF
    software = (0, 0, 0, 0)  # protocol, major, minor, revision
    state = STATE_UNKNOWN
    known_since = None
    last_receive = None
    last_nontrivial = None
    last_trusted = None
    last_hello = None
    last_sent = None
    unanswered_since = None  # the first time after we heard it
    last_push = None
    pushes = None  # received in a row: when the last, how many but the first
    whois_window = None
    whois_answers = 0
    whois_unknown = 0
    last_echo_answer = None  # over a relay
    confirms = None  # HELLOs to new addresses: since when, how many
    last_world = None  # when we sent it our planet
    last_relay_probe = None
    last_try_remote = None
    hello_tries = 0
    cached_paths = ()
    candidate = None  # (path, when) it was heard from while we had another to the same IP
    redirect_to = None  # (remote, priority) it asked for and has not proven yet
    plane = None  # the data plane, while it uses our slots
    moved = None  # what it moved: packets and bytes from the peer, and to it

    def __init__(self, identity, key, vouched=VOUCHED_SELF):
        self.address = identity.address
        self.public = identity.public
        if vouched != self.vouched:
            self.vouched = vouched
        self.key = key  # 48 bytes, secret

    @property
    def identity(self):
        return Identity(self.address, self.public)  # a short life each; its keys are shared

    @property
    def proto(self):
        return self.software[0]

    @property
    def version(self):
        return self.software[1:]

    def runs(self, software, others):
        """What it runs; who runs the same among `others` has the tuple for both."""
        if self.software != software:
            for p in others:
                if p.software == software:
                    software = p.software
                    break
            self.software = software

    # --- paths

    def slots_changed(self):
        if self.plane is not None:
            self.plane.path_changed(self)

    def best_slot(self, now):
        """The slot with the lowest quality per priority among the unexpired ones, or None. A dead
        one only if all are.
        """
        best = None
        best_q = 0
        best_dead = False
        for s in self.slots:
            if s.lr is None or elapsed(now, s.lr, EXPIRE_MS):
                continue
            dead = s.dead(now)
            q = s.path.quality(now) // s.priority
            if best is None:
                better = True
            elif dead != best_dead:
                better = best_dead
            else:
                better = q < best_q or (q == best_q and s.priority >= best.priority)
            if better:
                best = s
                best_q = q
                best_dead = dead
        return best

    def live_slot(self, now):
        """best_slot(), but None if that one is dead."""
        s = self.best_slot(now)
        return None if s is None or s.dead(now) else s

    def best_path(self, now):
        s = self.best_slot(now)
        return s.path if s else None

    def any_path(self, now):
        """A path even if expired, the one heard last; for when nothing else is left."""
        best = None
        for s in self.slots:
            if best is None or s.path.age(now) <= best.path.age(now):
                best = s
        return best.path if best is not None else None

    def slot_of(self, path):
        for s in self.slots:
            if s.path is path:
                return s
        return None

    def same_ip(self, path, now):
        """The slot of a working path to the same IP, or None (VL1 7.3). One that owes us an answer
        is not taken for working: the peer may have come back on another port.
        """
        ip = path.remote[0]
        for s in self.slots:
            p = s.path
            if p.remote[0] == ip and p.local_socket == path.local_socket and p.alive(now):
                if s.asked is None or not elapsed(now, s.asked, _PROBE_MS):
                    return s
        return None

    def learn(self, path, now, max_slots):
        """Add a path proven by a direct OK (VL1 7.3)."""
        self.slots_changed()
        new = Slot(path, now)
        ip = path.remote[0]
        if self.redirect_to is not None and self.redirect_to[0] == path.remote:
            self.redirect(path, now, self.redirect_to[1])
            self.redirect_to = None
            return self.slots[-1]
        for i, s in enumerate(self.slots):
            if s.path.remote[0] == ip and s.path.local_socket == path.local_socket:
                return self._put(i, new)  # the caller saw that it is not alive
        if len(self.slots) < max_slots:
            self.slots += (new,)
            return new
        oldest = 0
        for i, s in enumerate(self.slots):
            if s.path.age(now) > self.slots[oldest].path.age(now):
                oldest = i
        return self._put(oldest, new)

    def _put(self, i, slot):
        self.slots = self.slots[:i] + (slot,) + self.slots[i + 1 :]
        return slot

    def redirect(self, path, now, priority):
        """A cluster redirect: this path replaces lower priorities and the same IP (VL1 7.6)."""
        self.slots_changed()
        ip = path.remote[0]
        prefix = ip if len(ip) == 4 else ip[:8]
        left = [
            s
            for s in self.slots
            if s.priority >= priority and s.path.remote[0][: len(prefix)] != prefix
        ]
        self.slots = tuple(left) + (Slot(path, now, priority),)

    def prune(self, now):
        top = 0
        for s in self.slots:
            if s.priority > top:
                top = s.priority
        left = [s for s in self.slots if s.priority >= top and not s.expired(now)]
        if len(left) != len(self.slots):
            self.slots_changed()
            self.slots = tuple(left)

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

    def confirm_allowed(self, now):
        """May one more HELLO go to an address this peer's packets came from? Eight a second: old
        packets may be replayed from invented addresses, and a HELLO is longer than many packets.
        """
        since, n = self.confirms or (None, 0)
        if elapsed(now, since, _SECOND):
            since, n = now, 0
        self.confirms = (since, n + 1)
        return n < 8

    def push_allowed(self, now):
        """Is it not sending one PUSH_DIRECT_PATHS after the other?"""
        last, n = self.pushes or (None, -1)
        n = 0 if elapsed(now, last, _PUSH_CHAIN_MS) else n + 1
        self.pushes = (now, n)
        return n < _PUSH_CHAIN_MAX

    def whois_allowed(self, now, most):
        """May it have one more answer to a WHOIS? `most` in a second."""
        if elapsed(now, self.whois_window, _SECOND):
            self.whois_window = now
            self.whois_answers = 0
            self.whois_unknown = 0
        self.whois_answers += 1
        return self.whois_answers <= most

    def forget_stale(self, now):
        """Drop times so old that the wrapping counter could make them look recent again."""
        for name in _TIMES:
            then = getattr(self, name)
            if then is not None and elapsed(now, then, _FORGET_MS):
                setattr(self, name, None)
        if self.pushes is not None and elapsed(now, self.pushes[0], _PUSH_CHAIN_MS):
            self.pushes = None
        if self.confirms is not None and elapsed(now, self.confirms[0], _SECOND):
            self.confirms = None

    def can_echo(self):
        return self.proto >= 5 and self.version != (1, 1, 0)

    # --- cache file (VL1 8.3)

    def pack(self, now):
        paths = [s.path.remote for s in self.slots if not s.expired(now)][:_MAX_CACHED_PATHS]
        out = [
            bytes([_CACHE_VERSION]),
            self.identity.pack(),
            b"".join([be16(n) for n in self.software]),
            be16(len(paths)),
        ]
        out.extend([inet.pack(ip, port) for ip, port in paths])
        return b"".join(out)


_TIMES = (
    "last_receive",
    "last_nontrivial",
    "last_trusted",
    "last_hello",
    "last_sent",
    "last_push",
    "whois_window",
    "last_echo_answer",
    "last_world",
    "last_relay_probe",
    "last_try_remote",
)


def unpack_cache(data):
    """(identity, proto, version, [remote, ...]) of a peers.d file; ValueError if it is not one."""
    if len(data) < 1 + 71 + 10 or data[0] != _CACHE_VERSION:
        raise ValueError("not a peer cache file of version 2")
    identity, o = Identity.unpack(data, 1)
    if identity.private is not None:
        raise ValueError("peer cache file with a secret key")
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
