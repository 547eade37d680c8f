# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The controller's JSON objects: what a posted body changes, what is refused, and what survives on
# storage.

import json

from _controller import NWID, Lab, address, identity
from zt import log
from zt.identity import Identity
from zt.store import MemoryStore


def _refused(f, *a):
    try:
        f(*a)
    except ValueError as e:
        return str(e)
    return None


def _post(lab, body):
    return lab.c.put_network(lab.now, NWID, body)


def test_a_new_network_gets_a_free_id_of_this_controller():
    lab = Lab()
    ids = [lab.c.put_network(lab.now, None, {"name": str(i)})["id"] for i in range(3)]
    assert sorted(ids) == [n.hex() for n in lab.c.networks()]
    for text in ids:
        assert text[:10] == identity("controller").address.hex()
        assert text[10:] != "000000"
    # The same random bytes again: taken ids are not given twice.
    drawn = [bytes.fromhex(ids[0])[5:], b"\0\0\0", b"\x12\x34\x56"]
    lab.c._random = lambda n: drawn.pop(0)
    assert lab.c.put_network(lab.now, None, {})["id"][10:] == "123456"


def test_ids_of_other_controllers_are_refused():
    lab = Lab()
    assert _refused(lab.c.put_network, lab.now, address("A") + b"\0\0\x01", {})
    assert _refused(lab.c.put_network, lab.now, NWID[:7], {})
    assert lab.c.networks() == []


def test_bad_bodies_are_refused_with_a_reason_and_change_nothing():
    lab = Lab()
    before = dict(_post(lab, {"name": "a"}))
    for body in (
        None,
        [],
        "x",
        {"rules": {}},
        {"routes": "10.0.0.0/8"},
        {"routes": [{}] * 129},
        {"rules": [{"type": "ACTION_DROP"}] * 1025},
        {"capabilities": [{"id": 1, "rules": [{"type": "ACTION_DROP"}] * 65}]},
        {"tags": [{"id": i} for i in range(129)]},
        {"ipAssignmentPools": 5},
        {"dns": {"domain": "x", "servers": ["10.0.0.1"] * 5}},
        {"authTokens": {str(i): 0 for i in range(257)}},
    ):
        assert _refused(_post, lab, body), body
    assert lab.c.network(NWID) == before
    for body in (None, [], {"tags": {}}, {"ipAssignments": ["10.0.0.1"] * 33}):
        assert _refused(lab.c.put_member, lab.now, NWID, address("A"), body), body
    assert lab.c.members(NWID) == {}
    for bad in (b"", b"\0" * 5, b"\xff\1\2\3\4", b"\1\2\3\4"):
        assert _refused(lab.c.put_member, lab.now, NWID, bad, {}), bad
    assert lab.c.put_member(lab.now, NWID[:5] + b"\x99\x99\x99", address("A"), {}) is None


def test_a_whole_object_posted_back_changes_nothing():
    lab = Lab()
    body = {"tags": [{"id": 1, "default": 2}], "routes": [{"target": "10.0.0.0/8"}]}
    body["rules"] = [{"type": "ACTION_DROP"}]
    a = _post(lab, body)
    text = json.dumps(a)
    assert _post(lab, json.loads(text)) == json.loads(text)
    m = lab.c.put_member(lab.now, NWID, address("A"), {"authorized": True, "tags": [[1, 2]]})
    text = json.dumps(m)
    assert lab.c.put_member(lab.now, NWID, address("A"), json.loads(text)) == json.loads(text)


def test_read_only_and_unknown_fields_are_ignored():
    lab = Lab()
    a = dict(_post(lab, {}))
    b = _post(
        lab, {"id": "x", "revision": 99, "creationTime": 1, "ssoEnabled": True, "nonsense": 1}
    )
    assert a == b
    m = lab.c.put_member(
        lab.now,
        NWID,
        address("A"),
        {"address": "x", "vMajor": 5, "identity": "z", "ssoExempt": True},
    )
    assert (m["address"], m["vMajor"], m["ssoExempt"]) == (address("A").hex(), -1, False)
    assert "identity" not in m


def test_values_are_coerced_and_clamped():
    lab = Lab()
    n = _post(
        lab,
        {
            "mtu": 100,
            "multicastLimit": "64",
            "private": "f",
            "enableBroadcast": None,
            "v6AssignMode": "rfc4193,zt",
            "v4AssignMode": {"zt": 1},
            "name": 5,
            "remoteTraceTarget": "1122334455",
            "remoteTraceLevel": 3,
            "tags": [{"id": 2**32 + 5, "default": -1}, {"id": 1}, 7],
            "dns": {"domain": "d" * 200, "servers": ["10.0.0.1", "nonsense"]},
            "routes": [{"target": "10.0.0.0/33"}, {"target": "10.0.0.0/8", "via": "fd00::1"}],
        },
    )
    assert n["mtu"] == 1280
    assert n["multicastLimit"] == 64
    assert n["private"] is False
    assert n["enableBroadcast"] is False
    assert n["v6AssignMode"] == {"rfc4193": True, "zt": True, "6plane": False}
    assert n["v4AssignMode"] == {"zt": True}
    assert n["name"] == "5"
    assert (n["remoteTraceTarget"], n["remoteTraceLevel"]) == ("1122334455", 3)
    assert n["tags"] == [{"id": 1, "default": None}, {"id": 5, "default": 0xFFFFFFFF}]
    assert n["dns"] == {"domain": "d" * 127, "servers": ["10.0.0.1"]}
    assert n["routes"] == [{"target": "10.0.0.0/8", "via": None}]
    assert _post(lab, {"v6AssignMode": {"zt": True}})["v6AssignMode"] == {"zt": True}
    assert _post(lab, {"mtu": 99999})["mtu"] == 10000
    name = _post(lab, {"name": "\u00e9" * 100})["name"]
    assert name == "\u00e9" * 63


def test_authorizing_leaves_its_dates():
    lab = Lab()
    _post(lab, {})
    m = lab.c.put_member(lab.now, NWID, address("A"), {"authorized": True})
    assert (m["lastAuthorizedTime"], m["lastDeauthorizedTime"]) == (lab.wall, 0)
    assert m["lastAuthorizedCredentialType"] == "api"
    first = lab.wall
    lab.wait(5000)
    assert lab.c.put_member(lab.now, NWID, address("A"), {"authorized": True})["revision"] == 1
    m = lab.c.put_member(lab.now, NWID, address("A"), {"authorized": False})
    assert (m["lastAuthorizedTime"], m["lastDeauthorizedTime"]) == (first, lab.wall)
    assert m["revision"] == 2


def test_everything_is_there_after_a_restart():
    lab = Lab()
    _post(lab, {"name": "\u00fc", "private": False, "tags": [{"id": 1, "default": 2}]})
    lab.ask("A")
    lab.c.put_member(lab.now, NWID, address("B"), {"name": "b"})
    network = lab.c.network(NWID)
    members = [lab.c.member(NWID, address(n)) for n in "AB"]
    lab.start()
    assert lab.c.network(NWID) == network
    assert [lab.c.member(NWID, address(n)) for n in "AB"] == members


def test_damaged_files_are_set_aside_and_named():
    lab = Lab()
    _post(lab, {})
    lab.c.put_member(lab.now, NWID, address("A"), {})
    lab.c.put_member(lab.now, NWID, address("B"), {})
    other = NWID[:7] + b"\x77"
    lab.c.put_network(lab.now, other, {})
    lines = []
    level = log.level
    log.set_sink(lines.append)
    log.set_level("error")
    good = lab.store.files[("controller.member", NWID + address("A"))]
    try:
        for bad in (
            b"",
            b"{",
            b"[]",
            b"7",
            b"\xff",
            b'{"a":' * 5000 + b"1" + b"}" * 5000,
            good[: len(good) // 2],
            good.replace(address("A").hex().encode(), b"0011223344"),
            good.replace(b'"revision":1', b'"revision":"1"'),
            good.replace(b'"tags":[]', b'"tags":{}'),
        ):
            store = MemoryStore()
            store.files = dict(lab.store.files)
            store.files[("controller.member", NWID + address("A"))] = bad
            del lines[:]
            again = Lab(store=store)
            assert again.c.members(NWID) == {address("B"): 1}, bad
            assert store.bad == [("controller.member", NWID + address("A"), bad)], bad
            assert address("A").hex() in lines[0], lines
        store = MemoryStore()
        store.files = dict(lab.store.files)
        store.files[("controller.network", other)] = b'{"id":"x"}'
        assert Lab(store=store).c.networks() == [NWID]
        assert store.bad[0][1] == other
    finally:
        log.set_sink(None)
        log.level = level


def test_files_of_the_original_are_read():
    # Made by the original service 1.14; fields it adds that we do not know are kept.
    store = MemoryStore()
    folder = __file__.replace("\\", "/").rsplit("/", 1)
    folder = (folder[0] if len(folder) == 2 else ".") + "/../vectors/recordings/salsa/"
    with open(folder + "network.json") as f:
        network = json.load(f)
    with open(folder + "memberA.json") as f:
        member = json.load(f)
    nwid = bytes.fromhex(network["id"])
    member["newField"] = {"x": 1}
    store.put("controller.network", json.dumps(network).encode(), nwid)
    key = nwid + bytes.fromhex(member["id"])
    store.put("controller.member", json.dumps(member).encode(), key)
    lab = Lab(store=store)
    assert lab.c.network(nwid) == network
    assert lab.c.member(nwid, key[8:]) == member
    assert store.bad == []


def test_a_full_network_forgets_the_oldest_stranger_and_else_refuses():
    from zt.controller import db

    lab = Lab()
    _post(lab, {})
    members = lab.c.db.members[NWID]
    lab.c.put_member(lab.now, NWID, address("A"), {"authorized": True})
    lab.ask("B")
    for i in range(db.MAX_MEMBERS - 2):
        members[b"fill" + i.to_bytes(4, "big")] = members[address("A")]
    lab.ask("C")
    assert len(members) == db.MAX_MEMBERS
    assert address("B") not in members
    assert address("C") in members
    lab.c.put_member(lab.now, NWID, address("C"), {"authorized": True})
    lab.out.take()
    assert lab.ask("D")[0][3] == 7
    assert address("D") not in members
    assert _refused(lab.c.put_member, lab.now, NWID, address("D"), {"authorized": True})
    assert lab.ask(Identity(address("A"), identity("A").public))[0][0] == "config"
