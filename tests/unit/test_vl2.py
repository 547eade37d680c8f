# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# VL2 packets in and frames out against the vectors of the reference, and what happens to packets
# that no honest node sends.

from _vectors import survive_flips, survive_truncations
from _vl2 import NWID, Controller, Host, V, identity, mac_bytes, public
from zt import const
from zt.credential import COM
from zt.netconf import NetworkConfig
from zt.vl2 import MALFORMED, NOT_JOINED, TOO_MANY_CREDENTIALS

A = identity("A")
B = public("B")
C = public("C")
D = public("D")
CONTROLLER = public("controller")
KNOWN = [CONTROLLER, B, C, D]
NOW = 5000
BROADCAST = b"\xff" * 6
FB = mac_bytes("01:00:5e:00:00:fb")
ROOTS = ["62f865ae71", "778cde7190", "cafe04eba9", "cafe9efeb9"]

B_COM = bytes.fromhex(V["membership"][0]["steps"][0]["data"])


def _host(case):
    host = Host(A, KNOWN)
    host.roots = [bytes.fromhex(r) for r in ROOTS]
    if case.get("joined", True):
        host.with_config(NOW, bytes.fromhex(case["config"]))
    return host


def _known(host, mac, adi, *members):
    for m in members:
        host.vl2.multicast.add(NOW, NWID + mac + adi.to_bytes(4, "big"), m.address)


def _packets(host):
    """Packets sent, without gathers to roots, which the vectors leave out."""
    out = []
    for dest, verb, payload in host.take():
        if verb == const.VERB_MULTICAST_GATHER and dest.hex() in ROOTS:
            continue
        out.append((dest.hex(), verb, payload.hex()))
    return out


def _wanted(packets):
    return [(p["dest"], p["verb"], p["payload"]) for p in packets]


def _delivered(frames):
    return [
        (mac_bytes(f["from"]), mac_bytes(f["to"]), f["ethertype"], bytes.fromhex(f["frame"]))
        for f in frames
    ]


# Group members the reference knew in each case, which the vectors state in words.
_MEMBERS = {
    "arp_known_member": (BROADCAST, 0x0A000002, (B,)),
    "arp_broadcast_disabled_still_works": (BROADCAST, 0x0A000002, (B,)),
    "broadcast_at_limit": (BROADCAST, 0, (C,)),
    "multicast_from_bridged": (FB, 0, (C,)),
    "multicast_active_bridge_first": (BROADCAST, 0, (B, C)),
    "multicast_gather": (FB, 7, (C,)),
    "multicast_replicate": (FB, 0, (B, C)),
    "multicast_gather_request": (FB, 0, (B, D)),
}
_SUBSCRIBED = (
    "multicast_gather_subscribed_self",
    "multicast_gather_request",
    "multicast_gather_request_with_com",
    "multicast_gather_request_zero",
)


def test_local_frames_become_the_packets_of_the_reference():
    for case in V["local_ethernet"]:
        host = _host(case)
        name = case["name"]
        if name in _MEMBERS:
            mac, adi, members = _MEMBERS[name]
            _known(host, mac, adi, *members)
        if name == "to_bridged_known":
            host.vl2.networks[NWID].learn_route(mac_bytes(case["to"]), C.address)
        host.vl2.tap_frame(
            NOW,
            NWID,
            mac_bytes(case["from"]),
            mac_bytes(case["to"]),
            case["ethertype"],
            memoryview(bytes.fromhex(case["frame"])),
        )
        got = _packets(host)
        wanted = _wanted(case["packets"])
        # The gathers of the reference precede the frame; recipients may come in any order.
        assert sorted(got) == sorted(wanted), name
        seen = set()
        for dest, verb, _ in got:
            if verb == const.VERB_NETWORK_CREDENTIALS:
                seen.add(dest)
            elif verb in (const.VERB_FRAME, const.VERB_MULTICAST_FRAME):
                assert dest in seen, name + ": credentials come first"
        assert host.delivered == _delivered(case["looped_back"]), name


_RESULT = {
    "retry_when_credentials_or_identity_arrive": (const.PARK,),
    "done": (const.DONE, const.TRUSTED, const.IGNORED),
}


def test_inbound_packets_have_the_effects_of_the_reference():
    for case in V["inbound"]:
        host = _host(case)
        name = case["name"]
        net = host.vl2.networks.get(NWID)
        if case["sender_com_known_before"]:
            assert net.credential(NOW, COM.unpack(B_COM)[0], B.address) == 0
        if name in _SUBSCRIBED:
            host.vl2.subscribe(NOW, NWID, FB, 0)
        if name in _MEMBERS:
            mac, adi, members = _MEMBERS[name]
            _known(host, mac, adi, *members)
        host.take()
        source = bytes.fromhex(case["from"])
        payload = bytes.fromhex(case["payload"])
        packet_id = bytes.fromhex(case["packet_id"])
        if case["verb"] == const.VERB_ERROR:
            p = memoryview(payload)
            host.vl2.error(NOW, source, p[0], bytes(p[1:9]), p[9], p[10:])
            result, replies = const.DONE, []
        else:
            result, replies = host.handle(NOW, case["verb"], source, payload, packet_id)
        assert result in _RESULT[case["handler_result"]], name
        assert host.delivered == _delivered(case["delivered"]), name
        got = [(verb, body.hex()) for verb, body in replies]
        assert got == [(r["verb"], r["payload"]) for r in case["replies"]], name
        assert _packets(host) == _wanted(case["emitted"]), name
        if net is not None:
            routes = {mac_bytes(r["mac"]): bytes.fromhex(r["via"]) for r in case["bridge_routes"]}
            assert net.routes == routes, name
            allowed = net.gate(NOW, source) is not None
            assert allowed == case["sender_allowed_after"], name


def test_admitted_frames_prove_membership():
    trusted = ("frame_ok", "ext_frame_ok", "multicast_ok", "multicast_gather_request")
    trusted += ("credentials_com",)
    for case in V["inbound"]:
        host = _host(case)
        if case["sender_com_known_before"]:
            host.vl2.networks[NWID].credential(NOW, COM.unpack(B_COM)[0], B.address)
        result, _ = host.handle(
            NOW, case["verb"], bytes.fromhex(case["from"]), bytes.fromhex(case["payload"])
        )
        if case["name"] in trusted:
            assert result == const.TRUSTED, case["name"]
        if case["name"] in ("frame_not_joined", "config_request_no_controller"):
            assert result == const.DONE, case["name"]


def test_multicast_for_an_unknown_network_does_not_count_as_received():
    case = [c for c in V["inbound"] if c["name"] == "multicast_ok"][0]
    host = Host(A, KNOWN)
    result, replies = host.handle(NOW, case["verb"], B.address, bytes.fromhex(case["payload"]))
    assert result == const.IGNORED
    assert not replies
    assert host.vl2.drops[NOT_JOINED] == 1


def test_truncated_and_damaged_packets_raise_nothing():
    done = set()
    for case in V["inbound"]:
        if case["verb"] == const.VERB_ERROR or not case.get("joined") or case["verb"] in done:
            continue
        done.add(case["verb"])
        payload = bytes.fromhex(case["payload"])[:600]
        host = _host(case)
        host.vl2.limits.credentials_per_second = 1 << 20
        host.identities = {B.address: B}  # no signature is worth checking here

        def parse(p, host=host, verb=case["verb"]):
            host.delivered = []
            host.sent = []
            host.handle(NOW, verb, B.address, bytes(p))

        survive_truncations(parse, payload)
        survive_flips(parse, payload[:80])


def test_truncated_errors_and_oks_raise_nothing():
    case = V["inbound"][0]
    host = _host(case)
    body = NWID + FB + bytes(4) + b"\x00\x00\x00\x05\x00\x02" + B.address + C.address
    for n in range(len(body) + 1):
        for code in range(0, 12):
            host.vl2.error(NOW, CONTROLLER.address, 0x0B, bytes(8), code, memoryview(body)[:n])
        for verb in (0x07, 0x0B, 0x0D, 0x0E):
            host.vl2.ok(NOW, CONTROLLER.address, verb, bytes(8), memoryview(body)[:n])
    assert host.vl2.drops[MALFORMED] > 0


def test_credentials_are_rate_limited_per_peer():
    case = [c for c in V["inbound"] if c["name"] == "credentials_com"][0]
    host = _host(case)
    payload = bytes.fromhex(case["payload"])
    for _ in range(host.limits.credentials_per_second):
        assert host.handle(NOW, 0x0A, B.address, payload)[0] == const.TRUSTED
    assert host.handle(NOW, 0x0A, B.address, payload)[0] == const.IGNORED
    assert host.vl2.drops[TOO_MANY_CREDENTIALS] == 1
    assert host.handle(NOW, 0x0A, C.address, payload)[0] == const.TRUSTED
    assert host.handle(NOW + 1000, 0x0A, B.address, payload)[0] == const.TRUSTED


def test_credentials_wait_for_their_signer():
    case = [c for c in V["inbound"] if c["name"] == "credentials_com"][0]
    host = _host(case)
    net = host.vl2.networks[NWID]
    del host.identities[CONTROLLER.address]
    host.handle(NOW, 0x0A, B.address, bytes.fromhex(case["payload"]))
    assert host.asked == [CONTROLLER.address]
    assert net.gate(NOW, B.address) is None
    host.learn(NOW + 20, CONTROLLER)
    assert net.gate(NOW + 20, B.address) is not None


def test_waiting_credentials_are_bounded_and_age():
    case = [c for c in V["inbound"] if c["name"] == "credentials_com"][0]
    host = _host(case)
    host.limits.pending_credentials = 2
    host.limits.credentials_per_second = 100
    del host.identities[CONTROLLER.address]
    for _ in range(5):
        host.handle(NOW, 0x0A, B.address, bytes.fromhex(case["payload"]))
    assert len(host.vl2._pending) == 2
    host.vl2.tick(NOW + 60000)
    assert not host.vl2._pending


def test_root_and_controller_keep_groups_without_joining():
    like = NWID + FB + bytes(4)
    gather = NWID + b"\x00" + FB + bytes(4) + b"\x00\x00\x00\x05"
    host = Host(A, KNOWN)
    host.handle(NOW, const.VERB_MULTICAST_LIKE, B.address, like)
    assert not host.vl2.multicast.groups
    assert host.handle(NOW, const.VERB_MULTICAST_GATHER, C.address, gather)[1] == []

    host.am_upstream = True
    host.handle(NOW, const.VERB_MULTICAST_LIKE, B.address, like)
    replies = host.handle(NOW, const.VERB_MULTICAST_GATHER, C.address, gather)[1]
    assert replies[0][1][9:] == NWID + FB + bytes(4) + b"\0\0\0\x01\0\x01" + B.address

    host = Host(A, KNOWN)
    host.controller = Controller(A)
    host.controller.served[(NWID, B.address)] = NOW
    host.handle(NOW, const.VERB_MULTICAST_LIKE, B.address, like)
    assert host.handle(NOW, const.VERB_MULTICAST_GATHER, C.address, gather)[1] == []
    host.controller.served[(NWID, C.address)] = NOW
    replies = host.handle(NOW, const.VERB_MULTICAST_GATHER, C.address, gather)[1]
    assert replies[0][1].endswith(B.address)


def test_join_checks_its_arguments_and_keeps_its_bound():
    host = Host(A, KNOWN)
    host.limits.networks = 2
    for bad in (bytes(8), b"", bytes(7), bytes(9)):
        try:
            host.vl2.join(NOW, bad)
        except ValueError:
            continue
        raise AssertionError("joined an impossible network")
    host.vl2.join(NOW, bytes(7) + b"\x01")
    host.vl2.join(NOW, bytes(7) + b"\x02")
    host.vl2.join(NOW, bytes(7) + b"\x02")
    try:
        host.vl2.join(NOW, bytes(7) + b"\x03")
    except ValueError:
        pass
    else:
        raise AssertionError("joined too many networks")
    assert len(host.vl2.networks) == 2


def test_leaving_forgets_what_was_stored():
    host = Host(A, KNOWN)
    host.vl2.join(NOW, NWID, {"allowGlobal": True})
    assert host.store[("network", NWID)] == b"\n"
    assert b"allowGlobal=1" in host.store[("network.local", NWID)]
    assert host.vl2.leave(NOW, NWID)
    assert not host.store
    assert host.changes[-1] == (NWID, "down")
    assert not host.vl2.leave(NOW, NWID)


def test_always_contact_names_anchors_and_replicators():
    config = NetworkConfig.parse(bytes.fromhex(V["inbound"][0]["config"]))
    config.specialists = [(B.address, 4), (C.address, 8), (D.address, 2), (A.address, 8)]
    host = Host(A, KNOWN)
    host.with_config(NOW, config.pack())
    assert host.vl2.always_contact() == set([B.address, C.address])
