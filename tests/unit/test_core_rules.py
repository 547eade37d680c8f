# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The rules engine of the core against every rule_eval vector and, rule by rule, against its Python
# twin. CPython only: ctypes.

import collections
import random
import shutil

import _rules_cases as cases
import pytest
from _core_rules import (
    FALSE,
    GOES_ON,
    NO,
    SET,
    SKIP,
    SUPER,
    TRUE,
    UNASKED,
    YES,
    Case,
    Credentials,
    Step,
    Trace,
    build,
    load,
    validate,
)
from _vectors import load as vectors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zt import credential, mac, rules
from zt.netconf import NetworkConfig

RESULTS = ("NO_MATCH", "DROP", "REDIRECT", "ACCEPT", "SUPER_ACCEPT")


@pytest.fixture(scope="module")
def lib(tmp_path_factory):
    cc = shutil.which("cc")
    if not cc:
        pytest.skip("no C compiler (Debian package gcc)")
    folder = tmp_path_factory.mktemp("rules")
    return load(build(str(folder / "rules.so"), cc, ["-O2"]))


# ---- vectors


def _held(things):
    """Credentials of the tags, capabilities and certificates among these."""
    tags = {x.id: x.value for x in things if isinstance(x, credential.Tag)}
    capabilities = sorted(
        [x for x in things if isinstance(x, credential.Capability)], key=lambda c: c.id
    )
    owned = [t for x in things if isinstance(x, credential.Ownership) for t in x.things]
    return Credentials(tags, [c.rules for c in capabilities], owned)


def _vector(v):
    config = NetworkConfig.parse(bytes.fromhex(v["config"]))
    kinds = {
        "tag": credential.Tag,
        "capability": credential.Capability,
        "coo": credential.Ownership,
    }
    now = int.from_bytes(config.timestamp, "big")
    theirs = []
    for c in v["remote_credentials"]:
        x, _ = kinds[c["type"]].unpack(bytes.fromhex(c["serialized"]), 0)
        if abs(int.from_bytes(x.timestamp, "big") - now) <= config.ctmd:
            theirs.append(x)
    inbound = v["direction"] == "inbound"
    dest = bytes.fromhex(v["zt_dest"])
    return Case(
        nwid=config.nwid,
        flags=config.flags,
        me=bytes.fromhex(v["local_node"]),
        rules=config.rules,
        own=_held([*config.tags, *config.capabilities, *config.coos]),
        remote=_held(theirs) if inbound or dest != bytes(5) else None,
        static_ips=config.static_ips,
        inbound=inbound,
        payload=bytes.fromhex(v["frame"]),
        ethertype=v["ethertype"],
        mac_source=mac.parse(v["mac_source"]),
        mac_dest=mac.parse(v["mac_dest"]),
        source=bytes.fromhex(v["zt_source"]),
        dest=dest if dest != bytes(5) else None,
        no_tee=v["no_tee"],
    )


def test_every_vector_gives_verdict_copies_and_result(lib):
    seen = set()
    for v in vectors("vl2.json")["rule_eval"]:
        case = _vector(v)
        verdict, copies, base = case.c(lib)
        assert verdict == v["accept"], v["name"]
        assert RESULTS[base] == v["base_result"], v["name"]
        head = case.mac_dest + case.mac_source + case.ethertype.to_bytes(2, "big")
        payloads = [
            (dest.hex(), (case.nwid + bytes((flags,)) + head + case.payload[:n]).hex())
            for dest, flags, n in copies
        ]
        assert payloads == [(e["dest"], e["payload"]) for e in v["emitted"]], v["name"]
        seen.add(v["name"])
    assert len(seen) >= 257


# ---- against the Python twin


class Watch:
    """Stands in for the matches of zt.rules and keeps (type, answer) of each that is asked."""

    def __enter__(self):
        self.asked = []
        self.kept = rules.MATCHES
        rules.MATCHES = [self._wrap(16 + i, f) for i, f in enumerate(self.kept)]
        return self

    def __exit__(self, *_):
        rules.MATCHES = self.kept

    def _wrap(self, kind, f):
        def match(s, r, q, x):
            answer = int(f(s, r, q, x))
            self.asked.append((kind, answer))
            return answer

        return match


def _replay(case, steps):
    """Check the state in a trace against VL2 4.2, given the answers of the matches."""
    current = None
    for step in steps:
        kind = step.type & 0x3F
        if step.list != current:
            assert step.rule == 0
            current, matched, skip, boost, at = step.list, True, False, False, 0
            side = case.remote if case.inbound else case.own
            raw = side.lists[current - 1] if current else case.rules
        assert step.type == raw[at]
        if kind >= 16:
            asked = matched or step.type & 0x40
            assert (step.match != UNASKED) == bool(asked) or step.result == rules.DROP
            if asked and step.match != UNASKED:
                true = {NO: False, YES: True}.get(
                    step.match, (step.match == TRUE) != bool(step.type & 0x80)
                )
                matched = (matched or true) if step.type & 0x40 else (matched and true)
                skip = skip or (step.match == YES and 44 <= kind <= 50)
            shown = matched
        else:
            assert step.match == UNASKED
            shown = matched
            if matched and kind == 0 and step.result == GOES_ON:
                assert skip
                skip = False
            elif not matched and 2 <= kind <= 4 and step.result == GOES_ON:
                boost = boost or (case.inbound and raw[at + 5 : at + 10] == case.me)
            matched = True
        state = (SET if shown else 0) | (SKIP if skip else 0) | (SUPER if boost else 0)
        assert step.state == state, (case, step.list, step.rule)
        at += 2 + (raw[at + 1] if at + 1 < len(raw) else 0)
        if step.result != GOES_ON:
            current = None  # another step of the same list would begin at rule 0


def compare(lib, case, seen):
    """One case through both engines. Adds to `seen` what happened in it."""
    (verdict, copies, _), steps = case.steps(lib)
    with Watch() as watch:
        expected = case.python()
    assert (verdict, copies) == expected, case
    asked = [(s.type & 0x3F, s.match) for s in steps if s.match != UNASKED]
    assert asked == watch.asked, case
    _replay(case, steps)
    assert case.c(lib)[:2] == expected  # the same without a trace
    seen[("verdict", verdict)] += 1
    for _, flags, _ in copies:
        seen[("copy", flags)] += 1
    seen[("copies", len(copies))] += 1
    for s in steps:
        kind = s.type & 0x3F
        if kind >= 16:
            seen[("match", kind, s.match)] += 1
        else:
            seen[("action", kind, s.state & SET, s.result)] += 1
        if s.list:
            seen[("capability", s.result)] += 1


def check_seen(seen):
    """Every type of rule had every answer it can have, and every outcome came up."""
    plain, hard, optimistic = {FALSE, TRUE}, {FALSE, TRUE, NO}, {FALSE, TRUE, NO, YES}
    possible = dict.fromkeys(cases.UNKNOWN_MATCHES + cases.MATCHES, plain)
    possible.update(dict.fromkeys((31, 32, 33, 34, 35, 36, 39, 40), hard))
    possible.update(dict.fromkeys((38, 44, 45, 46, 47, 48, 49, 50), optimistic))
    for kind, answers in possible.items():
        for answer in answers | {UNASKED}:
            assert seen[("match", kind, answer)] > 2, (kind, answer)
    on, no, drop, to, yes, more = GOES_ON, 0, 1, 2, 3, 4
    results = {0: (on, drop), 1: (yes, more), 5: (no,), 6: (yes,), 7: (on,), 15: (on,)}
    results.update({2: (on, more), 3: (on, more), 4: (on, more, to)})
    for kind, ends in results.items():
        assert seen[("action", kind, 0, on)] > 2, kind
        for end in ends:
            assert seen[("action", kind, SET, end)] > 2, (kind, end)
    for verdict in (0, 1, 2):
        assert seen[("verdict", verdict)] > 500, verdict
    for flags in (0x02, 0x08, 0x16, 0x1C, 0x04, 0x0A):
        assert seen[("copy", flags)] > 20, flags
    for n in range(4):
        assert seen[("copies", n)] > 2, n
    for end in range(5):
        assert seen[("capability", end)] > 20, end


def test_random_cases_agree_and_cover_every_rule(lib):
    seen = collections.Counter()
    for i in range(30000):
        compare(lib, cases.case(random.Random(i)), seen)
    check_seen(seen)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_no_case_can_be_found_that_differs(lib, r):
    compare(lib, cases.case(r, 4), collections.Counter())


@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=60), st.integers(0, 12))
def test_any_bytes_are_validated_as_the_twin_does(lib, raw, limit):
    try:
        expected = rules.validate(raw, limit)
    except ValueError:
        expected = None
    assert validate(lib, raw, limit) == expected
    compare(
        lib,
        Case(
            rules=raw,
            inbound=False,
            payload=b"",
            ethertype=0,
            mac_source=bytes(6),
            mac_dest=bytes(6),
            source=Case.me,
        ),
        collections.Counter(),
    )


def test_lists_are_whole_or_refused(lib):
    outcomes = collections.Counter()
    for i in range(5000):
        r = random.Random(i)
        raw = cases.rule_list(r, bytes(40), 8)
        for n in range(len(raw) + 1):
            try:
                expected = rules.validate(raw[:n])
            except ValueError:
                expected = None
            assert validate(lib, raw[:n]) == expected
            outcomes[expected is None] += 1
    assert min(outcomes.values()) > 1000
    assert validate(lib, b"\1\0" * 2000) == 2048
    assert validate(lib, b"\1\0" * 2000 + b"\x24", 5000) is None


# ---- what a twin cannot tell


def _accept(lib, raw, trace=None, **more):
    given = dict(inbound=False, payload=b"", ethertype=0, source=Case.me)
    given.update(mac_source=bytes(6), mac_dest=bytes(6), rules=raw)
    given.update(more)
    return Case(**given).c(lib, trace)[0]


def test_the_longest_lists_are_judged_to_their_end(lib):
    false = b"\x24\1\6"
    own = Credentials({}, [false * 64] * 127 + [b"\x24\1\6" * 63 + b"\1\0"])
    trace = Trace((Step * 10000)(), 10000, 0)
    assert _accept(lib, false * 1024, trace, own=own) == 0
    assert trace.count == 1024 + 128 * 64
    assert [trace.steps[trace.count - 1].list, trace.steps[trace.count - 1].rule] == [128, 63]
    own = Credentials({}, [false * 64] * 127 + [b"\1\0"])
    assert _accept(lib, false * 1024, own=own) == 1


def test_a_trace_without_room_counts_and_writes_nothing(lib):
    steps = (Step * 5)()
    for step in steps:
        step.list = 0xBEEF
    trace = Trace(steps, 3, 0)
    assert _accept(lib, b"\x25\2\0\0" * 7 + b"\1\0", trace) == 1
    assert trace.count == 8
    assert [s.list for s in steps] == [0, 0, 0, 0xBEEF, 0xBEEF]
    trace = Trace(None, 0, 0)
    assert _accept(lib, b"\1\0", trace) == 1 and trace.count == 1


def test_two_random_rules_of_a_frame_draw_two_numbers(lib):
    half = b"\x2b\4\x80\0\0\0"
    n = 4096
    hits = [0, 0, 0]
    for i in range(n):
        number = i * (1 << 32) // n  # every caller's number equally often
        hits[0] += _accept(lib, half + b"\1\0", random=number)
        hits[1] += _accept(lib, half * 2 + b"\1\0", random=number)
        hits[2] += _accept(lib, half * 3 + b"\1\0", random=number)
    for wanted, got in zip((n / 2, n / 4, n / 8), hits):
        assert abs(got - wanted) < n / 50, hits
