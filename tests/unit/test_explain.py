# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The trace of the rules against the evaluator that runs per frame, over every rule_eval vector;
# what it says in words; and what a controller's JSON is told about itself.

import json

from _vectors import load
from test_rules import _case, _random
from zt import explain, frametext, rules, rulesjson
from zt.netconf import NetworkConfig

RESULTS = ("NO_MATCH", "DROP", "REDIRECT", "ACCEPT", "SUPER_ACCEPT")
ME, OTHER, THIRD = b"\x11" * 5, b"\x22" * 5, b"\x33" * 5


class Held:
    def __init__(self, id, rules=b"", value=0):
        self.id = id
        self.rules = rules
        self.value = value


class Other:
    """The other member: tags {id: value}, capabilities."""

    def __init__(self, tags=None, capabilities=()):
        self.tags = tags or {}
        self.held = capabilities

    def tag(self, id):
        return self.tags.get(id)

    def capabilities(self):
        return self.held

    def owns_ip(self, ip):
        return False

    owns_mac = owns_ip


def asks(*items):
    """Wire bytes of rules as (type, fields...) in the controller's JSON."""
    out = b""
    for item in items:
        raw = rulesjson.from_json(json.loads(json.dumps(item)))
        assert raw is not None, item
        out += raw
    return out


def rule(type, **fields):
    fields["type"] = type
    return fields


DROP, ACCEPT = rule("ACTION_DROP"), rule("ACTION_ACCEPT")
IPV4 = rule("MATCH_ETHERTYPE", etherType=2048)
ARP = rule("MATCH_ETHERTYPE", etherType=2054)


def judged(*items, **more):
    """What explain() gives for a TCP frame under these rules."""
    config = NetworkConfig()
    config.rules = items[0] if items and isinstance(items[0], bytes) else asks(*items)
    config.capabilities = more.get("capabilities", [])
    config.tags = [Held(1, value=3)]
    inbound = more.get("inbound", False)
    source, dest = (OTHER, ME) if inbound else (ME, OTHER)
    words = {"proto": "tcp", "dport": 22}
    frame = frametext.from_words(
        inbound, source.hex(), more.get("dest", dest.hex()), words, bytes(8), ME
    )
    other = Other(more.get("tags"), more.get("theirs", ()))
    return explain.explain(explain.Tracer(ME, _random), config, other, frame)


def test_every_vector_is_judged_as_without_a_trace():
    n = 0
    for case in load("vl2.json")["rule_eval"]:
        f, a = _case(case)
        tracer = explain.Tracer(f.address, _random)
        verdict = tracer.verdict(*a, no_tee=case["no_tee"])
        assert verdict == case["accept"], case["name"]
        assert verdict == f.verdict(*a, no_tee=case["no_tee"])
        assert tracer.copies == f.copies, case["name"]
        assert len(tracer.copies) == len(case["emitted"]), case["name"]
        assert RESULTS[tracer.results[0]] == case["base_result"], case["name"]
        n += 1
    assert n >= 257


def test_every_vector_is_explained():
    words = set()
    for case in load("vl2.json")["rule_eval"]:
        f, a = _case(case)
        frame = frametext.Frame(a[2])
        frame.payload, frame.ethertype, frame.mac_source, frame.mac_dest = a[3:7]
        frame.source, frame.dest = a[7:]
        frame.no_tee = case["no_tee"]
        x = explain.explain(explain.Tracer(f.address, _random), a[0], a[1], frame)
        assert x["verdict"] == case["accept"], case["name"]
        text = x["text"].split(" by ")[0]
        words.add(text)
        redirected = bool([c for c in x["copies"] if c["kind"] == "REDIRECT"])
        assert text.startswith("accepted") == (case["accept"] > 0), case["name"]
        assert text.startswith("redirected") == redirected, case["name"]
        first = x["lists"][0]
        assert first["capability"] is None and first["result"] == case["base_result"]
        shown = [dict(r) for r in case["rules_readable"]]
        assert len(shown) == first["rules"]
        for step in first["steps"]:
            name = shown[step["index"]].get("type_name")
            assert step["rule"]["type"] == name or name is None, case["name"]
        assert json.loads(json.dumps(x)) == x
    assert words >= {"accepted", "dropped", "redirected", "no rule matched: dropped"}, words


def test_a_trace_tells_each_answer_and_the_set():
    x = judged(
        dict(ARP),
        rule("MATCH_IP_PROTOCOL", ipProtocol=6),
        DROP,
        dict(ARP),
        rule("MATCH_IPV6_SOURCE", ip="::/0", **{"or": True}),
        rule("MATCH_ETHERTYPE", etherType=2054, **{"not": True, "or": True}),
        rule("MATCH_ICMP", icmpType=8, **{"not": True}),
        DROP,
        ACCEPT,
        DROP,
    )
    steps = x["lists"][0]["steps"]
    answers = [(s["match"], s["set"]) for s in steps if "match" in s]
    assert answers == [
        ("no", False),
        (None, False),
        ("no", False),
        ("hard no", False),
        ("no", True),
        ("hard no", False),
    ]
    actions = [(s["index"], s["taken"], s["did"]) for s in steps if "taken" in s]
    assert actions == [(2, False, "not taken"), (7, False, "not taken"), (8, True, "accepts")]
    assert x["text"] == "accepted by rule 8" and x["lists"][0]["rules"] == 10


def test_the_verdict_names_who_decided():
    port = rule("MATCH_IP_DEST_PORT_RANGE", start=22)
    allow, refuse = asks(port, ACCEPT), asks(dict(port), DROP)
    both = [Held(7, refuse), Held(1000, allow)]
    assert judged(ARP, ACCEPT, IPV4, DROP)["text"] == "dropped by rule 3"
    assert judged()["text"] == "no rule matched: dropped"
    assert judged(ARP, ACCEPT)["text"] == "no rule matched: dropped"
    stop = rule("ACTION_BREAK")
    assert judged(IPV4, stop, ACCEPT)["text"] == "rule 1 ended the list: dropped"
    x = judged(IPV4, stop, capabilities=both)
    assert x["text"] == "accepted by capability 1000, rule 1"
    assert [(c["capability"], c["result"]) for c in x["lists"]] == [
        (None, "NO_MATCH"),
        (7, "DROP"),
        (1000, "ACCEPT"),
    ]
    assert judged(capabilities=both[1:])["text"] == "accepted by capability 1000, rule 1"
    none = judged(capabilities=both[:1])["text"]
    assert none == "no rule matched, its sender's capability does not accept: dropped"
    assert "none of its sender's 2 capabilities" in judged(capabilities=both[:1] * 2)["text"]
    # Inbound the sender's count, not ours.
    assert judged(inbound=True, capabilities=both)["verdict"] == 0
    assert judged(inbound=True, theirs=both)["text"] == "accepted by capability 1000, rule 1"


def test_copies_are_told_and_listed():
    third, mine = THIRD.hex(), ME.hex()
    tee = rule("ACTION_TEE", address=third, length=20)
    watch = rule("ACTION_WATCH", address=third)
    x = judged(tee, ACCEPT)
    assert x["copies"] == [{"kind": "TEE", "address": third, "length": 20}]
    assert x["lists"][0]["steps"][0]["did"] == "copies 20 bytes to %s unless dropped" % third
    assert judged(watch, ACCEPT)["copies"][0]["kind"] == "WATCH"
    assert judged(tee, DROP)["copies"] == []
    x = judged(rule("ACTION_REDIRECT", address=third))
    assert (x["verdict"], x["text"]) == (0, "redirected by rule 0 to " + third)
    assert x["copies"][0]["kind"] == "REDIRECT"
    for address, why in ((OTHER, "is the receiver"), (ME, "is the sender")):
        x = judged(rule("ACTION_TEE", address=address.hex()), ACCEPT)
        assert x["lists"][0]["steps"][0]["did"] == "nothing: %s %s" % (address.hex(), why)
    x = judged(rule("ACTION_TEE", address=mine), inbound=True)
    assert x["verdict"] == 2 and x["text"] == "accepted by rule 0, whatever its MAC addresses"
    x = judged(ARP, rule("ACTION_TEE", address=mine), ACCEPT, inbound=True)
    assert x["verdict"] == 2 and "names this node" in x["lists"][0]["steps"][1]["did"]


def test_a_drop_passed_over_for_an_unknown_tag_is_told():
    tag = rule("MATCH_TAGS_EQUAL", id=1, value=3)
    x = judged(dict(tag), DROP, ACCEPT)
    match, drop, accept = x["lists"][0]["steps"]
    assert match["match"] == "hard yes" and match["skip"]
    assert drop["taken"] and drop["did"].startswith("passed over") and not drop["skip"]
    assert accept["taken"] and x["text"] == "accepted by rule 2"
    x = judged(dict(tag), DROP, ACCEPT, tags={1: 3})
    assert x["text"] == "dropped by rule 1"


def test_a_list_that_is_cut_short_says_so():
    x = judged(asks(ARP, DROP) + b"\x24\1")
    assert x["text"] == "dropped by rule 2, which is cut short"
    assert x["lists"][0]["steps"][2]["rule"]["type"] == "MATCH_IP_PROTOCOL"
    assert judged(b"\x7f")["lists"][0]["steps"][0]["rule"]["type"] == "UNKNOWN_63"
    x = judged(b"", capabilities=[Held(3, b"\1")])
    assert x["lists"][1]["steps"][0]["did"] == explain.CUT and x["verdict"] == 0


def test_a_tracer_keeps_nothing_from_frame_to_frame():
    tracers = {}
    for case in load("vl2.json")["rule_eval"]:
        f, a = _case(case)
        t = tracers.setdefault(case["local_node"], explain.Tracer(f.address, _random))
        assert t.verdict(*a, no_tee=case["no_tee"]) == case["accept"], case["name"]
        fresh = explain.Tracer(f.address, _random)
        fresh.verdict(*a, no_tee=case["no_tee"])
        assert [s.__dict__ for s in t.steps] == [s.__dict__ for s in fresh.steps]


def test_rules_are_worded_with_their_fields_in_order():
    found = {}
    for case in load("vl2.json")["rules_serialize"]:
        shown = rulesjson.to_json(bytes.fromhex(case["bin"]))[0]
        words = rulesjson.in_words(shown).split(" ")
        at = words.index(shown["type"])
        assert words[:at] == [w for w in ("or", "not") if shown.get(w)], case["name"]
        keys = [w.split("=")[0] for w in words[at + 1 :]]
        assert sorted(keys) == sorted([k for k in shown if k not in ("type", "not", "or")])
        found[shown["type"]] = " ".join(words[at:])
    assert found["MATCH_IP_DEST_PORT_RANGE"].split(" ")[1].startswith("start=")
    unknown = {"type": "UNKNOWN_60", "not": True, "or": False}
    assert rulesjson.in_words(unknown) == "not UNKNOWN_60"


def test_what_is_refused_is_named():
    for case in load("vl2.json")["rules_from_json"]:
        why = rulesjson.refusal(case["json"])
        assert (why is None) == case["accepted"], case
    for item, why in (
        (3, "not an object"),
        ({}, "no type"),
        ({"type": 3}, "its type is not a text"),
        ({"type": "FROB"}, "no such type"),
        ({"type": "ACTION_PRIORITY"}, "controllers do not take this type"),
        ({"type": "MATCH_IPV4_SOURCE", "ip": "::1/128"}, "ip is not right"),
        ({"type": "ACTION_DROP"}, None),
    ):
        assert rulesjson.refusal(item) == why


def test_the_evaluator_of_frames_is_left_alone():
    # The trace is a second loop: the first one must know nothing of it.
    assert explain.Tracer._run is not rules.Filter._run
    assert not hasattr(rules.Filter(ME, _random), "steps")
