# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Member records against the credential sequences of the reference, and their bounds.

from _vl2 import NWID, Host, V, identity, public
from zt._compat import be64
from zt.const import VERB_NETWORK_CREDENTIALS
from zt.credential import COM, Capability, Ownership, Revocation, Tag
from zt.limits import Limits
from zt.membership import DEFERRED, NEW, REDUNDANT, REJECTED, RESULTS, Members
from zt.netconf import NetworkConfig

KINDS = {
    "com": COM,
    "tag": Tag,
    "capability": Capability,
    "coo": Ownership,
    "revocation": Revocation,
}
NOW = 1000
CONTROLLER = identity("controller")
B = public("B")
KNOWN = {CONTROLLER.address: CONTROLLER}


def _identity_of(address):
    return KNOWN.get(address)


def _com(member, timestamp, window=1800000):
    com = COM.issue(NWID, member, be64(timestamp), window)
    com.sign(CONTROLLER)
    return com


def _tag(address, timestamp, id=5, value=6):
    tag = Tag(NWID, be64(timestamp), id, value, address)
    tag.sign(CONTROLLER)
    return tag


def _revocation(target, threshold, type=1, id=0, flags=0):
    r = Revocation(7, NWID, id, be64(threshold), flags, target, type)
    r.sign(CONTROLLER)
    return r


def _config(timestamp, public=False):
    c = NetworkConfig()
    c.nwid = NWID
    c.timestamp = be64(timestamp)
    c.ctmd = 1000
    c.type = 1 if public else 0
    c.com = _com(identity("A"), timestamp)
    return c


def test_credential_sequences_of_the_reference():
    steps = 0
    for case in V["membership"]:
        host = Host(identity("A"), [public(n) for n in ("controller", "B", "C", "D")])
        net = host.with_config(NOW, bytes.fromhex(case["receiver_config"]))
        for i, step in enumerate(case["steps"]):
            where = "%s step %d" % (case["name"], i)
            c, end = KINDS[step["add"]].unpack(bytes.fromhex(step["data"]))
            assert end * 2 == len(step["data"]), where
            source = bytes.fromhex(step.get("sent_from") or step["peer"])
            result = net.credential(NOW, c, source)
            assert RESULTS[result] == step["result"], where
            forwarded = [
                (dest.hex(), verb, payload.hex())
                for dest, verb, payload in host.take()
                if verb == VERB_NETWORK_CREDENTIALS
            ]
            wanted = [(p["dest"], p["verb"], p["payload"]) for p in step.get("forwarded", ())]
            assert sorted(forwarded) == sorted(wanted), where
            m = net.member(NOW, bytes.fromhex(step["peer"]))
            assert m.allowed == step["peer_allowed_after"], where
            steps += 1
    assert steps >= 18


def test_credentials_of_another_network_or_signer_are_rejected():
    members = Members(NWID, Limits())
    other = COM.issue(bytes(7) + b"\x09", B, be64(5), 10)
    other.sign(CONTROLLER)
    assert members.add(NOW, other, _identity_of) == REJECTED
    forged = COM.issue(NWID, B, be64(5), 10)
    forged.sign(identity("C"))
    assert members.add(NOW, forged, _identity_of) == REJECTED
    tag = Tag(NWID, be64(5), 1, 2, B.address)
    tag.sign(identity("C"))
    assert members.add(NOW, tag, _identity_of) == REJECTED
    assert not members.table


def test_an_unknown_signer_defers():
    members = Members(NWID, Limits())
    com = _com(B, 5000)
    assert members.add(NOW, com, lambda a: None) == DEFERRED
    assert com.unknown == CONTROLLER.address
    assert members.add(NOW, com, _identity_of) == NEW


def test_tags_newer_replaces_older_and_ages_out():
    members = Members(NWID, Limits())
    assert members.add(NOW, _tag(B.address, 5000), _identity_of) == NEW
    assert members.add(NOW, _tag(B.address, 5000), _identity_of) == REDUNDANT
    assert members.add(NOW, _tag(B.address, 4999), _identity_of) == REJECTED
    assert members.add(NOW, _tag(B.address, 5001, value=9), _identity_of) == NEW
    m = members.table[B.address]
    for timestamp, value in ((5001, 9), (6001, 9), (6002, None), (4001, 9), (4000, None)):
        m.refresh(timestamp, _config(timestamp), lambda a: B)
        assert m.tag(5) == value, timestamp


def test_revoked_tag_is_not_used_and_not_taken_again():
    members = Members(NWID, Limits())
    members.add(NOW, _tag(B.address, 5000), _identity_of)
    members.add(NOW, _tag(B.address, 5000, id=8), _identity_of)
    assert members.add(NOW, _revocation(B.address, 5000, 3, 5), _identity_of) == NEW
    assert members.add(NOW, _revocation(B.address, 5000, 3, 5), _identity_of) == REDUNDANT
    m = members.table[B.address]
    m.refresh(1, _config(5000), lambda a: B)
    assert m.tag(5) is None
    assert m.tag(8) == 6
    assert members.add(NOW, _tag(B.address, 4000), _identity_of) == REJECTED
    assert members.add(NOW, _tag(B.address, 5001), _identity_of) == NEW


def test_ownership_and_capabilities_are_offered_to_the_rules():
    members = Members(NWID, Limits())
    coo = Ownership(NWID, be64(5000), 1, [(2, b"\x0a\0\0\x01" + bytes(12))], B.address)
    coo.sign(CONTROLLER)
    cap = Capability(NWID, be64(5000), 3, b"\x01\x00", B.address)
    cap.sign(CONTROLLER)
    assert members.add(NOW, coo, _identity_of) == NEW
    assert members.add(NOW, cap, _identity_of) == NEW
    m = members.table[B.address]
    m.refresh(1, _config(5000), lambda a: B)
    assert m.owns_ip(b"\x0a\0\0\x01")
    assert not m.owns_ip(b"\x0a\0\0\x02")
    assert [c.id for c in m.capabilities()] == [3]
    m.refresh(2, _config(9000), lambda a: B)
    assert not m.owns_ip(b"\x0a\0\0\x01")
    assert not m.capabilities()


def test_certificate_window_is_judged_by_ours():
    members = Members(NWID, Limits())
    members.add(NOW, _com(B, 10000000), _identity_of)
    m = members.table[B.address]
    for ours, allowed in ((10000000, True), (11800000, True), (11800001, False), (8200000, True)):
        m.refresh(ours, _config(ours), lambda a: B)
        assert m.allowed == allowed, ours
    m.refresh(1, _config(99999999, public=True), lambda a: B)
    assert m.allowed
    m.refresh(2, None, lambda a: B)
    assert not m.allowed


def test_certificate_of_another_identity_with_that_address_is_refused():
    members = Members(NWID, Limits())
    members.add(NOW, _com(B, 5000), _identity_of)
    m = members.table[B.address]
    m.refresh(1, _config(5000), lambda a: public("C"))
    assert not m.allowed
    m.refresh(1, _config(5000), lambda a: None)
    assert not m.allowed
    assert m.generation != 1  # asked again when the identity is known


def test_too_many_thresholds_void_more_not_less():
    limits = Limits(member_thresholds=2)
    members = Members(NWID, limits)
    for id, when in ((1, 5000), (2, 6000), (3, 4000), (4, 100)):
        members.add(NOW, _revocation(B.address, when, 3, id), _identity_of)
    m = members.table[B.address]
    assert len(m.thresholds) <= 2
    for id, when in ((1, 5000), (2, 6000), (3, 4000), (4, 100)):
        assert m.threshold(3, id) >= be64(when)


def test_stores_per_member_are_bounded():
    members = Members(NWID, Limits(member_tags=3))
    results = [members.add(NOW, _tag(B.address, 5000, id=i), _identity_of) for i in range(5)]
    assert results == [NEW, NEW, NEW, REJECTED, REJECTED]


def test_full_table_gives_up_strangers_before_members_and_revocations_last():
    members = Members(NWID, Limits(members=16))
    good = bytes([1]) * 5
    m = members.make(NOW, good)
    m.allowed = True
    members.add(NOW, _revocation(B.address, 5000), _identity_of)
    for i in range(200):
        members.make(NOW + 1 + i, b"\x0a\0\0" + i.to_bytes(2, "big"))
        assert len(members.table) <= 16
    assert good in members.table
    assert members.table[B.address].expelled == be64(5000)
    assert members.evicted >= 180


def test_sweep_keeps_old_ticks_from_wrapping():
    members = Members(NWID, Limits())
    m = members.make(NOW, B.address)
    m.last_push = m.last_like = m.last_error = NOW
    members.sweep(NOW + 59999)
    assert m.last_push == NOW and m.last_like == NOW and m.last_error is None
    members.sweep(NOW + 60000)
    assert m.last_like is None
    members.sweep(NOW + 500000)
    assert m.last_push is None
