# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The rules engine (VL2 4): evaluates rule lists over their wire bytes, combines base rules with
# capabilities, and says what copies of a frame go where. It sends nothing and keeps nothing
# between frames but the prepared view of one configuration. The single matches are in
# rulematch.py.

from . import mac
from ._compat import const
from .rulematch import FIELDS, FIRST_KNOWN, MATCHES, WHICH, same

NO_MATCH = const(0)
DROP = const(1)
REDIRECT = const(2)
ACCEPT = const(3)
SUPER_ACCEPT = const(4)

MAX_RULES = const(1024)  # protocol, VL2 0.2
ACCEPT_ALL = b"\x01\x00"  # a list of rules

_ACTION_DROP = const(0)
_ACTION_ACCEPT = const(1)
_ACTION_TEE = const(2)
_ACTION_WATCH = const(3)
_ACTION_REDIRECT = const(4)
_ACTION_BREAK = const(5)
_ACTION_PRIORITY = const(6)
_FIRST_MATCH = const(16)
_TYPE = const(0x3F)
_NOT = const(0x80)
_OR = const(0x40)

# EXT_FRAME flags of the copies, by inbound (VL2 4.7).
_TEE_FLAGS = b"\x02\x08"
_WATCH_FLAGS = b"\x16\x1c"
_REDIRECT_FLAGS = b"\x04\x0a"

_NOBODY = bytes(5)


def validate(raw, limit=MAX_RULES):
    """Bytes the first `limit` rules take; ValueError if the fields of one run over the end."""
    end = len(raw)
    p = count = 0
    while p < end and count < limit:
        q = p + 2
        if q > end or q + FIELDS[raw[p] & _TYPE] > end:
            raise ValueError("truncated rule")
        p = q + raw[q - 1]
        if p > end:
            raise ValueError("truncated rule")
        count += 1
    return p


def check(raw):
    """The rules of a type the protocol does not define, as (index, type, what becomes of them)."""
    found = []
    p = index = 0
    while p + 1 < len(raw):
        kind = raw[p] & _TYPE
        if _ACTION_PRIORITY < kind < _FIRST_MATCH:
            found.append((index, kind, "undefined action: ignored"))
        elif kind >= FIRST_KNOWN + 28 or _FIRST_MATCH <= kind < FIRST_KNOWN:
            found.append((index, kind, "undefined match: true only with network flag 8"))
        p += 2 + raw[p + 1]
        index += 1
    return found


class Context:
    """What rules ask of our own configuration, laid out for look-up."""

    def __init__(self, config, address):
        self.address = bytes(address)
        self.flags = config.flags
        self.tags = {t.id: t.value for t in config.tags}
        self.coos = config.coos
        self.capabilities = sorted(config.capabilities, key=lambda c: c.id)
        # With NDP emulation a neighbour's address under these prefixes counts as its own (VL2
        # 4.6).
        self.emulated = []
        own = [ip for ip, _ in config.static_ips]
        if mac.sixplane(config.nwid, address) in own:
            self.emulated.append(mac.sixplane(config.nwid, address)[:5])
        if mac.rfc4193(config.nwid, address) in own:
            self.emulated.append(mac.rfc4193(config.nwid, address)[:11])


class Filter:
    """The evaluator of one network. Not reentrant: results stay in the object until the next call.

    `random(n)` gives n random bytes. Call validate() on rules before they come here; a list that
    is malformed all the same drops the frame.
    """

    def __init__(self, address, random):
        self.address = bytes(address)
        self.random = random
        self.ctx = None
        self._config = None
        self.remote = None
        self.copies = []
        # Results of run()
        self.cc = None
        self.cc_length = 0
        self.cc_watch = False
        self.redirect = None
        # State of one evaluation, read by the matches.
        self.inbound = False
        self.frame = b""
        self.n = 0
        self.ethertype = 0
        self.mac_source = self.mac_dest = None
        self.source = self.dest = _NOBODY
        self.ip = 0
        self.proto = 0
        self.l4 = 0
        self.super_accept = False
        self.skip = False

    def context(self, config):
        """The Context of `config`, made once per configuration object."""
        if config is not self._config:
            self.ctx = Context(config, self.address)
            self._config = config
        return self.ctx

    def verdict(
        self,
        config,
        membership,
        inbound,
        frame,
        ethertype,
        mac_source,
        mac_dest,
        zt_source,
        zt_dest,
        no_tee=False,
    ):
        """0 drop, 1 accept, 2 accept whatever the addresses; `copies` is what to send besides.

        `membership` is the other member's record, None while it is not known. `zt_dest` None
        stands for a destination not known yet. `copies` holds (destination, EXT_FRAME flags, bytes
        of the frame) in the order to send; a redirected frame is one of them and the verdict is
        then 0.
        """
        ctx = self.context(config)
        self.remote = membership
        copies = self.copies
        if copies:
            copies.clear()
        self._begin(inbound, frame, ethertype, mac_source, mac_dest, zt_source)
        result = self._run(config.rules, zt_dest)
        if result == DROP:
            return 0
        cc = None
        if result == NO_MATCH:
            cc = self.cc
            cc_length = self.cc_length
            cc_watch = self.cc_watch
            if inbound:
                capabilities = membership.capabilities() if membership else ()
            else:
                capabilities = ctx.capabilities
            for capability in capabilities:
                result = self._run(capability.rules, zt_dest)
                if result != NO_MATCH and result != DROP:
                    break
            else:
                return 0
        if not no_tee:
            if self.cc:
                self._copy(self.cc, self.cc_length, self.cc_watch)
            if cc:
                self._copy(cc, cc_length, cc_watch)
        if result == REDIRECT:
            copies.append((self.redirect, _REDIRECT_FLAGS[bool(inbound)], self.n))
            return 0
        return 2 if result == SUPER_ACCEPT else 1

    def _copy(self, dest, length, watch):
        flags = _WATCH_FLAGS if watch else _TEE_FLAGS
        self.copies.append((dest, flags[bool(self.inbound)], length))

    def run(  # not on boards
        self, rules, inbound, frame, ethertype, mac_source, mac_dest, zt_source, zt_dest, ctx
    ):
        """Evaluate one rule list (VL2 4.2). The other side's record is taken from `remote`."""
        self.ctx = ctx
        self._config = None
        self._begin(inbound, frame, ethertype, mac_source, mac_dest, zt_source)
        return self._run(rules, zt_dest)

    def _begin(self, inbound, frame, ethertype, mac_source, mac_dest, zt_source):
        self.inbound = inbound
        self.frame = frame
        self.n = n = len(frame)
        self.ethertype = ethertype
        self.mac_source = mac_source
        self.mac_dest = mac_dest
        self.source = zt_source or _NOBODY
        if ethertype == 0x0800 and n >= 20:
            self.ip = 4
        elif ethertype == 0x86DD and n >= 40:
            self.ip = 6
        else:
            self.ip = 0
        self.l4 = 0

    def _run(self, rules, zt_dest):
        self.dest = zt_dest or _NOBODY
        self.cc = self.redirect = None
        self.super_accept = self.skip = False
        matched = True
        end = len(rules)
        p = 0
        while p < end:
            t = rules[p]
            kind = t & _TYPE
            q = p + 2
            if q > end or q + FIELDS[kind] > end:
                return DROP
            p = q + rules[q - 1]
            if kind >= _FIRST_MATCH:
                if matched or t & _OR:
                    # FALSE 0, TRUE 1, NO 2, YES 3: the NOT bit inverts only the first two.
                    i = kind - _FIRST_MATCH
                    m = MATCHES[i](self, rules, q, WHICH[i])
                    r = m == 3 or (m != 2 and bool(m) != bool(t & _NOT))
                    matched = (matched or r) if t & _OR else r
            elif not matched:
                if _ACTION_TEE <= kind <= _ACTION_REDIRECT and self.inbound:
                    if same(rules, q + 3, self.ctx.address, 0, 5):
                        self.super_accept = True
                matched = True
            elif kind == _ACTION_ACCEPT:
                return SUPER_ACCEPT if self.super_accept else ACCEPT
            elif kind == _ACTION_DROP:
                if not self.skip:
                    return DROP
                self.skip = False
            elif kind == _ACTION_PRIORITY:
                return ACCEPT
            elif kind == _ACTION_BREAK:
                return NO_MATCH
            elif kind <= _ACTION_REDIRECT:
                if same(rules, q + 3, self.source, 0, 5):
                    continue
                if same(rules, q + 3, self.ctx.address, 0, 5):
                    if self.inbound:
                        return SUPER_ACCEPT
                elif not same(rules, q + 3, self.dest, 0, 5):
                    if kind == _ACTION_REDIRECT:
                        self.redirect = bytes(rules[q + 3 : q + 8])
                        return REDIRECT
                    most = rules[q + 12] << 8 | rules[q + 13]
                    self.cc = bytes(rules[q + 3 : q + 8])
                    self.cc_length = min(self.n, most) if most else self.n
                    self.cc_watch = kind == _ACTION_WATCH
        return NO_MATCH

    # Asked by the matches.

    def broadcast(self):
        m = self.mac_dest
        return m[0] & m[1] & m[2] & m[3] & m[4] & m[5] == 0xFF

    def remote_tag(self, tag):
        return self.remote.tag(tag) if self.remote else None

    def owns(self, kind, thing):
        """Whether the sender has a certificate for this MAC (kind 1) or IP; ours count untimed."""
        if self.inbound:
            m = self.remote
            if not m:
                return False
            return m.owns_mac(thing) if kind == 1 else m.owns_ip(thing)
        for coo in self.ctx.coos:
            if coo.owns_mac(thing) if kind == 1 else coo.owns_ip(thing):
                return True
        return False
