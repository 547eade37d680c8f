# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# zt.crypto's active backend against the recorded vectors, RFC 7748, RFC 8032 and its own contract.
# ZT_CRYPTO=python runs the same tests over the pure Python twin.

import json

from zt import crypto

_loaded = []


def vectors():
    if not _loaded:
        path = __file__.replace("\\", "/").rsplit("/", 1)[0] + "/../vectors/vl1.json"
        with open(path) as f:
            _loaded.append(json.loads(f.read()))
    return _loaded[0]


def h(text):
    return bytes.fromhex(text)


def raises(error, f, *args):
    try:
        f(*args)
    except error:
        return True
    return False


def pattern(n, start=1):
    return bytes([(start + 7 * i + (i >> 8)) & 0xFF for i in range(n)])


KEY = pattern(48, 3)


def identity(name):
    for i in vectors()["identities"]:
        if i["name"] == name:
            return h(i["private_key"]), h(i["public_key"])


# ---- hashes


def test_sha512_and_sha384_give_the_published_answers():
    # FIPS 180-4 examples: "abc", and 896 bits, which need a second block of padding.
    assert crypto.sha512(b"abc") == h(
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
    )
    assert crypto.sha384(b"abc") == h(
        "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
        "8086072ba1e7cc2358baeca134c825a7"
    )
    long = b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno"
    long += b"ijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"
    assert crypto.sha512(long) == h(
        "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018"
        "501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909"
    )


def test_public_key_hash_of_identities():
    for i in vectors()["identities"]:
        data = h(i["address"]) + h(i["public_key"])
        assert crypto.sha384(data) == h(i["public_key_hash_sha384"])


# ---- ciphers


def test_salsa20_vectors():
    for v in vectors()["salsa20"]:
        buf = bytearray(h(v["in"]))
        crypto.salsa20_xor(h(v["key"]), h(v["iv"]), buf, v["rounds"])
        assert buf == h(v["out"])


def test_salsa20_starts_at_a_block_number():
    whole = bytearray(1000)
    crypto.salsa20_xor(KEY[:32], KEY[:8], whole, 12)
    for block in (1, 2, 5, 15):
        rest = bytearray(1000 - 64 * block)
        crypto.salsa20_xor(KEY[:32], KEY[:8], rest, 12, block)
        assert rest == whole[64 * block :]


def test_salsa20_block_number_is_64_bits():
    # Across the low word: split and whole agree, and 2**32 is not 0.
    whole = bytearray(640)
    crypto.salsa20_xor(KEY[:32], KEY[:8], whole, 20, 0xFFFFFFFD)
    for i in range(10):
        one = bytearray(64)
        crypto.salsa20_xor(KEY[:32], KEY[:8], one, 20, 0xFFFFFFFD + i)
        assert one == whole[64 * i : 64 * i + 64]
    first = bytearray(64)
    crypto.salsa20_xor(KEY[:32], KEY[:8], first, 20, 0)
    assert first != whole[192:256]


def test_salsa20_is_its_own_inverse_in_part_of_a_buffer():
    for n in (0, 1, 63, 64, 65, 255, 256, 257, 700):
        buf = bytearray(pattern(n + 20))
        crypto.salsa20_xor(KEY[:32], KEY[:8], memoryview(buf)[10 : 10 + n], 12)
        assert buf[:10] == pattern(n + 20)[:10] and buf[10 + n :] == pattern(n + 20)[10 + n :]
        crypto.salsa20_xor(KEY[:32], KEY[:8], memoryview(buf)[10 : 10 + n], 12)
        assert buf == pattern(n + 20)


def test_poly1305_vectors():
    for v in vectors()["poly1305"]:
        assert crypto.poly1305(h(v["key"]), h(v["message"])) == h(v["tag"])


def test_poly1305_wraps_at_its_prime():
    # RFC 8439 A.3, cases 7 to 11: sums at and around 2**130 - 5, carries into the fifth word.
    full = "ff" * 16
    for r, s, data, tag in (
        ("02", "", full, "03"),
        ("02", full, "02" + "00" * 15, "03"),
        ("01", "", full + "f0" + "ff" * 15 + "11" + "00" * 15, "05"),
        ("01", "", full + "fb" + "fe" * 15 + "01" * 16, ""),
        ("02", "", "fd" + "ff" * 15, "fa" + "ff" * 15),
        # And of our own: with r = 1 three blocks add up to one less than the prime, to the prime,
        # and to four more; with r = 4 a carry reaches the fifth word and must be kept there.
        ("01", "", "fa" + "ff" * 15 + "00" * 32, "fa" + "ff" * 15),
        ("01", "", "fb" + "ff" * 15 + "00" * 32, ""),
        ("01", "", full + "00" * 32, "04"),
        ("04", "", full * 2, "1e"),
    ):
        key = h(r + "00" * (16 - len(r) // 2) + s + "00" * (16 - len(s) // 2))
        assert crypto.poly1305(key, h(data)) == h(tag + "00" * (16 - len(tag) // 2))


# ---- curves


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


# ---- the identity hash


def test_idhash_vectors():
    for v in vectors()["memory_hard_hash"]:
        digest = crypto.idhash(h(v["public_key"]))
        assert digest == h(v["digest"])
        assert (digest[0] < 17) is v["hashcash_ok"]
        assert digest[59:] == h(v["derived_address"])
        if crypto.BACKEND == "python":
            break


def test_idhash_reports_progress_and_can_be_stopped():
    seen = []

    def progress(percent):
        seen.append(percent)
        if percent > 50:
            raise KeyboardInterrupt

    assert raises(KeyboardInterrupt, crypto.idhash, bytes(64), progress)
    assert len(seen) > 5 and seen == sorted(seen) and 50 < seen[-1] <= 100


def test_identity_search_finds_what_the_vectors_found():
    if crypto.BACKEND == "python":
        return  # minutes
    for i in vectors()["identities"]:
        seen = []
        private, public, digest = crypto.identity_search(h(i["start_private_key"]), seen.append)
        assert private == h(i["private_key"])
        assert public == h(i["public_key"])
        assert digest == h(i["digest"])
        assert seen == sorted(seen) and seen[-1] == i["iterations"] - 1


def test_identity_search_can_be_stopped():
    def progress(tries):
        raise OSError

    assert raises(OSError, crypto.identity_search, bytes(64), progress)


# ---- LZ4


def test_lz4_vectors():
    for v in vectors()["lz4"]:
        dst = bytearray(10000)
        payload = h(v["payload"])
        n = crypto.lz4_decompress(h(v["lz4_block"]), dst)
        assert dst[:n] == payload
        assert dst[n:] == bytes(10000 - n)
        exact = bytearray(n)
        assert crypto.lz4_decompress(memoryview(h(v["lz4_block"])), exact) == n
        assert exact == payload
        assert crypto.lz4_decompress(h(v["lz4_block"]), bytearray(n - 1)) == -1


def test_lz4_truncations_are_refused():
    for v in vectors()["lz4"]:
        block = h(v["lz4_block"])
        n = len(h(v["payload"]))
        for cut in range(0, len(block), max(1, len(block) // 60)):
            # A cut may fall where a shorter block ends, but never in the whole one's place.
            assert crypto.lz4_decompress(block[:cut], bytearray(10000)) < n


def test_lz4_malformed_blocks():
    for text in (
        "",  # nothing
        "10",  # a literal announced and missing
        "f0",  # a length byte missing
        "f0ff",  # and one more
        "104101",  # half of an offset
        "10410000",  # offset zero
        "10410200",  # before the start
        "10410000504242424242",  # the same two in blocks that end well
        "10410200504242424242",
        "10410100",  # no literals at the end
        "1041010010" + "42",  # one literal at the end
        "1f410100",  # a match length missing
        "1f4101" + "00ff",
    ):
        assert crypto.lz4_decompress(h(text), bytearray(4096)) == -1, text
    assert crypto.lz4_decompress(b"\x00", bytearray(10)) == 0
    assert crypto.lz4_decompress(b"\x00", bytearray(0)) == 0
    assert crypto.lz4_decompress(h("104101005042424242" + "42"), bytearray(10)) == 10


# ---- packets


def suites_0_and_1(group):
    return [v for v in vectors()[group] if v["suite"] in (0, 1)]


def test_packets_seal_to_the_recorded_bytes():
    for v in suites_0_and_1("packets"):
        wire = h(v["armored"])
        pkt = bytearray(wire[:18] + b"\x00" + bytes(8) + h(v["plain_verb_and_payload"]))
        pkt[18] = 0x07 | (0x40 if v["fragmented_flag"] else 0)
        crypto.seal(h(v["key"]), pkt, len(pkt), v["suite"])
        assert pkt == wire


def test_packets_open():
    count = 0
    for v in suites_0_and_1("packets"):
        for text in (v["armored"], v["armored_hops2"]):
            pkt = bytearray(h(text))
            assert crypto.open(h(v["key"]), pkt, len(pkt)) is True
            assert pkt[27:] == h(v["plain_verb_and_payload"])
            assert pkt[:27] == h(text)[:27]
            count += 1
    assert count >= 20


def test_rejected_packets_stay_as_they_came():
    for v in suites_0_and_1("packets_rejected"):
        pkt = bytearray(h(v["armored"]))
        assert crypto.open(h(v["key"]), pkt, len(pkt)) is v["accepts"]
        assert pkt == h(v["armored"])


def test_hello_tails():
    for v in vectors()["hello"]:
        key, at, wire = h(v["key"]), v["crypt_offset"], h(v["wire"])
        clear = h(v["clear_packet_before_mac"])
        pkt = bytearray(clear)
        crypto.hello_mask(key, pkt, at, len(pkt))
        crypto.seal(key, pkt, len(pkt), 0)
        assert pkt == wire
        assert crypto.open(key, pkt, len(pkt))
        crypto.hello_mask(key, pkt, at, len(pkt))
        assert pkt[27:] == clear[27:]


def test_seal_and_open_a_part_of_a_larger_buffer():
    for suite in (0, 1):
        for n in (28, 29, 91, 92, 155, 347, 1432):
            clear = bytearray(pattern(n + 30))
            clear[18] = 0x40 if n & 1 else 0
            pkt = bytearray(clear)
            crypto.seal(KEY, pkt, n, suite)
            assert pkt[n:] == clear[n:] and pkt[:18] == clear[:18]
            assert pkt[18] == clear[18] | (0x88 if suite else 0)
            assert (pkt[27:n] == clear[27:n]) is (suite == 0)
            # The same in a buffer of its own, and through a view.
            own = bytearray(clear[:n])
            crypto.seal(KEY, memoryview(own), n, suite)
            assert own == pkt[:n]
            assert crypto.open(KEY, memoryview(pkt), n) is True
            assert pkt[27:] == clear[27:]


def test_any_flipped_bit_is_refused_and_the_packet_left_alone():
    for suite in (0, 1):
        pkt = bytearray(pattern(120))
        crypto.seal(KEY, pkt, 120, suite)
        for bit in range(0, 960, 1 if crypto.BACKEND != "python" else 31):
            bad = bytearray(pkt)
            bad[bit >> 3] ^= 1 << (bit & 7)
            sent = bytes(bad)
            hops = bit in (144, 145, 146)
            assert crypto.open(KEY, bad, 120) is hops
            assert hops or bad == sent


def test_another_length_is_refused():
    pkt = bytearray(pattern(100))
    crypto.seal(KEY, pkt, 100, 1)
    for n in range(100):
        sent = bytes(pkt)
        assert crypto.open(KEY, pkt, n) is False
        assert pkt == sent
    assert crypto.open(KEY, pkt + b"\x00", 101) is False
    assert crypto.open(KEY, pkt, 100) is True


def test_other_suites_are_refused():
    for v in vectors()["packets"]:
        if v["suite"] > 1:
            pkt = bytearray(h(v["armored"]))
            assert crypto.open(h(v["key"]), pkt, len(pkt)) is False
            assert pkt == h(v["armored"])


# ---- the contract


def test_wrong_lengths_raise():
    k31, k32, k64, k48 = bytes(31), bytes(32), bytes(64), bytes(48)
    pkt = bytearray(100)
    for f, args in (
        (crypto.salsa20_xor, (k31, bytes(8), pkt, 12)),
        (crypto.salsa20_xor, (k32, bytes(7), pkt, 12)),
        (crypto.salsa20_xor, (k32, bytes(8), pkt, 8)),
        (crypto.poly1305, (k31, b"")),
        (crypto.x25519, (k31, k32)),
        (crypto.x25519, (k32, k31)),
        (crypto.ed25519_sign, (k31, k32, b"")),
        (crypto.ed25519_sign, (k32, k31, b"")),
        (crypto.ed25519_verify, (k31, b"", k64)),
        (crypto.ed25519_verify, (k32, b"", k32)),
        (crypto.public_key, (k32,)),
        (crypto.public_key_dh, (k64,)),
        (crypto.agree, (k64, k32)),
        (crypto.agree, (k32, k64)),
        (crypto.sign, (k64, k32, b"")),
        (crypto.sign, (k32, k64, b"")),
        (crypto.verify, (k32, b"", bytes(96))),
        (crypto.verify, (k64, b"", k64)),
        (crypto.idhash, (k32,)),
        (crypto.identity_search, (k32,)),
        (crypto.seal, (k32, pkt, 100, 1)),
        (crypto.seal, (k48, pkt, 27, 1)),
        (crypto.seal, (k48, pkt, 101, 1)),
        (crypto.seal, (k48, bytearray(70000), 65536, 1)),
        (crypto.seal, (k48, pkt, 100, 2)),
        (crypto.open, (k32, pkt, 100)),
        (crypto.open, (k48, pkt, 101)),
        (crypto.open, (k48, pkt, -1)),
        (crypto.hello_mask, (k32, pkt, 50, 100)),
        (crypto.hello_mask, (k48, pkt, 27, 100)),
        (crypto.hello_mask, (k48, pkt, 90, 89)),
        (crypto.hello_mask, (k48, pkt, 90, 101)),
    ):
        assert raises(ValueError, f, *args), args
    assert pkt == bytearray(100)


def test_keys_may_be_any_bytes_like():
    view = memoryview(bytearray(KEY))
    assert crypto.x25519(view[:32], view[8:40]) == crypto.x25519(KEY[:32], KEY[8:40])
    assert crypto.poly1305(view[:32], view) == crypto.poly1305(KEY[:32], KEY)
    assert crypto.sha512(view) == crypto.sha512(KEY)
    one, two = bytearray(KEY * 3), bytearray(KEY * 3)
    crypto.seal(view, one, 144, 1)
    crypto.seal(KEY, two, 144, 1)
    assert one == two


def test_equal_and_wipe():
    assert crypto.equal(b"", b"") and crypto.equal(KEY, bytearray(KEY))
    assert not crypto.equal(KEY, KEY[:47])
    for i in range(48):
        other = bytearray(KEY)
        other[i] ^= 0x80
        assert not crypto.equal(KEY, other)
    buf = bytearray(KEY)
    crypto.wipe(memoryview(buf)[1:47])
    assert buf == KEY[:1] + bytes(46) + KEY[47:]
