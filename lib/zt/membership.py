# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What one network knows of its other members (VL2 5.7): their certificates, tags, capabilities
# and addresses owned, what was revoked, and when we last told them something. It decides who is
# admitted; it sends nothing and asks for no identity but through the function it is given.

from . import mac as macs
from ._compat import const, elapsed, ticks_add, ticks_diff
from .credential import (
    COM,
    OK,
    TYPE_CAPABILITY,
    TYPE_COM,
    TYPE_COO,
    TYPE_TAG,
    UNKNOWN_SIGNER,
    Capability,
    Ownership,
    Revocation,
    Tag,
)
from .held import HeldCapability, HeldCOM, HeldOwnership, HeldTag
from .rules import ACCEPT_ALL

NEW = const(0)
REDUNDANT = const(1)
REJECTED = const(2)
DEFERRED = const(3)
RESULTS = ("ACCEPTED_NEW", "ACCEPTED_REDUNDANT", "REJECTED", "DEFERRED")

NEVER = bytes(8)

_PUSH_MS = const(500000)  # VL2 5.8
_LIKE_MS = const(60000)  # VL2 6.4
_OLD_MS = const(86400000)


_NOTHING = {}  # never written to
_NONE = (_NOTHING, (), ())


class Member:
    """One remote member. Ticks that are None mean never."""

    # What most members never have stands here: an attribute takes memory once it is set.
    com = None  # a HeldCOM
    com_threshold = NEVER  # certificates up to then are void
    expelled = NEVER  # the same, but only by revocations meant for the certificate
    held = _NOTHING  # (type, id) -> Held
    thresholds = _NOTHING  # (type, id) -> timestamp
    floors = _NOTHING  # type -> timestamp, once thresholds were too many to keep apart
    last_push = None
    pushed = -1  # generation of our configuration at the last push
    last_like = None
    last_error = None
    seen = None
    # What follows from the above and one generation of our configuration.
    generation = -1
    allowed = False
    barred = False  # known to be excluded: nothing is sent to it either
    _usable = None

    def __init__(self, address, mac):
        self.address = address
        self.mac = mac

    def keep(self, kind, id, held):
        if self.held is _NOTHING:
            self.held = {}
        self.held[(kind, id)] = held

    def count(self, kind):
        """How many credentials of one kind it has."""
        return len([1 for k, _ in self.held if k == kind])

    def threshold(self, kind, id):
        t = self.thresholds.get((kind, id), NEVER)
        floor = self.floors.get(kind, NEVER)
        return t if t > floor else floor

    def revoke(self, kind, id, when, most):
        """Void everything of this kind and id up to `when`; never forgets, at worst voids more."""
        if (kind, id) not in self.thresholds and len(self.thresholds) >= most:
            floors = dict(self.floors)
            for (k, _), t in self.thresholds.items():
                if t > floors.get(k, NEVER):
                    floors[k] = t
            self.floors = floors
            self.thresholds = _NOTHING
        if self.thresholds is _NOTHING:
            self.thresholds = {}
        self.thresholds[(kind, id)] = when

    def refresh(self, generation, config, identity_of):
        """Work out admission and the usable credentials against our configuration, or None."""
        self.allowed = False
        if self.barred:
            self.barred = False
        if self._usable is not None:
            self._usable = None
        self.generation = generation
        if config is None:
            return
        if config.public:
            self.allowed = True
        elif self.com is None or self.com.timestamp <= self.com_threshold:
            if self.expelled != NEVER:
                self.barred = self.com is None or self.com.timestamp <= self.expelled
        elif config.com is not None:
            identity = identity_of(self.address)
            if identity is None:
                self.generation = -1
            else:
                self.allowed = config.com.agrees(self.com.com(config.nwid, identity), identity)
        if self.held and config.rules != ACCEPT_ALL:
            self._usable = self._sort(config)

    def _sort(self, config):
        """What the rules may use: ({tag: value}, capabilities, certificates of ownership)."""
        tags = {}
        capabilities = []
        coos = []
        ours = int.from_bytes(config.timestamp, "big")
        for (kind, id), c in self.held.items():
            timestamp = c.timestamp
            if abs(int.from_bytes(timestamp, "big") - ours) > config.ctmd:
                continue
            if timestamp <= self.threshold(kind, id):
                continue
            if kind == TYPE_TAG:
                tags[id] = c.value
            elif kind == TYPE_CAPABILITY:
                capabilities.append(c)
            else:
                coos.append(c)
        return tags, capabilities, coos

    # Asked by the rules; a network that accepts everything never asks.

    def usable(self):
        return self._usable or _NONE

    def tag(self, id):
        return self.usable()[0].get(id)

    def capabilities(self):
        return self.usable()[1]

    def owns_ip(self, ip):
        for c in self.usable()[2]:
            if c.owns_ip(ip):
                return True
        return False

    def owns_mac(self, mac):
        for c in self.usable()[2]:
            if c.owns_mac(mac):
                return True
        return False


class Members:
    """The member records of one network, bounded."""

    def __init__(self, nwid, limits):
        self.nwid = nwid
        self.limits = limits
        self.table = {}  # address -> Member
        self.evicted = 0
        # Short cuts for frames of a network without rules, emptied whenever anything changes
        # and once a minute: members nothing stands in the way of, to send to and to hear from.
        self.ready = {}  # MAC -> Member
        self.admitted = {}  # address -> Member
        self.on_change = None  # called with an address, or None for all, for the same reason

    def make(self, now, address):
        """The record of `address`, created if need be."""
        m = self.table.get(address)
        if m is None:
            if len(self.table) >= self.limits.members:
                self._evict(now)
            m = Member(address, macs.from_address(address, self.nwid))
            m.seen = now
            self.table[address] = m
        return m

    def _evict(self, now):
        self.limits.full("members")
        # Some at once, so that a flood of strangers costs one sort per many packets. A revocation
        # is given up last: without it the old certificate would be good again.
        order = []
        for m in self.table.values():
            rank = 2 if m.com_threshold != NEVER else 1 if m.allowed else 0
            order.append((rank, -ticks_diff(now, m.seen), m.address))
        order.sort()
        for _, _, address in order[: max(1, len(order) // 8)]:
            self.forget(address)
            self.evicted += 1

    def settle(self, address=None):
        """Empty the short cuts: something changes about one member, or about all."""
        if self.on_change is not None:
            self.on_change(address)
        if self.ready:
            self.ready.clear()
        if self.admitted:
            self.admitted.clear()

    def look_again(self, m):
        """Without short cuts at the next frame of this member, and to it: something is due."""
        self.ready.pop(m.mac, None)
        self.admitted.pop(m.address, None)

    def forget(self, address):
        self.settle(address)
        del self.table[address]

    def sweep(self, now):
        """Keep old ticks from wrapping; call about once a minute."""
        self.settle()
        for m in self.table.values():
            if m.last_push is not None and elapsed(now, m.last_push, _PUSH_MS):
                m.last_push = None
            if m.last_like is not None and elapsed(now, m.last_like, _LIKE_MS):
                m.last_like = None
            if m.last_error is not None:
                m.last_error = None
            if elapsed(now, m.seen, _OLD_MS):
                m.seen = ticks_add(now, -_OLD_MS)

    # --- credentials

    def add(self, now, c, identity_of):
        """Judge a credential: NEW, REDUNDANT, REJECTED, DEFERRED (identity c.unknown missing)."""
        if c.nwid != self.nwid:
            return REJECTED
        self.settle(c.issued_to)
        if isinstance(c, COM):
            return self._add_com(now, c, identity_of)
        if isinstance(c, Revocation):
            return self._add_revocation(now, c, identity_of)
        if isinstance(c, Tag):
            return self._add_other(now, TYPE_TAG, c, identity_of)
        if isinstance(c, Capability):
            return self._add_other(now, TYPE_CAPABILITY, c, identity_of)
        if isinstance(c, Ownership):
            return self._add_other(now, TYPE_COO, c, identity_of)
        return REJECTED

    def _add_com(self, now, c, identity_of):
        m = self.table.get(c.issued_to)
        if m is not None:
            if c.timestamp <= m.com_threshold:
                return REJECTED
            if m.com is not None:
                if c.timestamp < m.com.timestamp:
                    return REJECTED
                if m.com.same(c):
                    return REDUNDANT
        result = _verified(c, identity_of)
        if result == NEW:
            m = self.make(now, c.issued_to)
            m.com = HeldCOM(c, identity_of(m.address))
            m.generation = -1
        return result

    def _add_other(self, now, kind, c, identity_of):
        m = self.table.get(c.issued_to)
        if m is not None:
            old = m.held.get((kind, c.id))
            if old is not None:
                if old.timestamp > c.timestamp:
                    return REJECTED
                if old.same(c):
                    return REDUNDANT
            elif m.count(kind) >= self.limits.member_tags:
                return REJECTED
            if m.threshold(kind, c.id) >= c.timestamp:
                return REJECTED
        result = _verified(c, identity_of)
        if result == NEW:
            m = self.make(now, c.issued_to)
            m.keep(kind, c.id, _KEPT_AS[kind](c))
            m.generation = -1
        return result

    def _add_revocation(self, now, r, identity_of):
        kind = r.type
        if kind not in (TYPE_COM, TYPE_CAPABILITY, TYPE_TAG, TYPE_COO):
            return REJECTED
        m = self.table.get(r.target)
        if m is not None:
            if kind == TYPE_COM:
                known = max(m.com_threshold, m.expelled)
            else:
                known = m.threshold(kind, r.credential_id)
            if r.threshold <= known:
                return REDUNDANT
        result = _verified(r, identity_of)
        if result == NEW:
            m = self.make(now, r.target)
            if kind == TYPE_COM:
                m.expelled = r.threshold
            else:
                m.revoke(kind, r.credential_id, r.threshold, self.limits.member_thresholds)
            # Any revocation voids the certificate up to then as well, as the original does.
            if r.threshold > m.com_threshold:
                m.com_threshold = r.threshold
            m.generation = -1
        return result


_KEPT_AS = {TYPE_TAG: HeldTag, TYPE_CAPABILITY: HeldCapability, TYPE_COO: HeldOwnership}


def _verified(c, identity_of):
    v = c.verify(identity_of)
    if v == OK:
        return NEW
    return DEFERRED if v == UNKNOWN_SIGNER else REJECTED
