# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# How one network's configuration is asked for and received (VL2 2): when to ask, what a refusal
# means, chunks and their acknowledgement, ad-hoc networks that need nobody. What a configuration
# does once it is accepted is the Network's business.

from . import adhoc, log, netconf
from ._compat import be16, be64, const, elapsed, hexs, ticks_add, ticks_diff
from .confchunk import DUPLICATE, NO_CONTROLLER, TAKEN, TOO_BIG
from .const import (
    ERROR_BAD_PROTOCOL_VERSION,
    ERROR_NETWORK_ACCESS_DENIED,
    ERROR_NETWORK_AUTHENTICATION_REQUIRED,
    ERROR_OBJ_NOT_FOUND,
    ERROR_UNSUPPORTED_OPERATION,
    NET_ACCESS_DENIED,
    NET_AUTHENTICATION_REQUIRED,
    NET_CLIENT_TOO_OLD,
    NET_NOT_FOUND,
    VERB_ECHO,
    VERB_ERROR,
    VERB_NETWORK_CONFIG,
    VERB_NETWORK_CONFIG_REQUEST,
    VERB_OK,
)

_REFRESH_MS = const(60000)  # VL2 2.1
_RETRY_MS = const(5000)
_SPACING_MS = const(1050)  # the controller is silent to a second request within 1000 ms
_FIRST_RETRIES = (1050, 1050, 2000, 3000)  # our choice; then every _RETRY_MS

_REFUSALS = {
    ERROR_OBJ_NOT_FOUND: NET_NOT_FOUND,
    ERROR_UNSUPPORTED_OPERATION: NET_NOT_FOUND,
    ERROR_NETWORK_ACCESS_DENIED: NET_ACCESS_DENIED,
    ERROR_NETWORK_AUTHENTICATION_REQUIRED: NET_AUTHENTICATION_REQUIRED,
    ERROR_BAD_PROTOCOL_VERSION: NET_CLIENT_TOO_OLD,
}
_IN_RE_MATTERS = (ERROR_OBJ_NOT_FOUND, ERROR_UNSUPPORTED_OPERATION, ERROR_BAD_PROTOCOL_VERSION)


class Request:
    """The dialogue of one network with its controller."""

    def __init__(self, net):
        self.net = net
        self.host = net.host
        self.chunks = netconf.ChunkAssembler(self.host.limits.config_bytes)
        self.id = None  # packet id of the last request
        self.last = None
        self.next = None
        self.tries = 0
        self.fresh = False  # the controller confirmed the configuration in this run

    def _in(self, now, ms):
        self.next = ticks_add(now, ms)

    def tick(self, now):
        """Ask if it is time; ms until it is."""
        if self.next is None or ticks_diff(self.next, now) <= 0:
            self.ask(now)
        return max(ticks_diff(self.next, now), 0)

    def poke(self, now):
        """Online again, or the controller is known: ask at once if there is a reason to."""
        if not self.fresh or self.net.refusal is not None:
            self.again(now)

    def again(self, now):
        """Ask as soon as the controller listens."""
        if self.last is None or elapsed(now, self.last, _SPACING_MS):
            self.ask(now)
        else:
            self.next = ticks_add(self.last, _SPACING_MS)

    def ask(self, now):
        net = self.net
        host = self.host
        if net.adhoc:
            self._in(now, _REFRESH_MS)
            self._adhoc(now)
            return
        if net.refusal is not None or net.config is not None or self.tries >= len(_FIRST_RETRIES):
            self._in(now, _RETRY_MS)
        else:
            self._in(now, _FIRST_RETRIES[self.tries])
        if net.controller == net.address:
            self._ask_self(now)
            return
        if host.identity_of(net.controller) is None:
            host.whois(now, net.controller)
            return
        self.tries += 1
        self.last = now
        metadata = netconf.request_metadata(host.limits, host.limits.vendor)
        revision = timestamp = bytes(8)
        if net.config is not None:
            revision = be64(net.config.revision)
            timestamp = net.config.timestamp
        self.id = host.send(
            now,
            net.controller,
            VERB_NETWORK_CONFIG_REQUEST,
            net.nwid,
            be16(len(metadata)),
            metadata,
            revision,
            timestamp,
        )

    def _ask_self(self, now):
        # We are the controller: its answer is taken directly (VL2 7.1).
        self.last = now
        if self.host.controller is None:
            self.refused(now, NET_NOT_FOUND)
            return
        self.tries += 1

        def reply(verb, *parts):
            body = memoryview(b"".join([bytes(p) for p in parts]))
            try:
                if verb == VERB_OK and len(body) > 9:
                    self.chunk(now, self.net.address, bytes(body[1:9]), body[9:], True)
                elif verb == VERB_ERROR and len(body) > 9:
                    self.error(now, body[0], body[9], body[10:])
            except ValueError as e:
                log.warn("net", "%s: our own answer: %s" % (hexs(self.net.nwid), e))

        metadata = netconf.request_metadata(self.host.limits, self.host.limits.vendor)
        self.host.controller.request(
            now, self.net.nwid, self.host.identity, self.host.random(8), metadata, reply
        )

    def _adhoc(self, now):
        try:
            config = adhoc.config(self.net.nwid, self.net.address, self.host.clock())
        except ValueError:
            self.refused(now, NET_NOT_FOUND)
            return
        if config is not None:
            self.net.apply(now, config, False)

    def confirmed(self, now):
        """A configuration was applied that did not come from the cache."""
        self.fresh = True
        self.tries = 0
        self._in(now, _REFRESH_MS)

    def refused(self, now, status):
        self.net.refuse_status(status)
        # From the last request on, so that replays of a refusal cannot put the next one off.
        self.next = ticks_add(now if self.last is None else self.last, _RETRY_MS)

    def error(self, now, in_re_verb, code, body):
        """An ERROR of the controller about this network; `body` begins with the network id."""
        status = _REFUSALS.get(code)
        if status is None or (
            code in _IN_RE_MATTERS and in_re_verb != VERB_NETWORK_CONFIG_REQUEST
        ):
            return
        if status == NET_AUTHENTICATION_REQUIRED:
            self.net.authentication = netconf.parse_error_auth(bytes(body))
        self.refused(now, status)

    def chunk(self, now, source, packet_id, body, solicited):
        """A config chunk (VL2 2.4); the update id if it completed one that parses, else None."""
        net = self.net
        raw = bytes(body)
        c = netconf.Chunk.unpack(raw, 0)
        update_id, forward, dictionary = self.chunks.add(
            c, source, packet_id, self.host.identity_of(net.controller)
        )
        if self.chunks.last == NO_CONTROLLER:
            self.host.whois(now, net.controller)
        if forward:
            for address in list(net.members.table):
                if address not in (source, net.controller, net.address):
                    self.host.send(now, address, VERB_NETWORK_CONFIG, raw)
        if dictionary is None:
            if update_id is None and self.chunks.last not in (TAKEN, DUPLICATE):
                if self.chunks.last == TOO_BIG:
                    self.host.limits.full("config_bytes")
                net.count_bad_config()
            return None
        config = netconf.NetworkConfig.parse(dictionary)
        held = net.config
        if config.issued_to != net.address or config.nwid != net.nwid:
            net.count_bad_config()
        elif not solicited and held is not None and config.timestamp < held.timestamp:
            # Only an answer to our own request may go back in time: a push may be a replay.
            net.count_stale_config()
        else:
            net.apply(now, config, True)
        return update_id

    def pushed(self, now, source, packet_id, body, reply):
        """NETWORK_CONFIG; acknowledged with an OK that quotes ECHO, as the original does."""
        update_id = self.chunk(now, source, packet_id, body, False)
        if update_id is not None:
            reply(VERB_OK, bytes([VERB_ECHO]), packet_id, self.net.nwid, update_id)
