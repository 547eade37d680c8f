# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The groups one network listens to, for itself and for those behind it, who is told of them (VL2
# 6.4), and the MACs learned behind bridges (6.8). Base class of Network, which provides config,
# members, host. Who else listens to what is in multicast.py.

from . import mac as macs
from ._compat import const, ticks_diff
from .const import VERB_MULTICAST_LIKE
from .netdrops import GROUPS_FULL

BROADCAST_GROUP = macs.BROADCAST + bytes(4)
FLAG_BROADCAST = const(0x02)
_LIKES_PER_PACKET = const(76)  # fits one datagram


class Groups:
    def _init_groups(self):
        self.groups = set()  # group keys (multicast.py) the local stack listens to
        self.bridged = {}  # group key behind us -> ticks
        self.routes = {}  # MAC behind a bridge -> the bridge's address
        self._quiet = False  # while True new groups are collected, not announced one by one

    def all_groups(self):
        """Keys of all groups we announce, sorted."""
        keys = set(self.groups)
        if self.config is not None and self.config.flags & FLAG_BROADCAST:
            keys.add(self.nwid + BROADCAST_GROUP)
        keys.update(self.bridged)
        return sorted(keys)

    def subscribed(self, key):
        if key in self.groups or key in self.bridged:
            return True
        return (
            key[8:] == BROADCAST_GROUP
            and self.config is not None
            and self.config.flags & FLAG_BROADCAST != 0
        )

    def subscribe(self, now, key):
        if key in self.groups:
            return True
        if len(self.groups) >= self.host.limits.groups:
            self.drops[GROUPS_FULL] += 1
            self.host.limits.full("groups")
            return False
        self.groups.add(key)
        if not self._quiet:
            self.announce(now, [key])
        return True

    def unsubscribe(self, key):
        self.groups.discard(key)

    def bridged_group(self, now, key):
        """Somebody behind us sends to this group: we want its traffic for them."""
        new = not self.subscribed(key)
        if new and len(self.bridged) >= self.host.limits.bridged_groups:
            oldest = None
            for k, t in self.bridged.items():
                if oldest is None or ticks_diff(t, self.bridged[oldest]) < 0:
                    oldest = k
            del self.bridged[oldest]
        if key not in self.groups:
            self.bridged[key] = now
        if new:
            self.announce(now, [key])

    def _infrastructure(self):
        """Who keeps track of groups for others: roots, the controller, anchors and replicators."""
        targets = set(self.host.upstreams())
        if not self.adhoc:
            targets.add(self.controller)
        targets.update(self.keepers)
        targets.discard(self.address)
        return sorted(targets)

    def announce(self, now, keys):
        """Tell of new groups at once: the infrastructure and the members admitted."""
        if not keys or self.config is None:
            return
        told = self._infrastructure()
        for address in told:
            self._send_likes(now, address, keys)
        for m in list(self.members.table.values()):
            if m.address != self.address and m.address not in told and self._admits(m):
                self._send_likes(now, m.address, keys)

    def like(self, now, m):
        m.last_like = now
        self._send_likes(now, m.address, self.all_groups())

    def _send_likes(self, now, address, keys):
        for i in range(0, len(keys), _LIKES_PER_PACKET):
            payload = b"".join(keys[i : i + _LIKES_PER_PACKET])
            self.host.send(now, address, VERB_MULTICAST_LIKE, payload)

    # --- bridges

    def learn_route(self, mac, address):
        """`mac` was seen behind the bridge `address`."""
        routes = self.routes
        if mac not in routes and len(routes) >= self.host.limits.bridge_routes:
            count = {}
            for a in routes.values():
                count[a] = count.get(a, 0) + 1
            worst = None
            for a in count:
                if worst is None or count[a] > count[worst]:
                    worst = a
            for k in [k for k, a in routes.items() if a == worst]:
                del routes[k]
        routes[mac] = address
