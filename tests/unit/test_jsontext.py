# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

import json

from zt import jsontext


def test_keys_are_sorted_and_the_text_reads_back():
    for value in (
        {},
        [],
        {"b": 1, "a": [1, {"z": None, "y": True}], "c": {}},
        ['x"\\\n\x01\u00e9', -5, 1795361552518, False],
    ):
        text = jsontext.dumps(value)
        assert json.loads(text) == value, text
    assert jsontext.dumps({"b": 1, "a": [1, {"z": None, "y": True}], "c": {}}) == (
        '{"a":[1,{"y":true,"z":null}],"b":1,"c":{}}'
    )


def test_texts_that_are_no_whole_json_are_refused():
    whole = jsontext.dumps({"a": [1, 'x\\"{[', {"b": None}], "c": "\u00fc"}).encode()
    assert jsontext.loads(whole) == json.loads(str(whole, "utf-8"))
    cut = [whole[:n] for n in range(len(whole))]
    for bad in cut + [b"{} x", b"\xff", b"[" * 9000 + b"]" * 9000, b'"', b"{]"]:
        try:
            jsontext.loads(bad)
        except ValueError:
            continue
        assert False, bad[:80]


def test_values_of_other_types_are_coerced():
    for value, want in (
        (True, True),
        (0, False),
        (2, True),
        (-1, False),
        ("true", True),
        ("T", True),
        ("1", True),
        ("no", False),
        ("", False),
        (None, None),
        ([], None),
        ({}, None),
    ):
        assert jsontext.boolean(value, None) is want, value
    for value, want in (
        (5, 5),
        (5.9, 5),
        ("12x", 12),
        ("-3", -3),
        ("x", 0),
        (True, 1),
        ("", 9),
        (None, 9),
        ([], 9),
        (float("inf"), 9),
        (float("nan"), 9),
    ):
        assert jsontext.integer(value, 9) == want, value
    for value, want in (("a", "a"), (5, "5"), (True, "1"), (False, "0"), (None, "d"), ([], "d")):
        assert jsontext.text(value, "d") == want, value


def test_hex_numbers_stop_at_the_first_other_character():
    for value, want in (("1f", 31), ("0x1F", 31), (" 10:2", 16), ("-1", -1), ("zz", 0)):
        assert jsontext.leading_int(value, 16) == want, value


def test_fractions_are_short_and_the_same_everywhere():
    for value, want in (
        (0.058, "0.058"),
        (1.0, "1.0"),
        (-2.5, "-2.5"),
        (0.1 + 0.2, "0.3"),
        (12.345678912, "12.345679"),
        (0.0, "0.0"),
        (100.0, "100.0"),
        (float("inf"), "null"),
        (float("nan"), "null"),
    ):
        assert jsontext.dumps([value]) == "[%s]" % want, jsontext.dumps([value])


def test_what_only_some_readers_take_is_refused():
    long = b"9" * 5000
    for bad in (b"NaN", b"[Infinity]", b'{"a":-Infinity}', long, b"[1." + b"0" * 500 + b"]"):
        try:
            jsontext.loads(bad)
        except ValueError:
            continue
        assert False, bad[:40]
    assert jsontext.loads(b'["' + b"9" * 5000 + b'"]') == ["9" * 5000]
    assert jsontext.loads(b"1e999" + b" " * 9) is not None


def test_no_character_of_a_text_drives_a_terminal():
    for text in ("\x1b[31m", "\x07\r\n", "\x7f", "\x9b31m", "\u00e9\x80x"):
        written = jsontext.dumps({text: text})
        assert not [c for c in written if c < " " or "\x7f" <= c <= "\x9f"], written
        assert json.loads(written) == {text: text}
