# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The compiled core against the pure Python twin: the same answers for anything, and in parts as
# for the whole.
# cpython-only: ctypes and hypothesis

import hashlib

import pytest
from _cores import RELAXED, SLOW, b, variants
from hypothesis import given, settings
from hypothesis import strategies as st
from zt import _crypto_py as pure


@pytest.fixture(scope="module")
def cores(tmp_path_factory):
    return variants(tmp_path_factory)


# ---- C against Python


def test_hashes_agree_with_the_twin(cores):
    @RELAXED
    @given(st.binary(max_size=700))
    def run(data):
        for core in cores:
            assert core.sha512(data) == pure.sha512(data)
            assert core.sha384(data) == pure.sha384(data)

    run()
    for n in range(300):
        assert cores[0].sha512(bytes(n)) == pure.sha512(bytes(n))


def test_pure_sha2_is_hashlib():
    from zt import _sha2_py

    for n in list(range(0, 260, 3)) + [111, 112, 127, 128, 239, 240]:
        data = bytes(range(256))[:n]
        assert _sha2_py.sha512_pure(data) == hashlib.sha512(data).digest()
        assert _sha2_py.sha384_pure(data) == hashlib.sha384(data).digest()


def test_salsa20_agrees_with_the_twin(cores):
    @RELAXED
    @given(
        b(32), b(8), st.binary(max_size=1200), st.sampled_from((12, 20)), st.integers(0, 2**64 - 1)
    )
    def run(key, iv, data, rounds, block):
        want = bytearray(data)
        pure.salsa20_xor(key, iv, want, rounds, block)
        for core in cores:
            got = bytearray(data)
            core.salsa20_xor(key, iv, got, rounds, block)
            assert got == want

    run()


def test_poly1305_agrees_with_the_twin(cores):
    extreme = st.lists(st.sampled_from((0, 1, 4, 5, 0xFB, 0xFE, 0xFF)), max_size=80).map(bytes)
    key = st.one_of(
        b(32),
        st.just(b"\xff" * 32),
        st.just(b"\xff" * 16 + bytes(16)),
        st.just(b"\x02" + bytes(31)),
    )

    @settings(max_examples=1000, deadline=None)
    @given(key, st.one_of(st.binary(max_size=200), extreme))
    def run(key, data):
        want = pure.poly1305(key, data)
        for core in cores:
            assert core.poly1305(key, data) == want

    run()


def test_poly1305_carries_into_its_fifth_word(cores):
    # First blocks chosen so that the reduced product is a little above a multiple of 2^128: a
    # carry runs through all four words, and the block after shows whether it was kept.
    p = 2**130 - 5
    r = 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    key = r.to_bytes(16, "little") + bytes(16)
    count = 0
    for target in [j * 2**128 + small for j in range(1, 5) for small in range(64)]:
        first = target * pow(r, -1, p) % p - 2**128
        if 0 <= first < 2**128:
            data = first.to_bytes(16, "little") + bytes(range(16))
            for core in cores:
                assert core.poly1305(key, data) == pure.poly1305(key, data)
            count += 1
    assert count > 20


def near_the_prime():
    p = 2**255 - 19
    return st.one_of(
        b(32),
        st.integers(-40, 40).map(lambda d: ((p + d) % 2**256).to_bytes(32, "little")),
        st.integers(0, 60).map(lambda d: (2**256 - 1 - d).to_bytes(32, "little")),
        st.integers(0, 40).map(lambda d: d.to_bytes(32, "little")),
        st.lists(st.sampled_from((0, 0xFF)), min_size=32, max_size=32).map(bytes),
    )


def test_x25519_agrees_with_the_twin(cores):
    @RELAXED
    @given(near_the_prime(), near_the_prime())
    def run(private, public):
        want = pure.x25519(private, public)
        base = pure.public_key_dh(private)
        for core in cores:
            assert core.x25519(private, public) == want
            assert core.public_key_dh(private) == base

    run()


def test_ed25519_agrees_with_the_twin(cores):
    @SLOW
    @given(near_the_prime(), st.binary(max_size=300), st.integers(0, 511))
    def run(seed, msg, bit):
        public = pure.public_key(bytes(32) + seed)[32:]
        want = pure.ed25519_sign(seed, public, msg)
        bad = bytearray(want)
        bad[bit >> 3] ^= 1 << (bit & 7)
        for core in cores:
            assert core.public_key(bytes(32) + seed)[32:] == public
            assert core.ed25519_sign(seed, public, msg) == want
            assert core.ed25519_verify(public, msg, want)
            assert not core.ed25519_verify(public, msg, bad)
        assert pure.ed25519_verify(public, msg, want)

    run()


def test_ed25519_verdicts_on_odd_points_and_scalars_agree(cores):
    # Keys and signatures of points near the edges: low order, no point, second spellings.
    @settings(max_examples=150, deadline=None)
    @given(near_the_prime(), near_the_prime(), near_the_prime(), st.sampled_from((b"", b"\x01")))
    def run(public, r, s, msg):
        want = pure.ed25519_verify(public, msg, r + s)
        for core in cores:
            assert core.ed25519_verify(public, msg, r + s) is want

    run()
    good = 0
    neutral = b"\x01" + bytes(31)
    for y in list(range(-30, 30)):
        for base in (0, 2**255 - 19, 2**255):
            key = ((y + base) % 2**256).to_bytes(32, "little")
            for r in (neutral, key):
                want = pure.ed25519_verify(key, b"", r + bytes(32))
                good += want
                for core in cores:
                    assert core.ed25519_verify(key, b"", r + bytes(32)) is want
    assert good


def test_scalars_near_multiples_of_the_order_agree(cores):
    # S just below and above L and 2 L; the sum r + h a is always reduced.
    order = 2**252 + 27742317777372353535851937790883648493
    seed = bytes(range(32))
    public = pure.public_key(bytes(32) + seed)[32:]
    for multiple in (0, 1, 2, 15):
        for d in range(-3, 4):
            sig = public + ((multiple * order + d) % 2**256).to_bytes(32, "little")
            want = pure.ed25519_verify(public, b"m", sig)
            for core in cores:
                assert core.ed25519_verify(public, b"m", sig) is want


def test_packets_agree_with_the_twin(cores):
    @RELAXED
    @given(
        st.sampled_from(cores),
        b(48),
        st.binary(min_size=28, max_size=1500),
        st.sampled_from((0, 1)),
        st.integers(0, 2**20),
    )
    def run(core, session, clear, suite, flip):
        want = bytearray(clear)
        pure.seal(session, want, len(want), suite)
        got = bytearray(clear)
        core.seal(session, got, len(got), suite)
        assert got == want
        got[18] |= flip & 7
        assert core.open(session, got, len(got)) is True
        assert got[27:] == clear[27:]
        bit = flip % (8 * len(want))
        if bit // 8 == 18 and bit % 8 < 3:
            return
        want[bit >> 3] ^= 1 << (bit & 7)
        sent = bytes(want)
        assert core.open(session, want, len(want)) is False
        assert want == sent
        assert pure.open(session, want, len(want)) is False
        assert want == sent

    run()


def test_hello_mask_agrees_with_the_twin(cores):
    @RELAXED
    @given(b(48), st.binary(min_size=28, max_size=400), st.integers(28, 400))
    def run(session, clear, at):
        at = min(at, len(clear))
        want = bytearray(clear)
        pure.hello_mask(session, want, at, len(want))
        for core in cores:
            got = bytearray(clear)
            core.hello_mask(session, got, at, len(got))
            assert got == want

    run()


def test_idhash_of_a_random_key_agrees_with_the_twin(cores):
    public = pure.sha512(b"any key at all")
    want = pure.idhash(public)
    for core in cores:
        assert core.idhash(public) == want


# ---- split == whole, which the Python front does not show


def test_split_is_whole(cores):
    import ctypes

    data = bytes((i * 37 + (i >> 8)) & 0xFF for i in range(1000))
    key = data[100:132]
    out = ctypes.create_string_buffer(64)

    @RELAXED
    @given(st.sampled_from(cores), st.lists(st.integers(0, 1000), max_size=8))
    def run(core, cuts):
        lib = core._lib
        edges = [0] + sorted(cuts) + [1000]
        pieces = [data[x:y] for x, y in zip(edges, edges[1:])]
        state = ctypes.create_string_buffer(512)
        lib.zt_sha512_init(state)
        for piece in pieces:
            lib.zt_sha512_update(state, piece, ctypes.c_size_t(len(piece)))
        lib.zt_sha512_finish(state, out, ctypes.c_size_t(64))
        assert out.raw == pure.sha512(data)
        state = ctypes.create_string_buffer(512)
        lib.zt_poly1305_init(state, key)
        for piece in pieces:
            lib.zt_poly1305_update(state, piece, ctypes.c_size_t(len(piece)))
        lib.zt_poly1305_finish(state, out)
        assert out.raw[:16] == pure.poly1305(key, data)

    run()
    whole = bytearray(data)
    pure.salsa20_xor(key, data[:8], whole, 12)
    for core in cores:
        for cut in range(0, 1000, 64):
            parts = bytearray(data)
            core.salsa20_xor(key, data[:8], memoryview(parts)[:cut], 12)
            core.salsa20_xor(key, data[:8], memoryview(parts)[cut:], 12, cut // 64)
            assert parts == whole


def test_in_place_is_out_of_place(cores):
    import ctypes

    lib = cores[0]._lib
    data = bytes(range(200))
    buf = ctypes.create_string_buffer(data, 200)
    lib.zt_sha512(buf, ctypes.c_size_t(32), buf)
    assert buf.raw[:64] == pure.sha512(data[:32])
    for core in cores:
        for where in (0, 32):  # over the scalar, over the point
            buf = ctypes.create_string_buffer(data, 200)
            at = ctypes.addressof(buf)
            p = ctypes.c_void_p
            core._lib.zt_x25519(p(at), p(at + 32), p(at + where))
            assert buf.raw[where : where + 32] == pure.x25519(data[:32], data[32:64])
        buf = ctypes.create_string_buffer(data, 200)
        core._lib.zt_x25519_base(buf, buf)
        assert buf.raw[:32] == pure.public_key_dh(data[:32])
        public = pure.public_key(bytes(32) + data[:32])[32:]
        buf = ctypes.create_string_buffer(data, 200)
        core._lib.zt_ed25519_sign(data[:32], public, buf, ctypes.c_size_t(200), buf)
        assert buf.raw[:64] == pure.ed25519_sign(data[:32], public, data)
