# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

from _vectors import load, refuses, survive_flips, unhex
from zt import inet


def cases():
    return load("vl1.json")["inet_address"]


def test_blobs_of_the_vectors_decode_and_encode():
    for c in cases():
        blob = unhex(c["serialized"])
        got, nxt = inet.unpack(b"xx" + blob + b"yy", 2)
        assert nxt == 2 + len(blob)
        if got is None:
            assert c["text"] == "" and inet.pack(None, 0) == blob
            continue
        assert inet.pack(got[0], got[1]) == blob, c["text"]
        assert inet.unpack(memoryview(blob), 0)[0] == got


def test_text_of_the_vectors_both_ways():
    for c in cases():
        got = inet.unpack(unhex(c["serialized"]), 0)[0]
        if got is None:
            assert inet.text(None, 0) == ""
            continue
        assert inet.text(got[0], got[1]) == c["text"]
        assert inet.parse(c["text"]) == got


def test_scope_and_path_use_of_the_vectors():
    for c in cases():
        got = inet.unpack(unhex(c["serialized"]), 0)[0]
        ip = got[0] if got else None
        assert inet.scope(ip) == c["scope"], c["text"]
        assert inet.valid_for_path(ip) == c["valid_for_path"], c["text"]


def test_scope_at_the_edges_of_each_block():
    for text, want in (
        ("9.255.255.255", 4),
        ("11.0.0.0", 3),
        ("100.63.255.255", 4),
        ("100.127.255.255", 7),
        ("172.15.0.1", 4),
        ("172.31.255.255", 7),
        ("192.0.1.255", 4),
        ("192.0.3.0", 4),
        ("198.17.1.1", 4),
        ("198.19.255.255", 7),
        ("198.20.0.0", 4),
        ("198.51.101.0", 4),
        ("203.0.112.255", 4),
        ("223.255.255.255", 4),
        ("239.255.255.255", 1),
        ("254.1.1.1", 3),
        ("169.253.1.1", 4),
        ("51.0.0.1", 3),
        ("55.0.0.1", 3),
        ("56.0.0.1", 3),
        ("57.0.0.1", 4),
        ("febf::1", 5),
        ("fe80::1", 2),
        ("fe81::1", 5),
        ("fdff::", 7),
        ("fbff::", 4),
        ("::2", 4),
        ("::ffff:10.0.0.1", 4),
        ("1::", 4),
    ):
        assert inet.scope(inet.parse_ip(text)) == want, text


def test_types_that_are_only_skipped():
    assert inet.unpack(b"\x01ABCDEF!", 0) == (None, 7)
    assert inet.unpack(b"\x02ABCDEF!", 0) == (None, 7)
    assert inet.unpack(b"\x03\x00\x02AB!", 0) == (None, 5)
    assert inet.unpack(b"\x03\x00\x00", 0) == (None, 3)


def test_bad_blobs_are_refused():
    def parse(b):
        return inet.unpack(b, 0)

    for blob in (
        b"\x0410.9.8",
        b"\x06" + bytes(18),
        b"\x01ABCDEF",
        b"\x02ABCDEF",
        b"\x03\x00\x02AB",
    ):
        for n in range(len(blob)):
            if n < {4: 7, 6: 19, 1: 7, 2: 7, 3: 5}[blob[0]]:
                assert refuses(parse, blob[:n])
        survive_flips(parse, blob)
    for kind in range(256):
        if kind not in (0, 1, 2, 3, 4, 6):
            assert refuses(parse, bytes([kind]) + bytes(40))
    assert refuses(parse, b"")
    assert refuses(lambda b: inet.unpack(b, 9), b"\0" * 9)


def test_rfc_5952_text():
    for given, want in (
        ("2001:0db8::0001", "2001:db8::1"),
        ("2001:db8:0:0:0:0:2:1", "2001:db8::2:1"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("2001:DB8::AAAA", "2001:db8::aaaa"),
        ("0:0:0:0:0:0:0:0", "::"),
        ("1::", "1::"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
        ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
    ):
        assert inet.ip_text(inet.parse_ip(given)) == want


def test_bad_text_is_refused():
    for bad in (
        "",
        "/",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "1.2.3.04",
        "1.2.3.",
        "1.2.3.-1",
        "1.2.3.+1",
        " 1.2.3.4",
        "1.2.3.4/",
        "1.2.3.4/65536",
        "1.2.3.4/1/2",
        "1.2.3.4/x",
        "1.2.3.4:80",
        ":",
        ":::",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1::2::3",
        "12345::",
        "g::",
        "::1%eth0",
        "1:2:3:4:5:6:7::8",
        "1.2.3.4::",
        "::1.2.3.4:5",
        "1:2:3:4:5:6:7:1.2.3.4",
        "example.com",
        "\u0661.2.3.4",
    ):
        assert refuses(inet.parse, bad), bad


def test_in_net():
    ip = inet.parse_ip
    assert inet.in_net(ip("10.1.2.3"), ip("10.1.0.0"), 16)
    assert not inet.in_net(ip("10.2.2.3"), ip("10.1.0.0"), 16)
    assert inet.in_net(ip("10.1.127.3"), ip("10.1.0.0"), 17)
    assert not inet.in_net(ip("10.1.128.3"), ip("10.1.0.0"), 17)
    assert inet.in_net(ip("1.2.3.4"), ip("0.0.0.0"), 0)
    assert inet.in_net(ip("fd00::1"), ip("fd00::1"), 128)
    assert not inet.in_net(ip("fd00::1"), ip("fd00::2"), 128)
    assert not inet.in_net(ip("fd00::1"), ip("0.0.0.0"), 0)
    assert not inet.in_net(ip("1.2.3.4"), ip("1.2.3.4"), 33)


def test_wrong_ip_length_is_the_callers_mistake():
    assert refuses(lambda ip: inet.pack(ip, 1), b"123")
