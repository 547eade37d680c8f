# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The networks of a node (VL2): joins and leaves them, hands each authentic packet of a VL2 verb
# to the network it names, keeps credentials whose signer is not known yet, and keeps groups for
# others where this node is their root or controller. All bytes from peers are checked here or
# below; nothing is raised.

from array import array

from . import frames
from ._compat import const, elapsed, u16
from .const import (
    DONE,
    ERROR_BAD_PROTOCOL_VERSION,
    ERROR_NEED_MEMBERSHIP_CERTIFICATE,
    ERROR_UNSUPPORTED_OPERATION,
    ERROR_UNWANTED_MULTICAST,
    IGNORED,
    TRUSTED,
    VERB_ERROR,
    VERB_EXT_FRAME,
    VERB_FRAME,
    VERB_MULTICAST_FRAME,
    VERB_MULTICAST_GATHER,
    VERB_MULTICAST_LIKE,
    VERB_NETWORK_CONFIG,
    VERB_NETWORK_CONFIG_REQUEST,
    VERB_NETWORK_CREDENTIALS,
    VERB_OK,
)
from .credential import COM, unpack_credentials
from .membership import DEFERRED, NEW, REDUNDANT
from .multicast import Multicast
from .network import Network

# Indices into VL2.drops; what belongs to one network is counted there.
MALFORMED = const(0)
NOT_JOINED = const(1)
TOO_MANY_CREDENTIALS = const(2)
NOT_AUTHORIZED = const(3)
PENDING_FULL = const(4)
NAMES = ("malformed", "not_joined", "too_many_credentials", "not_authorized", "pending_full")

_JOINED = b"\n"  # what is stored for a network without configuration
_SECOND = const(1000)
_PENDING_MS = const(60000)


class VL2:
    def __init__(self, host):
        self.host = host
        self.limits = host.limits
        self.networks = {}
        self.multicast = Multicast(host)
        self.plane = None
        self.drops = array("L", [0] * len(NAMES))
        self._gates = {}  # address -> [start of its second, NETWORK_CREDENTIALS packets in it]
        self._pending = []  # (ticks, network, credential, source), oldest first

    def use_plane(self, plane):
        self.plane = self.multicast.plane = plane
        for net in self.networks.values():
            net.use_plane(plane)

    # --- what the node's owner asks for

    def join(self, now, nwid, settings=None):
        """Join a network; if joined, change its local settings (names of the JSON API, booleans).

        ValueError for an impossible id, too many networks or a setting that is not a boolean.
        """
        nwid = bytes(nwid)
        if len(nwid) != 8 or nwid == bytes(8):
            raise ValueError("network id must be 8 bytes and not zero")
        net = self.networks.get(nwid)
        if net is not None:
            self.configure(now, nwid, settings)
            return net
        if len(self.networks) >= self.limits.networks:
            self.limits.full("networks")
            raise ValueError("too many networks: the limit is %d" % self.limits.networks)
        net = Network(self.host, self.multicast, nwid, self.host.load("network.local", nwid))
        if settings and net.local.update(settings):
            self.host.save("network.local", nwid, net.local.pack())
        self.networks[nwid] = net
        net.use_plane(self.plane)
        data = self.host.load("network", nwid)
        if data is None:
            self.host.save("network", nwid, _JOINED)
        elif len(bytes(data).strip()) and not net.adhoc:
            net.restore(now, bytes(data))
        net.request.tick(now)
        return net

    def configure(self, now, nwid, settings):
        """Change the local settings of a joined network; False if it is not joined."""
        net = self.networks.get(nwid)
        if net is None:
            return False
        if settings and net.local.update(settings):
            self.host.save("network.local", nwid, net.local.pack())
            self.host.network_changed(nwid, "config")
        return True

    def leave(self, now, nwid):
        """Forget a network and what is stored of it; False if it is not joined."""
        net = self.networks.pop(bytes(nwid), None)
        if net is None:
            return False
        net.cut_off()
        self.multicast.forget_network(net.nwid)
        self._pending = [p for p in self._pending if p[1] is not net]
        self.host.save("network", net.nwid, None)
        self.host.save("network.local", net.nwid, None)
        self.host.network_changed(net.nwid, "down")
        return True

    def tap_frame(self, now, nwid, src, dst, ethertype, frame):
        """A frame from the local stack; ids and MACs are bytes, `frame` (without header) is valid
        during the call."""
        net = self.networks.get(nwid)
        if net is None:
            self.drops[NOT_JOINED] += 1
            return
        frames.tap(net, now, src, dst, ethertype, frame)

    def subscribe(self, now, nwid, mac, adi=0):
        """Listen to a multicast group; False if not joined or at the limit."""
        net = self.networks.get(nwid)
        return net is not None and net.subscribe(now, _key(nwid, mac, adi))

    def unsubscribe(self, now, nwid, mac, adi=0):
        net = self.networks.get(nwid)
        if net is not None:
            net.unsubscribe(_key(nwid, mac, adi))

    def set_port_error(self, nwid, errno):
        """The edge has no interface for this network (errno), or has one again (0)."""
        net = self.networks.get(nwid)
        if net is not None:
            net.set_port_error(errno)

    def always_contact(self):
        """Addresses to keep in contact with: anchors and replicators of all networks."""
        found = set()
        for net in self.networks.values():
            found.update(net.keepers)
        return found

    # --- what the node tells

    def tick(self, now):
        """Do what is due; ms until something is."""
        wait = self.multicast.tick(now)
        for net in list(self.networks.values()):
            wait = min(wait, net.tick(now))
        if self._gates:
            for a in [a for a, g in self._gates.items() if elapsed(now, g[0], _SECOND)]:
                del self._gates[a]
        if self._pending:
            self._pending = [p for p in self._pending if not elapsed(now, p[0], _PENDING_MS)]
        return wait

    def came_online(self, now):
        for net in list(self.networks.values()):
            net.came_online(now)

    def identity_learned(self, now, identity):
        """A peer's identity became known: take what waited for it, ask a controller at once."""
        address = identity.address
        ready = [p for p in self._pending if p[2].unknown == address]
        if ready:
            self._pending = [p for p in self._pending if p[2].unknown != address]
            for _, net, credential, source in ready:
                self._judge(now, net, credential, source)
        for net in list(self.networks.values()):
            if net.controller == address:
                net.request.poke(now)

    def handle(self, now, verb, source, packet_id, payload, reply):
        """An authentic packet of a VL2 verb. IGNORED, DONE, TRUSTED or PARK."""
        if verb == VERB_FRAME and len(payload) > 10:
            net = self.networks.get(bytes(payload[:8]))
            if net is not None:
                m = net.members.admitted.get(source)
                if m is not None:
                    net.rx_frames += 1
                    net.rx_bytes += len(payload) - 10
                    kind = payload[8] << 8 | payload[9]
                    self.host.deliver(net.nwid, m.mac, net.mac, kind, payload[10:])
                    return TRUSTED
        handler = _HANDLERS.get(verb)
        if handler is None or len(payload) < 8:
            # NETWORK_CREDENTIALS may be shorter: nothing in it.
            if verb == VERB_NETWORK_CREDENTIALS:
                return DONE
            self.drops[MALFORMED] += 1
            return IGNORED
        try:
            if verb in (VERB_FRAME, VERB_EXT_FRAME, VERB_MULTICAST_FRAME):
                net = self.networks.get(bytes(payload[:8]))
                if net is None:
                    self.drops[NOT_JOINED] += 1
                    return IGNORED if verb == VERB_MULTICAST_FRAME else DONE
                return handler(net, now, source, packet_id, payload, reply)
            return handler(self, now, source, packet_id, payload, reply)
        except (ValueError, IndexError):
            self.drops[MALFORMED] += 1
            return IGNORED

    def ok(self, now, source, in_re_verb, in_re_id, body):
        """An OK to a request of ours; the caller has checked that there was one."""
        if len(body) < 8:
            return
        net = self.networks.get(bytes(body[:8]))
        if net is None:
            return
        try:
            if in_re_verb == VERB_NETWORK_CONFIG_REQUEST:
                net.request.chunk(now, source, in_re_id, body, True)
            elif in_re_verb == VERB_MULTICAST_GATHER:
                if len(body) < 18:
                    raise ValueError("OK truncated")
                self.multicast.add_results(now, bytes(body[:18]), body[18:])
            elif in_re_verb == VERB_MULTICAST_FRAME:
                frames.multicast_frame_ok(net, now, body)
        except (ValueError, IndexError):
            self.drops[MALFORMED] += 1

    def error(self, now, source, in_re_verb, in_re_id, code, body):
        """An ERROR. Only its sender proves anything: it is not tied to a request (VL2 2.3)."""
        net = self.networks.get(bytes(body[:8]))
        if net is None:
            if code == ERROR_BAD_PROTOCOL_VERSION and len(body) < 8:
                # Carries no network id; the request it answers says which.
                for net in self.networks.values():
                    if net.controller == source and net.request.id == in_re_id:
                        net.request.error(now, in_re_verb, code, body)
                        return
            return
        try:
            if code == ERROR_NEED_MEMBERSHIP_CERTIFICATE:
                net.asked_for_credentials(now, source)
            elif code == ERROR_UNWANTED_MULTICAST:
                if len(body) >= 18 and net.gate(now, source) is not None:
                    self.multicast.remove(bytes(body[:18]), source)
            elif source == net.controller:
                net.request.error(now, in_re_verb, code, body)
        except (ValueError, IndexError):
            self.drops[MALFORMED] += 1

    # --- verbs

    def _keeps_groups(self, now, nwid, source):
        """May `source` announce and ask here although we need not be a member (VL2 6.4)?"""
        if self.host.am_upstream:
            return True
        controller = self.host.controller
        return controller is not None and controller.authorized_recently(now, nwid, source)

    def _like(self, now, source, packet_id, p, reply):
        nwid = None
        allowed = False
        for o in range(0, len(p) - 17, 18):
            key = bytes(p[o : o + 18])
            if key[:8] != nwid:
                nwid = key[:8]
                net = self.networks.get(nwid)
                allowed = (net is not None and net.gate(now, source) is not None) or (
                    self._keeps_groups(now, nwid, source)
                )
            if allowed:
                self.multicast.add(now, key, source)
            else:
                self.drops[NOT_AUTHORIZED] += 1
        return DONE

    def _gather(self, now, source, packet_id, p, reply):
        if len(p) < 23:
            raise ValueError("MULTICAST_GATHER truncated")
        nwid = bytes(p[:8])
        net = self.networks.get(nwid)
        if net is not None and p[8] & 1:
            try:
                self._judge(now, net, COM.unpack(p, 23)[0], source)
            except ValueError:
                pass  # the question stands without it (VL2 6.5)
        member = net is not None and net.gate(now, source) is not None
        if not member and not self._keeps_groups(now, nwid, source):
            self.drops[NOT_AUTHORIZED] += 1
            return DONE
        key = nwid + bytes(p[9:19])
        limit = 0xFFFF if p[19] or p[20] else u16(p, 21)
        if limit:
            own = net is not None and net.subscribed(key)
            found = self.multicast.results(key, source, limit, own)
            if found is not None:
                reply(VERB_OK, bytes([VERB_MULTICAST_GATHER]), packet_id, key, found)
        return TRUSTED if member else DONE

    def _credentials(self, now, source, packet_id, p, reply):
        gate = self._gates.get(source)
        if gate is None or elapsed(now, gate[0], _SECOND):
            self._gates[source] = [now, 1]
        elif gate[1] >= self.limits.credentials_per_second:
            self.drops[TOO_MANY_CREDENTIALS] += 1
            return IGNORED
        else:
            gate[1] += 1
        result = DONE
        coms, capabilities, tags, revocations, coos = unpack_credentials(p, 0, len(p))
        for kind in (coms, capabilities, tags, revocations, coos):
            for c in kind:
                net = self.networks.get(c.nwid)
                if net is not None and self._judge(now, net, c, source) in (NEW, REDUNDANT):
                    result = TRUSTED
        return result

    def _judge(self, now, net, credential, source):
        result = net.credential(now, credential, source)
        if result == DEFERRED:
            self.host.whois(now, credential.unknown)
            if len(self._pending) >= self.limits.pending_credentials:
                self._pending.pop(0)
                self.drops[PENDING_FULL] += 1
            self._pending.append((now, net, credential, source))
        return result

    def _config_request(self, now, source, packet_id, p, reply):
        if len(p) < 10 or len(p) < 10 + u16(p, 8):
            raise ValueError("NETWORK_CONFIG_REQUEST truncated")
        nwid = bytes(p[:8])
        controller = self.host.controller
        if controller is None:
            code = bytes([ERROR_UNSUPPORTED_OPERATION])
            reply(VERB_ERROR, bytes([VERB_NETWORK_CONFIG_REQUEST]), packet_id, code, nwid)
            return DONE
        identity = self.host.identity_of(source)
        if identity is not None:
            metadata = bytes(p[10 : 10 + u16(p, 8)])
            controller.request(now, nwid, identity, packet_id, metadata, reply)
        return DONE

    def _config(self, now, source, packet_id, p, reply):
        net = self.networks.get(bytes(p[:8]))
        if net is None:
            self.drops[NOT_JOINED] += 1
            return DONE
        net.request.pushed(now, source, packet_id, p, reply)
        return DONE


_HANDLERS = {
    VERB_FRAME: frames.frame,
    VERB_EXT_FRAME: frames.ext_frame,
    VERB_MULTICAST_FRAME: frames.multicast_frame,
    VERB_MULTICAST_LIKE: VL2._like,
    VERB_NETWORK_CREDENTIALS: VL2._credentials,
    VERB_NETWORK_CONFIG_REQUEST: VL2._config_request,
    VERB_NETWORK_CONFIG: VL2._config,
    VERB_MULTICAST_GATHER: VL2._gather,
}


def _key(nwid, mac, adi):
    return bytes(nwid) + bytes(mac) + adi.to_bytes(4, "big")
