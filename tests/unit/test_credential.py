# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

from _vectors import (
    every_truncation_refused,
    load,
    refuses,
    survive_flips,
    survive_truncations,
    unhex,
)
from zt import credential, inet
from zt.credential import (
    BAD,
    COM,
    OK,
    UNKNOWN_SIGNER,
    Capability,
    Ownership,
    Revocation,
    Tag,
    pack_credentials,
    unpack_credentials,
)
from zt.identity import Identity


def v(group):
    return load("vl2.json")[group]


def ident(name):
    return Identity.parse(v("identities")[name]["secret"])


def identities():
    return {unhex(i["address"]): Identity.parse(i["public"]) for i in v("identities").values()}


def be8(n):
    return n.to_bytes(8, "big")


def same_read(kind, c):
    """Unpack c["serialized"] from the middle of a buffer and check that it packs to the same
    bytes.
    """
    blob = unhex(c["serialized"])
    obj, nxt = kind.unpack(memoryview(b"abc" + blob + b"def"), 3)
    assert nxt == 3 + len(blob) and obj.pack() == blob
    assert obj.signed_message() == unhex(c["signed_message"])
    return obj


def check_verify(obj, good):
    known = identities()
    assert (obj.verify(known.get) == OK) == good and obj.unknown is None
    if good:
        assert obj.verify(lambda a: None) == UNKNOWN_SIGNER and obj.unknown in known
        assert obj.verify(known.get) == OK and obj.unknown is None


def hostile(kind, blob):
    every_truncation_refused(kind.unpack, blob)
    survive_flips(kind.unpack, blob)


def test_com_of_the_vectors():
    for c in v("com"):
        com = same_read(COM, c)
        assert com.signed_by == unhex(c["signed_by"])
        assert com.signature == (unhex(c["signature"]) if c.get("signature") else None)
        for q in c["qualifiers"]:
            assert com.value(be8(q["id"])) == unhex(q["value"])
        check_verify(com, c["verify"])
        hostile(COM, com.pack())


def test_com_issue_makes_the_ones_of_the_vectors():
    for c in v("com"):
        if not c["verify"]:
            continue
        q = {i["id"]: i for i in c["qualifiers"]}
        com = COM.issue(
            unhex(q[1]["value"]),
            ident(c["name"]),
            unhex(q[0]["value"]),
            int(q[0]["max_delta"], 16),
        )
        com.sign(ident("controller"))
        assert com.pack() == unhex(c["serialized"]) and com.verify(identities().get) == OK
        assert com.issued_to == ident(c["name"]).address and com.nwid == unhex(v("network_id"))
        assert com.timestamp == unhex(q[0]["value"]) and com.id == 0


def test_com_agreement_of_the_vectors():
    for c in v("com_agreement"):
        mine = COM.unpack(unhex(c["mine"]))[0]
        other = COM.unpack(unhex(c["other"]))[0]
        assert mine.agrees(other, Identity.parse(c["other_identity"])) == c["agrees"], c["name"]


def test_com_agreement_over_the_whole_range_of_64_bits():
    a = ident("A")

    def com(timestamp, window):
        return COM.issue(bytes(8), a, be8(timestamp), window)

    top = (1 << 64) - 1
    assert com(top, top).agrees(com(0, 0), a) and com(0, top).agrees(com(top, 0), a)
    assert not com(top, top - 1).agrees(com(0, 0), a) and not com(0, top - 1).agrees(
        com(top, 0), a
    )


def test_com_with_bad_form_is_refused():
    good = unhex(v("com")[0]["serialized"])
    q = good[3 : 3 + 7 * 24]
    for bad in (
        b"\2" + good[1:],
        b"\1\0\x09" + q + q[-24:] * 2 + good[-101:],
        b"\1\xff\xff" + good[3:],
        b"\1\0\2" + q[24:48] + q[:24] + bytes(5),
    ):
        assert refuses(COM.unpack, bad)
    assert COM.unpack(b"\1\0\1" + q[:24] + bytes(5))[0].nwid == bytes(8)
    assert COM.unpack(b"\1\0\0" + bytes(5))[0].verify(identities().get) == BAD
    assert not COM.unpack(b"\1\0\0" + bytes(5))[0] and COM.unpack(good)[0]


def test_tag_of_the_vectors():
    for c in v("tag"):
        t = same_read(Tag, c)
        assert t.nwid == unhex(c["network_id"]) and t.timestamp == be8(c["timestamp"])
        assert (t.id, t.value) == (c["id"], c["value"])
        assert t.issued_to == unhex(c["issued_to"]) and t.signed_by == unhex(c["signed_by"])
        check_verify(t, c["verify"])
        if c["verify"]:
            made = Tag(t.nwid, t.timestamp, t.id, t.value, t.issued_to)
            made.sign(ident("controller"))
            assert made == t and made.pack() == unhex(c["serialized"])
        hostile(Tag, t.pack())


def test_ownership_of_the_vectors():
    for c in v("coo"):
        o = same_read(Ownership, c)
        assert o.things == [(t["type"], unhex(t["value"])) for t in c["things"]]
        assert (
            o.issued_to == unhex(c["issued_to"])
            and o.id == c["id"]
            and o.nwid == unhex(c["network_id"])
        )
        check_verify(o, c["verify"])
        made = Ownership(o.nwid, be8(c["timestamp"]), c["id"], o.things, o.issued_to)
        made.sign(ident("controller"))
        assert made.pack() == unhex(c["serialized"])
        hostile(Ownership, o.pack())


def test_ownership_compares_only_the_length_of_the_type():
    ip4, ip6, mac = inet.parse_ip("10.0.0.5"), inet.parse_ip("fd00::5"), b"\2\3\4\5\6\7"
    o = Ownership(
        bytes(8),
        bytes(8),
        1,
        [(1, mac + b"x" * 10), (2, ip4 + b"y" * 12), (3, ip6), (9, b"\x0b\0\0\1" + bytes(12))],
        bytes(5),
    )
    assert o.owns_ip(ip4) and o.owns_ip(ip6) and o.owns_mac(mac)
    assert (
        not o.owns_ip(b"\x0a\0\0\6")
        and not o.owns_ip(bytes(16))
        and not o.owns_mac(mac[:5] + b"8")
    )
    assert not o.owns_ip(b"\x0b\0\0\1")


def test_revocation_of_the_vectors():
    for c in v("revocation"):
        r = same_read(Revocation, c)
        assert (r.id, r.credential_id, r.flags, r.type) == (
            c["id"],
            c["credential_id"],
            c["flags"],
            c["type"],
        )
        assert r.threshold == r.timestamp == be8(c["threshold"]) and r.nwid == unhex(
            c["network_id"]
        )
        assert r.target == r.issued_to == unhex(c["target"])
        check_verify(r, c["verify"])
        made = Revocation(r.id, r.nwid, r.credential_id, r.threshold, r.flags, r.target, r.type)
        made.sign(ident("controller"))
        assert made.pack() == unhex(c["serialized"]) and len(made.pack()) == 152
        hostile(Revocation, r.pack())


def test_capability_of_the_vectors():
    for c in v("capability"):
        cap = same_read(Capability, c)
        assert cap.nwid == unhex(c["network_id"]) and cap.timestamp == be8(c["timestamp"])
        assert cap.id == c["id"] and cap.max_chain == c["max_custody_chain_length"]
        assert cap.rules == unhex(c["rules_bin"]) and cap.issued_to == unhex(c["issued_to"])
        assert cap.custody == [
            tuple(unhex(e[k]) for k in ("to", "from", "signature")) for e in c["custody"]
        ]
        check_verify(cap, c["verify"] == 0)
        hostile(Capability, cap.pack())


def test_capability_handed_on_as_in_the_vectors():
    secrets = {unhex(i["address"]): Identity.parse(i["secret"]) for i in v("identities").values()}
    for c in v("capability"):
        cap = Capability(
            unhex(c["network_id"]),
            be8(c["timestamp"]),
            c["id"],
            unhex(c["rules_bin"]),
            bytes(5),
            c["max_custody_chain_length"],
        )
        for e in c["custody"]:
            cap.issued_to = unhex(e["to"])
            cap.sign(secrets[unhex(e["from"])])
        assert cap.pack() == unhex(c["serialized"]), c["name"]
    cap = Capability(bytes(8), bytes(8), 1, b"", b"12345")
    cap.sign(ident("A"))
    assert refuses(cap.sign, ident("A"))


def test_capability_without_custody_is_bad():
    cap = Capability(unhex(v("network_id")), bytes(8), 1, b"", b"12345")
    assert cap.verify(identities().get) == BAD and Capability.unpack(cap.pack())[0] == cap


def test_capability_with_an_unknown_rule_verifies_in_its_canonical_form_only():
    # Type 62 with three bytes: every verifier writes it again with none (VL2 4.1).
    raw, short = b"\x3e\x03abc\x01\x00", b"\x3e\x00\x01\x00"
    nwid, controller = unhex(v("network_id")), ident("controller")
    cap = Capability(nwid, bytes(8), 1, raw, b"12345")
    assert short in cap.signed_message() and raw not in cap.signed_message() and raw in cap.pack()
    message = cap.signed_message().replace(short, raw)
    cap.custody.append((b"12345", controller.address, controller.sign(message)))
    assert cap.verify(identities().get) == BAD


def test_capability_bounds():
    head = bytes(20)
    assert refuses(Capability.unpack, head + b"\0\x41" + b"\1\0" * 65 + b"\1" + bytes(7))
    assert not refuses(Capability.unpack, head + b"\0\x40" + b"\1\0" * 64 + b"\1" + bytes(7))
    assert refuses(Capability.unpack, head + b"\xff\xff" + bytes(100))
    for chain in (0, 8, 255):
        assert refuses(Capability.unpack, head + b"\0\0" + bytes([chain]) + bytes(7))
    entry = b"12345" + b"54321" + b"\1\0\x60" + bytes(96)
    assert not refuses(Capability.unpack, head + b"\0\0\2" + entry * 2 + bytes(7))
    assert refuses(Capability.unpack, head + b"\0\0\2" + entry * 3 + bytes(7))


def test_other_kinds_of_signature_are_skipped_and_do_not_verify():
    c = v("tag")[0]
    blob = unhex(c["serialized"])
    tag, nxt = Tag.unpack(blob[:34] + b"\2\0\3abc" + b"\0\2xy!", 0)
    assert nxt == 34 + 6 + 4 and tag.verify(identities().get) == BAD
    assert refuses(Tag.unpack, blob[:34] + b"\1\0\x5f" + bytes(95) + b"\0\0")
    assert not refuses(Tag.unpack, blob[:34] + b"\1\0\x60" + bytes(96) + b"\0\0")


def test_one_flipped_bit_never_verifies():
    known = identities()
    for kind, group in (
        (COM, "com"),
        (Tag, "tag"),
        (Ownership, "coo"),
        (Revocation, "revocation"),
        (Capability, "capability"),
    ):
        good = unhex(v(group)[0]["serialized"])
        step = 17  # a sample: each verification costs milliseconds in pure Python
        for i in range(0, len(good), step):
            bad = bytearray(good)
            bad[i] ^= 1
            try:
                obj, nxt = kind.unpack(bytes(bad))
            except ValueError:
                continue
            assert obj.verify(known.get) != OK or obj.pack() == good, (group, i)


def test_things_out_of_bounds_are_refused():
    head = bytes(28)
    assert refuses(
        Ownership.unpack, head + b"\0\x11" + bytes(17 * 17 + 10) + b"\1\0\x60" + bytes(98)
    )
    assert not refuses(
        Ownership.unpack, head + b"\0\x10" + bytes(16 * 17 + 10) + b"\1\0\x60" + bytes(98)
    )
    assert refuses(Ownership.unpack, head + b"\xff\xff" + bytes(400))
    assert refuses(lambda n: Ownership(bytes(8), bytes(8), 1, [(1, bytes(16))] * n, bytes(5)), 17)


def everything():
    def read(kind, group):
        return [kind.unpack(unhex(c["serialized"]))[0] for c in v(group)]

    return (
        [c for c in read(COM, "com") if c.signature],
        read(Capability, "capability"),
        read(Tag, "tag"),
        read(Revocation, "revocation"),
        read(Ownership, "coo"),
    )


def test_credentials_payload_both_ways():
    lists = everything()
    payload = pack_credentials(*lists)
    got = unpack_credentials(memoryview(b"12" + payload + b"tail"), 2, 2 + len(payload))
    assert got == lists
    assert (
        pack_credentials(revocations=lists[3][:1])
        == b"\0\0\0\0\0\0\1" + lists[3][0].pack() + b"\0\0"
    )


def test_credentials_payload_may_end_after_a_section():
    coms, caps, tags, revocations, coos = everything()
    com = coms[0].pack()
    assert unpack_credentials(com + b"\0", 0, 273) == ([coms[0]], [], [], [], [])
    assert unpack_credentials(com, 0, 272) == ([coms[0]], [], [], [], [])
    assert unpack_credentials(b"\0\0\0", 0, 3) == ([], [], [], [], [])
    some = b"\0\0\0\0\1" + tags[0].pack()
    assert unpack_credentials(some, 0, len(some)) == ([], [], [tags[0]], [], [])


def test_credentials_payload_damaged():
    lists = everything()
    payload = pack_credentials(
        lists[0][:1], lists[1][:1], lists[2][:1], lists[3][:1], lists[4][:1]
    )

    def parse(b):
        return unpack_credentials(b, 0, len(b))

    survive_truncations(parse, payload)
    survive_flips(parse, payload)
    assert (
        refuses(parse, b"\0\xff\xff") and refuses(parse, b"\0\0") and refuses(parse, payload[:-1])
    )


def test_type_codes():
    assert (
        credential.TYPE_COM,
        credential.TYPE_CAPABILITY,
        credential.TYPE_TAG,
        credential.TYPE_COO,
        credential.TYPE_REVOCATION,
    ) == (1, 2, 3, 4, 6)
