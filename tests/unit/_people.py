# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Identities and addresses for tests on the simulated wire: A, B and the root R are those of the
# vectors, the second root S and the nodes C and D were made for these tests. TEST KEYS: everybody
# knows them.

from _sim import Sim, make_planet
from _vectors import load

IDS = {i["name"]: i["secret_string"] for i in load("vl1.json")["identities"]}
IDS["S"] = (
    "a4b15725c1:0:3b31a2edc1df4c2739c502442df1ca31b81e00941e92f7fc8cf6d703afada051f839f1a8d08"
    "7fd1f0639e1e4ff27a2a267f68247479cd0634dfa246da5d2c110:7aaa18085ddf0dfd4f13ddcd074a0463ca"
    "e5fc03df5d28558133bff1a7fb92c30c89d6e91dbca02cc99b01e5883c5d9bb1852647b822264f4e821cd100"
    "9819f1"
)
IDS["C"] = (
    "40201120d5:0:27ca23053b5a52bed20d6431f6835c8347612dc073663111af22ab8173690039c07d3ad8c85"
    "5d2274d9644086c57ca24240563f45b3bc26232cf8ec7fcc09628:276253940c68e70f0a81dbd7ff949b6356"
    "3b970445a7a1172a72f31c39c0882e48bea9b453f02e5d6101b5479a406a4d69cb6550a186be830f2d309f17"
    "0f2063"
)
IDS["D"] = (
    "37b2fb48dc:0:486dbdf47e1229e3263ccca4f78fe346b7bf4ba94af167f80e9047e8ff14470fd9f7c10a098"
    "0a1d1eeac0b26649fa7be7144acba4b3328b4c093edbb6375e19c:a7022c85c5602fd02aa1ddba1b9d95f17e"
    "e20c7e4d9ccc88c95d385711aed2d8322f38a6c408e54cc7942d6bd9f0be07e618ff1505cf2bb94413bc9980"
    "142ee2"
)
IP = {n: bytes((10, 9, 0, i + 1)) for i, n in enumerate("RABSCD")}
IP6 = {n: b"\xfd" + bytes(14) + bytes([i + 1]) for i, n in enumerate("RABSCD")}
TYPE = b"\0\0\0\0\0\1\0\0"


def one_root(names="AB", start=1000, **kw):
    """(sim, root R, node, ...) on one subnet; nothing has run yet."""
    sim = Sim(start)
    planet = make_planet(IDS["R"], [(IP["R"], 9993)])
    nodes = [sim.add(n, IDS[n], IP[n], planet, **kw) for n in "R" + names]
    return [sim] + nodes


def two_roots(names="AB", start=1000, **kw):
    """(sim, root R, root S, node, ...)."""
    sim = Sim(start)
    planet = make_planet(IDS["R"], [(IP["R"], 9993)], more=[(IDS["S"], [(IP["S"], 9993)])])
    nodes = [sim.add(n, IDS[n], IP[n], planet, **kw) for n in "RS" + names]
    return [sim] + nodes


def events(node, name):
    return [info for n, info in node.cb.events if n == name]


def messages(node):
    return [m["data"] for m in events(node, "user_message")]


def count(sim, src, dst, test=None):
    return len([1 for s, d, p in sim.log if s == src and d == dst and (test is None or test(p))])


def cut(*pairs):
    """A filter that loses everything between the two nodes of each pair ("AB")."""

    def block(src, dst, data):
        return src + dst in pairs or dst + src in pairs

    return block


def live(node, other, now):
    """The path node would send directly to `other` over, or None."""
    peer = node.topology.peers.get(other.address)
    slot = peer.live_slot(now) if peer is not None else None
    return slot.path if slot is not None else None


def met(sim, a, b):
    """Let two nodes find their direct path."""
    a.send_user_message(sim.now, b.address, TYPE, b"first")
    sim.run(600)
    a.send_user_message(sim.now, b.address, TYPE, b"second")
    assert sim.until(lambda: live(a, b, sim.now) and live(b, a, sim.now)) is not None
    sim.run(100)
    del b.cb.events[:]
    del a.cb.events[:]
    del sim.log[:]
