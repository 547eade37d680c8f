# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Who exists: known peers, known paths, the planet and its roots. All tables are bounded; a full
# one gives up its longest silent entry, never a root. The cache of peers in the storage is a help,
# not a need: what goes wrong with it is logged and otherwise ignored.

from . import log, world
from ._compat import const, elapsed, ticks_diff
from .path import Path
from .peer import (
    ACTIVITY_MS,
    VOUCHED_CACHE,
    VOUCHED_PLANET,
    VOUCHED_SELF,
    Peer,
    unpack_cache,
)

_CACHED_PER_PEER = const(4)  # objects in the cache, in multiples of the `peers` limit
_LOADS = const(16)  # a second that packets of unproven origin may cause


class _Unread(Exception):
    """The storage did not give what it should have."""


class Topology:
    def __init__(self, identity, limits, storage):
        self.identity = identity
        self.limits = limits
        self.storage = storage
        self.peers = {}
        self.paths = {}
        self.planet = None
        self.roots = {}  # address -> list of endpoints, ourselves excluded
        self.am_root = False
        self.evicted = 0
        self._loads = 0
        self._loads_window = None
        # Which peers the cache has, so that an invented address costs no look-up on disk.
        self.cached = set(storage.keys("peer"))

    # --- the planet (VL1 6.3)

    def load_planet(self, built_in):
        """Take the stored planet, then offer the built-in one. ValueError if the stored one is
        bad.
        """
        stored = self.storage.get("planet")
        if stored:
            self._use(world.World.unpack(stored)[0])
        if built_in:
            candidate = world.World.unpack(built_in)[0]
            if self.planet is None or candidate.replaces(self.planet):
                self._use(candidate)

    def offer_planet(self, candidate):
        """Take a planet received from an upstream if it rightly replaces ours; True if taken."""
        if self.planet is None or not candidate.replaces(self.planet):
            return False
        self._use(candidate)
        try:
            self.storage.put("planet", candidate.pack())
        except OSError as e:
            log.error("planet", "the newer planet is not stored: %s" % e)
        return True

    def _use(self, planet):
        self.planet = planet
        self.am_root = False
        self.roots = {}
        for identity, endpoints in planet.roots:
            if identity.address == self.identity.address:
                self.am_root = identity == self.identity
                continue
            self.roots[identity.address] = endpoints
            peer = self.peers.get(identity.address)
            if peer is None or peer.identity != identity:
                if peer is not None:
                    peer.slots_changed()
                self.peers[identity.address] = self._make(identity, VOUCHED_PLANET)

    def _make(self, identity, vouched):
        return Peer(identity, self.identity.agree(identity), vouched)

    def is_upstream(self, address):
        return address in self.roots

    def upstreams(self):
        return list(self.roots)

    def best_upstream(self, now, besides=None):
        """The Peer of the best root with a working path, else with a dead one, else of any root;
        None if there is none but `besides`.
        """
        best = None
        best_key = None
        for address in self.roots:
            peer = self.peers[address]
            if peer is besides:
                continue
            slot = peer.best_slot(now)
            rank = 2 if slot is None else 1 if slot.dead(now) else 0
            key = (rank, peer.upstream_score(now))
            if best is None or key < best_key or (key == best_key and address > best.address):
                best = peer
                best_key = key
        return best

    # --- peers

    def add_peer(self, now, identity, vouched=VOUCHED_SELF):
        """A Peer for a validated identity; the existing one if its address is known."""
        peer = self.peers.get(identity.address)
        if peer is None:
            if len(self.peers) >= self.limits.peers + len(self.roots):
                self._evict(now)
            peer = self._make(identity, vouched)
            peer.known_since = now
            self.peers[identity.address] = peer
        return peer

    def _evict(self, now):
        # Those never heard go first: strangers can make us learn and load any number of them.
        oldest = None
        oldest_age = -1
        for address, p in self.peers.items():
            if address in self.roots:
                continue
            heard = p.last_receive if p.last_receive is not None else p.known_since
            age = max(ticks_diff(now, heard), 0) if heard is not None else ACTIVITY_MS
            if p.last_receive is None:
                age += 4 * ACTIVITY_MS
            if age > oldest_age:
                oldest = p
                oldest_age = age
        if oldest is not None:
            self.forget(now, oldest)
            self.evicted += 1
            self.limits.full("peers")

    def forget(self, now, peer):
        self.save_peer(now, peer)
        peer.slots_changed()
        del self.peers[peer.address]

    def doubtful(self, peer):
        """Is its key only hearsay? Then a validated identity for the address takes its place."""
        return peer.last_receive is None and peer.address not in self.roots

    def replace(self, now, identity, vouched):
        """Another key for an address whose owner we never heard: what we had was wrong (a damaged
        cache). Returns the new Peer.
        """
        self.peers.pop(identity.address).slots_changed()
        self._uncache(identity.address)
        return self.add_peer(now, identity, vouched)

    def find(self, now, address, inbound=False):
        """The peer with this address, from memory or from the cache on disk; None if unknown.

        `inbound` is for addresses of unproven origin: few of those may cause a load.
        """
        peer = self.peers.get(address)
        if peer is not None or address not in self.cached:
            return peer
        if inbound:
            if elapsed(now, self._loads_window, 1000):
                self._loads_window = now
                self._loads = 0
            self._loads += 1
            if self._loads > _LOADS:
                return None
        try:
            identity, proto, version, remotes = self._read(address)
        except _Unread:
            return None
        peer = self.add_peer(now, identity, VOUCHED_CACHE)
        peer.software = (proto,) + version
        peer.cached_paths = remotes
        return peer

    # --- the cache (VL1 8.3)

    def save_peer(self, now, peer):
        if peer.last_receive is None:
            return
        full = len(self.cached) >= _CACHED_PER_PEER * self.limits.peers
        if full and peer.address not in self.cached and peer.address not in self.roots:
            return
        try:
            self.storage.put("peer", peer.pack(now), peer.address)
            self.cached.add(peer.address)
        except OSError as e:
            log.warn("peer", "not stored: %s" % e)

    def load_cached(self, address):
        """Merge what the cache knows of a root (its identity is the planet's)."""
        peer = self.peers.get(address)
        if peer is None or address not in self.cached:
            return
        try:
            identity, _, _, remotes = self._read(address)
        except _Unread:
            return
        if identity == peer.identity:
            peer.cached_paths = remotes

    def _read(self, address):
        try:
            data = self.storage.get("peer", address)
            if data:
                found = unpack_cache(data)
                if found[0].address == address:
                    return found
                log.warn("peer", "cache of %s ignored: it is of another peer" % address.hex())
        except ValueError as e:
            log.warn("peer", "cache of %s ignored: %s" % (address.hex(), e))
        except OSError as e:
            log.warn("peer", "not read: %s" % e)
            self.cached.discard(address)
            raise _Unread
        self._uncache(address)
        raise _Unread

    def _uncache(self, address):
        if address in self.cached:
            self.cached.discard(address)
            try:
                self.storage.put("peer", None, address)
            except OSError as e:
                log.warn("peer", "not removed: %s" % e)

    # --- paths

    def path(self, now, local_socket, remote):
        """The shared Path for this socket and remote address, made if need be."""
        key = (local_socket, remote)
        p = self.paths.get(key)
        if p is None:
            if len(self.paths) >= self.limits.paths:
                self._drop_paths(now)
            p = Path(local_socket, remote)
            self.paths[key] = p
        return p

    def _used(self):
        used = set()
        for peer in self.peers.values():
            for s in peer.slots:
                used.add((s.path.local_socket, s.path.remote))
        return used

    def _drop_paths(self, now):
        """Make room: the longest silent eighth of the paths that no peer has, else of all. Many at
        once, because replayed packets can fill the table and each search goes through all of it.
        """
        used = self._used()
        silent = [(-p.age(now), key) for key, p in self.paths.items() if key not in used]
        if not silent:
            silent = [(-p.age(now), key) for key, p in self.paths.items()]
        silent.sort(key=lambda e: e[0])
        for _, key in silent[: max(len(self.paths) // 8, 1)]:
            path = self.paths.pop(key)
            if key in used:
                for peer in self.peers.values():
                    peer.slots_changed()
                    peer.slots = tuple([s for s in peer.slots if s.path is not path])

    def housekeeping(self, now):
        """Drop silent peers and unused paths (VL1 8.1, every 30 s)."""
        for address in list(self.peers):
            peer = self.peers[address]
            peer.prune(now)
            peer.forget_stale(now)
            if address in self.roots:
                continue
            since = peer.last_receive if peer.last_receive is not None else peer.known_since
            if elapsed(now, since, ACTIVITY_MS):
                self.forget(now, peer)
        used = self._used()
        for key in list(self.paths):
            path = self.paths[key]
            if key not in used and not path.alive(now):
                del self.paths[key]
            else:
                path.forget_stale(now)
