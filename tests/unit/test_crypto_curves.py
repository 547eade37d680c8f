# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# zt.crypto's active backend against the recorded vectors, RFC 7748 and RFC 8032: keys, agreement,
# signatures.
# ZT_CRYPTO=python runs the same tests over the pure Python twin.

from _crypto import KEY, h, identity, vectors
from zt import crypto


def test_x25519_rfc_7748():
    for scalar, point, out in (
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
    ):
        assert crypto.x25519(h(scalar), h(point)) == h(out)


def test_x25519_repeated_rfc_7748():
    k = u = h("09" + "00" * 31)
    for i in range(1000 if crypto.BACKEND != "python" else 1):
        k, u = crypto.x25519(k, u), k
        if i == 0:
            assert k == h("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079")
    if crypto.BACKEND != "python":
        assert k == h("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51")


def test_x25519_edge_points():
    # Zero and one are points of low order: zero comes out, and that is no error (VL1 2.3).
    assert crypto.x25519(KEY[:32], bytes(32)) == bytes(32)
    assert crypto.x25519(KEY[:32], b"\x01" + bytes(31)) == bytes(32)
    # Bit 255 is ignored, and p + 9 is 9.
    nine = b"\x09" + bytes(31)
    out = crypto.x25519(KEY[:32], nine)
    assert crypto.x25519(KEY[:32], nine[:31] + b"\x80") == out
    assert crypto.x25519(KEY[:32], b"\xf6" + b"\xff" * 30 + b"\x7f") == out
    assert crypto.public_key_dh(KEY[:32]) == out


# RFC 8032, 7.1: seed, public key, message, signature.
RFC_8032 = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
)


def test_ed25519_rfc_8032():
    for seed, public, msg, sig in RFC_8032:
        assert crypto.public_key(bytes(32) + h(seed))[32:] == h(public)
        assert crypto.ed25519_sign(h(seed), h(public), h(msg)) == h(sig)
        assert crypto.ed25519_verify(h(public), h(msg), h(sig)) is True
        assert crypto.ed25519_verify(h(public), h(msg) + b"x", h(sig)) is False


def test_ed25519_refuses_every_other_spelling():
    seed, public, msg, sig = [h(x) for x in RFC_8032[1]]
    order = (1 << 252) + 27742317777372353535851937790883648493
    s = int.from_bytes(sig[32:], "little") + order
    assert not crypto.ed25519_verify(public, msg, sig[:32] + s.to_bytes(32, "little"))
    # y = p + 1 spells y = 1, the neutral point: R = neutral and S = 0 would satisfy the equation.
    neutral = b"\x01" + bytes(31)
    assert crypto.ed25519_verify(neutral, msg, neutral + bytes(32))
    again = b"\xee" + b"\xff" * 30 + b"\x7f"
    assert not crypto.ed25519_verify(again, msg, neutral + bytes(32))
    assert not crypto.ed25519_verify(neutral, msg, again + bytes(32))
    # A sign on x = 0, and a y that is on no point.
    assert not crypto.ed25519_verify(neutral[:31] + b"\x80", msg, neutral + bytes(32))
    assert not crypto.ed25519_verify(b"\x02" + bytes(31), msg, sig)


def test_public_keys_of_identities():
    for i in vectors()["identities"]:
        private = h(i["private_key"])
        assert crypto.public_key(private) == h(i["public_key"])
        assert crypto.public_key_dh(private[:32]) == h(i["public_key"])[:32]


def test_public_key_is_the_ladder_over_nine():
    private = KEY[:32]
    for _ in range(8):
        public = crypto.public_key_dh(private)
        assert public == crypto.x25519(private, b"\x09" + bytes(31))
        private = public


def test_agree_vectors():
    for v in vectors()["agree"]:
        private = h(v["private_key_dh"]) + bytes(32)
        public = h(v["public_key_dh"]) + bytes(32)
        assert crypto.agree(private, public) == h(v["session_key_48"])
    a, b = identity("A"), identity("B")
    assert crypto.agree(a[0], b[1]) == crypto.agree(b[0], a[1])


def test_sign_vectors():
    for v in vectors()["sign"]:
        private, public = identity(v["signer"])
        msg = h(v["message"])
        assert crypto.verify(public, msg, h(v["signature"])) is v["verifies"]
        if v["verifies"]:
            assert crypto.sign(private, public, msg) == h(v["signature"])


def test_flipped_bits_of_a_signature_are_refused():
    private, public = identity("B")
    sig = crypto.sign(private, public, b"message")
    for bit in range(0, 768, 1 if crypto.BACKEND != "python" else 96):
        bad = bytearray(sig)
        bad[bit >> 3] ^= 1 << (bit & 7)
        assert crypto.verify(public, b"message", bad) is False
