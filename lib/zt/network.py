# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# One joined network: its status and configuration in force, who among the members is admitted
# (VL2 5.9), what they are sent of our credentials and groups (5.8, 6.4), what is shown of it.
# Asking for the configuration is in request.py, frames are in frames.py, groups in groups.py.

from array import array

from . import crypto, log, netinfo, rules
from . import mac as macs
from ._compat import const, elapsed, hexs, ticks_add, ticks_diff
from .const import (
    DONE,
    ERROR_NEED_MEMBERSHIP_CERTIFICATE,
    NET_ACCESS_DENIED,
    NET_OK,
    NET_PORT_ERROR,
    NET_REQUESTING_CONFIGURATION,
    NET_STATUS_NAMES,
    NETWORK_MTU_DEFAULT,
    PARK,
    VERB_ERROR,
    VERB_FRAME,
    VERB_MULTICAST_FRAME,
    VERB_NETWORK_CREDENTIALS,
)
from .credential import REVOKE_FAST_PROPAGATE, Revocation, pack_credentials, payloads
from .frames import PUSH_MS, judge_out
from .groups import Groups
from .managed import Local
from .membership import NEVER, NEW, REJECTED, Members
from .netconf import NetworkConfig
from .netdrops import BAD_CONFIG, BAD_CREDENTIAL, NAMES, NOT_ADMITTED, REVOKED, STALE_CONFIG
from .request import Request

_PUSH_AGAIN_MS = const(1000)
_LIKE_MS = const(60000)
_BRIDGED_MS = const(600000)
_ASK_MS = const(1000)
_ERROR_SPACING_MS = const(100)  # our choice: one ERROR per member and burst
_CREDENTIAL_ROOM = const(1024)  # of a packet that credentials leave free


class Network(Groups):
    # What most networks never need stands here: an attribute takes memory once it is set.
    plane = None  # the data plane in C, where there is one
    config = None
    generation = 0  # counts applied configurations
    accept_all = False
    unsupported_rules = ()
    is_bridge = is_replicator = False
    bridges = ()
    replicators = ()
    keepers = ()  # anchors and replicators: kept contacted, told of and asked for groups
    cut = False  # our own certificate was revoked
    own_threshold = NEVER
    port_error = 0
    device = ""  # name of the interface, set by the edge
    refusal = None  # status the controller's last ERROR stands for
    authentication = None
    rx_frames = rx_bytes = tx_frames = tx_bytes = 0
    _filter = None
    _digest = None
    _saved = None
    _next_like = None
    _reported = NET_REQUESTING_CONFIGURATION

    def __init__(self, host, multicast, nwid, local=None):
        self.host = host
        self.multicast = multicast
        self.nwid = nwid
        self.controller = nwid[:5]
        self.adhoc = nwid[0] == 0xFF
        self.address = host.address
        self.mac = macs.from_address(host.address, nwid)
        self.first_octet = macs.first_octet(nwid)
        self.local = Local(local)
        self.members = Members(nwid, host.limits)
        self.drops = array("L", [0] * len(NAMES))
        self.request = Request(self)
        self._init_groups()

    @property
    def filter(self):
        """The rules at work, made when there are any to ask."""
        if self._filter is None:
            self._filter = rules.Filter(self.address, self.host.random)
        return self._filter

    def use_plane(self, plane):
        self.plane = plane
        self.members.on_change = None if plane is None else self._members_changed

    def _members_changed(self, address):
        self.plane.member_changed(self, address)

    @property
    def short_cuts(self):
        """May Python remember whom nothing stands in the way of? If the data plane does not."""
        return self.accept_all and (self.plane is None or self.nwid not in self.plane.networks)

    def cut_off(self):
        """Nothing of this network may go by the data plane until it is worked out anew."""
        if self.plane is not None:
            self.plane.network_changed(self)

    # --- status

    @property
    def status(self):
        """Numeric status, an index into const.NET_STATUS_NAMES."""
        if self.port_error:
            return NET_PORT_ERROR
        if self.cut:
            return NET_ACCESS_DENIED
        if self.refusal is not None:
            return self.refusal
        return NET_OK if self.config is not None else NET_REQUESTING_CONFIGURATION

    def report(self):
        """Tell the host if the status is another than it was told last."""
        status = self.status
        if status != self._reported:
            self._reported = status
            log.info("net", "%s %s" % (hexs(self.nwid), NET_STATUS_NAMES[status]))
            self.host.network_changed(self.nwid, "status")

    def refuse_status(self, status):
        """The controller refused us; the configuration we hold stays in force (VL2 2.3)."""
        self.refusal = status
        self.report()

    def set_port_error(self, errno):
        """The edge could not make or keep the interface; 0 takes it back."""
        self.port_error = errno
        self.report()

    def count_bad_config(self):
        self.drops[BAD_CONFIG] += 1

    def count_stale_config(self):
        self.drops[STALE_CONFIG] += 1

    @property
    def mtu(self):
        return self.config.mtu if self.config is not None else NETWORK_MTU_DEFAULT

    @property
    def dns(self):
        """(domain, servers) to use here, or None."""
        return self.local.dns(self.config) if self._granted() else None

    def managed_addresses(self):
        """The (ip, bits) this machine is to have, by our local permissions."""
        return self.local.addresses(self.config) if self._granted() else []

    def managed_routes(self):
        """The (target, bits, via or None, flags, metric) to set, by our local permissions."""
        return self.local.routes(self.config) if self._granted() else []

    def _granted(self):
        """May this machine use what the configuration gives it? Not while the controller or a
        revocation keeps it out, though the rest of it stays in force (VL2 2.3); our choice: the
        original keeps its addresses until the network is left."""
        return self.config is not None and not self.cut and self.refusal != NET_ACCESS_DENIED

    def describe(self):
        """The network as the JSON API shows it."""
        return netinfo.describe(self)

    def counters(self):
        """What went through and what did not, by name."""
        if self.plane is not None:
            self.plane.sync.fold(self)
        return netinfo.counters(self)

    # --- the configuration in force

    def restore(self, now, data):
        """Use the configuration of an earlier run; an unusable one is as if there were none."""
        try:
            config = NetworkConfig.parse(data)
            if config.nwid != self.nwid or config.issued_to != self.address:
                raise ValueError("not issued to us")
            self.apply(now, config, False)
        except ValueError as e:
            log.warn("net", "%s: cached configuration ignored: %s" % (hexs(self.nwid), e))

    def apply(self, now, config, received):
        """Put a checked configuration into force; ValueError if it exceeds our limits."""
        packed = config.pack()
        digest = crypto.sha512(packed)[:16]
        if digest == self._digest:
            return
        limits = self.host.limits
        over = None
        if len(packed) > limits.config_bytes:
            over = "config_bytes"
        elif rules.validate(config.rules, limits.rules) != len(config.rules):
            over = "rules"
        if over is not None:
            limits.full(over)
            self.drops[BAD_CONFIG] += 1
            raise ValueError("configuration exceeds the limit %s" % over)
        self.cut_off()
        before = self.all_groups()
        held = self.config
        first = held is None
        self._digest = digest
        config.share(self.nwid, self.address, self.controller)
        self.config = config
        self.generation += 1
        self.members.settle()
        self.accept_all = config.rules == rules.ACCEPT_ALL
        self.unsupported_rules = rules.check(config.rules) or ()
        if config.specialists or (held is not None and held.specialists):
            self._take_roles(config)
        if self.refusal is not None:
            self.refusal = None
            self.authentication = None
        self._check_own()
        if received or self.adhoc:
            self.request.confirmed(now)
        if received:
            self._keep(now, held, packed)
        self._quiet = True  # groups the edge subscribes meanwhile are announced together below
        if first:
            self.report()
        self.host.network_changed(self.nwid, "up" if first else "config")
        if not first:
            self.report()
        self._quiet = False
        self.announce(now, [k for k in self.all_groups() if first or k not in before])
        if first:
            self._next_like = ticks_add(now, _LIKE_MS)

    def _take_roles(self, config):
        self.bridges = config.active_bridges
        self.replicators = config.replicators
        keepers = set(self.replicators + config.anchors)
        keepers.discard(self.address)
        self.keepers = tuple(keepers)
        self.is_bridge = self.address in self.bridges
        self.is_replicator = self.address in self.replicators

    def _keep(self, now, held, packed):
        # Most configurations differ only in their time; a board's flash need not see each of them.
        c = self.config
        if (
            held is not None
            and (c.revision, c.rules, c.mtu, c.flags, c.static_ips, c.routes)
            == (held.revision, held.rules, held.mtu, held.flags, held.static_ips, held.routes)
            and not elapsed(now, self._saved, self.host.limits.config_save_ms)
        ):
            return
        self._saved = now
        self.host.save("network", self.nwid, packed)

    def _check_own(self):
        self.cut_off()
        c = self.config
        if self.own_threshold != NEVER:
            void = c is not None and (c.com is None or c.com.timestamp <= self.own_threshold)
            self.cut = void and not c.public

    def tick(self, now):
        """Do what is due; ms until something is."""
        wait = self.request.tick(now)
        if self.config is None:
            return wait
        if self._next_like is None or ticks_diff(self._next_like, now) <= 0:
            self._next_like = ticks_add(now, _LIKE_MS)
            self._minute(now)
        return min(wait, max(ticks_diff(self._next_like, now), 0))

    def _minute(self, now):
        if elapsed(now, self._saved, self.host.limits.config_save_ms):
            self._saved = None  # before the ticks wrap
        for key in [k for k, t in self.bridged.items() if elapsed(now, t, _BRIDGED_MS)]:
            del self.bridged[key]
        self.members.sweep(now)
        groups = self.all_groups()
        for address in self._infrastructure():
            self._send_likes(now, address, groups)
        for m in list(self.members.table.values()):
            if m.last_like is None and m.address != self.address and self._admits(m):
                self.like(now, m)

    def came_online(self, now):
        """A root answers again: ask for what is missing, repeat what nobody may have heard."""
        self.request.poke(now)
        if self.config is not None:
            self._next_like = now

    # --- members

    def member(self, now, address):
        """The record of a member, worked out against the configuration in force."""
        m = self.members.make(now, address)
        if m.generation != self.generation:
            self.refresh(m)
        return m

    def refresh(self, m):
        m.refresh(self.generation, self.config, self.host.identity_of)

    def _admits(self, m):
        if m.generation != self.generation:
            self.refresh(m)
        return m.allowed and not self.cut

    def gate(self, now, source):
        """The record of a member that may talk to us, else None (VL2 5.9)."""
        m = self.members.table.get(source)
        if m is None:
            m = self.members.make(now, source)
        m.seen = now
        if m.generation != self.generation:
            self.refresh(m)
        if not m.allowed or self.cut:
            return None
        if elapsed(now, m.last_like, _LIKE_MS):
            self.like(now, m)
        return m

    def refuse(self, now, source, verb, packet_id, reply):
        """The gate is shut: say so, and keep the packet until credentials come."""
        if self.cut:
            self.drops[REVOKED] += 1
            return DONE
        self.drops[NOT_ADMITTED] += 1
        m = self.members.make(now, source)
        if elapsed(now, m.last_error, _ERROR_SPACING_MS):
            m.last_error = now
            reply(
                VERB_ERROR,
                bytes([verb]),
                packet_id,
                bytes([ERROR_NEED_MEMBERSHIP_CERTIFICATE]),
                self.nwid,
            )
        return PARK

    def credential(self, now, c, source):
        """Judge one credential from `source`; a membership result, DEFERRED with c.unknown set."""
        result = self.members.add(now, c, self.host.identity_of)
        if result == REJECTED:
            self.drops[BAD_CREDENTIAL] += 1
        elif result == NEW and isinstance(c, Revocation):
            if c.target == self.address:
                self.own_threshold = self.members.make(now, self.address).expelled
                self._check_own()
                self.report()
                self.request.again(now)
            if c.flags & REVOKE_FAST_PROPAGATE:
                payload = pack_credentials(revocations=(c,))
                for address in list(self.members.table):
                    if address not in (source, c.signed_by, self.address):
                        self.host.send(now, address, VERB_NETWORK_CREDENTIALS, payload)
        return result

    def ask_credentials(self, now, m):
        """A frame goes to a member that was expelled. It may be admitted again and not have told
        us, so ask for its certificate as if it had sent something."""
        self.drops[REVOKED] += 1
        if elapsed(now, m.last_error, _ASK_MS):
            m.last_error = now
            code = bytes([ERROR_NEED_MEMBERSHIP_CERTIFICATE])
            verb = bytes([VERB_FRAME])
            self.host.send(now, m.address, VERB_ERROR, verb, bytes(8), code, self.nwid)

    def push(self, now, m):
        """Send our credentials to a member (VL2 5.8)."""
        m.pushed = self.generation
        m.last_push = now
        room = self.host.limits.packet_bytes - _CREDENTIAL_ROOM
        for payload in payloads(self.config, room):
            self.host.send(now, m.address, VERB_NETWORK_CREDENTIALS, payload)

    def asked_for_credentials(self, now, source):
        """ERROR 0x06 from a peer."""
        if self.config is None or self.config.com is None or self.cut:
            return
        m = self.members.make(now, source)
        if m.pushed != self.generation or elapsed(now, m.last_push, _PUSH_AGAIN_MS):
            self.push(now, m)

    def send_multicast(self, now, address, payload, offset, src, dst, ethertype):
        """One copy of a multicast for one member; True if it was sent."""
        m = self.member(now, address)
        if m.barred or self.config is None or self.cut:
            return False
        if not self.accept_all:
            frame = memoryview(payload)[offset:]
            if not judge_out(self, now, m, src, dst, ethertype, frame, True):
                return False
        if m.pushed != self.generation or elapsed(now, m.last_push, PUSH_MS):
            self.push(now, m)
        self.host.send(now, address, VERB_MULTICAST_FRAME, payload)
        return True
