# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Random rules against random frames: whatever validate() accepts, the evaluator judges and never
# raises, and an independent reading of VL2 4.2 in this file agrees on how sets combine. CPython
# only, for hypothesis.

from hypothesis import example, given, settings
from hypothesis import strategies as st
from zt import rules, rulesjson
from zt.netconf import NetworkConfig

ME = bytes.fromhex("c4aaa26c6a")
OTHER = bytes.fromhex("af6760cd7e")


class Nobody:
    def tag(self, id):
        return 5 if id & 1 else None

    def capabilities(self):
        return ()

    def owns_ip(self, ip):
        assert len(ip) in (4, 16) and isinstance(ip, bytes)
        return False

    def owns_mac(self, mac):
        assert len(mac) == 6 and isinstance(mac, bytes)
        return False


def _config(raw, flags=0):
    c = NetworkConfig()
    c.flags = flags
    c.rules = raw
    return c


def _rule(kind, body):
    return bytes((kind, len(body))) + body


_any_rule = st.builds(_rule, st.integers(0, 255), st.binary(max_size=24))
_frames = st.one_of(
    st.binary(max_size=120),
    st.builds(
        lambda head, protocol, tail: head + bytes(8) + bytes((protocol,)) + tail,
        st.sampled_from((b"\x45", b"\x4f", b"\x40")),
        st.sampled_from((1, 6, 17)),
        st.binary(max_size=80),
    ),
    st.builds(
        lambda protocol, tail: b"\x60" + bytes(5) + bytes((protocol, 64)) + tail,
        st.sampled_from((0, 6, 43, 58, 60)),
        st.binary(max_size=120),
    ),
)
_ethertypes = st.sampled_from((0x0800, 0x0806, 0x86DD, 0))


@settings(max_examples=2000, deadline=None)
@given(
    st.one_of(st.binary(max_size=80), st.lists(_any_rule, max_size=12).map(b"".join)),
    _frames,
    _ethertypes,
    st.booleans(),
    st.binary(min_size=6, max_size=6),
    st.sampled_from((None, OTHER)),
)
@example(
    bytes.fromhex("33130000000000000000ffffffffffffffffffffbf"), b"", 0, True, b"\0" * 6, None
)
def test_any_rules_and_any_frame_give_a_verdict(raw, frame, ethertype, inbound, dest_mac, dest):
    f = rules.Filter(ME, lambda n: bytes(n))
    try:
        sound = rules.validate(raw) == len(raw)
    except ValueError:
        sound = False
    for flags in (0, 0x0C):
        verdict = f.verdict(
            _config(raw, flags),
            Nobody() if inbound or dest else None,
            inbound,
            memoryview(frame),
            ethertype,
            b"\x02\1\2\3\4\5",
            dest_mac,
            OTHER if inbound else ME,
            ME if inbound else dest,
        )
        assert verdict in (0, 1, 2)
        for to, _, length in f.copies:
            assert len(to) == 5 and to != ME and 0 <= length <= len(frame)
        assert len(f.copies) <= 2
    if sound:
        rules.check(raw)
        assert len(rulesjson.to_json(raw)) >= 0


def _ethertype_rule(number, negate, either):
    return bytes((37 | (0x80 if negate else 0) | (0x40 if either else 0), 2, 8, number))


_steps = st.lists(
    st.one_of(
        st.tuples(st.just("match"), st.integers(0, 1), st.booleans(), st.booleans()),
        st.tuples(st.sampled_from(("accept", "drop", "break", "unknown"))),
    ),
    max_size=14,
)


@settings(max_examples=1000, deadline=None)
@given(_steps)
def test_sets_combine_from_left_to_right(steps):
    """EtherType is 0x0800, so a match on 0x08nn is true if nn is 0."""
    raw = b""
    want = None
    matched = True
    for step in steps:
        if step[0] == "match":
            _, number, negate, either = step
            raw += _ethertype_rule(number, negate, either)
            true = (number == 0) != negate
            matched = (matched or true) if either else (matched and true)
            continue
        raw += {"accept": b"\1\0", "drop": b"\0\0", "break": b"\5\0", "unknown": b"\x0d\0"}[
            step[0]
        ]
        if want is None and matched and step[0] != "unknown":
            want = step[0]
        matched = True
    f = rules.Filter(ME, None)
    config = _config(raw)
    mac = b"\x02\1\2\3\4\5"
    got = f.run(raw, False, b"", 0x0800, mac, mac, ME, OTHER, f.context(config))
    names = {None: rules.NO_MATCH, "break": rules.NO_MATCH, "accept": rules.ACCEPT}
    assert got == (rules.DROP if want == "drop" else names[want])
