# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# State objects by kind and key: files of a home directory under the names of the original service,
# or a dict for tests. Knows names and modes; refuses to know what is inside a file.

import os

from . import log, osutil
from ._compat import hexs, unhex

SECRET = 0o600
PLAIN = 0o644

# kind: (folder, suffix, bytes in the key, mode). A folder part "*" stands for the first 8 key
# bytes.
_KINDS = {
    "identity.secret": ("", "identity.secret", 0, SECRET),
    "identity.public": ("", "identity.public", 0, PLAIN),
    "planet": ("", "planet", 0, PLAIN),
    "authtoken": ("", "authtoken.secret", 0, SECRET),
    "port": ("", "zerotier-one.port", 0, PLAIN),
    "local.conf": ("", "local.conf", 0, PLAIN),
    "moon": ("moons.d", ".moon", 8, PLAIN),
    "peer": ("peers.d", ".peer", 5, PLAIN),
    "network": ("networks.d", ".conf", 8, SECRET),
    "network.local": ("networks.d", ".local.conf", 8, SECRET),
    "controller.network": ("controller.d/network", ".json", 8, SECRET),
    "controller.member": ("controller.d/network/*/member", ".json", 13, SECRET),
    # Ours: the original keeps no such file. Its JSON carries a "version".
    "controller.state": ("controller.d", "microzt.json", 0, SECRET),
}


def _spec(kind, key):
    spec = _KINDS.get(kind)
    if spec is None:
        raise ValueError("no such kind of state object")
    if len(key) != spec[2]:
        raise ValueError("wrong key length for this kind of state object")
    return spec


class MemoryStore:
    """The same interface over a dict; `files` is {(kind, key): bytes}."""

    def __init__(self):
        self.files = {}
        self.bad = []

    def get(self, kind, key=b""):
        _spec(kind, key)
        return self.files.get((kind, bytes(key)))

    def put(self, kind, data, key=b""):
        _spec(kind, key)
        if data is None:
            self.files.pop((kind, bytes(key)), None)
        else:
            self.files[(kind, bytes(key))] = bytes(data)

    def keys(self, kind):
        return sorted([k for have, k in self.files if have == kind])

    def set_aside(self, kind, key=b""):
        self.bad.append((kind, bytes(key), self.files.pop((kind, bytes(key)), None)))
        return "%s %s" % (kind, hexs(key))

    def name(self, kind, key=b""):
        return "%s %s" % (kind, hexs(key))


class FileStore:
    """The files of one home directory, held under a lock as long as this object is open.

    OSError with a text that names the folder when it cannot be made, written or locked.
    """

    def __init__(self, home, hal):
        self.home = home
        self._hal = hal
        self._lock = None
        self._made = {}
        try:
            osutil.makedirs(home, self._mkdir_private)
        except OSError as e:
            raise OSError("home %s: %s" % (home, osutil.errtext(e)))
        try:
            self._lock = hal.lock(osutil.join(home, "microzt.lock"))
        except OSError as e:
            if e.errno == osutil.EAGAIN:
                raise OSError("home %s: another node is running on it" % home)
            raise OSError("home %s: not writable: %s" % (home, osutil.errtext(e)))
        self._list(home, [_KINDS[kind][1] for kind in _KINDS if not _KINDS[kind][0]])

    def warn_of_modes(self):
        """Name in the log the secrets that others may read."""
        for kind in ("identity.secret", "authtoken"):
            path = self.path(kind)
            try:
                mode = os.stat(path)[0] & 0o777
            except OSError:
                continue
            if mode & 0o077:
                log.warn("store", "%s: mode 0%o lets others read it" % (path, mode))

    def _list(self, folder, ours=None):
        """The names in a folder. What a process left that died while it saved is removed: one of
        the names `ours` (None: any) with a number and "tmp". Nobody saves at this moment: the home
        is locked, and a save ends before its caller goes on."""
        try:
            names = os.listdir(folder)
        except OSError:
            return []
        kept = []
        for name in names:
            stem, _, pid = name[:-4].rpartition(".") if name.endswith(".tmp") else ("", "", "")
            if pid.isdigit() and (ours is None or stem in ours):
                try:
                    os.remove(osutil.join(folder, name))
                except OSError:
                    pass
            else:
                kept.append(name)
        return kept

    def _mkdir_private(self, path):
        if hasattr(self._hal, "mkdir"):
            self._hal.mkdir(path, 0o700)
        else:
            os.mkdir(path)

    def close(self):
        """Give the home up; idempotent."""
        lock = self._lock
        self._lock = None
        if lock is not None and hasattr(self._hal, "unlock"):
            self._hal.unlock(lock)

    def path(self, kind, key=b""):
        folder, suffix, size, _ = _spec(kind, key)
        if "*" in folder:
            folder = folder.replace("*", hexs(key[:8]))
            key = key[8:]
        name = suffix if not size else hexs(key) + suffix
        return osutil.join(self.home, folder, name) if folder else osutil.join(self.home, name)

    name = path

    def get(self, kind, key=b""):
        """The object as bytes; None if there is none. OSError if it cannot be read."""
        try:
            return osutil.read_file(self.path(kind, key))
        except OSError as e:
            if e.errno in (osutil.ENOENT, 20):
                return None
            raise OSError("%s: %s" % (self.path(kind, key), osutil.errtext(e)))

    def put(self, kind, data, key=b""):
        """Store the object so that a reader sees old or new bytes whole; None deletes it."""
        path = self.path(kind, key)
        try:
            if data is None:
                self._remove(path)
                return
            folder = osutil.dirname(path)
            if folder not in self._made:
                osutil.makedirs(folder, self._mkdir_private)
                self._made[folder] = True
            self._hal.save(path, data, _KINDS[kind][3])
        except OSError as e:
            raise OSError("%s: %s" % (path, osutil.errtext(e)))

    def _remove(self, path):
        try:
            os.remove(path)
        except OSError as e:
            if e.errno != osutil.ENOENT:
                raise

    def keys(self, kind):
        """Keys of all objects of a kind, sorted; files with other names are skipped."""
        folder, suffix, size, _ = _KINDS[kind]
        if not size:
            return [b""] if osutil.exists(self.path(kind)) else []
        if "*" not in folder:
            return self._scan(folder, suffix, size, b"")
        head, tail = folder.split("*")
        found = []
        for nwid in self._scan(head.rstrip("/"), "", 8, b""):
            found.extend(self._scan(head + hexs(nwid) + tail, suffix, size - 8, nwid))
        return found

    def _scan(self, folder, suffix, size, prefix):
        found = []
        for name in self._list(osutil.join(self.home, folder)):
            digits = name[: 2 * size]
            if len(digits) == 2 * size and name[2 * size :] == suffix and digits == digits.lower():
                try:
                    key = unhex(digits)
                except ValueError:
                    continue
                if len(key) == size:
                    found.append(prefix + key)
        return sorted(found)

    def set_aside(self, kind, key=b""):
        """Rename a corrupt file to NAME.bad-N and report it; the new name, None on failure."""
        path = self.path(kind, key)
        for n in range(1, 1000):
            bad = "%s.bad-%d" % (path, n)
            if not osutil.exists(bad):
                break
        try:
            os.rename(path, bad)
        except OSError as e:
            log.error(
                "store", "%s is corrupt and cannot be renamed: %s" % (path, osutil.errtext(e))
            )
            return None
        log.error("store", "%s is corrupt; set aside as %s" % (path, bad))
        return bad

    def expire(self, kind, wall_s, age_s):
        """Delete objects of a kind not written for `age_s` seconds (peer caches)."""
        for key in self.keys(kind):
            path = self.path(kind, key)
            try:
                if wall_s - os.stat(path)[8] > age_s:
                    self._remove(path)
            except OSError:
                pass
