# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

from _vectors import load, unhex
from zt.dictionary import Dictionary, encode, escape, hex40, hex64, number, unescape


def value_of(e):
    if e["kind"] in "sb":
        return unhex(e["value_hex"])
    if e["kind"] == "u":
        return hex64(unhex(e["value"]))
    if e["kind"] == "i":
        return hex64(abs(e["value"]))
    return b"1" if e["value"] else b"0"


def test_encoding_of_the_vectors_and_back():
    for c in load("vl2.json")["dictionary"]["encode"]:
        pairs = [(e["key"], value_of(e)) for e in c["entries"]]
        data = encode(pairs)
        assert data == unhex(c["encoded"])
        d = Dictionary(memoryview(data))
        for key, value in pairs:
            assert d.get(key) == value


def test_look_ups_of_the_vectors():
    for c in load("vl2.json")["dictionary"]["decode"]:
        d = Dictionary(unhex(c["raw"]))
        for q in c["lookups"]:
            want = None if q["value_hex"] is None else unhex(q["value_hex"])
            assert d.get(q["key"]) == want, (c, q)
            n = int(q["as_uint"], 16)
            assert d.uint(q["key"]) == n, (c, q)
            assert d.u64(q["key"]) == (unhex(q["as_uint"]) if want else None)
            assert (n - (1 << 64) if n >> 63 else n) == q["as_int"]
            assert d.boolean(q["key"]) == q["as_bool"], (c, q)


def test_every_byte_survives_the_escapes():
    for a in range(256):
        for b in (0, 10, 13, 0x30, 0x3D, 0x5C, 0x65, 0x6E, 0x72, 0xFF):
            v = bytes([a, b])
            e = escape(v)
            assert unescape(e) == v
            for forbidden in (0, 10, 13, 0x3D):
                assert forbidden not in e


def test_unescape_oddities():
    assert unescape(b"") == b"" and unescape(b"\\") == b"" and unescape(b"a\\") == b"a"
    assert unescape(b"\\x\\0\\\\") == b"x\0\\" and unescape(b"\\\\\\") == b"\\"


def test_defaults_stand_in_for_absent_and_empty_values():
    d = Dictionary(b"e=\nz=0")
    for key in ("e", "missing"):
        assert d.uint(key, 7) == 7 and d.u64(key) is None and d.boolean(key, True)
    assert d.get("e") == b"" and d.uint("z", 7) == 0 and not d.boolean("z", True)


def test_first_match_wins_and_raw_equals_is_kept():
    d = Dictionary(b"x=a=1\na=2\na=3\r\nb=4\rc=5")
    assert (
        d.get("a") == b"2" and d.get("x") == b"a=1" and d.get("b") == b"4" and d.get("c") == b"5"
    )
    assert Dictionary(b"").get("a") is None and Dictionary(b"a").get("a") is None


def test_numbers_as_strtoull_reads_them():
    for text, want in (
        (b"ff", 255),
        (b"FF", 255),
        (b"+ff", 255),
        (b"-1", (1 << 64) - 1),
        (b"\t\n ff", 255),
        (b"0x", 0),
        (b"0xg", 0),
        (b"0X1f", 31),
        (b"- 1", 0),
        (b"--1", 0),
        (b"ffffffffffffffff", (1 << 64) - 1),
        (b"10000000000000000", (1 << 64) - 1),
        (b"-10000000000000000", (1 << 64) - 1),
        (b"000000000000000000001", 1),
        (b"", 0),
        (b" ", 0),
        (b"1" * 100000, (1 << 64) - 1),
    ):
        assert number(text) == want, text[:20]


def test_value_forms():
    assert hex64(0x1F) == b"000000000000001f" == hex64(unhex("000000000000001f"))
    assert hex40(unhex("00c4aaa26c")) == b"00c4aaa26c"
