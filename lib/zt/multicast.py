# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Who is interested in which multicast group, of every network we take part in as member, root or
# controller (VL2 6.4-6.6), and the frames that wait for more recipients to become known. It
# knows group keys and addresses; whether somebody may be told or sent anything is the caller's
# business.
#
# A group key is a MULTICAST_LIKE record: network id (8), MAC (6), ADI (4).

from ._compat import be16, be32, const, elapsed, ticks_add, ticks_diff
from .const import VERB_MULTICAST_FRAME, VERB_MULTICAST_GATHER

_MEMBER_MS = const(600000)
_QUEUE_MS = const(5000)
_GATHER_MS = const(60000)
_GATHER_SPACING_MS = const(500)  # our choice: a burst to an unknown group asks once
_EXPIRE_EVERY_MS = const(30000)
_MAX_GATHER_TARGETS = const(16)
_MAX_RESULTS = const(250)  # addresses in one answer, so that it fits one datagram


class Group:
    # Of most groups we only know the members: an attribute takes memory once it is set.
    queue = ()
    last_gather = None

    def __init__(self):
        self.members = {}  # address -> ticks of its last announcement


class Pending:
    """A frame sent to those known, waiting for others."""

    def __init__(self, net, parts, sent, left, until):
        self.net = net
        self.parts = (
            parts  # (payload, offset of the frame, source MAC, destination MAC, EtherType)
        )
        self.sent = sent
        self.left = left
        self.until = until


class Multicast:
    def __init__(self, host):
        self.host = host
        self.limits = host.limits
        self.plane = None  # the data plane in C, where there is one
        self.groups = {}
        self.waiting = set()  # keys of groups with a queue
        self.queued_bytes = 0
        self.evicted = 0
        self.queue_full = 0
        self._next_expire = None

    def _group(self, key):
        g = self.groups.get(key)
        if g is None:
            if len(self.groups) >= self.limits.multicast_groups:
                self._evict()
            g = self.groups[key] = Group()
        return g

    def _evict(self):
        self.limits.full("multicast_groups")
        # The smallest first: a stranger can invent groups, but not members for them.
        order = [(len(g.members), k) for k, g in self.groups.items() if not g.queue]
        order.sort()
        for _, k in order[: max(1, len(order) // 8)]:
            del self.groups[k]
            self.evicted += 1
        if not order:
            key = next(iter(self.groups))
            self._unqueue_all(key)
            del self.groups[key]
            self.evicted += 1

    def members(self, key):
        g = self.groups.get(key)
        return g.members if g else {}

    def add(self, now, key, address):
        """`address` announced or was reported for the group; frames that wait for it go out."""
        g = self._group(key)
        members = g.members
        if address not in members:
            self._changed(key)
        if address not in members and len(members) >= self.limits.group_members:
            oldest = None
            for a, t in members.items():
                if oldest is None or ticks_diff(t, members[oldest]) < 0:
                    oldest = a
            del members[oldest]
        members[address] = now
        if g.queue:
            for p in list(g.queue):
                if address in p.sent or ticks_diff(now, p.until) >= 0:
                    continue
                p.sent.add(address)
                if p.net.send_multicast(now, address, *p.parts):
                    p.left -= 1
                    if p.left <= 0:
                        self._unqueue(key, g, p)

    def remove(self, key, address):
        g = self.groups.get(key)
        if g:
            g.members.pop(address, None)
            self._changed(key)

    def _changed(self, key):
        if self.plane is not None:
            self.plane.group_changed(key)

    def forget_network(self, nwid):
        for key in list(self.groups):
            if key[:8] == nwid:
                self._unqueue_all(key)
                g = self.groups[key]
                if g.last_gather is not None:
                    g.last_gather = None
                if not g.members or not (self.host.am_upstream or self.host.controller):
                    del self.groups[key]

    # --- gathering

    def results(self, key, asker, limit, own):
        """Gather results (VL2 6.5) for `asker`, or None if there is nobody to name."""
        known = self.members(key)
        total = len(known) + (1 if own else 0)
        limit = min(limit, _MAX_RESULTS)
        out = [self.host.address] if own and limit else []
        others = [a for a in known if a != asker and a != self.host.address]
        out.extend(self._shuffled(others, limit - len(out)))
        if not out:
            return None
        return be32(total) + be16(len(out)) + b"".join(out)

    def add_results(self, now, key, data):
        """Take gather results from a peer we asked; ValueError if they run over their end."""
        if len(data) < 6:
            raise ValueError("gather results truncated")
        count = data[4] << 8 | data[5]
        if len(data) < 6 + 5 * count:
            raise ValueError("gather results truncated")
        for i in range(6, 6 + 5 * min(count, self.limits.group_members), 5):
            address = bytes(data[i : i + 5])
            if address != self.host.address:
                self.add(now, key, address)

    def _gather(self, now, net, key, limit):
        com = net.config.com
        com = com.pack() if com is not None else b""
        flags = b"\x01" if com else b"\x00"
        targets = []
        best = self.host.best_upstream(now)
        if best is not None:
            targets.append(best)
        if not net.adhoc:
            targets.append(net.controller)
        specialists = list(net.keepers)
        targets.extend(self._shuffled(specialists, len(specialists)))
        asked = set([self.host.address])
        for t in targets:
            if t not in asked and len(asked) <= _MAX_GATHER_TARGETS:
                asked.add(t)
                self.host.send(
                    now, t, VERB_MULTICAST_GATHER, net.nwid, flags, key[8:], be32(limit), com
                )

    # --- sending

    def send(self, now, net, key, source, origin, ethertype, frame):
        """Send a multicast of network `net` (VL2 6.6).

        `source` is None for our own MAC; `origin` is the member we replicate for, or None.
        """
        config = net.config
        frame = bytes(frame)[:10000]
        if net.replicators and not net.is_bridge and not net.is_replicator:
            best = self._replicator(now, net)
            if best is not None:
                head = b"".join((net.nwid, b"\x0c", source or net.mac, key[8:], be16(ethertype)))
                self.host.send(now, best, VERB_MULTICAST_FRAME, head, frame)
                return
        g = self._group(key)
        limit = config.multicast_limit
        room = limit - len(g.members)
        gather = 1 if room <= 0 else room + 1
        if room > 0:
            spacing = _GATHER_MS if g.members else _GATHER_SPACING_MS
            if elapsed(now, g.last_gather, spacing):
                g.last_gather = now
                self._gather(now, net, key, gather)
        flags = b"\x06" if source else b"\x02"
        head = b"".join((net.nwid, flags, be32(gather), source or b"", key[8:], be16(ethertype)))
        parts = (head + frame, len(head), source or net.mac, key[8:14], ethertype)
        sent = set([self.host.address])
        if origin is not None:
            sent.add(origin)
        left = limit
        order = list(net.bridges)
        order.extend(self._shuffled(list(g.members), limit + len(order) + 1))
        for address in order:
            if left <= 0:
                break
            if address not in sent:
                sent.add(address)
                if net.send_multicast(now, address, *parts):
                    left -= 1
        if room > 0 and left > 0:
            self._queue(now, key, g, Pending(net, parts, sent, left, ticks_add(now, _QUEUE_MS)))

    def due(self, now, net, key):
        """Would a frame to this group ask for more members now, or leave some out?"""
        g = self.groups.get(key)
        if g is None:
            return True
        room = net.config.multicast_limit - len(g.members)
        if room <= 0:
            return room < 0
        return elapsed(now, g.last_gather, _GATHER_MS if g.members else _GATHER_SPACING_MS)

    def _replicator(self, now, net):
        best = None
        best_latency = 0
        for address in net.replicators:
            if not self.host.peer_alive(now, address):
                continue
            latency = self.host.peer_latency(address)
            if latency is None:
                continue
            if best is None or latency < best_latency:
                best = address
                best_latency = latency
        return best

    def _queue(self, now, key, g, pending):
        size = len(pending.parts[0])
        if len(g.queue) >= self.limits.multicast_queue:
            self._unqueue(key, g, g.queue[0])
            self.queue_full += 1
        if self.queued_bytes + size > self.limits.multicast_queue_bytes:
            self.queue_full += 1
            return
        if g.queue:
            g.queue.append(pending)
        else:
            g.queue = [pending]
        self.queued_bytes += size
        self.waiting.add(key)

    def _unqueue(self, key, g, pending):
        g.queue.remove(pending)
        self.queued_bytes -= len(pending.parts[0])
        if not g.queue:
            g.queue = ()
            self.waiting.discard(key)

    def _unqueue_all(self, key):
        g = self.groups[key]
        for p in list(g.queue):
            self._unqueue(key, g, p)

    def _shuffled(self, items, wanted):
        """Up to `wanted` of the list in random order; the list is changed."""
        n = len(items)
        wanted = max(0, min(wanted, n))
        if n > 1 and wanted:
            r = self.host.random(2 * wanted)
            for i in range(wanted):
                j = i + (r[2 * i] << 8 | r[2 * i + 1]) % (n - i)
                items[i], items[j] = items[j], items[i]
        return items[:wanted]

    # --- time

    def tick(self, now):
        """Drop what is too old; ms until there is something to do."""
        wait = _EXPIRE_EVERY_MS
        for key in list(self.waiting):
            g = self.groups[key]
            for p in list(g.queue):
                left = ticks_diff(p.until, now)
                if left <= 0:
                    self._unqueue(key, g, p)
                elif left < wait:
                    wait = left
        if self._next_expire is None or ticks_diff(self._next_expire, now) <= 0:
            self._next_expire = ticks_add(now, _EXPIRE_EVERY_MS)
            self._expire(now)
        return min(wait, ticks_diff(self._next_expire, now))

    def _expire(self, now):
        for key in list(self.groups):
            g = self.groups[key]
            old = [a for a, t in g.members.items() if elapsed(now, t, _MEMBER_MS)]
            for a in old:
                del g.members[a]
            if old:
                self._changed(key)
            if g.last_gather is not None and elapsed(now, g.last_gather, _GATHER_MS):
                g.last_gather = None
            if not g.members and not g.queue and g.last_gather is None:
                del self.groups[key]
