# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Whole networks: several VL2 objects on a wire in memory, with a controller that really signs.
# Admission, expiry, revocation, ARP, bridging, rules, restart.

from _lab import ARP, CONTROLLER, IPS, IPV4, Lab, arp_request
from _vl2 import BASE, NOW, NWID, identity, mac_bytes, public, status_of
from zt import const, mac
from zt._compat import be64
from zt.credential import REVOKE_FAST_PROPAGATE, Revocation, pack_credentials

A = identity("A")
B = identity("B")
C = identity("C")


def test_refused_before_and_admitted_after_authorization():
    lab = Lab()
    lab.join("AB")
    assert status_of(lab.hosts["A"]) == "ACCESS_DENIED"
    assert not lab.frame(NOW, "A", "B", b"nobody home")
    lab.admit("AB")
    lab.wire.tick(NOW + 5000)
    assert status_of(lab.hosts["A"]) == "OK"
    assert lab.net("A").managed_addresses() == [(IPS["A"], 24)]
    assert lab.frame(NOW + 5001, "A", "B", b"hello")
    assert lab.frame(NOW + 5002, "B", "A", b"hello yourself")


def test_unknown_network_is_not_found():
    lab = Lab("A")
    nwid = CONTROLLER.address + b"\x77\x77\x77"
    lab.join("A", nwid=nwid)
    assert status_of(lab.hosts["A"], nwid) == "NOT_FOUND"


def test_first_frame_of_a_conversation_is_not_lost():
    # B has no configuration when the frame comes and admits A only after A's push.
    lab = Lab()
    lab.admit("AB")
    lab.join("AB")
    a = lab.net("A")
    a.members.make(NOW, B.address).pushed = a.generation  # A believes that B has its certificate
    a.members.make(NOW, B.address).last_push = NOW - 2000
    assert lab.frame(NOW, "A", "B", b"first")
    assert not lab.wire.parked


def test_stranger_without_certificate_is_kept_out_of_a_private_network():
    lab = Lab("ABC")
    lab.admit("AB")
    lab.join("AB")
    c = lab.hosts["C"]
    payload = NWID + b"\x08\x00" + b"let me in"
    c.send(NOW, A.address, const.VERB_FRAME, payload)
    lab.wire.run(NOW)
    assert not lab.hosts["A"].delivered
    assert (A.address, C.address, const.VERB_ERROR) in lab.wire.log
    assert len(lab.wire.parked) == 1
    lab = Lab("ABC", type=1)
    lab.admit("AB")
    lab.join("AB")
    lab.hosts["C"].send(NOW, A.address, const.VERB_FRAME, payload)
    lab.wire.run(NOW)
    assert [f[3] for f in lab.hosts["A"].delivered] == [b"let me in"]


def test_arp_and_ping_end_to_end():
    lab = Lab("ABC")
    lab.admit("ABC")
    lab.join("ABC")
    a = lab.hosts["A"]
    request = arp_request(lab.net("A"), IPS["A"], IPS["B"])
    a.vl2.tap_frame(NOW, NWID, lab.net("A").mac, b"\xff" * 6, ARP, request)
    lab.wire.run(NOW)
    assert [f[2] for f in lab.hosts["B"].delivered] == [ARP]
    assert not lab.hosts["C"].delivered, "ARP goes to the owner of the address only"
    assert [f[3][7] for f in a.delivered] == [2], "the reply arrived"
    assert lab.frame(NOW, "A", "B", b"ping")


def test_arp_for_a_member_that_announces_itself_a_second_later():
    lab = Lab("AB")
    lab.admit("AB")
    lab.join("A")
    a = lab.hosts["A"]
    request = arp_request(lab.net("A"), IPS["A"], IPS["B"])
    a.vl2.tap_frame(NOW, NWID, lab.net("A").mac, b"\xff" * 6, ARP, request)
    lab.wire.run(NOW)
    assert not a.delivered
    lab.join("B", NOW + 1000)
    a.vl2.tap_frame(NOW + 1000, NWID, lab.net("A").mac, b"\xff" * 6, ARP, request)
    lab.wire.run(NOW + 1000)
    # The frame in the queue of A and the new one both arrive.
    assert [f[3][7] for f in a.delivered] == [2, 2]


def test_member_that_stops_refreshing_is_cut_off_after_the_window():
    lab = Lab()
    lab.admit("AB")
    lab.join("AB")
    assert lab.frame(NOW, "A", "B", b"0")
    window = lab.controller.window
    lab.refresh(NOW + 60000, "B", BASE + window)
    assert lab.frame(NOW + 60000, "A", "B", b"1")
    lab.refresh(NOW + 120000, "B", BASE + window + 1)
    assert not lab.frame(NOW + 120000, "A", "B", b"2")
    # A renews its certificate and is back; the frame that waited arrives too.
    before = len(lab.hosts["B"].delivered)
    lab.refresh(NOW + 122000, "A", BASE + window + 2)
    lab.hosts["A"].vl2.tap_frame(
        NOW + 122000, NWID, lab.net("A").mac, lab.net("B").mac, IPV4, b"3"
    )
    lab.wire.run(NOW + 122000)
    assert [f[3] for f in lab.hosts["B"].delivered[before:]] == [b"2", b"3"]


def _revocation(target, threshold):
    r = Revocation(1, NWID, 0, be64(threshold), REVOKE_FAST_PROPAGATE, target, 1)
    r.sign(CONTROLLER)
    return pack_credentials(revocations=(r,))


def test_revocation_cuts_both_directions_and_floods():
    lab = Lab("ABC")
    lab.admit("ABC")
    lab.join("ABC")
    for a, b in (("A", "B"), ("B", "A"), ("B", "C"), ("C", "A"), ("A", "C")):
        assert lab.frame(NOW, a, b, b"before")
    # The controller reaches B only; B tells C, C tells the rest.
    lab.root.send(NOW + 2000, B.address, 0x0A, _revocation(A.address, BASE))
    lab.wire.run(NOW + 2000)
    for a, b in (("A", "B"), ("B", "A"), ("A", "C"), ("C", "A")):
        assert not lab.frame(NOW + 2001, a, b, b"after"), a + b
    assert lab.frame(NOW + 2001, "B", "C", b"still")
    assert status_of(lab.hosts["A"]) == "ACCESS_DENIED"
    assert (lab.hosts["A"].changes)[-1] == (NWID, "status")
    # A certificate issued later lets it in again.
    lab.refresh(NOW + 9000, "A", BASE + 1)
    assert status_of(lab.hosts["A"]) == "OK"
    # B does not know; its first frame is lost but makes A show the new certificate.
    assert not lab.frame(NOW + 9001, "B", "A", b"again")
    assert lab.frame(NOW + 9002, "B", "A", b"again")
    assert lab.frame(NOW + 9003, "A", "B", b"again")


def test_revocation_that_never_reaches_its_target_still_cuts_both_directions():
    lab = Lab("AB")
    lab.admit("AB")
    lab.join("AB")
    assert lab.frame(NOW, "A", "B", b"before") and lab.frame(NOW, "B", "A", b"before")
    b = lab.hosts["B"]
    b.wire = None
    b.handle(NOW + 2000, 0x0A, CONTROLLER.address, _revocation(A.address, BASE))
    b.wire = lab.wire
    assert not lab.frame(NOW + 2001, "A", "B", b"after")
    assert not lab.frame(NOW + 2001, "B", "A", b"after")
    assert lab.net("B").counters()["drops"]["revoked"] == 1


def test_forged_revocation_changes_nothing():
    lab = Lab("AB")
    lab.admit("AB")
    lab.join("AB")
    r = Revocation(1, NWID, 0, be64(BASE), REVOKE_FAST_PROPAGATE, A.address, 1)
    r.sign(B)
    r.signed_by = CONTROLLER.address
    lab.hosts["B"].send(NOW, A.address, 0x0A, pack_credentials(revocations=(r,)))
    lab.wire.run(NOW)
    assert status_of(lab.hosts["A"]) == "OK"
    assert lab.net("A").counters()["drops"]["bad_credential"] == 1


def test_several_networks_at_once_do_not_mix():
    nwids = [NWID, CONTROLLER.address + b"\0\0\x02", CONTROLLER.address + b"\0\0\x03"]
    lab = Lab("ABC", nwids)
    lab.admit("AB", nwids[0])
    lab.admit("ABC", nwids[1])
    lab.admit("AC", nwids[2])
    for nwid, names in zip(nwids, ("AB", "ABC", "AC")):
        lab.join(names, NOW, nwid)
    assert lab.frame(NOW, "A", "B", b"one", nwids[0])
    assert lab.frame(NOW, "A", "B", b"two", nwids[1])
    assert lab.frame(NOW, "C", "A", b"three", nwids[2])
    # C is a member elsewhere, which is worth nothing here.
    lab.hosts["C"].send(NOW, B.address, const.VERB_FRAME, nwids[0] + b"\x08\x00no")
    lab.wire.run(NOW)
    assert b"no" not in [f[3] for f in lab.hosts["B"].delivered]
    lab.hosts["A"].vl2.leave(NOW, nwids[0])
    assert lab.frame(NOW, "A", "B", b"two", nwids[1])
    lab.hosts["B"].vl2.tap_frame(
        NOW,
        nwids[0],
        lab.net("B", nwids[0]).mac,
        mac.from_address(A.address, nwids[0]),
        IPV4,
        b"x",
    )
    lab.wire.run(NOW)
    assert b"x" not in [f[3] for f in lab.hosts["A"].delivered]


def test_restart_from_the_cache_needs_no_controller():
    lab = Lab("AB")
    lab.admit("AB")
    lab.join("AB")
    assert lab.frame(NOW, "A", "B", b"before")
    store = lab.hosts["A"].store
    del lab.wire.hosts[CONTROLLER.address]
    again = lab.add("A")
    again.store = store
    again.identities[CONTROLLER.address] = public("controller")  # cached, as peers are
    again.vl2.join(NOW + 9000, NWID)
    assert status_of(again) == "OK"
    assert lab.net("A").managed_addresses() == [(IPS["A"], 24)]
    assert lab.frame(NOW + 9001, "A", "B", b"after")
    assert lab.frame(NOW + 9001, "B", "A", b"after")


def test_active_bridge_carries_foreign_macs_both_ways():
    lab = Lab("AB", specialists=[(B.address, 2)])
    lab.admit("AB")
    lab.join("AB")
    behind = mac_bytes("02:11:11:11:11:11")
    lab.hosts["B"].vl2.tap_frame(NOW, NWID, behind, lab.net("A").mac, IPV4, b"out")
    lab.wire.run(NOW)
    assert lab.hosts["A"].delivered == [(behind, lab.net("A").mac, IPV4, b"out")]
    assert lab.net("A").routes == {behind: B.address}
    lab.hosts["A"].vl2.tap_frame(NOW, NWID, lab.net("A").mac, behind, IPV4, b"back")
    lab.wire.run(NOW)
    assert lab.hosts["B"].delivered == [(lab.net("A").mac, behind, IPV4, b"back")]


def test_rules_are_judged_by_sender_and_receiver():
    # Drop EtherType 0x0800, accept the rest.
    drop_ipv4 = b"\x25\x02\x08\x00\x00\x00\x01\x00"
    lab = Lab("AB", rules=drop_ipv4)
    lab.admit("AB")
    lab.join("AB")
    assert not lab.frame(NOW, "A", "B", b"blocked")
    assert lab.net("A").counters()["drops"]["rules_out"] == 1
    lab.hosts["A"].vl2.tap_frame(NOW, NWID, lab.net("A").mac, lab.net("B").mac, 0x88B5, b"other")
    lab.wire.run(NOW)
    assert [f[3] for f in lab.hosts["B"].delivered] == [b"other"]
    # A sender that does not keep to the rules is stopped by the receiver.
    lab.hosts["A"].send(NOW, B.address, const.VERB_FRAME, NWID + b"\x08\x00cheat")
    lab.wire.run(NOW)
    assert b"cheat" not in [f[3] for f in lab.hosts["B"].delivered]
    assert lab.net("B").counters()["drops"]["rules_in"] == 1


def test_tee_sends_a_copy_and_the_frame():
    # TEE to C, then accept.
    tee = b"\x02\x0e\0\0\0" + C.address + bytes(4) + b"\0\x04" + b"\x01\0"
    lab = Lab("ABC", rules=tee)
    lab.admit("ABC")
    lab.join("ABC")
    lab.frame(NOW, "A", "B", b"secret plan")
    copies = [f[3] for f in lab.hosts["C"].delivered]
    assert copies == [b"secr", b"secr"], "the sender's and the receiver's copy"


def test_new_rules_hold_from_the_next_frame_on_in_both_directions():
    lab = Lab("AB")
    lab.admit("AB")
    lab.join("AB")
    assert lab.frame(NOW, "A", "B", b"1") and lab.frame(NOW, "A", "B", b"2")
    lab.controller.networks[NWID]["rules"] = b"\x00\x00"
    lab.refresh(NOW + 2000, "B", BASE + 1)
    assert not lab.frame(NOW + 2001, "A", "B", b"3")
    assert lab.net("B").counters()["drops"]["rules_in"] == 1
    lab.refresh(NOW + 4000, "A", BASE + 2)
    assert not lab.frame(NOW + 4001, "A", "B", b"4")
    assert lab.net("A").counters()["drops"]["rules_out"] == 1


def test_credentials_are_shown_again_after_every_refresh():
    lab = Lab("AB")
    lab.admit("AB")
    lab.join("AB")
    shown = (A.address, B.address, const.VERB_NETWORK_CREDENTIALS)
    for n in range(3):
        lab.wire.log = []
        assert lab.frame(NOW + 2000 * n, "A", "B", b"1")
        assert lab.frame(NOW + 2000 * n, "A", "B", b"2")
        assert lab.wire.log.count(shown) == 1, n
        lab.refresh(NOW + 2000 * n + 1000, "A", BASE + 1 + n)
    # Without a refresh, every 500 s.
    assert lab.frame(NOW + 6000, "A", "B", b"3")
    lab.wire.log = []
    for ms, times in ((400000, 0), (505999, 0), (507000, 1)):
        for host in lab.hosts.values():
            host.vl2.networks[NWID]._minute(NOW + ms)
        lab.frame(NOW + ms, "A", "B", b"4")
        assert lab.wire.log.count(shown) == times, ms


def test_expelled_member_that_knows_it_hears_nobody():
    lab = Lab("AB")
    lab.admit("AB")
    lab.join("AB")
    assert lab.frame(NOW, "B", "A", b"before")
    a = lab.hosts["A"]
    a.handle(NOW + 2000, 0x0A, CONTROLLER.address, _revocation(A.address, BASE))
    lab.wire.queue = []  # the flood does not reach B
    lab.wire.log = []
    assert not lab.frame(NOW + 2001, "B", "A", b"after")
    assert not lab.frame(NOW + 2001, "A", "B", b"after")
    # It neither asks for credentials nor keeps what it got.
    assert (A.address, B.address, const.VERB_ERROR) not in lab.wire.log
    assert not lab.wire.parked


def test_revocation_is_not_sent_back_to_those_who_know():
    lab = Lab("ABC")
    lab.admit("ABC")
    lab.join("ABC")
    b = lab.hosts["B"]
    for who in (A, B, C, CONTROLLER):
        lab.net("B").members.make(NOW, who.address)
    b.take()
    b.handle(NOW, 0x0A, C.address, _revocation(A.address, BASE))
    sent = [d for d, v, _ in b.take() if v == const.VERB_NETWORK_CREDENTIALS]
    assert sent == [A.address]


def test_anchors_and_replicators_are_told_of_groups():
    lab = Lab("ABC", specialists=[(B.address, 4), (C.address, 8)])
    lab.admit("A")
    lab.join("A")
    likes = [d for s, d, v in lab.wire.log if v == const.VERB_MULTICAST_LIKE]
    assert set(likes) == set([CONTROLLER.address, B.address, C.address])
