# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# How a network asks for its configuration and what it makes of each answer, against the vectors
# of the reference.

from _vl2 import (
    BASE,
    CONFIG,
    NOW,
    NWID,
    Controller,
    Host,
    V,
    answer,
    changed,
    identity,
    public,
    requests_of,
    status_of,
)
from zt import const, mac
from zt._compat import be64, ticks_add
from zt.limits import Limits
from zt.netconf import NetworkConfig, pack_chunks

A = identity("A")
B = identity("B")
C = identity("C")
CONTROLLER = identity("controller")
IPV4 = 0x0800
ARP = 0x0806


def _refuse(host, now, code, body=NWID, source=CONTROLLER.address, verb=0x0B):
    host.vl2.error(now, source, verb, bytes(8), code, memoryview(body))


# --- asking


def test_request_is_that_of_the_reference():
    for case in V["config_request"]:
        wanted = case["packets"][0]
        limits = Limits()
        limits.proto_version = 12
        limits.version = (1, 14, 1)
        limits.vendor = 1
        limits.platform = "linux/x86_64"
        nwid = NWID if case["have_config"] else bytes.fromhex(case["network_id"])
        host = Host(A, [CONTROLLER], limits)
        if case["have_config"]:
            host.store[("network", nwid)] = CONFIG
        host.vl2.join(NOW, nwid)
        got = [(d.hex(), v, p.hex()) for d, v, p in host.take() if v == wanted["verb"]]
        assert got == [(wanted["dest"], wanted["verb"], wanted["payload"])]


def test_our_own_request_announces_protocol_11_and_our_limits():
    host = Host(A, [CONTROLLER], Limits("small"))
    host.vl2.join(NOW, NWID)
    (request,) = requests_of(host)
    assert b"\npv=000000000000000b\n" in request
    assert b"\nmr=0000000000000080\n" in request
    assert b"\nrevr=0000000000000001\n" in request


def test_request_goes_out_as_soon_as_the_controller_is_known():
    host = Host(A)
    host.vl2.join(NOW, NWID)
    assert host.asked == [CONTROLLER.address]
    assert not host.take()
    host.learn(NOW + 3, public("controller"))
    assert len(requests_of(host)) == 1


def test_requests_are_never_closer_than_a_second():
    host = Host(A, [CONTROLLER])
    host.vl2.join(NOW, NWID)
    times = [0]
    host.take()
    now = NOW
    for ms in range(0, 40000, 50):
        now = ticks_add(NOW, ms)
        host.vl2.tick(now)
        if ms % 200 == 0:
            host.vl2.came_online(now)
        if requests_of(host):
            times.append(ms)
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert min(gaps) > 1000
    assert max(gaps) <= 5050


def test_unanswered_requests_slow_down_to_five_seconds():
    host = Host(A, [CONTROLLER])
    host.vl2.join(NOW, NWID)
    times = []
    host.take()
    now = NOW
    for _ in range(8):
        wait = host.vl2.networks[NWID].tick(now)
        now = ticks_add(now, wait)
        host.vl2.tick(now)
        assert len(requests_of(host)) == 1
        times.append(wait)
    assert times == [1050, 1050, 2000, 3000, 5000, 5000, 5000, 5000]


def test_configuration_is_refreshed_every_minute():
    host = Host(A, [CONTROLLER])
    net = host.vl2.join(NOW, NWID)
    answer(host, NOW + 10, CONFIG)
    assert net.request.tick(NOW + 10) == 60000
    host.take()
    host.vl2.tick(NOW + 60009)
    assert not requests_of(host)
    host.vl2.tick(NOW + 60010)
    (request,) = requests_of(host)
    assert request[-16:] == be64(7) + be64(BASE)
    assert net.request.tick(NOW + 60010) == 5000


def test_cached_configuration_is_used_at_once_and_refreshed_at_once():
    host = Host(A, [CONTROLLER])
    host.store[("network", NWID)] = CONFIG
    host.vl2.join(NOW, NWID)
    assert status_of(host) == "OK"
    assert host.changes == [(NWID, "status"), (NWID, "up")]
    assert len(requests_of(host)) == 1


def test_unusable_cache_is_as_if_there_were_none():
    for bad in (b"\n", b"garbage", CONFIG[:40], b"\xff" * 50):
        host = Host(A, [CONTROLLER])
        host.store[("network", NWID)] = bad
        host.vl2.join(NOW, NWID)
        assert status_of(host) == "REQUESTING_CONFIGURATION"
        assert len(requests_of(host)) == 1
    host = Host(B, [CONTROLLER])
    host.store[("network", NWID)] = CONFIG
    host.vl2.join(NOW, NWID)
    assert status_of(host) == "REQUESTING_CONFIGURATION"


# --- answers


def test_refusals_of_the_reference():
    status = {
        "auth_required_v0": "AUTHENTICATION_REQUIRED",
        "access_denied": "ACCESS_DENIED",
        "not_found": "NOT_FOUND",
    }
    for case in V["config_error"]:
        host = Host(A, [CONTROLLER])
        net = host.vl2.join(NOW, NWID)
        p = memoryview(bytes.fromhex(case["packets"][0]["payload"]))
        host.vl2.error(NOW, B.address, p[0], bytes(p[1:9]), p[9], p[10:])
        assert status_of(host) == "REQUESTING_CONFIGURATION", "only the controller refuses"
        host.vl2.error(NOW, CONTROLLER.address, p[0], bytes(p[1:9]), p[9], p[10:])
        assert status_of(host) == status[case["name"]]
        assert host.changes[-1] == (NWID, "status")
        assert net.request.tick(NOW) == 5000
        if case["name"] == "auth_required_v0":
            d = net.describe()
            assert d["authenticationURL"] == "https://auth.example.com/?x=1"


def test_refusal_leaves_the_configuration_in_force_until_another_comes():
    host = Host(A, [CONTROLLER])
    net = host.with_config(NOW, CONFIG)
    _refuse(host, NOW, 0x07, verb=0)
    assert status_of(host) == "ACCESS_DENIED"
    assert net.config is not None
    host.vl2.tap_frame(NOW, NWID, net.mac, mac.from_address(B.address, NWID), IPV4, b"x")
    assert const.VERB_FRAME in [v for _, v, _ in host.take()]
    answer(host, NOW + 10, CONFIG)
    assert status_of(host) == "ACCESS_DENIED"
    answer(host, NOW + 20, changed(timestamp=be64(BASE + 1)))
    assert status_of(host) == "OK"


def test_codes_that_do_not_refuse():
    for code, verb in ((0x01, 0x0B), (0x04, 0x0B), (0x03, 0x06), (0x05, 0x06), (0x02, 0x06)):
        host = Host(A, [CONTROLLER])
        host.vl2.join(NOW, NWID)
        _refuse(host, NOW, code, verb=verb)
        assert status_of(host) == "REQUESTING_CONFIGURATION"


def test_too_old_a_client_is_said_so():
    host = Host(A, [CONTROLLER])
    net = host.vl2.join(NOW, NWID)
    _refuse(host, NOW, 0x02)
    assert status_of(host) == "CLIENT_TOO_OLD"
    host = Host(A, [CONTROLLER])
    net = host.vl2.join(NOW, NWID)
    host.vl2.error(NOW, CONTROLLER.address, 0x0B, b"unknown!", 0x02, memoryview(b""))
    assert status_of(host) == "REQUESTING_CONFIGURATION"
    host.vl2.error(NOW, CONTROLLER.address, 0x0B, net.request.id, 0x02, memoryview(b""))
    assert status_of(host) == "CLIENT_TOO_OLD"


def test_port_error_overrides_every_other_status():
    host = Host(A, [CONTROLLER])
    host.with_config(NOW, CONFIG)
    host.vl2.set_port_error(NWID, 12)
    assert status_of(host) == "PORT_ERROR"
    assert host.changes[-1] == (NWID, "status")
    assert host.vl2.networks[NWID].describe()["portError"] == 12
    host.vl2.set_port_error(NWID, 0)
    assert status_of(host) == "OK"


def test_chunks_are_accepted_as_by_the_reference():
    for case in V["config_chunk_accept"]:
        host = Host(A, [CONTROLLER, public("B")])
        net = host.vl2.join(NOW, NWID)
        update = net.request.chunk(
            NOW,
            bytes.fromhex(case["source"]),
            bytes.fromhex(case["packet_id"]),
            memoryview(bytes.fromhex(case["chunk"])),
            False,
        )
        got = (update or bytes(8)).hex()
        assert got == case["returns_update_id"], case["name"]
        assert (net.config is not None) == case["applied"], case["name"]
        saved = host.store[("network", NWID)] != b"\n"
        assert saved == case["applied"], case["name"]


def test_a_push_cannot_go_back_in_time_but_an_answer_can():
    host = Host(A, [CONTROLLER])
    net = host.with_config(NOW, CONFIG)
    older = changed(timestamp=be64(BASE - 5))
    chunk = pack_chunks(CONTROLLER, NWID, older, b"old push")[0]
    result, replies = host.handle(NOW, const.VERB_NETWORK_CONFIG, B.address, chunk)
    assert result == const.DONE and len(replies) == 1
    assert net.config.timestamp == be64(BASE)
    assert net.counters()["drops"]["stale_config"] == 1
    answer(host, NOW, older)
    assert net.config.timestamp == be64(BASE - 5)


def test_fast_propagation_forwards_the_chunk_unchanged():
    host = Host(A, [CONTROLLER, public("B"), public("C")])
    net = host.with_config(NOW, CONFIG)
    for who in (B, C, CONTROLLER):
        net.members.make(NOW, who.address)
    text = changed(timestamp=be64(BASE + 5))
    chunk = pack_chunks(CONTROLLER, NWID, text, b"updateID", flags=1)[0]
    host.handle(NOW, const.VERB_NETWORK_CONFIG, B.address, chunk)
    assert (C.address, const.VERB_NETWORK_CONFIG, chunk) in host.sent
    assert B.address not in [d for d, v, _ in host.sent if v == const.VERB_NETWORK_CONFIG]
    bad = bytearray(chunk)
    bad[-1] ^= 1
    host.take()
    host.handle(NOW, const.VERB_NETWORK_CONFIG, B.address, bytes(bad))
    assert not host.take()


def test_configuration_beyond_our_limits_is_refused():
    host = Host(A, [CONTROLLER], Limits("small", rules=4))
    net = host.with_config(NOW, CONFIG)
    answer(host, NOW, changed(timestamp=be64(BASE + 1), rules=b"\x01\x00" * 5))
    assert net.config.timestamp == be64(BASE)
    assert net.counters()["drops"]["bad_config"] == 1
    answer(host, NOW, changed(timestamp=be64(BASE + 2), rules=b"\x01\x00" * 4))
    assert net.config.timestamp == be64(BASE + 2)


def test_rule_types_that_are_not_evaluated_are_named():
    host = Host(A, [CONTROLLER])
    net = host.with_config(NOW, changed(rules=b"\x3f\x00\x01\x00"))
    assert len(net.unsupported_rules) == 1
    assert "type 63" in net.describe()["unsupportedRules"][0]


def test_our_own_controller_is_asked_without_packets():
    host = Host(CONTROLLER)
    controller = Controller(CONTROLLER)
    controller.networks[NWID] = {}
    host.controller = controller
    net = host.vl2.join(NOW, NWID)
    assert status_of(host) == "ACCESS_DENIED"
    controller.members[(NWID, CONTROLLER.address)] = [(b"\x0a\0\0\x63", 24)]
    host.vl2.tick(NOW + 5000)
    assert status_of(host) == "OK"
    assert net.managed_addresses() == [(b"\x0a\0\0\x63", 24)]
    assert const.VERB_NETWORK_CONFIG_REQUEST not in [v for _, v, _ in host.take()]


def test_replayed_refusals_do_not_put_the_next_request_off():
    host = Host(A, [CONTROLLER])
    host.vl2.join(NOW, NWID)
    host.take()
    asked = []
    for ms in range(0, 12000, 100):
        _refuse(host, NOW + ms, 0x07)
        host.vl2.tick(NOW + ms)
        if requests_of(host):
            asked.append(ms)
    assert asked == [5000, 10000]


def test_a_board_does_not_store_what_differs_only_in_its_time():
    host = Host(A, [CONTROLLER], Limits("small"))
    host.vl2.join(NOW, NWID)
    answer(host, NOW, CONFIG)

    def stored():
        return NetworkConfig.parse(host.store[("network", NWID)]).timestamp

    answer(host, NOW + 60000, changed(timestamp=be64(BASE + 1)))
    assert stored() == be64(BASE)
    answer(host, NOW + 120000, changed(timestamp=be64(BASE + 2), mtu=1400))
    assert stored() == be64(BASE + 2)
    answer(host, NOW + 720000, changed(timestamp=be64(BASE + 3), mtu=1400))
    assert stored() == be64(BASE + 3)
    host = Host(A, [CONTROLLER])
    host.vl2.join(NOW, NWID)
    answer(host, NOW, CONFIG)
    answer(host, NOW + 60000, changed(timestamp=be64(BASE + 1)))
    assert stored() == be64(BASE + 1)
