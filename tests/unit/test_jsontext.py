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
