# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The core's code for wide registers against its portable code, which the other tests hold against
# everything else: every length to 4096, every alignment, counters that wrap, extreme keys and
# texts. Buffers stand between guards, and everything is in place.
# cpython-only: ctypes and a C compiler

import ctypes
import os
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

HERE = os.path.dirname(os.path.abspath(__file__))
CORE = os.path.join(HERE, "..", "..", "firmware", "core")
SOURCES = (
    "zt_salsa20.c",
    "zt_poly1305.c",
    "zt_wire.c",
    "simd/zt_salsa20_wide.c",
    "simd/zt_poly1305_wide.c",
)
LONGEST = 4096
MANY = settings(max_examples=400, deadline=None)
KEY = bytes((11 * i + 5) & 0xFF for i in range(48))
TEXT = bytes((i * 31 + (i >> 7)) & 0xFF for i in range(LONGEST))
p = ctypes.c_void_p
size = ctypes.c_size_t


class Core:
    """One build of the ciphers, and a buffer to use them in."""

    def __init__(self, path):
        lib = ctypes.CDLL(path)
        self.init = lib.zt_salsa20_init
        self.init.argtypes = [p, p, p, ctypes.c_uint64]
        self.xor = lib.zt_salsa20_xor
        self.xor.argtypes = [p, ctypes.c_uint, p, size]
        self.poly1305_into = lib.zt_poly1305
        self.poly1305_into.argtypes = [p, p, size, p]
        self.seal_in = lib.zt_seal
        self.seal_in.argtypes = [p, p, size, ctypes.c_uint]
        self.open_in = lib.zt_open
        self.open_in.argtypes = [p, p, size]
        self.memory = ctypes.create_string_buffer(LONGEST + 192)
        self.start = (ctypes.addressof(self.memory) + 63) // 64 * 64
        self.state = ctypes.create_string_buffer(64)

    def place(self, data, shift):
        # Between guards of at least 32 bytes, `shift` beyond a multiple of 64.
        ctypes.memset(self.memory, 0xA5, len(self.memory))
        at = self.start + 32 + shift
        ctypes.memmove(at, data, len(data))
        return at

    def taken(self, at, n):
        base = ctypes.addressof(self.memory)
        raw = self.memory.raw
        a = at - base
        assert raw[:a].strip(b"\xa5") == b"" and raw[a + n :].strip(b"\xa5") == b""
        return raw[a : a + n]

    def salsa(self, data, shift, rounds=12, block=0, key=KEY):
        at = self.place(data, shift)
        self.init(self.state, key[:32], key[32:40], block)
        self.xor(self.state, rounds, at, len(data))
        return self.taken(at, len(data)), self.state.raw

    def poly1305(self, data, shift, key=KEY):
        at = self.place(data, shift)
        tag = ctypes.create_string_buffer(16)
        self.poly1305_into(key[:32], at, len(data), tag)
        assert self.taken(at, len(data)) == data
        return tag.raw

    def seal(self, pkt, shift, suite=1):
        at = self.place(pkt, shift)
        assert self.seal_in(KEY, at, len(pkt), suite) == 0
        return self.taken(at, len(pkt))

    def open(self, pkt, shift):
        at = self.place(pkt, shift)
        verdict = self.open_in(KEY, at, len(pkt))
        return verdict, self.taken(at, len(pkt))


def build(folder, name, compiler, flags):
    path = os.path.join(folder, name + ".so")
    subprocess.run(
        [compiler, "-std=c99", "-O2", "-fPIC", "-shared", "-I", CORE, "-o", path]
        + ["-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror"]
        + flags
        + [os.path.join(CORE, x) for x in SOURCES],
        check=True,
    )
    return Core(path)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    cc = shutil.which("cc") or shutil.which("gcc")
    if not cc:
        pytest.skip("no C compiler (Debian package gcc)")
    return build(str(tmp_path_factory.mktemp("portable")), "portable", cc, ["-DZT_PORTABLE"])


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Builds that differ: by run-time choice or less of it, boards' loads, another compiler."""
    cc = shutil.which("cc") or shutil.which("gcc")
    if not cc:
        pytest.skip("no C compiler (Debian package gcc)")
    folder = str(tmp_path_factory.mktemp("wide"))
    cores = [
        build(folder, "wide", cc, []),
        build(folder, "no_avx512", cc, ["-DZT_NO_AVX512"]),
        build(folder, "no_avx2", cc, ["-DZT_NO_AVX2"]),
        build(folder, "board", cc, ["-DZT_PORTABLE", "-DZT_ALIGNED_WORDS=1"]),
    ]
    if shutil.which("clang"):
        cores.append(build(folder, "clang", "clang", []))
    return cores


def test_every_length_of_key_stream(reference, wide):
    for n in range(LONGEST + 1):
        want = reference.salsa(TEXT[:n], 0)
        for core in wide:
            assert core.salsa(TEXT[:n], n * 5 % 67) == want


def test_every_length_of_message(reference, wide):
    for n in range(LONGEST + 1):
        want = reference.poly1305(TEXT[:n], 0)
        for core in wide:
            assert core.poly1305(TEXT[:n], n * 5 % 67) == want


def test_every_length_of_packet(reference, wide):
    for n in range(28, LONGEST + 1):
        suite = 0 if n % 7 == 0 else 1
        want = reference.seal(TEXT[:n], 0, suite)
        shift = n * 5 % 67
        for core in wide:
            assert core.seal(TEXT[:n], shift, suite) == want
            verdict, clear = core.open(want, shift)
            assert verdict == 0 and clear[27:] == TEXT[27:n]


def test_every_alignment(reference, wide):
    for n in (1, 2, 3, 4, 5, 16, 17, 63, 64, 65, 127, 131, 255, 256, 257, 300, 513, 700):
        stream = reference.salsa(TEXT[:n], 0, 20)
        tag = reference.poly1305(TEXT[:n], 0)
        for shift in range(64):
            for core in wide:
                assert core.salsa(TEXT[:n], shift, 20) == stream
                assert core.poly1305(TEXT[:n], shift) == tag


def test_block_numbers_that_wrap(reference, wide):
    for before in range(18):
        for limit in (2**32, 2**64):
            for n in (130, 256, 500, 512, 900, 1100):
                want = reference.salsa(TEXT[:n], 0, 12, limit - before)
                for core in wide:
                    assert core.salsa(TEXT[:n], 3, 12, limit - before) == want


def test_a_damaged_packet_stays_as_it_came(reference, wide):
    for n in (28, 60, 91, 300, 1400):
        sealed = reference.seal(TEXT[:n], 0)
        for bit in range(0, 8 * n, 13):
            if bit // 8 == 18:
                continue  # hops, and bits that make it another suite
            bad = bytearray(sealed)
            bad[bit // 8] ^= 1 << bit % 8
            for core in wide:
                verdict, left = core.open(bytes(bad), n % 5)
                assert verdict == -1 and left == bad


def extreme(n):
    byte = st.sampled_from((0, 1, 4, 5, 0xFB, 0xFE, 0xFF))
    run = st.tuples(byte, st.integers(1, 70)).map(lambda x: bytes([x[0]]) * x[1])
    return st.lists(run, min_size=n // 40, max_size=n // 10).map(b"".join)


def test_extreme_sums(reference, wide):
    key = st.one_of(
        st.binary(min_size=32, max_size=32),
        st.just(b"\xff" * 32),
        st.just(b"\xff" * 16 + bytes(16)),
        st.just(b"\x02" + bytes(31)),
        st.just(b"\xfc\xff\xff\x0f" * 4 + b"\xff" * 16),
    )

    @MANY
    @given(key, extreme(1200))
    def run(key, data):
        data = data[:LONGEST]
        want = reference.poly1305(data, 0, key)
        for core in wide:
            assert core.poly1305(data, 1, key) == want

    run()
    for value in (0, 0xFF):
        for n in range(240, 1500):
            data = bytes([value]) * n
            want = reference.poly1305(data, 0, b"\xff" * 32)
            for core in wide:
                assert core.poly1305(data, 0, b"\xff" * 32) == want


def test_carries_out_of_the_fourth_word(reference, wide):
    # The last block is chosen so that the reduced sum lies about a multiple of 2^128: limbs that
    # are put together again then carry all the way up. The block after shows whether it was kept.
    p = 2**130 - 5
    count = 0
    for number in (16, 17, 20, 40):
        for r in (0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF, 0x0A1B2C3C04D5E6F40102030C0506070B):
            key = r.to_bytes(16, "little") + bytes(16)
            body = TEXT[: 16 * (number - 1)]
            total = 0
            for i in range(number - 1):
                block = int.from_bytes(body[16 * i : 16 * i + 16], "little") + 2**128
                total = (total + block) * r % p
            for target in [j * 2**128 + small for j in range(5) for small in range(-30, 40)]:
                last = (target * pow(r, -1, p) - total - 2**128) % p
                if last >= 2**128:
                    continue
                data = body + last.to_bytes(16, "little") + TEXT[:16]
                want = reference.poly1305(data, 0, key)
                for core in wide:
                    assert core.poly1305(data, 0, key) == want
                count += 1
    assert count > 200


def test_other_keys(reference, wide):
    @MANY
    @given(
        st.binary(min_size=40, max_size=40),
        st.integers(0, LONGEST),
        st.integers(0, 2**64 - 1),
        st.integers(0, 63),
    )
    def run(key, n, block, shift):
        want = reference.salsa(TEXT[:n], 0, 12, block, key)
        for core in wide:
            assert core.salsa(TEXT[:n], shift, 12, block, key) == want

    run()
