# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Frames made from words: judged by the rules engine, compared with the frames of the vectors and
# with what RFC 1112, 2464 and 4861 say of addresses.

from _vectors import load
from zt import explain, frametext, inet, mac, rulesjson
from zt.netconf import NetworkConfig

NWID = bytes.fromhex("8056c2e21c000001")
ME, OTHER, THIRD = b"\x11" * 5, b"\x22" * 5, b"\x33" * 5
STATIC = [(b"\x0a\x01\x02\x03", 24), (mac.rfc4193(NWID, ME), 88)]


def made(source=None, dest=None, inbound=False, me=ME, static=(), **words):
    return frametext.from_words(inbound, source, dest, words, NWID, me, static)


def matches(frame, kind, **fields):
    """Whether a rule matches this frame."""
    fields["type"] = kind
    config = NetworkConfig()
    config.nwid = NWID
    config.rules = rulesjson.from_json(fields) + b"\1\0"
    return explain.explain(explain.Tracer(frame.me, None), config, None, frame)["verdict"] == 1


def refuses(words, make, *args, **more):
    try:
        make(*args, **more)
    except ValueError as e:
        for word in words.split(" "):
            assert word in str(e), (e, word)
        return
    assert False, (args, more)


def test_tcp_over_ipv4():
    f = made("10.0.0.1", OTHER.hex() + ",10.0.0.2", proto="tcp", sport=1234, dport=22, tos=0x10)
    assert f.ethertype == 0x0800 and len(f.payload) == 40 and f.payload[2:4] == b"\0\x28"
    assert f.assumed == ["flags syn"]
    assert f.source == ME and f.dest == OTHER and f.me == ME and not f.no_tee
    assert f.mac_source == mac.from_address(ME, NWID)
    assert f.mac_dest == mac.from_address(OTHER, NWID)
    for kind, fields, wrong in (
        ("MATCH_IPV4_SOURCE", {"ip": "10.0.0.1/32"}, {"ip": "10.0.0.2/32"}),
        ("MATCH_IPV4_DEST", {"ip": "10.0.0.2/32"}, {"ip": "10.0.0.1/32"}),
        ("MATCH_IP_PROTOCOL", {"ipProtocol": 6}, {"ipProtocol": 17}),
        ("MATCH_IP_SOURCE_PORT_RANGE", {"start": 1234}, {"start": 22}),
        ("MATCH_IP_DEST_PORT_RANGE", {"start": 22}, {"start": 1234}),
        ("MATCH_IP_TOS", {"mask": 255, "start": 16, "end": 16}, {"mask": 255, "start": 1}),
        ("MATCH_FRAME_SIZE_RANGE", {"start": 40}, {"start": 41}),
        ("MATCH_CHARACTERISTICS", {"mask": "02"}, {"mask": "10"}),
        ("MATCH_DEST_ZEROTIER_ADDRESS", {"zt": OTHER.hex()}, {"zt": ME.hex()}),
        ("MATCH_MAC_DEST", {"mac": mac.text(f.mac_dest)}, {"mac": mac.text(f.mac_source)}),
    ):
        assert matches(f, kind, **fields), kind
        assert not matches(f, kind, **wrong), kind


def test_every_protocol_over_both_versions():
    for a, b, bits in (("10.0.0.1", "10.0.0.2", 32), ("fd00::1", "fd00::2", 128)):
        family = "4" if bits == 32 else "6"
        for name in ("tcp", "udp", "sctp", "udplite", "igmp", "47"):
            number = frametext.PROTOCOLS.get(name, 47)
            for size in (None, 60, 1400):
                ports = {} if name in ("igmp", "47") else {"sport": 5353, "dport": 53}
                f = made(a, b, proto=name, size=size, **ports)
                assert matches(f, "MATCH_IP_PROTOCOL", ipProtocol=number), name
                assert matches(f, "MATCH_IPV%s_DEST" % family, ip="%s/%d" % (b, bits))
                assert size is None or len(f.payload) == size
                if ports:
                    assert matches(f, "MATCH_IP_DEST_PORT_RANGE", start=53)
                    assert matches(f, "MATCH_IP_SOURCE_PORT_RANGE", start=5353)
                length = f.payload[2:4] if bits == 32 else f.payload[4:6]
                head = 0 if bits == 32 else 40
                assert int.from_bytes(length, "big") == len(f.payload) - head
                told = frametext.in_words(f.ethertype, f.payload)
                assert a in told and b in told, told
                assert told.startswith("protocol 47" if name == "47" else name + " "), told


def test_icmp_types():
    f = made("10.0.0.1", "10.0.0.2", proto="icmp")
    assert matches(f, "MATCH_ICMP", icmpType=8, icmpCode=0)
    assert "ICMP type 8" in f.assumed
    f = made("10.0.0.1", "10.0.0.2", proto="icmp", icmp="3/1")
    assert matches(f, "MATCH_ICMP", icmpType=3, icmpCode=1)
    assert not matches(f, "MATCH_ICMP", icmpType=3, icmpCode=0)
    f = made("fd00::1", "fd00::2", proto="icmp6")
    assert matches(f, "MATCH_ICMP", icmpType=128)
    f = made("fd00::1", "ff02::1:ff00:2", proto="icmp6", icmp="135")
    # RFC 4861 4.3: type, code, checksum, reserved, target; RFC 2464 7: the group's MAC.
    assert f.payload[40] == 135 and f.payload[48:64] == inet.parse_ip("ff02::1:ff00:2")
    assert f.mac_dest == b"\x33\x33\xff\0\0\2" and f.dest is None


def test_tcp_flags():
    for text, bits in (("none", 0), ("syn", 2), ("syn,ack", 0x12), ("FIN,cwr", 0x81)):
        f = made("10.0.0.1", "10.0.0.2", proto="tcp", flags=text)
        assert f.payload[33] == bits and f.payload[32] == 0x50, text
    refuses("--flags: x is none of", made, None, None, proto="tcp", flags="syn,x")


def test_arp_asks_everybody():
    f = made("10.0.0.1", "10.0.0.2", proto="arp")
    assert f.ethertype == 0x0806 and f.mac_dest == mac.BROADCAST and f.dest is None
    head = "0001080006040001" + mac.from_address(ME, NWID).hex()
    assert f.payload.hex() == head + "0a000001" + "00" * 6 + "0a000002"
    assert frametext.in_words(f.ethertype, f.payload) == "arp request 10.0.0.1 > 10.0.0.2"
    f = made(None, OTHER.hex(), proto="arp", static=STATIC)
    assert f.mac_dest == mac.from_address(OTHER, NWID) and f.dest == OTHER
    assert f.payload[14:18] == STATIC[0][0]
    refuses("IPv4", made, "fd00::1", None, proto="arp")


def test_multicast_has_no_receiver_until_one_is_named():
    # RFC 1112 6.4: the low 23 bits.
    f = made("10.0.0.1", "239.255.1.2", proto="udp")
    assert f.mac_dest == bytes.fromhex("01005e7f0102") and f.dest is None and not f.no_tee
    f = made("10.0.0.1", OTHER.hex() + ",239.255.1.2", proto="udp")
    assert f.mac_dest == bytes.fromhex("01005e7f0102") and f.dest == OTHER and f.no_tee
    f = made("10.0.0.1", "broadcast", proto="udp")
    assert f.mac_dest == mac.BROADCAST and f.payload[16:20] == b"\xff\xff\xff\xff"
    f = made(OTHER.hex(), "broadcast", True, ethertype="0x88b5")
    assert f.source == OTHER and f.dest == ME and f.mac_dest == mac.BROADCAST and not f.no_tee


def test_what_nobody_said_is_assumed_and_told():
    f = made(None, OTHER.hex(), proto="tcp", static=STATIC)
    assert f.payload[12:16] == STATIC[0][0] and f.ethertype == 0x0800
    assert len(f.assumed) == 5, f.assumed
    f = made(None, OTHER.hex(), proto="icmp6", static=STATIC)
    assert f.payload[8:24] == mac.rfc4193(NWID, ME)
    assert f.payload[24:40] == mac.rfc4193(NWID, OTHER)
    f = made(None, None, proto="udp", me=None)
    assert f.source == f.me and f.dest != f.me and len(f.assumed) == 6
    for scheme in (mac.rfc4193, mac.sixplane):
        f = made(None, inet.ip_text(scheme(NWID, OTHER)), proto="tcp")
        assert f.dest == OTHER and f.ethertype == 0x86DD


def test_ends_are_ours_and_theirs():
    f = made(OTHER.hex(), None, True, proto="tcp", dport=1)
    assert f.source == OTHER and f.dest == ME
    assert f.mac_dest == mac.from_address(ME, NWID)
    # A copy for us of what goes to a third node.
    f = made(OTHER.hex(), THIRD.hex(), True, proto="tcp", dport=1)
    assert f.dest == ME and f.mac_dest == mac.from_address(THIRD, NWID)
    refuses("--from: " + ME.hex(), made, OTHER.hex(), None, proto="tcp")
    # A bridge sends for others.
    f = made("02:00:00:00:00:01", OTHER.hex(), ethertype="0x88b5")
    assert f.source == ME and f.mac_source == b"\2\0\0\0\0\1"
    # As long as a MAC, with as many colons.
    f = made("2001:db8:1:2::123", None, proto="tcp")
    assert f.payload[8:24] == inet.parse_ip("2001:db8:1:2::123")
    f = made(None, mac.text(mac.from_address(OTHER, NWID)), ethertype="ipv6", size=7)
    assert f.dest == OTHER and f.ethertype == 0x86DD and f.payload == bytes(7)


def test_the_frames_of_the_vectors_are_read_back():
    n = 0
    for case in load("vl2.json")["rule_eval"]:
        inbound = case["direction"] == "inbound"
        me = bytes.fromhex(case["local_node"])
        nwid = NetworkConfig.parse(bytes.fromhex(case["config"])).nwid
        macs = case["mac_dest"].replace(":", "") + case["mac_source"].replace(":", "")
        kind = "%04x" % case["ethertype"]
        f = frametext.from_hex(macs + kind + case["frame"], None, inbound, None, None, nwid, me)
        assert f.payload.hex() == case["frame"] and f.ethertype == case["ethertype"]
        assert mac.text(f.mac_source) == case["mac_source"]
        assert mac.text(f.mac_dest) == case["mac_dest"]
        assert f.me == me
        if not f.assumed and f.dest and not f.mac_dest[0] & 1:
            assert f.source.hex() == case["zt_source"] and f.dest.hex() == case["zt_dest"]
            n += 1
        assert frametext.in_words(f.ethertype, f.payload)
    assert n > 150, n


def test_a_frame_of_the_vectors_is_told():
    first = load("vl2.json")["rule_eval"][3]
    assert first["name"] == "match_accept_out"
    told = frametext.in_words(0x0800, bytes.fromhex(first["frame"]))
    assert told == "tcp 10.1.0.1:40000 > 10.1.0.2:80 syn"


def test_frames_of_every_length_are_told():
    for kind in (0x0800, 0x0806, 0x86DD, 0x88B5):
        for start in (0x45, 0x4F, 0x60, 0):
            for protocol in (1, 6, 17, 58, 0, 255):
                p = bytearray(80)
                p[0] = start
                p[6] = p[9] = protocol
                for n in range(81):
                    assert frametext.in_words(kind, bytes(p[:n]))


def test_hex_digits():
    def hexed(text, ethertype=None, source=None, dest=None):
        return frametext.from_hex(text, ethertype, False, source, dest, NWID, ME)

    f = hexed("45 00:00\n14", "0x0800", None, OTHER.hex())
    assert f.payload == b"\x45\0\0\x14" and f.dest == OTHER
    # The group follows from the packet.
    p = made("10.0.0.1", "239.255.1.2", proto="udp").payload
    assert hexed(p.hex(), "ipv4").mac_dest == bytes.fromhex("01005e7f0102")
    refuses("--frame: hex", hexed, "4")
    refuses("--frame: hex", hexed, "")
    refuses("--frame: hex", hexed, "zz")
    refuses("Ethernet header", hexed, "00" * 13)
    refuses("more than", hexed, "00" * 10001, "arp")
    assert hexed("ff" * 12 + "88b5").payload == b""


def test_words_that_make_no_sense():
    for words, more in (
        ("--proto: x", {"proto": "x"}),
        ("--proto: 256", {"proto": "256"}),
        ("--sport", {"proto": "icmp", "sport": 1}),
        ("--sport: 65536", {"proto": "udp", "sport": 65536}),
        ("--dport: 65536", {"proto": "udp", "dport": 65536}),
        ("--tos: 256", {"proto": "udp", "tos": 256}),
        ("--flags", {"proto": "udp", "flags": "syn"}),
        ("--icmp", {"proto": "udp", "icmp": "8"}),
        ("--icmp: 256", {"proto": "icmp", "icmp": "256"}),
        ("--icmp: x", {"proto": "icmp", "icmp": "8/x"}),
        ("--size: 40", {"proto": "tcp", "size": 39}),
        ("--size: 10001", {"ethertype": "arp", "size": 10001}),
        ("--ethertype", {"proto": "tcp", "ethertype": "arp"}),
        ("--ethertype: hex", {"ethertype": "0800"}),
        ("--ethertype: 0x1ffff", {"ethertype": "0x1ffff"}),
        ("--proto --ethertype", {}),
    ):
        refuses(words, made, None, None, **more)
    for who in ("1.2.3", "112233445", "::1::", "x", ",", "11:22:33:44:55:gg"):
        refuses(" MAC" if len(who) != 17 else "MAC", made, who, None, proto="tcp")
    refuses("mix", made, "10.0.0.1", "fd00::1", proto="tcp")
    refuses("mix", made, "10.0.0.1", None, proto="icmp6")
