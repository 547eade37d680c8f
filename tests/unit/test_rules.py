# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The rules engine against every rule_eval vector, and what it does with lists it should never see.

import gc

from _vectors import load
from zt import credential, mac, rules
from zt.netconf import NetworkConfig

RESULTS = ("NO_MATCH", "DROP", "REDIRECT", "ACCEPT", "SUPER_ACCEPT")


class Remote:
    """A member's record with the credentials of one vector, all of them verified."""

    def __init__(self, config, case):
        now = int.from_bytes(config.timestamp, "big")

        def usable(x):
            return abs(int.from_bytes(x.timestamp, "big") - now) <= config.ctmd

        self.tags = {}
        self.caps = []
        self.coos = []
        kinds = {
            "tag": credential.Tag,
            "capability": credential.Capability,
            "coo": credential.Ownership,
        }
        for c in case["remote_credentials"]:
            x, _ = kinds[c["type"]].unpack(bytes.fromhex(c["serialized"]), 0)
            if not usable(x):
                continue
            if c["type"] == "tag":
                self.tags[x.id] = x.value
            elif c["type"] == "capability":
                self.caps.append(x)
            else:
                self.coos.append(x)

    def tag(self, id):
        return self.tags.get(id)

    def capabilities(self):
        return self.caps

    def owns_ip(self, ip):
        return any([c.owns_ip(ip) for c in self.coos])

    def owns_mac(self, m):
        return any([c.owns_mac(m) for c in self.coos])


def _random(n):
    return bytes([0x80] * n)


def _case(case):
    config = NetworkConfig.parse(bytes.fromhex(case["config"]))
    inbound = case["direction"] == "inbound"
    dest = bytes.fromhex(case["zt_dest"])
    known = inbound or dest != bytes(5)
    f = rules.Filter(bytes.fromhex(case["local_node"]), _random)
    frame = memoryview(bytes.fromhex(case["frame"]))
    return f, (
        config,
        Remote(config, case) if known else None,
        inbound,
        frame,
        case["ethertype"],
        mac.parse(case["mac_source"]),
        mac.parse(case["mac_dest"]),
        bytes.fromhex(case["zt_source"]),
        dest if dest != bytes(5) else None,
    )


def test_every_vector_gives_the_result_of_the_base_rules():
    for case in load("vl2.json")["rule_eval"]:
        f, a = _case(case)
        f.remote = a[1]
        raw = bytes.fromhex(case["rules"])
        assert a[0].rules == raw, case["name"]
        assert rules.validate(raw) == len(raw)
        result = f.run(raw, *a[2:], f.context(a[0]))
        assert RESULTS[result] == case["base_result"], (case["name"], RESULTS[result])


def test_every_vector_gives_the_verdict_and_the_copies():
    n = 0
    for case in load("vl2.json")["rule_eval"]:
        f, a = _case(case)
        assert f.verdict(*a, no_tee=case["no_tee"]) == case["accept"], case["name"]
        emitted = [
            {
                "dest": bytes(dest).hex(),
                "verb": 7,
                "verb_name": "EXT_FRAME",
                "payload": (
                    a[0].nwid
                    + bytes((flags,))
                    + a[6]
                    + a[5]
                    + a[4].to_bytes(2, "big")
                    + bytes(a[3][:length])
                ).hex(),
            }
            for dest, flags, length in f.copies
        ]
        assert emitted == case["emitted"], case["name"]
        n += 1
    assert n >= 257


def test_one_filter_keeps_nothing_from_frame_to_frame():
    cases = load("vl2.json")["rule_eval"]
    by_node = {}
    for case in cases + cases[::-1]:
        fresh, a = _case(case)
        f = by_node.setdefault(case["local_node"], fresh)
        assert f.verdict(*a, no_tee=case["no_tee"]) == case["accept"], case["name"]
        assert len(f.copies) == len(case["emitted"]), case["name"]


def test_undefined_types_are_named():
    # action 9, MATCH 0x3c with two bytes, a defined match, match 16
    raw = bytes.fromhex("0900" + "bc02ffff" + "240106" + "1000" + "0100")
    assert [(i, t) for i, t, _ in rules.check(raw)] == [(0, 9), (1, 0x3C), (3, 16)]
    for case in load("vl2.json")["rules_serialize"]:
        assert rules.check(bytes.fromhex(case["bin"])) == [], case["name"]


def test_truncated_rules_are_refused():
    for case in load("vl2.json")["rules_serialize"]:
        raw = bytes.fromhex(case["bin"])
        assert rules.validate(raw) == len(raw)
        for n in range(1, len(raw)):
            try:
                rules.validate(b"\x01\x00" + raw[:n])
            except ValueError:
                continue
            assert False, (case["name"], n)


def test_rules_beyond_the_limit_are_not_counted():
    raw = bytes.fromhex("240106" * 5)
    assert rules.validate(raw, 3) == 9
    assert rules.validate(b"\x01\x00" * 2000) == 2048


def test_a_malformed_list_drops_the_frame():
    case = load("vl2.json")["rule_eval"][0]
    f, a = _case(case)
    for raw in ("01", "2402", "2902ffff0100", "020e00", "33020000"):
        config = NetworkConfig.parse(bytes.fromhex(case["config"]))
        config.rules = bytes.fromhex(raw)
        got = f.verdict(config, *a[1:])
        assert got == 0, raw


def _verdict(raw, random=_random, frame=b"", ethertype=0x88B5):
    case = load("vl2.json")["rule_eval"][0]
    f, a = _case(case)
    f.random = random
    a[0].rules = bytes.fromhex(raw)
    return f.verdict(*a[:3], frame, ethertype, *a[5:])


def test_random_compares_all_32_bits():
    for drawn, probability, accept in (
        ("00000000", "00000000", 1),
        ("00000001", "00000000", 0),
        ("80000000", "80000000", 1),
        ("80000001", "80000000", 0),
        ("ffffffff", "ffffffff", 1),
    ):
        got = _verdict("2b04" + probability + "0100", lambda n, x=drawn: bytes.fromhex(x))
        assert got == accept, (drawn, probability)


def test_short_frames_of_every_length_are_judged():
    cases = load("vl2.json")["rules_serialize"]
    every = "".join([c["bin"] for c in cases if c["rule"]["type"] > 15])
    for start in (b"\x45", b"\x4f", b"\x40", b"\x60"):
        for ethertype in (0x0800, 0x0806, 0x86DD):
            for protocol in (6, 58, 0):
                frame = bytearray(80)
                frame[0:1] = start
                frame[9] = frame[6] = protocol
                for n in range(81):
                    assert _verdict(every + "0100", frame=frame[:n], ethertype=ethertype) in (0, 1)


def test_a_frame_is_judged_without_touching_the_heap():
    if not hasattr(gc, "mem_alloc"):
        return  # CPython cannot tell
    judged = 0
    for case in load("vl2.json")["rule_eval"]:
        if not case["name"].startswith("typical"):
            continue
        f, a = _case(case)

        def judge(f=f, a=a):
            return f.verdict(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8])

        judge()
        gc.collect()
        gc.disable()
        before = gc.mem_alloc()
        judge()
        grown = gc.mem_alloc() - before
        gc.enable()
        assert grown == 0, (case["name"], grown)
        judged += 1
    assert judged > 5
