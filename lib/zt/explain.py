# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What the rules did with one frame, step by step and in words. The Tracer is the evaluator of
# rules.py over the same matches, with a loop of its own that keeps notes, so that the other one
# stays as fast as it is. Steps mean what they mean in firmware/core/zt_rules.h. It prints nothing.

from . import rulesjson
from ._compat import hexs
from .rulematch import FIELDS, MATCHES, NO, WHICH, YES, same
from .rules import ACCEPT, DROP, NO_MATCH, REDIRECT, SUPER_ACCEPT, Filter

UNASKED = 4  # beside the answers of rulematch.py
SET = 1
SKIP = 2
SUPER = 4
GOES_ON = 255
CUT = "is cut short: drops"

_ANSWERS = ("no", "yes", "hard no", "hard yes", None)
_RESULTS = ("NO_MATCH", "DROP", "REDIRECT", "ACCEPT", "SUPER_ACCEPT")
_COPIES = {2: "TEE", 8: "TEE", 0x16: "WATCH", 0x1C: "WATCH", 4: "REDIRECT", 10: "REDIRECT"}
_FIRST_MATCH = 16
_NOT = 0x80
_OR = 0x40


class Step:
    """One rule as it went. `list` 0 is the base rules, then 1 + index of the capability; `match`
    is the answer before NOT; `state` is SET, SKIP and SUPER after the rule, of an action SET says
    that it was taken; `result` is that of the list if it ended here, else GOES_ON; `did` is what
    an action did, in words.
    """

    def __init__(self, list, rule, type, match, state, result, did):
        self.list = list
        self.rule = rule
        self.type = type
        self.match = match
        self.state = state
        self.result = result
        self.did = did


class Tracer(Filter):
    """A Filter that leaves `steps`, and in `results` the result of each list it ran."""

    def __init__(self, address, random):
        super().__init__(address, random)
        self.steps = []
        self.results = []

    def _begin(self, inbound, frame, ethertype, mac_source, mac_dest, zt_source):
        self.steps = []
        self.results = []
        super()._begin(inbound, frame, ethertype, mac_source, mac_dest, zt_source)

    def _run(self, rules, zt_dest):
        self.dest = zt_dest or bytes(5)
        self.cc = self.redirect = None
        self.super_accept = self.skip = False
        matched = True
        result = GOES_ON
        p = index = 0
        while p < len(rules) and result == GOES_ON:
            t = rules[p]
            kind = t & 0x3F
            q = p + 2
            answer = UNASKED
            shown = matched
            did = None
            if q + FIELDS[kind] > len(rules):
                result, did = DROP, CUT
            elif kind >= _FIRST_MATCH:
                if matched or t & _OR:
                    i = kind - _FIRST_MATCH
                    answer = int(MATCHES[i](self, rules, q, WHICH[i]))
                    yes = answer == YES or (answer != NO and bool(answer) != bool(t & _NOT))
                    matched = matched or yes if t & _OR else yes
                shown = matched
            elif matched:
                result, did = self._take(kind, rules, q)
            else:
                did = self._pass_over(kind, rules, q)
                matched = True
            state = shown * SET | self.skip * SKIP | self.super_accept * SUPER
            self.steps.append(Step(len(self.results), index, t, answer, state, result, did))
            if result == GOES_ON:
                p = q + rules[q - 1]
                index += 1
        if result == GOES_ON:
            result = NO_MATCH
        self.results.append(result)
        return result

    def _pass_over(self, kind, rules, q):
        if 2 <= kind <= 4 and self.inbound and same(rules, q + 3, self.ctx.address, 0, 5):
            self.super_accept = True
            return "not taken, but names this node: an accept will be whatever the addresses"
        return "not taken"

    def _take(self, kind, rules, q):
        """(result, what the action did)."""
        if kind == 0:
            if not self.skip:
                return DROP, "drops"
            self.skip = False
            return GOES_ON, "passed over: a match before it was only taken for true"
        if kind == 1:
            if self.super_accept:
                return SUPER_ACCEPT, "accepts, whatever the addresses"
            return ACCEPT, "accepts"
        if kind == 5:
            return NO_MATCH, "ends this list"
        if kind == 6:
            return ACCEPT, "accepts"
        if kind > 6:
            return GOES_ON, "not a known action: nothing"
        return self._send(kind, rules, q)

    def _send(self, kind, rules, q):
        to = bytes(rules[q + 3 : q + 8])
        if to == bytes(self.source):
            return GOES_ON, "nothing: %s is the sender" % hexs(to)
        if to == self.ctx.address:
            if self.inbound:
                return SUPER_ACCEPT, "accepts, whatever the addresses: this node is meant"
            return GOES_ON, "nothing: %s is this node" % hexs(to)
        if to == bytes(self.dest):
            return GOES_ON, "nothing: %s is the receiver" % hexs(to)
        if kind == 4:
            self.redirect = to
            return REDIRECT, "sends it to %s instead" % hexs(to)
        most = rules[q + 12] << 8 | rules[q + 13]
        self.cc = to
        self.cc_length = min(self.n, most) if most else self.n
        self.cc_watch = kind == 3
        return GOES_ON, "copies %d bytes to %s unless dropped" % (self.cc_length, hexs(to))


def _shown(step, described):
    """A step as a dict: the rule as the controller's JSON has it, and what became of it."""
    out = {
        "index": step.rule,
        "rule": described,
        "skip": bool(step.state & SKIP),
        "super": bool(step.state & SUPER),
        "result": None if step.result == GOES_ON else _RESULTS[step.result],
        "did": step.did,
    }
    if step.type & 0x3F >= _FIRST_MATCH:
        out["match"] = _ANSWERS[step.match]
        out["set"] = bool(step.state & SET)
    else:
        out["taken"] = bool(step.state & SET)
    return out


def _described(raw, steps):
    """The rules of a list as JSON, as far as the steps went."""
    if steps and steps[-1].did == CUT:
        whole = 0
        for _ in steps[:-1]:
            whole += 2 + raw[whole + 1]
        name = rulesjson.to_json(bytes((raw[whole], 0)) + bytes(64))[0]["type"]
        return rulesjson.to_json(raw[:whole]) + [{"type": name}]
    return rulesjson.to_json(raw)


def _lists(tracer, lists):
    out = []
    for i in range(len(tracer.results)):
        id, raw = lists[i]
        steps = [s for s in tracer.steps if s.list == i]
        described = _described(raw, steps)
        out.append(
            {
                "capability": id,
                "result": _RESULTS[tracer.results[i]],
                "rules": len(described),
                "steps": [_shown(s, described[s.rule]) for s in steps],
            }
        )
    return out


def in_words(tracer, verdict, ids):
    """The verdict as a sentence without its full stop; `ids` are those of the capabilities."""
    last = len(tracer.results) - 1
    result = tracer.results[last]
    ended = [s for s in tracer.steps if s.list == last and s.result != GOES_ON]
    by = "rule %d" % ended[0].rule if ended else ""
    if last == 0 and result == DROP:
        return "dropped by %s%s" % (by, ", which is cut short" if ended[0].did == CUT else "")
    if last > 0:
        by = "capability %d, %s" % (ids[last - 1], by)
    if result == ACCEPT:
        return "accepted by " + by
    if result == SUPER_ACCEPT:
        return "accepted by %s, whatever its MAC addresses" % by
    if result == REDIRECT:
        return "redirected by %s to %s" % (by, hexs(tracer.redirect))
    base = [s for s in tracer.steps if s.list == 0 and s.result == NO_MATCH]
    text = "rule %d ended the list" % base[0].rule if base else "no rule matched"
    if last == 1:
        text += ", its sender's capability does not accept"
    elif last > 1:
        text += ", none of its sender's %d capabilities accepts" % last
    return text + ": dropped"


def explain(tracer, config, member, frame):
    """Judge a frametext.Frame; a dict of plain values that tells everything about it.

    `member` is the other member's record, or None while it is not known.
    """
    verdict = tracer.verdict(
        config,
        member,
        frame.inbound,
        frame.payload,
        frame.ethertype,
        frame.mac_source,
        frame.mac_dest,
        frame.source,
        frame.dest,
        frame.no_tee,
    )
    if not frame.inbound:
        capabilities = tracer.ctx.capabilities
    else:
        capabilities = member.capabilities() if member else ()
    lists = [(None, config.rules)] + [(c.id, c.rules) for c in capabilities]
    return {
        "copies": [
            {"kind": _COPIES[flags], "address": hexs(to), "length": n}
            for to, flags, n in tracer.copies
        ],
        "lists": _lists(tracer, lists),
        "no_tee": frame.no_tee,
        "text": in_words(tracer, verdict, [c.id for c in capabilities]),
        "verdict": verdict,
    }
