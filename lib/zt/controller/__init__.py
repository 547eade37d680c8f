# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The controller role (VL2 7): answers configuration requests for its own networks, and tells the
# members what changed. Sans-IO: requests and time come in by call, answers leave through `out`.
# JSON fields are in fields, storage in db, what is signed in issue.

from .. import log
from .._compat import const, hexs, ticks_add, ticks_diff
from ..const import (
    ERROR_NETWORK_ACCESS_DENIED,
    ERROR_NETWORK_AUTHENTICATION_REQUIRED,
    ERROR_OBJ_NOT_FOUND,
)
from ..credential import pack_credentials
from ..dictionary import Dictionary
from ..identity import reserved
from ..netconf import pack_chunks
from . import fields
from .db import Database
from .issue import Compiled, Issuer
from .online import Online
from .times import Times

_SWEEP_MS = const(60000)
_PUSHES_PER_CALL = const(8)  # our choice: each costs several signatures
# A member reads one NETWORK_CREDENTIALS packet a second from us (VL2 5.6); later ones wait here.
_CREDENTIALS_GAP_MS = const(1100)
_REVOCATIONS_PER_PACKET = const(32)
_NO_PACKET = bytes(8)
_TOKEN = b"token:"


class Controller:
    """The networks of `identity`, kept in `storage`. `clock()` is the wall clock in ms since 1970.

    `out`, set by the owner, has config(now, dest, nwid, packet_id, chunks), where packet_id None
    means an unasked NETWORK_CONFIG, error(now, dest, nwid, packet_id, code, extra) and
    credentials(now, dest, payload). Objects that the calls return are the stored ones: read them,
    never change them.
    """

    def __init__(self, identity, storage, clock, random, out=None):
        if identity.private is None:
            raise ValueError("a controller needs its secret key")
        self.identity = identity
        self.out = out
        self._random = random
        self.db = Database(storage, clock())
        self._times = Times(self.db, clock)
        self._issuer = Issuer(identity, random)
        self._online = Online()
        self._compiled = {}  # nwid -> (network object, Compiled)
        self._pushes = {}  # nwid + address still to be sent a new configuration
        self._revoked = {}  # nwid -> revocations still to be sent
        self._told = {}  # nwid -> ticks of the last revocations sent
        self._swept = None
        log.info("controller", "serving %d networks" % len(self.db.networks))

    # --- what members ask

    def request(self, now, nwid, identity, packet_id, metadata):
        """A NETWORK_CONFIG_REQUEST of `identity`; an answer goes to `out` before this returns."""
        nwid = bytes(nwid)
        if nwid[:5] != self.identity.address:
            return
        asker = self._online.admit(now, nwid + identity.address)
        if asker is None:
            return
        asker.remember(identity, metadata)
        if nwid not in self.db.networks:
            code = ERROR_OBJ_NOT_FOUND
        else:
            try:
                code = self._serve(now, nwid, asker, packet_id)
            except OSError as e:
                # Nothing is promised that could not be stored; the member asks again.
                log.error("controller", "a request was not answered: %s" % e)
                return
            except ValueError as e:
                log.warn("controller", "network %s: %s" % (hexs(nwid), e))
                code = ERROR_NETWORK_ACCESS_DENIED
        if code:
            self.out.error(now, identity.address, nwid, packet_id, code, b"")

    def _serve(self, now, nwid, asker, packet_id, push=False):
        """Send a configuration; or the error code that is due instead."""
        ts = self._times.issue(now)
        identity = asker.identity
        address = identity.address
        network = self.db.networks[nwid]
        old = self.db.members[nwid].get(address)
        member = dict(old) if old else fields.new_member(hexs(nwid), hexs(address), ts)
        known = member.get("identity")
        if known and known != identity.text():
            log.warn("controller", "%s came with another identity than before" % hexs(address))
            return ERROR_NETWORK_ACCESS_DENIED
        member["identity"] = identity.text()
        request = Dictionary(asker.metadata)
        if not member["authorized"]:
            _authorize_if_open(network, member, request, ts)
        if not member["authorized"]:
            self.db.save_member(nwid, address, member)
            return ERROR_NETWORK_ACCESS_DENIED
        if network["ssoEnabled"] and not member["ssoExempt"]:
            if member["authenticationExpiryTime"] <= ts:
                self.db.save_member(nwid, address, member)
                return ERROR_NETWORK_AUTHENTICATION_REQUIRED
        if not push:
            for key, name in (("vMajor", "majv"), ("vMinor", "minv"), ("vRev", "revv")):
                member[key] = min(request.uint(name), 0xFFFF)
            member["vProto"] = min(request.uint("pv"), 0xFFFF)
        config = self._issuer.config(
            nwid,
            network,
            self._compile(nwid, network),
            member,
            identity,
            ts,
            request,
            old is None,
            self._bridges(nwid),
            lambda: self._used(nwid),
        )
        self.db.save_member(nwid, address, member)
        update_id = self._random(8)
        while update_id == _NO_PACKET:
            update_id = self._random(8)
        chunks = pack_chunks(self.identity, nwid, config.pack(), update_id)
        asker.configured = now
        self.out.config(now, address, nwid, None if push else packet_id, chunks)
        return 0

    def _compile(self, nwid, network):
        have = self._compiled.get(nwid)
        if have is None or have[0] is not network:
            have = self._compiled[nwid] = (network, Compiled(network))
        return have[1]

    def _bridges(self, nwid):
        members = self.db.members[nwid]
        return sorted([a for a in members if members[a]["activeBridge"]])

    def _used(self, nwid):
        members = self.db.members[nwid]
        used = set()
        for address in members:
            for text in members[address]["ipAssignments"]:
                ip, _ = fields.ip_of(text)
                used.add(ip)
        return used

    def authorized_recently(self, now, nwid, address):
        """Whether this member was sent a configuration in the last three minutes."""
        return self._online.configured(now, bytes(nwid) + bytes(address))

    # --- what the owner asks

    def networks(self):
        return sorted(self.db.networks)

    def network(self, nwid):
        return self.db.networks.get(bytes(nwid))

    def put_network(self, now, nwid, body):
        """Create (with a random id if `nwid` is None) or change a network; the new object.

        ValueError with a text for the user if it cannot be; OSError if it cannot be stored.
        """
        if nwid is None:
            nwid = self._new_id()
        nwid = bytes(nwid)
        if len(nwid) != 8 or nwid[:5] != self.identity.address:
            raise ValueError("this network id does not belong to this controller")
        network = self.db.networks.get(nwid)
        if network is None:
            network = fields.new_network(hexs(nwid), self._times.issue(now))
        network = fields.merge_network(network, body)
        if self.db.save_network(nwid, network):
            self._push_all(now, nwid)
        return self.db.networks[nwid]

    def _new_id(self):
        for _ in range(1000):
            low = bytes(self._random(3))
            nwid = self.identity.address + low
            if low != b"\0\0\0" and nwid not in self.db.networks:
                return nwid
        raise ValueError("no free network id found")

    def delete_network(self, now, nwid):
        """Delete a network with its members; the old object, or None if there was none."""
        nwid = bytes(nwid)
        if nwid not in self.db.networks:
            return None
        members = self.db.members[nwid]
        gone = sorted([a for a in members if members[a]["authorized"]])
        ts = self._times.issue(now)
        network = self.db.delete_network(nwid)
        self._compiled.pop(nwid, None)
        self._revoke(now, nwid, gone, ts)
        for address in self._online.members(now, nwid):
            self._cut_off(now, nwid, address, ERROR_OBJ_NOT_FOUND)
        return network

    def members(self, nwid):
        """{address: revision}, or None for an unknown network."""
        members = self.db.members.get(bytes(nwid))
        if members is None:
            return None
        return {a: members[a]["revision"] for a in members}

    def member(self, nwid, address):
        return self.db.members.get(bytes(nwid), {}).get(bytes(address))

    def put_member(self, now, nwid, address, body):
        """Create or change a member; the new object, None for an unknown network.

        Raises as put_network does.
        """
        nwid = bytes(nwid)
        address = bytes(address)
        if nwid not in self.db.networks:
            return None
        if len(address) != 5 or reserved(address):
            raise ValueError("this is not the address of a node")
        ts = self._times.issue(now)
        old = self.db.members[nwid].get(address)
        base = old or fields.new_member(hexs(nwid), hexs(address), ts)
        member = fields.merge_member(base, body, ts)
        if not self.db.save_member(nwid, address, member):
            return old
        if base["authorized"] and not member["authorized"]:
            self._revoke(now, nwid, [address], ts)
            self._cut_off(now, nwid, address, ERROR_NETWORK_ACCESS_DENIED)
        if base["activeBridge"] != member["activeBridge"]:
            self._push_all(now, nwid)
        else:
            self._pushes[nwid + address] = True
            self._flush_pushes(now)
        return self.db.members[nwid].get(address, member)

    def delete_member(self, now, nwid, address):
        """The old object, or None if there was none."""
        nwid = bytes(nwid)
        address = bytes(address)
        if self.member(nwid, address) is None:
            return None
        ts = self._times.issue(now)
        member = self.db.delete_member(nwid, address)
        if member["authorized"]:
            self._revoke(now, nwid, [address], ts)
            self._cut_off(now, nwid, address, ERROR_NETWORK_ACCESS_DENIED)
            if member["activeBridge"]:
                self._push_all(now, nwid)
        return member

    # --- what members are told unasked

    def _revoke(self, now, nwid, addresses, ts):
        # A new certificate must be later than what is void now, or it would be void too.
        self._times.after(ts)
        waiting = self._revoked.setdefault(nwid, [])
        for address in addresses:
            waiting.append(self._issuer.revocation(nwid, address, ts))
        self._flush_revocations(now)

    def _cut_off(self, now, nwid, address, code):
        asker = self._online.get(now, nwid + address)
        if asker is None:
            return
        asker.configured = None
        self.out.error(now, address, nwid, _NO_PACKET, code, b"")

    def _push_all(self, now, nwid):
        for address in self._online.members(now, nwid):
            self._pushes[nwid + address] = True
        self._flush_pushes(now)

    def _flush_pushes(self, now):
        for key in sorted(self._pushes)[:_PUSHES_PER_CALL]:
            del self._pushes[key]
            asker = self._online.get(now, key)
            nwid = key[:8]
            # Only a client that sent metadata understands this (VL2 7.5).
            if asker is None or not asker.metadata or nwid not in self.db.networks:
                continue
            member = self.db.members[nwid].get(key[8:])
            if member is None or not member["authorized"]:
                continue
            try:
                self._serve(now, nwid, asker, None, True)
            except (OSError, ValueError) as e:
                log.error("controller", "a change was not pushed: %s" % e)

    def _flush_revocations(self, now):
        for nwid in list(self._revoked):
            told = self._told.get(nwid)
            if told is not None and 0 <= ticks_diff(now, told) < _CREDENTIALS_GAP_MS:
                continue
            waiting = self._revoked[nwid]
            batch = waiting[:_REVOCATIONS_PER_PACKET]
            rest = waiting[_REVOCATIONS_PER_PACKET:]
            if rest:
                self._revoked[nwid] = rest
            else:
                del self._revoked[nwid]
            if batch:
                self._told[nwid] = now
                payload = pack_credentials(revocations=batch)
                for address in self._online.members(now, nwid):
                    self.out.credentials(now, address, payload)

    def tick(self, now):
        """Do what is due; ms until the next call is needed."""
        self._flush_pushes(now)
        self._flush_revocations(now)
        if self._swept is None or ticks_diff(now, ticks_add(self._swept, _SWEEP_MS)) >= 0:
            self._swept = now
            self._online.sweep(now)
            self._times.tick(now)
            for nwid in list(self._told):
                if ticks_diff(now, self._told[nwid]) > _CREDENTIALS_GAP_MS:
                    del self._told[nwid]
        if self._pushes:
            return 0
        return _CREDENTIALS_GAP_MS if self._revoked else _SWEEP_MS

    def close(self):
        """Store the exact time of issue; OSError if that fails. Call it when the node stops."""
        self._times.close()


def _authorize_if_open(network, member, request, ts):
    """Let in a member that needs nobody's approval: public network or valid token (VL2 7.2)."""
    if not network["private"]:
        fields.authorize(member, ts, "public", None)
        return
    auth = request.get("a")
    tokens = network["authTokens"]
    if not auth or not auth.startswith(_TOKEN) or not isinstance(tokens, dict):
        return
    try:
        token = str(auth[len(_TOKEN) :], "utf-8")
    except ValueError:
        return
    expiry = tokens.get(token)
    if isinstance(expiry, int) and (expiry == 0 or expiry > ts):
        fields.authorize(member, ts, "token", token)
