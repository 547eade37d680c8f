# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The node: what an application or driver talks to, and where VL1 and VL2 meet. Sans-IO: time,
# packets, frames and stored state come in by call and go out through callbacks. What each verb
# means lives in hello, verbs, direct, relay; who exists in topology; networks in vl2.

from array import array

from . import crypto, describe, drops, hello, inet, keepalive, packet, relay, verbs, world
from ._compat import const, elapsed, ticks_add, ticks_diff
from .const import (
    DEFAULT_MTU,
    IGNORED,
    MAX_FRAGMENTS,
    MAX_PACKET,
    MIN_PACKET,
    PARK,
    TRUSTED,
    VERB_ECHO,
    VERB_HELLO,
    VERB_NETWORK_CREDENTIALS,
    VERB_OK,
    VERB_USER_MESSAGE,
)
from .controlport import ControllerPort
from .direct import push
from .identity import Identity
from .limits import Limits
from .packet import FLAG_COMPRESSED, FLAG_FRAGMENTED, IDX_FLAGS, IDX_PAYLOAD, IDX_VERB
from .peer import NONTRIVIAL, STATE_DIRECT, STATE_NAMES
from .router import Router
from .surface import Surface
from .topology import Topology
from .vl2 import VL2
from .waiting import LIFETIME_MS, RETRY_MS

_CONFIRM_MS = const(1000)
_ECHOES = const(32)


class Rx:
    """The packet being processed; one object, reused, valid during one call."""

    def __init__(self):
        self.local_socket = None
        self.remote = None
        self.hops = 0
        self.source = None
        self.id = None
        self.peer = None
        self.verb = 0
        self.p = None
        self.n = 0


class Node(Router):
    """One ZeroTier node.

    `callbacks` has wire_send(local_socket, remote, data, ttl) -> 0 or errno, frame(nwid, source
    MAC, destination MAC, EtherType, VLAN, data), network(nwid, what), event(name, info),
    path_check(address, local_socket, remote) -> bool and path_lookup(address, family) -> remote or
    None. `storage` is a store.FileStore or MemoryStore that holds an identity.secret; ValueError
    if it does not or if a stored object is bad. `clock()` is the wall clock in ms since 1970,
    `random(n)` gives n bytes. Keyword arguments: `profile` and single `limits`, `allow_loopback`,
    `validate` (False only on boards that cannot run the identity hash).
    """

    def __init__(
        self, callbacks, storage, clock, random, profile="unix", allow_loopback=False,
        validate=True, **limits
    ):  # fmt: skip
        self.callbacks = callbacks
        self.storage = storage
        self.clock = clock
        self.random = random
        self.limits = Limits(profile, **limits)
        self.software = self.limits.version
        self.allow_loopback = allow_loopback
        self.can_validate = validate
        self.identity = self._load_identity()
        self.address = self.identity.address
        self.online = False
        self.drops = array("L", [0] * len(drops.NAMES))
        self.received = 0
        self.relayed = 0
        self.controller = None
        self.local_addresses = ()
        self.now = 0
        lim = self.limits
        self.topology = Topology(self.identity, lim, storage)
        self.topology.load_planet(world.DEFAULT_PLANET)
        self.surface = Surface(lim.surfaces)
        self._init_router(lim)
        self.reassembly = packet.Reassembly(lim.reassembly)
        self.united = {}
        self.hello_gate = {}
        self.echoes = {}
        self.rx = Rx()
        self.hello_buf = bytearray(256)
        self.hello_mv = memoryview(self.hello_buf)
        self.inflated = bytearray(MAX_PACKET)
        self.inflated_mv = memoryview(self.inflated)
        self._next_pass = None
        self._last_housekeeping = None
        self.vl2 = VL2(self)
        for address in self.topology.upstreams():
            self.topology.load_cached(0, address)

    def _load_identity(self):
        data = self.storage.get("identity.secret")
        if data is None:
            raise ValueError("identity.secret: missing")
        try:
            identity = Identity.parse(bytes(data).decode())
        except (ValueError, UnicodeError) as e:
            raise ValueError("identity.secret: %s" % e)
        if identity.private is None:
            raise ValueError("identity.secret: has no private key")
        if crypto.public_key(identity.private) != identity.public:
            raise ValueError("identity.secret: the private key does not match the public key")
        if self.can_validate and not identity.validate():
            raise ValueError("identity.secret: the address does not belong to the key")
        return identity

    # --- what drivers call

    def process_wire_packet(self, now, local_socket, remote, p):
        """Take one datagram. `p` is a writable memoryview, changed in place, valid during the
        call.
        """
        self.now = now
        n = len(p)
        if n <= packet.FRAGMENT_HEADER:
            self.drop(drops.SHORT)
            return
        fragment = packet.is_fragment(p)
        if not fragment and n < MIN_PACKET:
            self.drop(drops.SHORT)
            return
        if p[8:13] != self.address:
            if n > DEFAULT_MTU * MAX_FRAGMENTS or (not fragment and p[13:18] == self.address):
                self.drop(drops.LOOPED)
            else:
                relay.forward(self, now, local_socket, remote, p, fragment)
            return
        if not fragment and p[13:18] == self.address:
            self.drop(drops.LOOPED)
            return
        if fragment:
            self._whole(now, self.reassembly.fragment(now, p))
        elif p[IDX_FLAGS] & FLAG_FRAGMENTED:
            self._whole(now, self.reassembly.head(now, p, (local_socket, remote)))
        else:
            self._packet(now, local_socket, remote, p, n)
        if self._recheck:
            self._retry(now)

    def process_virtual_network_frame(
        self, now, nwid, source_mac, dest_mac, ethertype, vlan, data
    ):
        """Take one Ethernet frame from the local stack; VLAN tags are not supported (VL2 4.7)."""
        self.now = now
        self.vl2.tap_frame(now, nwid, source_mac, dest_mac, ethertype, data)

    def process_background_tasks(self, now):
        """Run what is due; ms until it must be called again."""
        self.now = now
        if self._recheck:
            self._retry(now)
        if self._next_pass is None or ticks_diff(now, self._next_pass) >= 0:
            self._next_pass = ticks_add(now, keepalive.ping_pass(self, now))
        if elapsed(now, self._last_housekeeping, keepalive.HOUSEKEEPING_MS):
            self._last_housekeeping = now
            self._housekeeping(now)
        wait = max(ticks_diff(self._next_pass, now), 0)
        if self.queued.items or self.parked.items or self.wanted.wanted:
            if elapsed(now, self._last_fast, RETRY_MS):
                self._last_fast = now
                self._fast(now)
            wait = min(wait, RETRY_MS)
        wait = min(wait, self.vl2.tick(now))
        if self.controller is not None:
            wait = min(wait, self.controller.tick(now))
        return wait

    def join(self, now, nwid, settings=None):
        self.now = now
        return self.vl2.join(now, nwid, settings)

    def leave(self, now, nwid):
        self.now = now
        return self.vl2.leave(now, nwid)

    def multicast_subscribe(self, now, nwid, mac, adi=0):
        return self.vl2.subscribe(now, nwid, mac, adi)

    def multicast_unsubscribe(self, now, nwid, mac, adi=0):
        return self.vl2.unsubscribe(now, nwid, mac, adi)

    def attach_controller(self, controller):
        """Serve the networks of a controller.Controller made with this node's identity."""
        if controller.identity.address != self.address:
            raise ValueError("the controller has another identity")
        self.controller = ControllerPort(self, controller)

    def set_local_addresses(self, addresses):
        """Tell the node which (ip, port) others might reach us at; offered in PUSH_DIRECT_PATHS.
        """
        self.local_addresses = tuple(addresses)

    def network_changed_below(self, now):
        """The host's interfaces changed: try the roots again at once."""
        for address in self.topology.upstreams():
            self.topology.peers[address].hello_tries = 0
        self._next_pass = now

    def echo(self, now, address, callback):
        """ECHO a node; callback(rtt_ms, remote, hops) runs if it answers. False if it cannot be
        sent.
        """
        packet_id = self.send(now, address, VERB_ECHO)
        if packet_id is None:
            return False
        if len(self.echoes) >= _ECHOES:
            self.echoes.pop(next(iter(self.echoes)))
        self.echoes[packet_id] = callback
        return True

    def send_user_message(self, now, dest, type_id, data):
        """USER_MESSAGE (VL1 5.17): type_id 8 bytes, above 65535."""
        if len(type_id) != 8:
            raise ValueError("type_id must be 8 bytes")
        return self.send(now, dest, VERB_USER_MESSAGE, type_id, data)

    def close(self, now):
        """Write the caches; the node may be dropped afterwards."""
        for peer in self.topology.peers.values():
            self.topology.save_peer(now, peer)
        if self.controller is not None:
            self.controller.close()

    def status(self):
        return describe.status(self)

    def peers(self):
        return describe.peers(self)

    def networks(self):
        return describe.networks(self)

    def network(self, nwid):
        """The joined Network with this id, or None."""
        return self.vl2.networks.get(nwid)

    # --- inbound

    def drop(self, cause):
        self.drops[cause] += 1

    def _whole(self, now, result):
        if result is None:
            return
        if result is False:
            self.drop(drops.FRAGMENT)
            return
        whole, origin = result
        if len(whole) < MIN_PACKET or origin is None:
            self.drop(drops.FRAGMENT)
            return
        self._packet(now, origin[0], origin[1], memoryview(whole), len(whole))

    def _packet(self, now, local_socket, remote, p, n):
        rx = self.rx
        rx.local_socket = local_socket
        rx.remote = remote
        rx.hops = packet.hops(p)
        rx.source = bytes(p[13:18])
        rx.id = bytes(p[0:8])
        rx.p = p
        rx.n = n
        suite = packet.suite(p)
        if suite > 1:
            self.drop(drops.CIPHER)
            return
        if suite == 0 and p[IDX_VERB] & 0x1F == VERB_HELLO:
            rx.verb = VERB_HELLO
            if p[IDX_VERB] & FLAG_COMPRESSED:
                self.drop(drops.MALFORMED)
                return
            self._handle(now, rx, hello.receive)
            return
        peer = self.topology.find(now, rx.source)
        if peer is None:
            self._park_unknown(now, rx)
            return
        if not crypto.open(peer.key, p, n):
            self.drop(drops.MAC)
            return
        rx.peer = peer
        if p[IDX_VERB] & FLAG_COMPRESSED and not self._inflate(rx):
            self.drop(drops.COMPRESSION)
            return
        self._opened(now, rx)

    def _opened(self, now, rx):
        verb = rx.verb = rx.p[IDX_VERB] & 0x1F
        self._handle(now, rx, verbs.TABLE.get(verb, verbs.nop))

    def _handle(self, now, rx, handler):
        try:
            result = handler(self, now, rx)
        except (ValueError, IndexError):
            self.drop(drops.MALFORMED)
            return
        if result is None or result == IGNORED:
            return
        if result == PARK:
            self._park_opened(now, rx)
            return
        self.received += 1
        self._received(now, rx, result == TRUSTED)
        if rx.verb == VERB_NETWORK_CREDENTIALS and self.parked.items:
            self._recheck = True

    def _inflate(self, rx):
        """LZ4 payload into our own buffer; rx.p then shows the clear packet."""
        if rx.n == IDX_PAYLOAD:
            return True
        out = self.inflated_mv
        n = crypto.lz4_decompress(rx.p[IDX_PAYLOAD : rx.n], out[IDX_PAYLOAD:])
        if n <= 0:
            return False
        out[0:IDX_PAYLOAD] = rx.p[0:IDX_PAYLOAD]
        out[IDX_VERB] = out[IDX_VERB] & 0x7F
        rx.p = out
        rx.n = IDX_PAYLOAD + n
        return True

    def _received(self, now, rx, trusted):
        """Common work for every authentic packet (VL1 7.3)."""
        peer = rx.peer
        peer.last_receive = now
        peer.unanswered_since = None
        if rx.verb in NONTRIVIAL:
            peer.last_nontrivial = now
        path = None
        if rx.hops == 0:
            path = self.topology.path(now, rx.local_socket, rx.remote)
            path.last_in = now
            slot = peer.slot_of(path)
            if slot is not None:
                slot.lr = now
            elif not peer.same_ip_alive(path, now):
                self._new_path(now, rx, peer, path)
        if trusted:
            peer.last_trusted = now
            if path is not None:
                path.last_trusted = now
        if peer.state != STATE_DIRECT:
            keepalive.state(self, now, peer)
        if not self.online and self.topology.is_upstream(peer.address):
            keepalive.online(self, now)
        if peer.trusted(now):
            push(self, now, rx, peer)

    def _new_path(self, now, rx, peer, path):
        if not self.acceptable(peer.address, rx.local_socket, rx.remote):
            return
        if rx.verb == VERB_OK:
            peer.learn(path, now, self.limits.paths_per_peer)
            keepalive.state(self, now, peer)
            self._flush(now, peer)
        elif elapsed(now, path.last_confirm, _CONFIRM_MS):
            path.last_confirm = now
            hello.send(self, now, peer, None, rx.remote)

    def acceptable(self, address, local_socket, remote):
        """May this physical address become a path to that peer (VL1 7.2)?"""
        ip = remote[0]
        if not inet.valid_for_path(ip) and not (self.allow_loopback and inet.scope(ip) == 2):
            return False
        endpoints = self.topology.roots.get(address)
        if endpoints:
            for e in endpoints:
                if e[0] == ip:
                    break
            else:
                return False
        if self._inside(ip):
            return False
        return self.callbacks.path_check(address, local_socket, remote)

    def _inside(self, ip):
        """Is it an address of a joined network? No ZeroTier over ZeroTier."""
        for network in self.vl2.networks.values():
            config = network.config
            if config is not None:
                for own, bits in config.static_ips:
                    if bits and len(own) == len(ip) and inet.in_net(ip, own, bits):
                        return True
        return False

    def surface_learned(self, now, rx, mine, trusted):
        changed = self.surface.learn(
            now, rx.source, rx.local_socket, rx.remote[0], mine, trusted, self.allow_loopback
        )
        if not changed:
            return
        scope = inet.scope(mine[0])
        for peer in self.topology.peers.values():
            for s in peer.slots:
                p = s.path
                if p.scope == scope and len(p.remote[0]) == len(mine[0]) and peer is not rx.peer:
                    s.lr = None
                    verbs.contact(self, now, peer, p.local_socket, p.remote)

    def candidates(self, now):
        return list(self.local_addresses) + self.surface.addresses(now)

    def validate(self, now, identity):
        """Full check of a stranger's identity; a node that cannot run the hash asks a root
        instead.
        """
        if self.can_validate:
            return identity.validate()
        self.whois(now, identity.address)
        return False

    def _housekeeping(self, now):
        self.topology.housekeeping(now)
        self.surface.expire(now)
        self.reassembly.expire(now, LIFETIME_MS)
        relay.expire(self, now)
        for bucket in list(self.hello_gate):
            if elapsed(now, self.hello_gate[bucket][0], 60000):
                del self.hello_gate[bucket]

    def echo_answered(self, now, packet_id, rx, rtt):
        callback = self.echoes.pop(packet_id, None)
        if callback is not None:
            callback(rtt, rx.remote, rx.hops)

    # --- what VL2 asks of its host

    def identity_of(self, address):
        if address == self.address:
            return self.identity
        peer = self.topology.find(self.now, address)
        return peer.identity if peer is not None else None

    def upstreams(self):
        return self.topology.upstreams()

    def best_upstream(self, now):
        peer = self.topology.best_upstream(now)
        return peer.address if peer is not None else None

    def is_upstream(self, address):
        return self.topology.is_upstream(address)

    @property
    def am_upstream(self):
        return self.topology.am_root

    def peer_alive(self, now, address):
        peer = self.topology.peers.get(address)
        return peer is not None and peer.heard_within(now, 500000)

    def peer_latency(self, address):
        peer = self.topology.peers.get(address)
        path = peer.best_path(self.now) if peer is not None else None
        return path.latency if path is not None else None

    def deliver(self, nwid, source_mac, dest_mac, ethertype, frame):
        self.callbacks.frame(nwid, source_mac, dest_mac, ethertype, 0, frame)

    def network_changed(self, nwid, what):
        self.callbacks.network(nwid, what)

    def load(self, kind, key):
        return self.storage.get(kind, key)

    def save(self, kind, key, data):
        self.storage.put(kind, data, key)

    def peer_event(self, peer):
        self.callbacks.event(
            "peer", {"address": peer.address.hex(), "path": STATE_NAMES[peer.state]}
        )

