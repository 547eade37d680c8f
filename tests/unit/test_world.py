# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

from _vectors import every_truncation_refused, load, read, refuses, survive_flips, unhex
from zt import inet
from zt.identity import Identity
from zt.world import DEFAULT_PLANET, MOON, PLANET, World

EARTH_SHA256 = "d85620dee418cd7efc5558b6a50b2a8ac34792764d074fa55d752952e48da470"


def cases():
    return load("vl1.json")["worlds"]


def by_name(name):
    for c in cases():
        if c["name"] == name:
            return World.unpack(unhex(c["serialized"]))[0]
    raise KeyError(name)


def roots_of(c):
    return [
        (Identity.parse(r["identity"]), [inet.parse(e) for e in r["endpoints"]])
        for r in c["roots"]
    ]


def test_fields_of_the_vectors():
    for c in cases():
        blob = unhex(c["serialized"])
        w, nxt = World.unpack(memoryview(b"12345" + blob + b"next"), 5)
        assert nxt == 5 + len(blob)
        assert w.type == c["type"] and w.id == unhex(c["id"])
        assert int.from_bytes(w.timestamp, "big") == c["timestamp"]
        assert w.update_key == unhex(c["updates_must_be_signed_by"])
        assert w.roots == roots_of(c)
        assert w.pack() == blob and w.signed_message() == unhex(c["signed_message"])


def test_signatures_of_the_vectors():
    for c in cases():
        w = World.unpack(unhex(c["serialized"]))[0]
        assert w.verify_with(unhex(c["signing_public_key"])), c["name"]
        w.timestamp = bytes(8)
        assert not w.verify_with(unhex(c["signing_public_key"]))


def test_make_signs_as_the_vectors():
    for c in cases():
        w = World.make(
            c["type"],
            unhex(c["id"]),
            c["timestamp"].to_bytes(8, "big"),
            unhex(c["signing_private_key"]),
            unhex(c["updates_must_be_signed_by"]),
            roots_of(c),
        )
        assert w.pack() == unhex(c["serialized"]), c["name"]


def test_updates_of_the_vectors():
    for c in load("vl1.json")["world_updates"]:
        assert by_name(c["update"]).replaces(by_name(c["current"])) == c["replaced"], c


def test_the_default_planet():
    c = load("vl1.json")["default_planet"]
    assert DEFAULT_PLANET == unhex(c["serialized"]) and len(DEFAULT_PLANET) == 570
    try:
        import hashlib

        assert hashlib.sha256(DEFAULT_PLANET).digest() == unhex(EARTH_SHA256)
    except ImportError:
        pass
    w, nxt = World.unpack(DEFAULT_PLANET)
    assert nxt == 570 and w.type == PLANET and w.pack() == DEFAULT_PLANET
    assert int.from_bytes(w.id, "big") == 149604618 == c["id"]
    assert int.from_bytes(w.timestamp, "big") == c["timestamp"] == 1644592324813
    assert w.roots == roots_of(c) and len(w.roots) == 4
    assert w.verify_with(w.update_key)


def test_damaged_worlds_are_refused():
    def parse(b):
        return World.unpack(b)

    for c in cases():
        every_truncation_refused(parse, unhex(c["serialized"]))
    survive_flips(parse, unhex(cases()[1]["serialized"]))
    survive_flips(parse, unhex(cases()[-1]["serialized"]))
    moon = by_name("moon-1").pack()
    assert refuses(parse, moon[:-2] + b"\0\1") and not refuses(parse, moon[:-2] + b"\0\1x")
    got, nxt = World.unpack(moon[:-2] + b"\0\1xy")
    assert got.pack() == moon and nxt == len(moon) + 1
    planet = bytearray(DEFAULT_PLANET)
    for off, value in (
        (0, 0),
        (0, 2),
        (0, 128),
        (177, 5),
        (178 + 70, 64),
        (178 + 71, 33),
        (178 + 72, 0),
    ):
        bad = bytearray(planet)
        bad[off] = value
        assert refuses(parse, bytes(bad)), off


def test_a_root_with_its_secret_key_is_refused():
    root = Identity.parse(load("vl1.json")["identities"][0]["secret_string"])
    blob = World(PLANET, bytes(8), bytes(8), bytes(64), [(root, [])]).pack()
    assert World.unpack(blob)[1] == len(blob)
    leaky = blob[:178] + root.pack(True) + b"\0"
    assert refuses(World.unpack, leaky)


def test_a_planet_never_replaces_a_moon_of_the_same_id():
    c = cases()[0]
    key, public = unhex(c["signing_private_key"]), unhex(c["signing_public_key"])

    def made(kind, when):
        return World.make(kind, bytes(8), when.to_bytes(8, "big"), key, public, roots_of(c))

    assert made(PLANET, 2).replaces(made(PLANET, 1)) and made(MOON, 2).replaces(made(MOON, 1))
    assert not made(PLANET, 2).replaces(made(MOON, 1))
    assert not made(MOON, 2).replaces(made(PLANET, 1))


def test_a_root_without_endpoints_is_legal():
    c = load("vl1.json")["identities"][0]
    root = Identity.parse(c["secret_string"])
    w = World.make(MOON, bytes(8), b"\0" * 7 + b"\1", root.private, root.public, [(root, [])])
    got, nxt = World.unpack(w.pack())
    assert (
        got.roots == [(root, [])]
        and got.roots[0][0].private is None
        and got.verify_with(root.public)
    )


def test_bounds_hold_for_our_own_worlds():
    root = Identity.parse(load("vl1.json")["identities"][0]["public_string"])
    for roots in ([(root, [])] * 5, [(root, [(b"\1\2\3\4", 1)] * 33)]):
        assert refuses(lambda r: World(PLANET, bytes(8), bytes(8), bytes(64), r), roots)
    assert refuses(lambda t: World(t, bytes(8), bytes(8), bytes(64), []), 0)
    biggest = World(MOON, bytes(8), bytes(8), bytes(64), [(root, [(bytes(16), 1)] * 32)] * 4)
    assert World.unpack(biggest.pack())[0].roots == biggest.roots and len(biggest.pack()) <= 8480


def test_recorded_planets_verify():
    for name in ("recordings/salsa/planet", "recordings/aes/planet"):
        blob = read(name)
        w, nxt = World.unpack(blob)
        assert nxt == len(blob) and w.pack() == blob and w.verify_with(w.update_key)
