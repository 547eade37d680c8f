# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Whatever happened, once the wire is good again everybody reaches everybody within half a minute:
# random sequences of cuts, moves, restarts with and without state, losses and pauses.

from _people import IDS, IP, TYPE, messages, two_roots
from zt._compat import MICROPYTHON, ticks_add
from zt.identity import Identity

_ADDRESS = {n: Identity.parse(IDS[n]).address for n in "ABRS"}


class Dice:
    def __init__(self, seed):
        self.state = seed * 7919 + 1

    def __call__(self, n):
        self.state = (self.state * 1103515245 + 12345) & 0x3FFFFFFF
        return (self.state >> 8) % n


def _cuts(dice):
    names = "RSAB"
    gone = set()
    for i in range(4):
        for k in range(i + 1, 4):
            if not dice(3):
                gone.add(names[i] + names[k])
                gone.add(names[k] + names[i])
    one_way = names[dice(4)] + names[dice(4)]
    if not dice(4):
        gone.add(one_way)
    return lambda s, d, p: s + d in gone


def _restart(sim, dice, name, planet):
    state = sim.remove(name)
    sim.run(dice(3000))
    keep = dice(3)
    port = 9993
    if name in "AB" and not dice(3):
        port = 10000 + dice(1000)
    if keep:
        sim.add(name, None, IP[name], storage=state, port=port)
    else:
        sim.add(name, IDS[name], IP[name], planet, port=port)


def _storm(seed, start):
    dice = Dice(seed)
    sim = two_roots(start=start)[0]
    planet = sim.nodes["A"].storage.get("planet")
    history = []
    sim.run(100)
    for _ in range(12):
        what = dice(8)
        history.append(what)
        if what <= 1:
            sim.block = _cuts(dice)
        elif what == 2:
            sim.block = None
        elif what == 3:
            _restart(sim, dice, "RSAB"[dice(4)], planet)
        elif what == 4:
            name = "AB"[dice(2)]
            sim.move(name, bytes((10, 9, 3, dice(250))), 9993 + dice(3), tell=bool(dice(2)))
        elif what == 5:
            sim.loss = sim.delay = sim.double = dice(60)
        elif what == 6:
            sim.block = lambda s, d, p: True
        elif what == 7:
            sim.loss = sim.delay = sim.double = 0
        for _ in range(dice(20)):
            for src, dst in ("AB", "BA"):
                if dice(2):
                    sim.nodes[src].send_user_message(sim.now, _ADDRESS[dst], TYPE, b"storm")
            sim.run((100, 1000, 7000, 30000)[dice(4)])
    sim.block = None
    sim.loss = sim.delay = sim.double = 0
    return sim, history


def _calm(sim, history, seed):
    a, b = sim.nodes["A"], sim.nodes["B"]
    for n in (a, b):
        del n.cb.events[:]
    for _ in range(30):
        a.send_user_message(sim.now, b.address, TYPE, b"calm")
        b.send_user_message(sim.now, a.address, TYPE, b"calm")
        sim.run(1000)
        if b"calm" in messages(a) and b"calm" in messages(b):
            break
    else:
        assert False, "seed %d: no message got through after %r" % (seed, history)
    # And then stays: one message a second, none of the last ten lost.
    for _ in range(40):
        a.send_user_message(sim.now, b.address, TYPE, b"calm")
        b.send_user_message(sim.now, a.address, TYPE, b"calm")
        sim.run(1000)
    for n in (a, b):
        del n.cb.events[:]
    for _ in range(10):
        a.send_user_message(sim.now, b.address, TYPE, b"calm")
        b.send_user_message(sim.now, a.address, TYPE, b"calm")
        sim.run(1000)
    got = (len(messages(a)), len(messages(b)))
    assert got == (10, 10), "seed %d: %r after %r" % (seed, got, history)
    for node in sim.nodes.values():
        assert node.online
        assert len(node.topology.peers) <= 4 and len(node.topology.paths) < 50
        assert not node.wanted.wanted and not node.queued.items


def test_after_any_storm_everybody_reaches_everybody():
    for seed in range(4 if MICROPYTHON else 30):
        # Every other one begins shortly before the clock wraps.
        start = ticks_add(0, -60000) if seed % 2 else 1000
        sim, history = _storm(seed, start)
        _calm(sim, history, seed)
