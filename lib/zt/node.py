# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The node: what an application or driver talks to, and where VL1 and VL2 meet. Sans-IO: time,
# packets, frames and stored state come in by call and go out through callbacks. It is put together
# from router (out), parking (what waits), inbound (in) and vl2host (up); what each verb means
# lives in hello, verbs, direct, relay; who exists in topology; networks in vl2.

from array import array

from . import crypto, describe, drops, keepalive, relay, world
from ._compat import const, elapsed, ticks_add, ticks_diff
from .const import VERB_ECHO, VERB_USER_MESSAGE
from .identity import Identity
from .limits import Limits
from .topology import Topology
from .vl2 import VL2
from .vl2host import VL2Host
from .waiting import LIFETIME_MS, RETRY_MS

_ECHOES = const(32)


class Node(VL2Host):
    """One ZeroTier node.

    `callbacks` has wire_send(local_socket, remote, data, ttl) -> 0 or errno, frame(nwid, source
    MAC, destination MAC, EtherType, VLAN, data), network(nwid, what), event(name, info),
    path_check(address, local_socket, remote) -> bool and path_lookup(address, family) -> remote or
    None. `storage` is a store.FileStore or MemoryStore that holds an identity.secret; ValueError
    if it does not or if a stored object is bad. `clock()` is the wall clock in ms since 1970,
    `random(n)` gives n bytes. Keyword arguments: `profile` and single `limits`, `allow_loopback`.
    `idhash=False` makes it a node that cannot run the identity hash (docs/security.md).
    """

    def __init__(
        self, callbacks, storage, clock, random, profile="unix", allow_loopback=False,
        **limits
    ):  # fmt: skip
        self.callbacks = callbacks
        self.storage = storage
        self.clock = clock
        self.random = random
        self.limits = Limits(profile, **limits)
        self.software = self.limits.version
        self.allow_loopback = allow_loopback
        can = self.limits.idhash
        self.can_validate = crypto.idhash_fits() if can is None else bool(can)
        self.identity = self._load_identity()
        self.address = self.identity.address
        self.online = False
        self.drops = array("L", [0] * len(drops.NAMES))
        self.received = 0
        self.relayed = 0
        self.controller = None
        self.local_addresses = ()
        self.now = 0
        self.plane = None  # the data plane in C, where the driver has one
        lim = self.limits
        self.topology = Topology(self.identity, lim, storage)
        self.topology.load_planet(world.DEFAULT_PLANET)
        self._init_router(lim)
        self._init_parking(lim)
        self._init_inbound(lim)
        self.united = {}
        self.hello_gate = {}  # per source prefix: [time, checks]
        self.hello_all = [None, 0]
        self.echoes = []  # (packet ID, callback), oldest first
        self.hello_buf = bytearray(160)  # the longest HELLO has 149 bytes
        self.hello_mv = memoryview(self.hello_buf)
        self._next_pass = None
        self._last_housekeeping = None
        self.vl2 = VL2(self)
        for address in self.topology.upstreams():
            self.topology.load_cached(address)

    def _load_identity(self):
        data = self.storage.get("identity.secret")
        if data is None:
            raise ValueError("identity.secret: missing")
        try:
            identity = Identity.parse(bytes(data))
        except ValueError as e:
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
        call. Raises nothing but what the storage and the callbacks raise.
        """
        self._take(now, self._datagram, local_socket, remote, p)

    def process_opened_packet(self, now, local_socket, remote, p):
        """Take a packet the data plane has opened, under the same terms."""
        self._take(now, self._already_open, local_socket, remote, p)

    def process_whole_packet(self, now, local_socket, remote, p):
        """Take a packet the data plane has put together but not opened."""
        self._take(now, self._whole_packet, local_socket, remote, p)

    def _take(self, now, how, local_socket, remote, p):
        self.now = now
        try:
            how(now, local_socket, remote, p)
            if self._recheck:
                self._retry(now)
        except MemoryError:
            self.drop(drops.MEMORY)

    def use_plane(self, plane):
        self.plane = plane
        self.vl2.use_plane(plane)

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
        from .controlport import ControllerPort  # boards have none

        self.controller = ControllerPort(self, controller)

    def set_local_addresses(self, addresses):
        """Tell the node which (ip, port) others might reach us at (PUSH_DIRECT_PATHS)."""
        before = self.local_addresses
        self.local_addresses = tuple(addresses)
        if before and set(before) != set(self.local_addresses):
            self.network_changed_below(self.now)

    def network_changed_below(self, now):
        """The host's interfaces changed: ask all roots and the peers in use again at once."""
        if self.plane is not None:
            self.plane.paths_changed()
        keepalive.network_changed(self, now)
        self._next_pass = now

    def wake(self, now, ms):
        """The next pass is in `ms` at the latest."""
        if self._next_pass is None or ticks_diff(self._next_pass, now) > ms:
            self._next_pass = ticks_add(now, ms)

    def planet_changed(self, now, planet):
        """A root sent a newer planet, it is in use."""
        self._next_pass = now
        self.callbacks.event("world", {"id": planet.id.hex(), "timestamp": planet.timestamp.hex()})

    def echo(self, now, address, callback):
        """ECHO a node; callback(rtt_ms, remote, hops) runs if it answers. False if it cannot be
        sent.
        """
        packet_id = self.send(now, address, VERB_ECHO)
        if packet_id is None:
            return False
        if len(self.echoes) >= _ECHOES:
            self.echoes.pop(0)
        self.echoes.append((packet_id, callback))
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

    def candidates(self, now):
        return list(self.local_addresses) + self.surface.addresses(now)

    def validate(self, identity):
        """Does this address belong to this key? None if the hash cannot be run here: then only a
        root's answer counts, and the caller must not take the identity from anybody else.
        """
        if self.can_validate:
            try:
                return identity.validate()
            except MemoryError:
                self.drop(drops.MEMORY)
        return None

    def _housekeeping(self, now):
        self.topology.housekeeping(now)
        self.spare_tx()
        self.surface.expire(now)
        self.reassembly.expire(now, LIFETIME_MS)
        relay.expire(self, now)
        for bucket in list(self.hello_gate):
            if elapsed(now, self.hello_gate[bucket][0], 60000):
                del self.hello_gate[bucket]

    def echo_answered(self, now, packet_id, rx, rtt):
        for i, waiting in enumerate(self.echoes):
            if waiting[0] == packet_id:
                self.echoes.pop(i)
                waiting[1](rtt, rx.remote, rx.hops)
                return
