# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Who exists: known peers, known paths, the planet and its roots. Both tables are bounded; a full
# table gives up its longest silent entry, never a root.

from . import log, world
from ._compat import elapsed, ticks_diff
from .path import Path
from .peer import ACTIVITY_MS, Peer, unpack_cache


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
        self.storage.put("planet", candidate.pack())
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
                self.peers[identity.address] = self._make(identity)

    def _make(self, identity):
        return Peer(identity, self.identity.agree(identity))

    def is_upstream(self, address):
        return address in self.roots

    def upstreams(self):
        return list(self.roots)

    def best_upstream(self, now):
        """The Peer of the best root that has a path, else of any root, else None."""
        best = None
        best_key = None
        for address in self.roots:
            peer = self.peers[address]
            key = (0 if peer.best_slot(now) else 1, peer.upstream_score(now))
            if best is None or key < best_key or (key == best_key and address > best.address):
                best = peer
                best_key = key
        return best

    # --- peers

    def add_peer(self, now, identity):
        """A Peer for a validated identity; the existing one if its address is known."""
        peer = self.peers.get(identity.address)
        if peer is None:
            if len(self.peers) >= self.limits.peers + len(self.roots):
                self._evict(now)
            peer = self._make(identity)
            peer.known_since = now
            self.peers[identity.address] = peer
        return peer

    def _evict(self, now):
        oldest = None
        oldest_age = -1
        for address, p in self.peers.items():
            if address in self.roots:
                continue
            heard = p.last_receive if p.last_receive is not None else p.known_since
            age = max(ticks_diff(now, heard), 0) if heard is not None else ACTIVITY_MS
            if age > oldest_age:
                oldest = p
                oldest_age = age
        if oldest is not None:
            self.forget(now, oldest)
            self.evicted += 1

    def forget(self, now, peer):
        self.save_peer(now, peer)
        del self.peers[peer.address]

    def save_peer(self, now, peer):
        if peer.last_receive is not None:
            self.storage.put("peer", peer.pack(now), peer.address)

    def find(self, now, address):
        """The peer with this address, from memory or from the cache on disk; None if unknown."""
        peer = self.peers.get(address)
        if peer is None and address != self.identity.address:
            data = self.storage.get("peer", address)
            if data:
                peer = self._load(now, address, data)
        return peer

    def load_cached(self, now, address):
        """Merge what the cache knows of a root (its identity is the planet's)."""
        peer = self.peers.get(address)
        data = self.storage.get("peer", address)
        if not data or peer is None:
            return
        try:
            identity, _, _, remotes = unpack_cache(data)
        except ValueError as e:
            log.warn("peer", "cache of %s ignored: %s" % (address.hex(), e))
            return
        if identity == peer.identity:
            peer.cached_paths = remotes

    def _load(self, now, address, data):
        try:
            identity, proto, version, remotes = unpack_cache(data)
        except ValueError as e:
            log.warn("peer", "cache of %s ignored: %s" % (address.hex(), e))
            self.storage.put("peer", None, address)
            return None
        if identity.address != address:
            self.storage.put("peer", None, address)
            return None
        peer = self.add_peer(now, identity)
        peer.proto = proto
        peer.version = version
        peer.cached_paths = remotes
        return peer

    # --- paths

    def path(self, now, local_socket, remote):
        """The shared Path for this socket and remote address, made if need be."""
        key = (local_socket, remote)
        p = self.paths.get(key)
        if p is None:
            if len(self.paths) >= self.limits.paths:
                self._drop_path(now)
            p = Path(local_socket, remote)
            self.paths[key] = p
        return p

    def _drop_path(self, now):
        used = set()
        for peer in self.peers.values():
            for s in peer.slots:
                used.add((s.path.local_socket, s.path.remote))
        oldest = None
        for key, p in self.paths.items():
            if key not in used and (oldest is None or p.age(now) > self.paths[oldest].age(now)):
                oldest = key
        if oldest is None:  # every path is somebody's: give up the longest silent
            for key, p in self.paths.items():
                if oldest is None or p.age(now) > self.paths[oldest].age(now):
                    oldest = key
        del self.paths[oldest]

    def housekeeping(self, now):
        """Drop silent peers and unused paths (VL1 8.1, every 30 s)."""
        for address in list(self.peers):
            peer = self.peers[address]
            peer.prune(now)
            if address in self.roots:
                continue
            since = peer.last_receive if peer.last_receive is not None else peer.known_since
            if elapsed(now, since, ACTIVITY_MS):
                self.forget(now, peer)
        used = set()
        for peer in self.peers.values():
            for s in peer.slots:
                used.add((s.path.local_socket, s.path.remote))
        for key in list(self.paths):
            if key not in used and not self.paths[key].alive(now):
                del self.paths[key]
