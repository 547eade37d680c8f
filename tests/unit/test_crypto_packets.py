# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# zt.crypto's active backend against the recorded vectors: whole packets sealed and opened.
# ZT_CRYPTO=python runs the same tests over the pure Python twin.

from _crypto import KEY, h, pattern, vectors
from zt import crypto


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
