# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

from _vectors import load, refuses, unhex
from zt import inet, mac


def v(group):
    return load("vl2.json")[group]


def prefixed(text):
    return inet.parse(text)


def test_macs_of_the_vectors():
    for c in v("mac"):
        nwid, address = unhex(c["network_id"]), unhex(c["address"])
        assert mac.first_octet(nwid) == c["first_octet"]
        m = mac.from_address(address, nwid)
        assert mac.text(m) == c["mac"] and mac.parse(c["mac"]) == m
        assert mac.to_address(m, nwid) == unhex(c["address_back"])
        assert nwid[:5] == unhex(c["controller"])
        assert mac.to_address(memoryview(m), memoryview(nwid)) == unhex(c["address_back"])


def test_derived_ipv6_of_the_vectors():
    for c in v("ipv6"):
        nwid, address = unhex(c["network_id"]), unhex(c["address"])
        assert mac.rfc4193(nwid, address) == unhex(c["rfc4193_bytes"])
        assert inet.text(mac.rfc4193(nwid, address), mac.RFC4193_BITS) == c["rfc4193"]
        assert mac.sixplane(nwid, address) == unhex(c["sixplane_bytes"])
        assert inet.text(mac.sixplane(nwid, address), mac.SIXPLANE_BITS) == c["sixplane"]
        assert inet.text(mac.link_local(mac.from_address(address, nwid)), 64) == c["link_local"]


def test_groups_of_the_vectors():
    for c in v("multicast_group"):
        assert mac.group_for_ip(inet.parse_ip(c["ip"])) == (mac.parse(c["mac"]), c["adi"])


def test_first_octet_avoids_the_one_of_kvm():
    nwid = bytes(7)
    for last in range(256):
        o = mac.first_octet(nwid + bytes([last]))
        assert o & 1 == 0 and o & 2 and o != 0x52
    assert mac.first_octet(nwid + b"\x50") == 0x32


def emulate(c, frame):
    nwid = unhex(load("vl2.json")["network_id"])
    me = mac.to_address(mac.parse(c["from"]), nwid)
    return mac.ndp_emulate(nwid, me, [prefixed(t) for t in c["static_ips"]], frame)


def test_ndp_emulation_of_the_vectors():
    emulated = 0
    for c in v("ndp_emulation"):
        if not int(c["flags"], 16) & 4:
            continue  # the caller's check
        got = emulate(c, unhex(c["frame"]))
        if not c["emulated_reply"]:
            assert got is None, c["name"]
            continue
        emulated += 1
        assert got == (
            mac.parse(c["emulated_reply"][0]["from"]),
            unhex(c["emulated_reply"][0]["frame"]),
        )
    assert emulated == 3


def test_other_frames_are_not_emulated():
    c = v("ndp_emulation")[0]
    good = unhex(c["frame"])
    assert emulate(c, good[:64]) == emulate(c, good) != None  # noqa: E711
    for n in range(64):
        assert emulate(c, good[:n]) is None
    for off, value in ((6, 0x11), (40, 0x88)):
        bad = bytearray(good)
        bad[off] = value
        assert emulate(c, bytes(bad)) is None
    assert mac.ndp_emulate(bytes(8), bytes(5), [(b"\x0a\0\0\x01", 8)], good) is None


def test_bad_mac_text_is_refused():
    for bad in (
        "",
        "de:04:aa:cc:46",
        "de:04:aa:cc:46:1c:00",
        "de04aacc461c",
        "de:04:aa:cc:46:1g",
        "d:e04:aa:cc:46:1c",
        "de-04-aa-cc-46-1c",
        "de:04:aa:cc:46: c",
    ):
        assert refuses(mac.parse, bad), bad
    assert mac.parse("DE:04:aa:CC:46:1c") == unhex("de04aacc461c")
