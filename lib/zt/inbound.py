# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# From a datagram to the function of its verb and what every authentic packet is good for: putting
# fragments together, opening, inflating, learning paths (VL1 4.9, 7.2, 7.3). Base class of Node.
# All that comes in before crypto.open() said yes is a stranger's, whatever address it names.

from . import crypto, drops, hello, inet, keepalive, packet, relay, surface, verbs
from ._compat import const, elapsed
from .const import (
    IGNORED,
    MIN_PACKET,
    PARK,
    TRUSTED,
    VERB_EXT_FRAME,
    VERB_FRAME,
    VERB_HELLO,
    VERB_MULTICAST_FRAME,
    VERB_NETWORK_CREDENTIALS,
    VERB_OK,
)
from .direct import contact, push
from .packet import FLAG_COMPRESSED, FLAG_FRAGMENTED, IDX_FLAGS, IDX_PAYLOAD, IDX_VERB
from .parking import Parking
from .peer import NONTRIVIAL, STATE_DIRECT

_CONFIRM_MS = const(1000)
_FRAMES = (VERB_FRAME, VERB_EXT_FRAME, VERB_MULTICAST_FRAME)


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


class Inbound(Parking):
    def _init_inbound(self, limits):
        self.surface = surface.Surface(limits.surfaces)
        self.reassembly = packet.Reassembly(limits.reassembly, limits.packet_bytes)
        self.rx = Rx()
        self.inflated_mv = None  # made when the first compressed packet comes

    def drop(self, cause):
        self.drops[cause] += 1

    def _datagram(self, now, local_socket, remote, p):
        n = len(p)
        if n <= packet.FRAGMENT_HEADER:
            self.drop(drops.SHORT)
            return
        fragment = packet.is_fragment(p)
        if not fragment and n < MIN_PACKET:
            self.drop(drops.SHORT)
            return
        if n > self.limits.packet_bytes:
            self.limits.full("packet_bytes")
            self.drop(drops.TOO_LONG)
            return
        if not fragment and p[13:18] == self.address:
            self.drop(drops.LOOPED)
            return
        if p[8:13] != self.address:
            relay.forward(self, now, local_socket, remote, p, fragment)
        elif fragment:
            self._whole(now, self.reassembly.fragment(now, p))
        elif p[IDX_FLAGS] & FLAG_FRAGMENTED:
            self._whole(now, self.reassembly.head(now, p, (local_socket, remote)))
        else:
            self._packet(now, local_socket, remote, p, n)

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

    def _whole_packet(self, now, local_socket, remote, p):
        self._packet(now, local_socket, remote, p, len(p))

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
        peer = self.topology.find(now, rx.source, True)
        if peer is None:
            self._park_unknown(now, rx)
            return
        rx.source = peer.address  # who keeps it shares it
        if not crypto.open(peer.key, p, n):
            self.drop(drops.MAC)
            if self.topology.doubtful(peer):
                self.whois(now, rx.source, False)
            return
        self._clear(now, rx, peer)

    def _clear(self, now, rx, peer):
        rx.peer = peer
        if rx.p[IDX_VERB] & FLAG_COMPRESSED and not self._inflate(rx):
            self.drop(drops.COMPRESSION)
            return
        self._opened(now, rx)

    def _already_open(self, now, local_socket, remote, p):
        """A packet the data plane has authenticated and decrypted."""
        rx = self.rx
        rx.local_socket = local_socket
        rx.remote = remote
        rx.hops = packet.hops(p)
        rx.source = bytes(p[13:18])
        rx.id = bytes(p[0:8])
        rx.p = p
        rx.n = len(p)
        peer = self.topology.peers.get(rx.source)
        if peer is None:
            self.drop(drops.UNKNOWN_SENDER)
            return
        rx.source = peer.address
        self._clear(now, rx, peer)

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
        if self.plane is not None and result == TRUSTED and rx.verb in _FRAMES:
            self.plane.heard(now, bytes(rx.p[28:36]), rx.source)
        if rx.verb == VERB_NETWORK_CREDENTIALS and self.parked.items:
            self._recheck = True

    def _inflate(self, rx):
        """LZ4 payload into our own buffer; rx.p then shows the clear packet."""
        if rx.n == IDX_PAYLOAD:
            return True
        if self.inflated_mv is None:
            self.inflated_mv = memoryview(bytearray(self.limits.packet_bytes))
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
                if rx.verb == VERB_OK:  # proves both directions
                    slot.answered()
            else:
                other = peer.same_ip(path, now)
                if other is None:
                    self._new_path(now, rx, peer, path)
                elif peer.candidate is None:
                    keepalive.moved(self, now, peer, other, path, rx.verb == VERB_HELLO)
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
        elif elapsed(now, path.last_confirm, _CONFIRM_MS) and peer.confirm_allowed(now):
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
        """Somebody tells how it sees us; one of surface.SAME, CHANGED and DOUBTFUL."""
        path = self.topology.paths.get((rx.local_socket, rx.remote))
        ip = (path or rx).remote[0]
        news = self.surface.learn(
            now, rx.source, rx.local_socket, ip, mine, trusted, self.allow_loopback
        )
        if news != surface.CHANGED:
            return news
        scope = inet.scope(mine[0])
        for peer in self.topology.peers.values():
            for s in peer.slots:
                p = s.path
                if p.scope == scope and len(p.remote[0]) == len(mine[0]) and peer is not rx.peer:
                    s.lr = None
                    peer.slots_changed()
                    contact(self, now, peer, p.local_socket, p.remote)
        return news
