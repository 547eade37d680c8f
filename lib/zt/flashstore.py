# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The state of a board, with store.FileStore's interface. What the owner decides is in the
# settings; what only saves time (peers, configurations) is a cache in files with a checksum,
# written seldom: a file is replaced when it would change and its last writing is ten minutes ago.
# A file that is damaged is set aside, named, and survived.

import binascii
import os

from . import log, osutil, settings
from ._compat import be16, be32, const, elapsed, hexs, ticks_diff, ticks_ms, u16, u32, wall_ms

EVERY_MS = 600000  # of limits.py: config_save_ms
PEERS_MAX = const(16)  # our choice: records in the cache, those stored last first

_MAGIC = b"ZTC1"  # a file: magic, checksum of the rest, seconds since 1970, data
_CARRIED = b"ZTR1"  # what goes through a deep sleep: magic, checksum of the rest, records
_HEAD = const(12)
_PEERS = "peers"
_SETTINGS = ("identity.secret", "identity.public", "planet")
_PROBLEMS = const(4)  # remembered; our choice
_PRIVATE = const(0o600)


class FlashStore:
    """`carried` is what carry() gave before a deep sleep, or None. tick() does all the writing of
    caches, so nothing is written while a packet is processed."""

    def __init__(self, owner, folder, save=None, every_ms=EVERY_MS, carried=None):
        self.settings = owner
        self.folder = folder
        self.every_ms = every_ms
        self.keep = False  # leaving a network does not take it out of the settings
        self.problems = []
        self.writes = 0
        self.bytes = 0
        self._save = save or settings.write_whole
        self._started = ticks_ms()
        self._day = [self._started, 0]  # ms of uptime in steps: last look, days' worth of ms
        self._written = {}  # file -> ticks
        self._configs = {}  # nwid -> configuration to be written
        self._peers = {}  # address -> record to be written, b"" takes it out
        if carried:
            self._take_carried(carried)

    # --- store.FileStore's interface

    def get(self, kind, key=b""):
        """The object as bytes, None if there is none. OSError if the settings cannot be read."""
        if kind in _SETTINGS:
            return self.settings.get(kind)
        if kind == "network":
            return self._network(bytes(key))
        if kind == "network.local":
            return self.settings.networks().get(bytes(key)) or None
        if kind == "peer":
            key = bytes(key)
            if key in self._peers:
                return self._peers[key] or None
            return self._records().get(key)
        return None

    def put(self, kind, data, key=b""):
        """Keep an object; None takes it out. Only the caches are written later."""
        key = bytes(key)
        if kind in _SETTINGS:
            self.settings.set(kind, data)
            self._count(0 if data is None else len(data))
        elif kind == "network":
            self._put_network(key, data)
        elif kind == "network.local":
            networks = self.settings.networks()
            if key in networks or data is not None:
                self._set_network(networks, key, b"" if data is None else bytes(data))
        elif kind == "peer":
            self._put_peer(key, b"" if data is None else bytes(data))
        else:
            raise ValueError("a board keeps no such state object")

    def keys(self, kind):
        if kind in _SETTINGS:
            return [b""] if self.get(kind) is not None else []
        if kind == "network":
            return sorted(self.settings.networks())
        if kind == "peer":
            found = set(self._records())
            for key in self._peers:
                if self._peers[key]:
                    found.add(key)
                else:
                    found.discard(key)
            return sorted(found)
        return []

    def name(self, kind, key=b""):
        if kind in _SETTINGS:
            return "setting " + kind
        return self._path(_PEERS if kind == "peer" else hexs(key))

    def set_aside(self, kind, key=b""):  # not on boards
        """Rename a damaged cache to NAME.bad; its new name, None if that cannot be."""
        return self._aside(_PEERS if kind == "peer" else hexs(key), "is damaged")

    def close(self):
        """Write what may be written now; the rest was only a cache."""
        self.tick(ticks_ms())

    # --- networks

    def _network(self, nwid):
        if nwid not in self.settings.networks():
            return None
        if nwid in self._configs:
            return self._configs[nwid]
        found = self._read(hexs(nwid))
        return b"\n" if found is None else found

    def _put_network(self, nwid, data):
        networks = self.settings.networks()
        if data is None:
            self._configs.pop(nwid, None)
            self._remove(hexs(nwid))
            if nwid in networks and not self.keep:
                del networks[nwid]
                self._save_networks(networks)
            return
        if nwid not in networks:
            self._set_network(networks, nwid, b"")
        if data.strip():
            self._configs[nwid] = bytes(data)

    def _set_network(self, networks, nwid, local):
        if networks.get(nwid) != local:
            networks[nwid] = local
            self._save_networks(networks)

    def _save_networks(self, networks):
        self.settings.set_networks(networks)
        self._count(len(self.settings.get("networks") or b""))

    # --- peers

    def _put_peer(self, address, record):
        if (self._records().get(address) or b"") == record:
            self._peers.pop(address, None)
            return
        if address not in self._peers and len(self._peers) >= PEERS_MAX:
            self._peers.pop(next(iter(self._peers)))
        self._peers[address] = record

    def _records(self):
        """The records of the file: {address: record}."""
        data = self._read(_PEERS)
        records = {}
        o = 0
        while data is not None and o + 2 <= len(data):
            n = u16(data, o)
            records[data[o + 2 : o + 7]] = data[o + 7 : o + 2 + n]
            o += 2 + n
        return records

    def _pack_records(self, limit=None):
        """Those to be written before those that are, as many as there may be."""
        old = self._records()
        parts = []
        size = 0
        for new in (self._peers, old):
            for address in sorted(new):
                record = new[address]
                if not record or (new is old and address in self._peers):
                    continue
                size += 7 + len(record)
                if len(parts) >= PEERS_MAX or (limit is not None and size > limit):
                    return b"".join(parts)
                parts.append(be16(5 + len(record)) + address + record)
        return b"".join(parts)

    def carry(self, limit):
        """The peers as bytes, `limit` at most, for the memory that a deep sleep leaves alone."""
        records = self._pack_records(limit - 8)
        return _CARRIED + be32(binascii.crc32(records)) + records

    def _take_carried(self, data):
        data = bytes(data)
        if len(data) < 8 or data[:4] != _CARRIED or u32(data, 4) != binascii.crc32(data[8:]):
            return  # the first start, or somebody else's
        o = 8
        while o + 2 <= len(data):
            n = u16(data, o)
            self._put_peer(data[o + 2 : o + 7], data[o + 7 : o + 2 + n])
            o += 2 + n

    # --- files

    def tick(self, now):
        """Write what is due."""
        if not self._configs and not self._peers:
            return
        for nwid in list(self._configs):
            if self._may_write(now, hexs(nwid)):
                self._write(now, hexs(nwid), self._configs.pop(nwid))
        if self._peers and self._may_write(now, _PEERS):
            data = self._pack_records()
            self._peers = {}
            self._write(now, _PEERS, data)

    def _may_write(self, now, name):
        at = self._written.get(name)
        if at is not None:
            return elapsed(now, at, self.every_ms)
        if elapsed(now, self._started, self.every_ms):
            return True
        try:
            f = open(self._path(name), "rb")
        except OSError:
            return True  # there is none yet
        try:
            head = f.read(_HEAD)
        finally:
            f.close()
        # Written before this start: only a clock that went on meanwhile knows when.
        if len(head) < _HEAD:
            return True
        return _seconds() - u32(head, 8) >= self.every_ms // 1000

    def _path(self, name):
        return osutil.join(self.folder, name)

    def _write(self, now, name, data):
        self._written[name] = now
        if self._read(name) == data:
            return
        rest = be32(_seconds()) + data
        data = _MAGIC + be32(binascii.crc32(rest)) + rest
        try:
            if not osutil.exists(self.folder):
                osutil.makedirs(self.folder, os.mkdir)
            self._save(self._path(name), data, _PRIVATE)
            self._count(len(data))
        except OSError as e:
            self._problem("%s is not written: %s" % (self._path(name), osutil.errtext(e)))

    def _read(self, name):
        """The data of a file; None where there is none or it is damaged."""
        try:
            data = osutil.read_file(self._path(name))
        except OSError as e:
            if e.errno not in (osutil.ENOENT, 20):
                self._problem("%s is not read: %s" % (self._path(name), osutil.errtext(e)))
            return None
        if data[:4] == _MAGIC and len(data) >= _HEAD and u32(data, 4) == binascii.crc32(data[8:]):
            return data[_HEAD:]
        self._aside(name, "is damaged")
        return None

    def _aside(self, name, why):
        path = self._path(name)
        try:
            os.rename(path, path + ".bad")
        except OSError as e:
            self._problem("%s %s and cannot be renamed: %s" % (path, why, osutil.errtext(e)))
            return None
        self._problem("%s %s; set aside as %s.bad" % (path, why, name))
        return path + ".bad"

    def _remove(self, name):
        try:
            os.remove(self._path(name))
        except OSError:
            pass  # there was none

    def _problem(self, text):
        log.error("flash", text)
        if text not in self.problems:
            self.problems.append(text)
            del self.problems[:-_PROBLEMS]

    # --- wear

    def _count(self, n):
        self.writes += 1
        self.bytes += n

    def stats(self, now):
        """What was written since the start, what that makes in a day (before the first is over: so
        far), what went wrong."""
        day = self._day
        day[1] += max(ticks_diff(now, day[0]), 0)
        day[0] = now
        return {
            "writes": self.writes,
            "bytes": self.bytes,
            "bytes_per_day": self.bytes * 86400 // max(day[1] // 1000, 86400),
            "waiting": len(self._configs) + len(self._peers),
            "problems": list(self.problems),
        }


def _seconds():
    return max(wall_ms() // 1000, 0) & 0xFFFFFFFF
