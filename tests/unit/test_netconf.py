# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

from _vectors import load, refuses, survive_flips, survive_truncations, unhex
from zt import confchunk, inet
from zt.dictionary import Dictionary, encode
from zt.identity import Identity
from zt.limits import Limits
from zt.netconf import (
    NetworkConfig,
    parse_error_auth,
    request_metadata,
    text_of,
)

MINIMUM = b"v=7\nnwid=6af0762a6e00c0de\nid=c4aaa26c6a"
ADDRESS = unhex("c4aaa26c6a")


def v(group):
    return load("vl2.json")[group]


def nwid():
    return unhex(v("network_id"))


def controller():
    return Identity.parse(v("identities")["controller"]["secret"])


def be8(n):
    return n.to_bytes(8, "big")


def role_text(entry):
    return "%06x%s" % (entry[1], entry[0].hex())


def route(r):
    return {
        "target": inet.text(r[0], r[1]),
        "via": inet.text(r[2], 0) if r[2] else None,
        "flags": r[3],
        "metric": r[4],
    }


def check_fields(c, want):
    assert c.nwid == unhex(want["nwid"]) and c.timestamp == be8(want["timestamp"])
    assert (c.ctmd, c.revision, c.mtu, c.type) == (
        want["ctmd"],
        want["revision"],
        want["mtu"],
        want["type"],
    )
    assert c.issued_to == unhex(want["issued_to"]) and c.trace_target == unhex(
        want["remote_trace_target"]
    )
    assert c.trace_level == want["remote_trace_level"] and c.flags == int(want["flags"], 16)
    assert c.multicast_limit == want["multicast_limit"] and c.name == want["name"]
    assert [role_text(s) for s in c.specialists] == want["specialists"]
    assert [route(r) for r in c.routes] == want["routes"]
    assert [inet.text(ip, bits) for ip, bits in c.static_ips] == want["static_ips"]
    assert c.rules == unhex(want["rules_bin"])
    assert [x["id"] for x in want["capabilities"]] == [x.id for x in c.capabilities]
    assert [(x["id"], x["value"]) for x in want["tags"]] == [(x.id, x.value) for x in c.tags]
    owned = [(x["id"], x["things"]) for x in want["certificates_of_ownership"]]
    assert owned == [(x.id, len(x.things)) for x in c.coos]
    assert c.dns_domain == want["dns"]["domain"]
    assert [inet.text(ip, port) for ip, port in c.dns_servers] == want["dns"]["servers"]
    assert (c.com is not None) == want["com_present"]
    if c.com is not None:
        assert c.com.timestamp == be8(want["com_timestamp"])
    assert c.sso_version == want["sso_version"] and c.sso_enabled == want["sso_enabled"]
    for name, key in (
        ("auth_url", "authentication_url"),
        ("auth_expiry", "authentication_expiry_time"),
        ("issuer_url", "issuer_url"),
        ("central_url", "central_auth_url"),
        ("sso_nonce", "sso_nonce"),
        ("sso_state", "sso_state"),
        ("sso_client_id", "sso_client_id"),
        ("sso_provider", "sso_provider"),
    ):
        if key in want:
            assert getattr(c, name) == want[key], name


def test_configs_of_the_vectors_decode_and_encode_to_the_same_bytes():
    for case in v("network_config"):
        data = unhex(case["dictionary"])
        c = NetworkConfig.parse(data)
        check_fields(c, case["config"])
        assert (c.pack() == data) == case["reencoded_equal"], case["name"]


def test_odd_configs_of_the_vectors():
    for case in v("network_config_parse"):
        data = unhex(case["dictionary"])
        assert refuses(NetworkConfig.parse, data) == (not case["parses"]), case["name"]
        if case["parses"]:
            c = NetworkConfig.parse(data)
            assert (c.mtu, c.type, c.multicast_limit) == (
                case["mtu"],
                case["type"],
                case["multicast_limit"],
            )
            count = p = 0
            while p < len(c.rules):
                p += 2 + c.rules[p + 1]
                count += 1
            assert count == case["rule_count"]


def full():
    for case in v("network_config"):
        if case["name"] == "full":
            return unhex(case["dictionary"])


def test_flags_and_roles():
    c = NetworkConfig.parse(full())
    b, other = unhex("af6760cd7e"), unhex("99b51dcb1a")
    assert c.broadcast and c.ndp_emulation and not c.public
    assert c.active_bridges == [b] and c.is_active_bridge(b) and not c.is_active_bridge(other)
    assert c.anchors == [b, other] and c.replicators == [other]
    c = NetworkConfig.parse(MINIMUM + b"\nt=1\nf=0")
    assert (
        c.public and not c.broadcast and not c.ndp_emulation and c.com is None and c.rules == b""
    )


def test_damaged_configs_raise_only_value_error():
    for case in v("network_config"):
        survive_truncations(NetworkConfig.parse, unhex(case["dictionary"]))
    data = full()
    cut = [i for i in range(0, len(data), 7)]
    for i in cut:
        for value in (0, 10, 0x5C, 0xFF, data[i] ^ 1):
            bad = bytearray(data)
            bad[i] = value
            refuses(NetworkConfig.parse, bytes(bad))


def blob(key, data):
    return MINIMUM + b"\n" + encode([(key, data)])


def field_of(data, key):
    return Dictionary(data).get(key)


def test_strict_blobs_refuse_every_cut_within_an_element():
    whole = full()
    for key, ends in (("RT", (0, 12, 30, 54, 96)), ("I", (0, 7, 26, 45)), ("C", (0, 272))):
        data = field_of(whole, key)
        for n in range(len(data)):
            assert refuses(NetworkConfig.parse, blob(key, data[:n])) == (n not in ends), (key, n)
    dns = field_of(whole, "DNS")
    for n in range(1, len(dns)):
        assert refuses(NetworkConfig.parse, blob("DNS", dns[:n]))
    coo = field_of(whole, "COO")
    for n in range(1, len(coo)):
        assert refuses(NetworkConfig.parse, blob("COO", coo[:n]))


def test_lenient_blobs_end_at_the_first_bad_element():
    tags = field_of(full(), "TAG")
    for n in range(len(tags)):
        assert len(NetworkConfig.parse(blob("TAG", tags[:n])).tags) == n // 135
    caps = field_of(full(), "CAP")
    for n in range(len(caps)):
        assert len(NetworkConfig.parse(blob("CAP", caps[:n])).capabilities) <= 1
    c = NetworkConfig.parse(blob("TAG", tags[135:] + tags[:135]))
    assert [t.id for t in c.tags] == [1, 2, 3]


def test_what_is_beyond_the_bounds_is_not_read():
    tag = field_of(full(), "TAG")[:135]
    cap = field_of(full(), "CAP")
    c = NetworkConfig.parse(full())
    cap, coo = c.capabilities[0].pack(), c.coos[0].pack()
    for key, one, limit, get in (
        ("TAG", tag, 128, lambda c: c.tags),
        ("CAP", cap, 128, lambda c: c.capabilities),
        ("COO", coo, 4, lambda c: c.coos),
        ("S", b"\0\0\2abcde", 256, lambda c: c.specialists),
        ("RT", b"\x04\x0a\0\0\0\0\x08\0\0\0\0\0", 128, lambda c: c.routes),
        ("I", b"\x04\x0a\0\0\1\0\x08", 32, lambda c: c.static_ips),
    ):
        assert len(get(NetworkConfig.parse(blob(key, one * limit)))) == limit, key
        assert len(get(NetworkConfig.parse(blob(key, one * (limit + 1))))) == limit, key
    assert len(NetworkConfig.parse(blob("R", b"\1\0" * 1025)).rules) == 2048
    assert NetworkConfig.parse(MINIMUM + b"\nn=" + b"n" * 200).name == "n" * 127
    assert refuses(NetworkConfig.parse, MINIMUM + b"\nn=" + b"n" * confchunk.MAX_CONFIG)


def test_nil_and_impossible_addresses_are_left_out():
    c = NetworkConfig.parse(blob("I", b"\0" + b"\x04\x0a\0\0\1\0\x21" + b"\x04\x0a\0\0\2\0\x20"))
    assert c.static_ips == [(b"\x0a\0\0\2", 32)]
    c = NetworkConfig.parse(
        blob(
            "RT",
            b"\0\0\0\0\0\0"
            + b"\x04\x0a\0\0\0\xff\xff\0\0\0\0\0"
            + b"\x04\x0a\0\0\0\0\x08\0\0\1\0\2",
        )
    )
    assert c.routes == [(b"\x0a\0\0\0", 8, None, 1, 2)]
    assert NetworkConfig.parse(blob("S", b"\0\0\2abcdeXYZ")).specialists == [(b"abcde", 2)]


def test_a_certificate_without_qualifiers_is_none():
    c = NetworkConfig.parse(blob("C", b"\1\0\0" + bytes(5)))
    assert c.com is None and field_of(c.pack(), "C") is None


def test_huge_and_strange_numbers():
    c = NetworkConfig.parse(
        MINIMUM
        + b"\nml=ffffffffffffffff\nctmd=ffffffffffffffff\nr=-1\nmtu=ffffffffffffffffffff\ntl=zz"
    )
    assert c.multicast_limit == 0xFFFFFFFF and c.ctmd == (1 << 64) - 1 == c.revision
    assert c.mtu == 10000 and c.trace_level == 0
    assert NetworkConfig.parse(c.pack()).pack() == c.pack()


def test_texts_that_are_no_text():
    assert text_of(None) == "" == text_of(b"")
    assert text_of(b"a\0b") == "a" and text_of("\u00e9".encode()) == "\u00e9"
    assert text_of(b"a\xff") == "a?" and text_of(b"abc", 2) == "ab"
    assert NetworkConfig.parse(MINIMUM + b"\nn=a\xff").name == "a?"


def test_defaults_pack_and_come_back():
    c = NetworkConfig()
    c.nwid, c.issued_to = nwid(), ADDRESS
    got = NetworkConfig.parse(c.pack())
    assert got.pack() == c.pack() and got.mtu == 2800 and not got.dns_servers
    c.dns_servers = [(b"\x0a\0\0\1", 0)] * 5
    assert refuses(lambda x: x.pack(), c)


# --- request and errors


def test_request_metadata_is_that_of_the_vectors():
    limits = Limits()
    limits.proto_version, limits.version, limits.platform = 12, (1, 14, 1), "linux/x86_64"
    for case in v("config_request"):
        payload = unhex(case["packets"][0]["payload"])
        assert payload[10 : 10 + payload[9] + 256 * payload[8]] == request_metadata(limits, 1)


def test_request_metadata_announces_what_the_profile_can_take():
    d = Dictionary(request_metadata(Limits("small")))
    small = Limits("small")
    assert d.uint("pv") == 11 and d.uint("v") == 7 and d.uint("revr") == 1 and d.uint("vend") == 0
    assert (d.uint("mr"), d.uint("mc"), d.uint("mcr"), d.uint("mt")) == (
        small.rules,
        small.capabilities,
        small.capability_rules,
        small.tags,
    )
    assert len(request_metadata(small)) <= 1023


def test_errors_of_the_vectors():
    for case in v("config_error"):
        body = unhex(case["packets"][0]["payload"])[10:]
        assert body[:8] == nwid()
        got = parse_error_auth(body)
        if case["name"] == "auth_required_v0":
            assert got["version"] == 0 and got["url"] == "https://auth.example.com/?x=1"
        else:
            assert got["url"] == "" and len(body) == 8


def test_authentication_data_of_version_1():
    text = encode(
        [
            ("aV", b"1"),
            ("iU", b"https://i"),
            ("aCU", b"https://c"),
            ("aN", b"n" * 100),
            ("aS", b"s" * 200),
            ("aCID", b"cid"),
        ]
    )
    body = nwid() + len(text).to_bytes(2, "big") + text
    got = parse_error_auth(memoryview(body + b"more"))
    assert got == {
        "version": 1,
        "url": "",
        "issuer_url": "https://i",
        "central_url": "https://c",
        "nonce": "n" * 63,
        "state": "s" * 127,
        "client_id": "cid",
        "provider": "default",
    }
    for n in range(len(body)):
        assert refuses(parse_error_auth, body[:n]) == (n > 10)
    survive_flips(parse_error_auth, body)
