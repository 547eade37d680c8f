# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# zt.crypto's active backend against the recorded vectors and its own contract: hashes, ciphers,
# LZ4.
# ZT_CRYPTO=python runs the same tests over the pure Python twin.

from _crypto import KEY, h, pattern, raises, vectors
from zt import crypto

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
