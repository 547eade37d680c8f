# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Rules as JSON against the rules_from_json and rules_serialize vectors.

from _vectors import load
from zt import rulesjson


def test_json_rules_give_the_bytes_of_the_vectors():
    for case in load("vl2.json")["rules_from_json"]:
        raw = rulesjson.from_json(case["json"])
        if not case["accepted"]:
            assert raw is None, case
            continue
        assert raw.hex() == case["bin"], case
        assert rulesjson.to_json(raw) == [case["rendered"]], case


def test_wire_rules_are_shown_with_their_fields():
    for case in load("vl2.json")["rules_serialize"]:
        rule = dict(case["rule"])
        kind = rule.pop("type")
        rule["type"] = rule.pop("type_name")
        rule.pop("t")
        if kind < 16:
            rule.pop("not")
            rule.pop("or")
        assert rulesjson.to_json(bytes.fromhex(case["bin"])) == [rule], case["name"]


def test_what_is_shown_makes_the_same_bytes_again():
    for case in load("vl2.json")["rules_serialize"]:
        raw = bytes.fromhex(case["bin"])
        back = rulesjson.from_json(rulesjson.to_json(raw)[0])
        if case["rule"]["type_name"] in ("ACTION_PRIORITY", "INTEGER_RANGE"):
            assert back is None
        else:
            if case["rule"]["type"] < 16:
                raw = bytes((raw[0] & 0x3F,)) + raw[1:]
            assert back == raw, case["name"]


def test_numbers_wrap_to_the_width_of_the_field():
    for value, want in (
        (65536 + 2048, "25020800"),
        (-1, "2502ffff"),
        ("2054", "25020806"),
        (True, "25020001"),
    ):
        raw = rulesjson.from_json({"type": "MATCH_ETHERTYPE", "etherType": value})
        assert raw.hex() == want, value


def test_addresses_wrap_to_40_bits():
    raw = rulesjson.from_json({"type": "ACTION_TEE", "address": "ffff1122334455"})
    assert raw.hex() == "020e0000001122334455000000000000"
    raw = rulesjson.from_json({"type": "MATCH_SOURCE_ZEROTIER_ADDRESS", "zt": "ffff1122334455"})
    assert raw.hex() == "18051122334455"


def test_what_is_not_a_rule_is_refused():
    for bad in (None, 1, "ACTION_DROP", [], {}, {"type": 1}, {"type": ["ACTION_DROP"]}):
        assert rulesjson.from_json(bad) is None, bad
    for bad in ("", "10.0.0", "fd00::/8", None, 5, {}):
        assert rulesjson.from_json({"type": "MATCH_IPV4_SOURCE", "ip": bad}) is None, bad


def test_a_list_keeps_the_good_rules_and_names_the_others():
    refused = []
    raw = rulesjson.list_from_json(
        [{"type": "ACTION_DROP"}, {"type": "NONSENSE"}, 7, {"type": "ACTION_ACCEPT"}],
        10,
        lambda i, item: refused.append(i),
    )
    assert raw.hex() == "00000100"
    assert refused == [1, 2]
    raw = rulesjson.list_from_json(
        [{"type": "ACTION_DROP"}] * 5, 3, lambda i, x: refused.append(i)
    )
    assert raw == bytes(6)
    assert refused == [1, 2, 3, 4]
    assert rulesjson.list_from_json("no list", 10) == b""
