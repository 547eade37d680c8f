# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The controller's networks and members: JSON objects, one state object each, all of them in
# memory. It knows where they are kept, counts revisions and sets damaged ones aside; what the
# fields mean is not its business.

from .. import log
from .._compat import const, hexs
from ..jsontext import dumps, loads
from . import fields

MAX_NETWORKS = const(256)  # our choice; create refuses
# Per network, our choice; a stranger that nobody authorized gives way, else a new one is refused.
MAX_MEMBERS = const(4096)

_NETWORK = "controller.network"
_MEMBER = "controller.member"
_STATE = "controller.state"


class Database:
    def __init__(self, storage, now):
        """Reads everything; `now` (wall clock ms) stands in for dates that a record lacks."""
        self.storage = storage
        self.networks = {}  # nwid -> object
        self.members = {}  # nwid -> {address -> object}
        for nwid in storage.keys(_NETWORK):
            record = self._load(_NETWORK, nwid, fields.new_network(hexs(nwid), now))
            if record is not None:
                self.networks[nwid] = record
                self.members[nwid] = {}
        for key in storage.keys(_MEMBER):
            if key[:8] in self.networks:
                template = fields.new_member(hexs(key[:8]), hexs(key[8:]), now)
                record = self._load(_MEMBER, key, template)
                if record is not None:
                    self.members[key[:8]][key[8:]] = record

    def _load(self, kind, key, template):
        """A stored object, sound and whole; None if there is none (a damaged one is set aside)."""
        try:
            data = self.storage.get(kind, key)
            return fields.restore(loads(data), template)
        except OSError as e:
            log.error("controller", "%s %s cannot be read: %s" % (kind, hexs(key), e))
            return None
        except (ValueError, TypeError, KeyError) as e:
            log.error("controller", "%s %s is damaged: %s" % (kind, hexs(key), e))
        if hasattr(self.storage, "set_aside"):
            self.storage.set_aside(kind, key)
        return None

    # Each save compares with what is held: the same content is not written and not a new revision.

    def save_network(self, nwid, record):
        """Store a network; True if anything changed. OSError: nothing did."""
        old = self.networks.get(nwid)
        if old is None and len(self.networks) >= MAX_NETWORKS:
            raise ValueError("this controller has all the networks it can hold")
        if not self._save(_NETWORK, nwid, old, record):
            return False
        self.networks[nwid] = record
        self.members.setdefault(nwid, {})
        return True

    def save_member(self, nwid, address, record):
        old = self.members[nwid].get(address)
        if old is None and len(self.members[nwid]) >= MAX_MEMBERS and not self._make_room(nwid):
            raise ValueError("this network has all the members it can hold")
        if not self._save(_MEMBER, nwid + address, old, record):
            return False
        self.members[nwid][address] = record
        return True

    def _save(self, kind, key, old, record):
        if old is not None:
            record["revision"] = old["revision"]
            if record == old:
                return False
        record["revision"] += 1
        self.storage.put(kind, dumps(record).encode(), key)
        return True

    def _make_room(self, nwid):
        """Forget the oldest member that asked once and that nobody has touched since."""
        members = self.members[nwid]
        oldest = None
        for address in members:
            m = members[address]
            if m["authorized"] or m["lastAuthorizedTime"] or m["ipAssignments"] or m.get("name"):
                continue
            if m.get("identity") and (oldest is None or m["creationTime"] < oldest[0]):
                oldest = (m["creationTime"], address)
        if oldest is None:
            return False
        log.warn("controller", "network %s is full: a stranger was forgotten" % hexs(nwid))
        self.delete_member(nwid, oldest[1])
        return True

    def delete_network(self, nwid):
        for address in list(self.members[nwid]):
            self.delete_member(nwid, address)
        self.storage.put(_NETWORK, None, nwid)
        del self.members[nwid]
        return self.networks.pop(nwid)

    def delete_member(self, nwid, address):
        self.storage.put(_MEMBER, None, nwid + address)
        return self.members[nwid].pop(address)

    # The last timestamp issued, or an upper bound of it.

    def load_time(self):
        try:
            data = self.storage.get(_STATE)
            if data is None:
                return 0
            return int(loads(data)["lastTimestamp"])
        except (ValueError, TypeError, KeyError):
            log.error("controller", "controller.state is damaged; times follow the wall clock")
            if hasattr(self.storage, "set_aside"):
                self.storage.set_aside(_STATE)
            return 0

    def save_time(self, ms):
        self.storage.put(_STATE, dumps({"version": 1, "lastTimestamp": ms}).encode())
