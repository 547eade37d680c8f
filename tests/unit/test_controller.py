# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What the controller does for members over time: admitting, refusing, pushing, revoking, and its
# clock.

from _controller import METADATA, NWID, Lab, address, dictionary, identity
from zt.credential import unpack_credentials
from zt.identity import Identity
from zt.netconf import NetworkConfig
from zt.store import MemoryStore


def _lab(body=None, members="ABC"):
    lab = Lab()
    lab.c.put_network(lab.now, NWID, body or {})
    for name in members:
        lab.c.put_member(lab.now, NWID, address(name), {"authorized": True})
    lab.out.take()
    return lab


def _config(events):
    [(kind, _, _, chunks)] = events
    assert kind == "config", events
    return NetworkConfig.parse(dictionary(chunks))


def _ts(config):
    return int.from_bytes(config.timestamp, "big")


def test_a_stranger_is_denied_and_gets_a_record():
    lab = _lab(members="")
    [(kind, dest, packet_id, code)] = lab.ask("A")
    assert (kind, dest, code) == ("error", address("A"), 7)
    assert packet_id != bytes(8)
    member = lab.c.member(NWID, address("A"))
    assert member["authorized"] is False
    assert member["identity"] == identity("A").text()
    assert lab.c.members(NWID) == {address("A"): 1}


def test_a_network_of_somebody_else_is_not_answered():
    lab = _lab()
    assert lab.ask("A", nwid=bytes(8)) == []
    assert lab.ask("A", nwid=address("A") + b"\0\0\x01") == []


def test_an_unknown_network_of_ours_is_not_found():
    lab = _lab()
    [(kind, _, _, code)] = lab.ask("A", nwid=NWID[:5] + b"\x99\x99\x99")
    assert (kind, code) == ("error", 3)


def test_a_second_request_within_a_second_is_not_answered():
    lab = _lab()
    assert lab.ask("A")[0][0] == "config"
    assert lab.ask("A", wait=1000) == []
    assert lab.ask("B", wait=0)[0][0] == "config"
    assert lab.ask("A", wait=1)[0][0] == "config"


def test_another_identity_under_a_known_address_is_denied():
    lab = _lab()
    lab.ask("A")
    other = Identity(address("A"), identity("B").public)
    [(kind, _, _, code)] = lab.ask(other)
    assert (kind, code) == ("error", 7)
    assert lab.c.member(NWID, address("A"))["identity"] == identity("A").text()


def test_a_member_made_by_the_api_is_bound_to_the_first_identity_seen():
    lab = _lab()
    assert "identity" not in lab.c.member(NWID, address("A"))
    lab.ask("A")
    assert lab.c.member(NWID, address("A"))["identity"] == identity("A").text()


def test_timestamps_do_not_go_down_when_the_clock_is_set_back():
    lab = _lab()
    last = _ts(_config(lab.ask("A")))
    lab.wall -= 3600000
    for _ in range(5):
        ts = _ts(_config(lab.ask("A", wait=5000)))
        assert ts > last
        last = ts


def test_timestamps_do_not_go_down_over_a_restart_with_the_clock_set_back():
    for close in (True, False):
        lab = _lab()
        for _ in range(3):
            last = _ts(_config(lab.ask("A", wait=70000)))
        if close:
            lab.c.close()
        lab.wall -= 86400000
        lab.now = 12345
        lab.start()
        ts = _ts(_config(lab.ask("A")))
        assert ts > last, close
        lab.wall += 2 * 86400000
        assert _ts(_config(lab.ask("A"))) == lab.wall


def test_a_clean_stop_does_not_start_ahead_of_the_clock():
    lab = _lab()
    lab.ask("A")
    lab.c.close()
    lab.start()
    assert _ts(_config(lab.ask("A"))) == lab.wall


def test_nothing_is_issued_when_the_time_cannot_be_stored():
    class Broken(MemoryStore):
        broken = False

        def put(self, kind, data, key=b""):
            if self.broken:
                raise OSError(28)
            MemoryStore.put(self, kind, data, key)

    lab = Lab(store=Broken())
    lab.c.put_network(lab.now, NWID, {"private": False})
    lab.store.broken = True
    assert lab.ask("A", wait=70000) == []
    lab.store.broken = False
    assert lab.ask("A")[0][0] == "config"


def test_a_damaged_time_is_set_aside():
    lab = _lab()
    for bad in (b"", b"{}", b"[1]", b'{"lastTimestamp": null}', b"\xff\xfe"):
        lab.store.put("controller.state", bad)
        lab.start()
        assert lab.store.bad[-1] == ("controller.state", b"", bad)
        assert lab.ask("A")[0][0] == "config"


def test_a_change_is_pushed_to_members_online():
    lab = _lab()
    lab.ask("A")
    lab.ask("B", metadata=b"")
    lab.wait(100000)
    lab.ask("C")
    lab.wait(30000)
    lab.c.put_network(lab.now, NWID, {"name": "changed"})
    [(kind, dest, packet_id, chunks)] = lab.out.take()
    assert (kind, dest, packet_id) == ("config", address("C"), None)
    assert NetworkConfig.parse(dictionary(chunks)).name == "changed"
    lab.c.put_network(lab.now, NWID, {"name": "changed"})
    assert lab.out.take() == []


def test_a_member_without_metadata_is_not_pushed_to():
    lab = _lab()
    lab.ask("B", metadata=b"")
    lab.c.put_member(lab.now, NWID, address("B"), {"tags": [[1, 2]]})
    assert lab.out.take() == []


def test_a_change_of_a_member_is_pushed_to_it_alone():
    lab = _lab()
    lab.ask("A")
    lab.ask("B")
    lab.c.put_member(lab.now, NWID, address("A"), {"tags": [[7, 9]]})
    [(kind, dest, _, chunks)] = lab.out.take()
    assert (kind, dest) == ("config", address("A"))
    [tag] = NetworkConfig.parse(dictionary(chunks)).tags
    assert (tag.id, tag.value) == (7, 9)


def test_a_new_bridge_is_told_to_everybody():
    lab = _lab()
    lab.ask("A")
    lab.ask("B")
    lab.c.put_member(lab.now, NWID, address("A"), {"activeBridge": True})
    events = lab.out.take()
    assert sorted([e[1] for e in events]) == sorted([address("A"), address("B")])
    for e in events:
        assert NetworkConfig.parse(dictionary(e[3])).is_active_bridge(address("A"))


def test_authorizing_a_waiting_member_configures_it_at_once():
    lab = _lab(members="")
    lab.ask("A")
    lab.c.put_member(lab.now, NWID, address("A"), {"authorized": True})
    [(kind, dest, packet_id, _)] = lab.out.take()
    assert (kind, dest, packet_id) == ("config", address("A"), None)


def test_many_pushes_are_spread_over_ticks():
    lab = _lab(members="")
    for i in range(20):
        node = Identity(bytes((1, 2, 3, 4, i)), identity("A").public)
        lab.c.put_member(lab.now, NWID, node.address, {"authorized": True})
        assert lab.ask(node)[0][0] == "config"
    lab.c.put_network(lab.now, NWID, {"mtu": 1400})
    served = [e[1] for e in lab.out.take()]
    assert 0 < len(served) < 20
    while lab.c.tick(lab.now) == 0:
        pass
    served += [e[1] for e in lab.out.take()]
    assert sorted(served) == [bytes((1, 2, 3, 4, i)) for i in range(20)]


def test_deauthorizing_revokes_before_everybody_online_and_denies_the_target():
    lab = _lab()
    for name in "ABC":
        old = _config(lab.ask(name))
    assert lab.c.authorized_recently(lab.now, NWID, address("B"))
    lab.c.put_member(lab.now, NWID, address("B"), {"authorized": False})
    events = lab.out.take()
    told = [e for e in events if e[0] == "credentials"]
    assert sorted([e[1] for e in told]) == sorted([address(n) for n in "ABC"])
    payload = told[0][3]
    coms, capabilities, tags, [r], coos = unpack_credentials(payload, 0, len(payload))
    assert coms == capabilities == tags == coos == []
    assert (r.target, r.type, r.nwid, r.flags, r.credential_id) == (address("B"), 1, NWID, 1, 0)
    assert r.threshold >= old.timestamp
    assert r.verify(lambda a: identity("controller")) == 0
    assert [e for e in events if e[0] == "error"] == [("error", address("B"), bytes(8), 7)]
    assert len(events) == 4
    assert not lab.c.authorized_recently(lab.now, NWID, address("B"))
    assert lab.ask("B")[0][3] == 7


def test_authorizing_again_gives_a_certificate_the_revocation_does_not_void():
    lab = _lab()
    lab.ask("B")
    # Even when no time passes at all.
    lab.c.put_member(lab.now, NWID, address("B"), {"authorized": False})
    payload = [e for e in lab.out.take() if e[0] == "credentials"][0][3]
    r = unpack_credentials(payload, 0, len(payload))[3][0]
    lab.c.put_member(lab.now, NWID, address("B"), {"authorized": True})
    config = _config(lab.out.take())
    assert config.com.timestamp > r.threshold


def test_revocations_close_together_share_a_packet_a_second_later():
    lab = _lab()
    for name in "ABC":
        lab.ask(name)
    for name in "ABC":
        lab.c.put_member(lab.now, NWID, address(name), {"authorized": False})
    first = [e for e in lab.out.take() if e[0] == "credentials"]
    assert len(first) == 3
    assert 0 < lab.c.tick(lab.now) <= 1100
    assert lab.out.take() == []
    lab.wait(1100)
    lab.c.tick(lab.now)
    second = lab.out.take()
    assert len(second) == 3
    payload = second[0][3]
    revoked = unpack_credentials(payload, 0, len(payload))[3]
    assert [r.target for r in revoked] == [address("B"), address("C")]


def test_deleting_a_network_revokes_all_and_answers_not_found():
    lab = _lab()
    lab.ask("A")
    lab.ask("B")
    old = lab.c.delete_network(lab.now, NWID)
    assert old["id"] == NWID.hex()
    events = lab.out.take()
    told = [e for e in events if e[0] == "credentials"]
    assert len(told) == 2
    payload = told[0][3]
    targets = [r.target for r in unpack_credentials(payload, 0, len(payload))[3]]
    assert sorted(targets) == sorted([address(n) for n in "ABC"])
    assert [e[2:] for e in events if e[0] == "error"] == [(bytes(8), 3), (bytes(8), 3)]
    assert lab.c.networks() == []
    assert lab.store.keys("controller.network") == lab.store.keys("controller.member") == []
    assert lab.c.delete_network(lab.now, NWID) is None
    assert lab.ask("A")[0][3] == 3


def test_deleting_a_member_revokes_it():
    lab = _lab()
    lab.ask("A")
    assert lab.c.delete_member(lab.now, NWID, address("A"))["authorized"] is True
    assert [e[0] for e in lab.out.take()] == ["credentials", "error"]
    assert lab.c.member(NWID, address("A")) is None
    assert lab.c.delete_member(lab.now, NWID, address("A")) is None


def test_members_count_as_configured_for_three_minutes():
    lab = _lab()
    lab.ask("A")
    lab.wait(179000)
    lab.c.tick(lab.now)
    assert lab.c.authorized_recently(lab.now, NWID, address("A"))
    assert not lab.c.authorized_recently(lab.now, NWID, address("B"))
    lab.wait(1000)
    assert not lab.c.authorized_recently(lab.now, NWID, address("A"))


def test_a_token_lets_a_member_in_until_it_expires():
    lab = _lab({"authTokens": {"good": 0, "old": 5, "bad": -1}}, members="")
    for name, token, kind in (
        ("A", b"token:old", "error"),
        ("A", b"token:bad", "error"),
        ("A", b"token:", "error"),
        ("A", b"good", "error"),
        ("A", b"token:\xff\xfe", "error"),
        ("A", b"token:good", "config"),
        ("B", b"token:good", "config"),
    ):
        assert lab.ask(name, metadata=METADATA + b"\na=" + token)[0][0] == kind, token


def test_sign_on_that_we_cannot_offer_is_not_skipped():
    lab = _lab()
    lab.c.db.networks[NWID]["ssoEnabled"] = True
    assert lab.ask("A")[0][3] == 9
    lab.c.put_member(lab.now, NWID, address("A"), {"authenticationExpiryTime": lab.wall + 60000})
    assert lab.ask("A")[0][0] == "config"


def test_requests_from_more_nodes_than_fit_are_bounded():
    from zt.controller import online

    askers = online.Online()
    for i in range(online.MAX_ENTRIES + 10):
        askers.admit(0, i.to_bytes(13, "big"))
    assert len(askers.askers) == online.MAX_ENTRIES
    assert askers.admit(0, b"x" * 13) is None
    assert askers.admit(2000, b"x" * 13) is not None
    assert len(askers.askers) < online.MAX_ENTRIES
