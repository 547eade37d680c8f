# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

from _vectors import every_truncation_refused, load, refuses, survive_flips, unhex
from zt import crypto
from zt.identity import Identity, generate, reserved


def cases():
    return load("vl1.json")["identities"]


def test_text_and_binary_forms_of_the_vectors():
    for c in cases():
        i = Identity.parse(c["secret_string"])
        assert i.address == unhex(c["address"])
        assert i.public == unhex(c["public_key"]) and i.private == unhex(c["private_key"])
        assert i.text() == c["public_string"] and i.text(True) == c["secret_string"]
        assert i.pack() == unhex(c["public_binary"]) and i.pack(True) == unhex(c["secret_binary"])
        p = Identity.parse(c["public_string"])
        assert p.private is None and p == i and p.text() == c["public_string"]
        assert Identity.parse(c["secret_string"] + "\n").private == i.private
        assert Identity.parse(c["public_string"].encode()) == i


def test_binary_form_reads_from_an_offset():
    for c in cases():
        for key, n in (("public_binary", 71), ("secret_binary", 135)):
            blob = unhex(c[key])
            i, nxt = Identity.unpack(memoryview(b"abc" + blob + b"z"), 3)
            assert (
                nxt == 3 + n
                and i.text(n == 135) == c["public_string" if n == 71 else "secret_string"]
            )


def test_hash384_of_the_vectors():
    for c in cases():
        assert Identity.parse(c["public_string"]).hash384() == unhex(c["public_key_hash_sha384"])


def test_checks_of_the_vectors_parse_or_not():
    for c in load("vl1.json")["identity_checks"]:
        assert refuses(Identity.parse, c["string"]) == (not c["parses"]), c["why"]


def test_checks_of_the_vectors_validate_or_not():
    if crypto.BACKEND == "python":
        return  # half a minute of hash runs; the pure hash has its own test
    for c in load("vl1.json")["identity_checks"]:
        if c["parses"]:
            assert Identity.parse(c["string"]).validate() == c["valid"], c["why"]


def test_text_that_the_original_would_misread_is_refused():
    good = cases()[0]["secret_string"]
    for bad in (
        good.replace("21d704d5da", "21d704d5dg"),
        good[:60] + "zz" + good[62:],
        good[:60] + "  " + good[62:],
        good[:-2],
        good + "00",
        good.replace(":0:", ":00:"),
        "",
        "\xff\xfe",
    ):
        assert refuses(Identity.parse, bad), bad
    assert refuses(Identity.parse, b"\xff\xfe\x00")
    for n in range(1, len(good)):
        if good[:n] != cases()[0]["public_string"]:
            assert refuses(Identity.parse, good[:n])


def test_a_secret_of_another_key_is_refused():
    a, b = cases()[0], cases()[1]
    assert refuses(Identity.parse, a["public_string"] + ":" + b["private_key"])


def test_bad_binary_is_refused():
    blob = unhex(cases()[0]["secret_binary"])
    every_truncation_refused(Identity.unpack, blob)
    every_truncation_refused(Identity.unpack, unhex(cases()[0]["public_binary"]))
    survive_flips(Identity.unpack, blob)
    for off, value in ((5, 1), (70, 1), (70, 63), (70, 65), (0, 0xFF)):
        bad = bytearray(blob)
        bad[off] = value
        assert refuses(Identity.unpack, bytes(bad)), off
    assert refuses(Identity.unpack, bytes(5) + blob[5:])


def test_reserved_addresses():
    assert reserved(bytes(5)) and reserved(b"\xff\1\2\3\4") and not reserved(b"\0\0\0\0\1")


def test_agreement_is_symmetric_and_signatures_are_bound_to_the_signer():
    a = Identity.parse(cases()[0]["secret_string"])
    b = Identity.parse(cases()[1]["secret_string"])
    assert a.agree(b) == b.agree(a) and len(a.agree(b)) == 48
    sig = a.sign(b"hello")
    assert len(sig) == 96 and a.verify(b"hello", sig)
    assert not b.verify(b"hello", sig) and not a.verify(b"hellp", sig)


def test_without_the_secret_nothing_secret_is_possible():
    p = Identity.parse(cases()[0]["public_string"])
    for f in (
        lambda x: x.sign(b""),
        lambda x: x.agree(x),
        lambda x: x.pack(True),
        lambda x: x.text(True),
    ):
        assert refuses(f, p)


def test_repr_shows_no_key():
    i = Identity.parse(cases()[0]["secret_string"])
    assert repr(i) == "Identity(21d704d5da)"


def test_generate_makes_the_identities_of_the_vectors():
    if crypto.BACKEND == "python":
        return  # minutes of hash runs
    for c in cases():
        i = generate(lambda n, c=c: unhex(c["start_private_key"]))
        assert i.text(True) == c["secret_string"] and i.validate()


def test_generate_starts_again_after_a_reserved_address():
    c = cases()[0]
    keys = (unhex(c["private_key"]), unhex(c["public_key"]))
    digests = [bytes(64), b"\0" * 59 + b"\xff\1\2\3\4", unhex(c["digest"])]
    taken = []

    def search(private, progress):
        taken.append(private)
        return keys + (digests[len(taken) - 1],)

    real = crypto.identity_search
    crypto.identity_search = search
    try:
        i = generate(lambda n: bytes([len(taken)]) * n)
    finally:
        crypto.identity_search = real
    assert taken == [bytes(64), b"\1" * 64, b"\2" * 64] and i.text(True) == c["secret_string"]


def test_progress_may_give_up():
    class Stop(Exception):
        pass

    def progress(runs):
        raise Stop()

    try:
        generate(lambda n: bytes(n), progress)
    except Stop:
        return
    raise AssertionError("the search went on")
