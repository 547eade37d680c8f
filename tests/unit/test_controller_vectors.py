# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The controller vectors: one controller taken through all their steps, configurations compared
# byte for byte.

from _controller import NWID, VECTORS, Lab, dictionary
from zt._compat import hexs
from zt.controller import fields
from zt.dictionary import Dictionary
from zt.identity import Identity
from zt.netconf import NetworkConfig


def _by_address(text):
    for v in VECTORS["identities"].values():
        if v["address"] == text:
            return Identity.parse(v["secret"])
    raise KeyError(text)


def _same_but_created(ours, theirs, step):
    ours = dict(ours)
    theirs = dict(theirs)
    assert isinstance(ours.pop("creationTime"), int)
    theirs.pop("creationTime")
    assert ours == theirs, step


class Replay:
    def __init__(self):
        self.lab = Lab(wall=0)
        self.configs = 0

    def post_network(self, step):
        nwid = bytes.fromhex(step["network_id"])
        got = self.lab.c.put_network(self.lab.now, nwid, step["body"])
        _same_but_created(got, step["response"], step["step"])
        assert self.lab.c.network(nwid) == got

    def set_member_fields(self, step):
        nwid = bytes.fromhex(step["network_id"])
        address = bytes.fromhex(step["address"])
        db = self.lab.c.db
        old = db.members[nwid].get(address)
        record = dict(old or fields.new_member(hexs(nwid), hexs(address), self.lab.wall))
        for key in step["fields"]:
            record[key] = step["fields"][key]
        db.save_member(nwid, address, record)

    def request(self, step):
        nwid = bytes.fromhex(step["network_id"])
        lab = self.lab
        [want] = step["result"]
        lab.now += 2000
        if "config" in want:
            lab.wall = want["config"]["timestamp"]
        lab.out.take()
        lab.c.request(
            lab.now,
            nwid,
            _by_address(step["from"]),
            bytes.fromhex(want["request_packet_id"]),
            bytes.fromhex(step["metadata"]),
        )
        [(kind, dest, packet_id, what)] = lab.out.take()
        assert (kind, hexs(dest), hexs(packet_id)) == (
            want["event"],
            want["dest"],
            want["request_packet_id"],
        ), step["step"]
        if kind == "error":
            # The file counts the original's own codes: 1 not found, 2 denied.
            assert what == {1: 3, 2: 7}[want["code"]], step["step"]
        else:
            self.configs += 1
            got = dictionary(what)
            if got.hex() != want["dictionary"]:
                theirs = bytes.fromhex(want["dictionary"])
                for key in (
                    "v",
                    "f",
                    "C",
                    "CAP",
                    "TAG",
                    "COO",
                    "S",
                    "RT",
                    "I",
                    "R",
                    "DNS",
                    "mtu",
                    "tl",
                ):
                    a = Dictionary(got).get(key)
                    assert a == Dictionary(theirs).get(key), (step["step"], key, a)
                assert got == theirs, step["step"]
            assert NetworkConfig.parse(got).revision == want["config"]["revision"]
        member = lab.c.member(nwid, bytes.fromhex(step["from"]))
        if step["member_after"] is None:
            assert member is None
        else:
            _same_but_created(member, step["member_after"], step["step"])

    def deauthorize(self, step):
        lab = self.lab
        lab.out.take()
        payload = bytes.fromhex(step["packets"][0]["payload"])
        # 00 0000 0000 0001, then the revocation: id at 4, threshold at 24, target at 40.
        lab.random = lambda n: payload[11 : 11 + n]
        lab.c._issuer.random = lab.random
        lab.wall = int.from_bytes(payload[31:39], "big")
        target = payload[47:52]
        lab.c.put_member(lab.now, NWID, target, {"authorized": False})
        events = lab.out.take()
        sent = {hexs(e[1]): e[3] for e in events if e[0] == "credentials"}
        for packet in step["packets"]:
            assert packet["verb"] == 10
            assert sent[packet["dest"]].hex() == packet["payload"], packet["dest"]
        assert [e for e in events if e[0] == "error"] == [("error", target, bytes(8), 7)]


def test_every_step_of_the_vectors():
    replay = Replay()
    for step in VECTORS["controller"]:
        getattr(replay, step["action"])(step)
    assert replay.configs >= 7
