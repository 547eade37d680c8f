# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Groups: announcing, gathering, sending and queueing, with the vectors of the reference where it
# has some.

from _vl2 import NWID, Host, V, identity, mac_bytes, public
from zt import mac
from zt._compat import ticks_add
from zt.const import (
    VERB_MULTICAST_FRAME,
    VERB_MULTICAST_GATHER,
    VERB_MULTICAST_LIKE,
    VERB_NETWORK_CREDENTIALS,
)
from zt.credential import COM
from zt.multicast import Multicast
from zt.netconf import NetworkConfig

A = identity("A")
B = public("B")
C = public("C")
D = public("D")
CONTROLLER = public("controller")
NOW = 5000
FB = mac_bytes("01:00:5e:00:00:fb")
BROADCAST = b"\xff" * 6
KEY = NWID + FB + bytes(4)
CONFIG = bytes.fromhex(V["inbound"][0]["config"])
B_COM = bytes.fromhex(V["membership"][0]["steps"][0]["data"])
ROOT = bytes.fromhex("62f865ae71")


def _host(**changes):
    host = Host(A, [CONTROLLER, B, C, D])
    host.roots = [ROOT]
    config = NetworkConfig.parse(CONFIG)
    for name in changes:
        setattr(config, name, changes[name])
    host.with_config(NOW, config.pack())
    return host


def _of(host, verb):
    return [(d, p) for d, v, p in host.take() if v == verb]


def _send(host, now=NOW, dst=FB, ethertype=0x0800, frame=b"hello"):
    net = host.vl2.networks[NWID]
    host.vl2.tap_frame(now, NWID, net.mac, dst, ethertype, frame)


def test_like_lists_all_groups_in_order():
    host = _host()
    net = host.vl2.networks[NWID]
    net.subscribe(NOW, NWID + BROADCAST + b"\x0a\0\0\x01")
    net.subscribe(NOW, NWID + mac_bytes("33:33:00:00:00:01") + bytes(4))
    net.subscribe(NOW, NWID + mac_bytes("01:00:5e:00:00:01") + bytes(4))
    host.take()
    net.credential(NOW, COM.unpack(B_COM)[0], B.address)
    assert net.gate(NOW, B.address) is not None
    got = [(d.hex(), v, p.hex()) for d, v, p in host.take()]
    wanted = [(p["dest"], p["verb"], p["payload"]) for p in V["multicast_like"]["packets"]]
    assert got == wanted


def test_new_group_is_announced_at_once_and_alone():
    host = _host()
    host.vl2.subscribe(NOW, NWID, FB, 3)
    record = NWID + FB + b"\0\0\0\x03"
    assert _of(host, VERB_MULTICAST_LIKE) == [(ROOT, record), (CONTROLLER.address, record)]
    host.vl2.subscribe(NOW, NWID, FB, 3)
    assert not host.take()
    host.vl2.unsubscribe(NOW, NWID, FB, 3)
    host.vl2.subscribe(NOW, NWID, FB, 3)
    assert len(_of(host, VERB_MULTICAST_LIKE)) == 2


def test_groups_are_announced_again_every_minute():
    host = _host()
    net = host.vl2.networks[NWID]
    net.credential(NOW, COM.unpack(B_COM)[0], B.address)
    host.vl2.tick(NOW)
    host.take()
    seen = []
    now = NOW
    for _ in range(13):
        now = ticks_add(now, 10000)
        host.vl2.tick(now)
        seen.append(sorted([d for d, _ in _of(host, VERB_MULTICAST_LIKE)]))
    everyone = sorted([ROOT, CONTROLLER.address, B.address])
    assert seen[0] == []
    assert seen[5] == everyone
    assert seen[6] == []
    assert seen[11] == everyone


def test_group_limit_is_a_refusal():
    host = _host()
    host.limits.groups = 2
    assert host.vl2.subscribe(NOW, NWID, FB, 1)
    assert host.vl2.subscribe(NOW, NWID, FB, 2)
    assert not host.vl2.subscribe(NOW, NWID, FB, 3)
    assert host.vl2.subscribe(NOW, NWID, FB, 2)
    assert host.vl2.networks[NWID].counters()["drops"]["groups_full"] == 1


def test_gather_results_have_the_form_of_the_reference():
    v = V["multicast_gather_reply"]
    m = Multicast(Host(A))
    for who in (B, C, D):
        m.add(NOW, KEY, who.address)
    got = m.results(KEY, B.address, 100, True)
    wanted = bytes.fromhex(v["gather_results"])
    assert got[:11] == wanted[:11]
    others = set([got[11:16], got[16:21]])
    assert others == set([wanted[11:16], wanted[16:21]])
    assert len(got) == len(wanted)
    assert v["count"] == 3


def test_gather_results_keep_the_limit_and_leave_out_the_asker():
    m = Multicast(Host(A))
    assert m.results(KEY, B.address, 5, False) is None
    m.add(NOW, KEY, B.address)
    assert m.results(KEY, B.address, 5, False) is None
    for i in range(1000):
        m.add(NOW, KEY, i.to_bytes(5, "big"))
    r = m.results(KEY, B.address, 3, False)
    assert r[:6] == b"\x00\x00\x03\xe9\x00\x03" and len(r) == 21
    r = m.results(KEY, B.address, 0xFFFF, True)
    assert len(r) == 6 + 5 * 250
    assert r[6:11] == A.address
    assert len(set([r[i : i + 5] for i in range(6, len(r), 5)])) == 250


def test_frame_waits_for_members_that_appear_within_five_seconds():
    host = _host()
    _send(host)
    assert [d for d, _ in _of(host, VERB_MULTICAST_GATHER)] == [ROOT, CONTROLLER.address]
    results = b"\0\0\0\x02\0\x02" + B.address + A.address
    host.vl2.ok(NOW + 50, ROOT, VERB_MULTICAST_GATHER, bytes(8), memoryview(KEY + results))
    sent = host.take()
    assert [(d, v) for d, v, _ in sent] == [
        (B.address, VERB_NETWORK_CREDENTIALS),
        (B.address, VERB_MULTICAST_FRAME),
    ]
    # Not twice to the same, not after its time.
    host.vl2.ok(NOW + 60, ROOT, VERB_MULTICAST_GATHER, bytes(8), memoryview(KEY + results))
    assert not host.take()
    results = b"\0\0\0\x01\0\x01" + C.address
    host.vl2.tick(NOW + 5001)
    host.take()
    host.vl2.ok(NOW + 5002, ROOT, VERB_MULTICAST_GATHER, bytes(8), memoryview(KEY + results))
    assert not host.take()
    assert host.vl2.multicast.queued_bytes == 0


def test_gather_answered_by_a_frames_ok_is_taken():
    host = _host()
    _send(host)
    host.take()
    body = KEY + b"\x02" + b"\0\0\0\x01\0\x01" + C.address
    host.vl2.ok(NOW, B.address, VERB_MULTICAST_FRAME, bytes(8), memoryview(body))
    assert C.address in host.vl2.multicast.members(KEY)
    assert len(_of(host, VERB_MULTICAST_FRAME)) == 1


def test_queue_is_bounded_by_frames_and_by_bytes():
    host = _host()
    host.limits.multicast_queue = 2
    for i in range(5):
        _send(host, frame=b"frame %d" % i)
    host.take()
    host.vl2.multicast.add(NOW, KEY, B.address)
    frames = [p[-7:] for _, p in _of(host, VERB_MULTICAST_FRAME)]
    assert frames == [b"frame 3", b"frame 4"]
    assert host.vl2.multicast.queue_full == 3

    host = _host()
    host.limits.multicast_queue_bytes = 200
    for _ in range(5):
        _send(host, frame=bytes(60))
    assert 0 < host.vl2.multicast.queued_bytes <= 200


def test_limit_counts_recipients_over_time():
    host = _host(multicast_limit=2)
    host.vl2.multicast.add(NOW, KEY, B.address)
    _send(host)
    assert [d for d, _ in _of(host, VERB_MULTICAST_FRAME)] == [B.address]
    host.vl2.multicast.add(NOW, KEY, C.address)
    host.vl2.multicast.add(NOW, KEY, D.address)
    assert [d for d, _ in _of(host, VERB_MULTICAST_FRAME)] == [C.address]


def test_known_group_is_gathered_once_a_minute():
    host = _host()
    host.vl2.multicast.add(NOW, KEY, B.address)
    counts = []
    for at in (0, 1000, 59999, 60000, 60001):
        _send(host, NOW + at)
        counts.append(len(_of(host, VERB_MULTICAST_GATHER)))
    assert counts == [2, 0, 0, 2, 0]


def test_unknown_group_is_gathered_for_every_frame_but_not_in_bursts():
    host = _host()
    counts = []
    for at in (0, 10, 499, 500, 1000):
        _send(host, NOW + at)
        counts.append(len(_of(host, VERB_MULTICAST_GATHER)))
    assert counts == [2, 0, 0, 2, 2]


def test_members_expire_after_ten_minutes():
    m = Multicast(Host(A))
    m.tick(NOW)
    m.add(NOW, KEY, B.address)
    m.add(NOW + 30000, KEY, C.address)
    m.tick(NOW + 599999)
    assert len(m.members(KEY)) == 2
    m.tick(NOW + 629999)
    assert list(m.members(KEY)) == [C.address]
    m.tick(NOW + 660000)
    assert not m.groups


def test_tables_are_bounded():
    host = Host(A)
    host.limits.multicast_groups = 20
    host.limits.group_members = 3
    m = Multicast(host)
    for i in range(5):
        m.add(NOW + i, KEY, i.to_bytes(5, "big"))
    assert sorted(m.members(KEY)) == [i.to_bytes(5, "big") for i in (2, 3, 4)]
    for i in range(100):
        m.add(NOW, NWID + FB + i.to_bytes(4, "big"), B.address)
        assert len(m.groups) <= 20
    assert KEY in m.groups  # the fullest stays
    assert m.evicted >= 80


def test_replicator_with_the_lowest_latency_gets_the_frame_alone():
    host = _host(specialists=[(B.address, 8), (C.address, 8), (D.address, 8)])
    net = host.vl2.networks[NWID]
    host.alive = {B.address: 40, C.address: 10}
    _send(host)
    sent = host.take()
    assert [(d, v) for d, v, _ in sent] == [(C.address, VERB_MULTICAST_FRAME)]
    assert sent[0][2] == NWID + b"\x0c" + net.mac + FB + bytes(4) + b"\x08\x00hello"
    host.alive = {}
    _send(host)
    targets = [d for d, _ in _of(host, VERB_MULTICAST_GATHER)]
    assert set(targets) == set([ROOT, CONTROLLER.address, B.address, C.address, D.address])
    assert len(targets) == 5


def test_arp_reaches_the_group_of_the_address_asked_for():
    host = _host(flags=0)
    arp = b"\0\x01\x08\0\x06\x04\0\x01" + host.vl2.networks[NWID].mac + b"\x0a\0\0\x01"
    arp += bytes(6) + b"\x0a\0\0\x02"
    _send(host, dst=BROADCAST, ethertype=0x0806, frame=memoryview(arp))
    gathers = _of(host, VERB_MULTICAST_GATHER)
    group, adi = mac.group_for_ip(b"\x0a\0\0\x02")
    assert gathers[0][1][9:19] == group + adi.to_bytes(4, "big")
    reply = arp[:7] + b"\x02" + arp[8:]
    _send(host, dst=BROADCAST, ethertype=0x0806, frame=reply)
    assert not host.take()
    assert host.vl2.networks[NWID].counters()["drops"]["broadcast_off"] == 1


def test_unwanted_multicast_removes_the_sender():
    host = _host(type=1)
    host.vl2.multicast.add(NOW, KEY, B.address)
    host.vl2.multicast.add(NOW, KEY, C.address)
    host.vl2.error(NOW, B.address, VERB_MULTICAST_FRAME, bytes(8), 0x08, memoryview(KEY))
    assert list(host.vl2.multicast.members(KEY)) == [C.address]
