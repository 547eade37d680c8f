# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Staying reachable: paths that die and come back, peers on a new port, our own address changing,
# roots that restart. Times are bounds of behaviour on the simulated clock, not of the machine.

from _people import IDS, IP, TYPE, count, cut, events, live, messages, met, one_root
from _sim import Sim, make_planet
from zt import drops, keepalive
from zt._compat import ticks_add, ticks_diff
from zt.const import VERB_HELLO, VERB_USER_MESSAGE
from zt.path import EXPIRE_MS


def _in_use(node, other, now):
    """Make the node believe that it exchanges frames with the other (it keeps the path then)."""
    node.topology.peers[other.address].last_nontrivial = now


def _chat(sim, a, b, ms, step=500):
    """A sends b something every step; ms until one arrives, None if none does."""
    had = len(messages(b))
    for t in range(0, ms, step):
        a.send_user_message(sim.now, b.address, TYPE, b"%d" % t)
        sim.run(step)
        if len(messages(b)) > had:
            return t + step
    return None


def test_traffic_leaves_a_silent_direct_path_for_the_relay_in_seconds():
    sim, r, a, b = one_root()
    sim.run(20)
    met(sim, a, b)
    sim.block = cut("AB")
    took = _chat(sim, a, b, 30000)
    assert took is not None and took <= 10000, took
    assert live(a, b, sim.now) is None
    assert a.topology.peers[b.address].best_path(sim.now) is not None, (
        "kept, in case it comes back"
    )
    sim.run(5000)
    assert {"address": b.address.hex(), "path": "relayed"} in events(a, "peer")
    # From then on nothing is lost.
    before = len(messages(b))
    for _ in range(10):
        a.send_user_message(sim.now, b.address, TYPE, b"x")
        sim.run(1000)
    assert len(messages(b)) == before + 10


def test_a_dead_path_that_works_again_is_used_again():
    sim, r, a, b = one_root()
    sim.run(20)
    met(sim, a, b)
    sim.block = cut("AB")
    assert _chat(sim, a, b, 30000) is not None
    sim.block = None
    _in_use(a, b, sim.now)
    _in_use(b, a, sim.now)
    assert sim.until(lambda: live(a, b, sim.now) is not None, 31000) is not None
    sim.run(5000)
    assert events(a, "peer")[-1] == {"address": b.address.hex(), "path": "direct"}


def test_without_a_relay_even_a_silent_path_is_used():
    sim, r, a, b = one_root()
    sim.run(20)
    met(sim, a, b)
    sim.remove("R")
    sim.block = cut("AB")
    assert _chat(sim, a, b, 20000) is None
    sim.block = None
    assert _chat(sim, a, b, 2000) is not None


def test_an_idle_path_in_use_is_known_to_be_dead_within_twenty_seconds():
    sim, r, a, b = one_root()
    sim.run(20)
    met(sim, a, b)
    _in_use(a, b, sim.now)
    sim.block = cut("AB")
    took = sim.until(lambda: live(a, b, sim.now) is None, 30000)
    assert took is not None and took <= 20000, took


def test_lost_probes_hardly_ever_end_a_path():
    sim, r, a, b = one_root()
    sim.run(20)
    met(sim, a, b)
    sim.loss = 20
    good = 0
    for _ in range(600):
        a.send_user_message(sim.now, b.address, TYPE, b"x")
        sim.run(500)
        good += live(a, b, sim.now) is not None
    assert good > 570, good


def _targets(sim):
    """Where A sends datagrams to from now on, also where nobody is."""
    targets = []
    sent = sim.sent

    def watched(name, local_socket, remote, data, ttl):
        if name == "A":
            targets.append(remote)
        return sent(name, local_socket, remote, data, ttl)

    sim.sent = watched
    return targets


def _at(sim, node, other):
    """Where node would send to other directly, or None."""
    path = live(node, other, sim.now)
    return path.remote if path is not None else None


def _both_ways_at(sim, a, b, remote, ms):
    """Both talk twice a second; ms until a heard b and b heard a over this path, None if not."""
    for t in range(0, ms, 500):
        a.send_user_message(sim.now, b.address, TYPE, b"a")
        b.send_user_message(sim.now, a.address, TYPE, b"b")
        sim.run(500)
        if _at(sim, a, b) == remote and messages(a) and messages(b):
            return t + 500
    return None


def test_a_peer_that_comes_back_on_another_port_is_found_in_seconds():
    for pause in (0, 300, 2000):
        sim, r, a, b = one_root()
        sim.run(20)
        met(sim, a, b)
        state = sim.remove("B")
        sim.run(pause)
        b = sim.add("B", None, IP["B"], storage=state, port=40000)
        took = _both_ways_at(sim, a, b, (IP["B"], 40000), 30000)
        assert took is not None and took <= 3000, (pause, took)


def test_a_silent_peer_that_came_back_on_another_port_is_found_over_its_root():
    sim, r, a, b = one_root()
    sim.run(20)
    met(sim, a, b)
    state = sim.remove("B")
    b = sim.add("B", None, IP["B"], storage=state, port=40000)
    took = _chat(sim, a, b, 40000)
    assert took is not None and took <= 10000, took


def test_a_peer_whose_nat_chose_another_port_is_followed_in_seconds():
    sim, r, a, b = one_root()
    sim.run(20)
    met(sim, a, b)
    _both_ways_at(sim, a, b, (IP["B"], 9993), 2000)
    del b.cb.events[:]
    sim.move("B", IP["B"], 40000)
    took = _both_ways_at(sim, a, b, (IP["B"], 40000), 30000)
    assert took is not None and took <= 3000, took


def test_a_replay_from_another_port_moves_nobody():
    sim, r, a, b = one_root()
    sim.run(20)
    met(sim, a, b)
    _both_ways_at(sim, a, b, (IP["B"], 9993), 1000)
    old = [d for _, _, d in sim.log if d[8:13] == a.address and d[13:18] == b.address][-1]
    path = live(a, b, sim.now)
    targets = _targets(sim)
    for _ in range(20):
        a.process_wire_packet(sim.now, 1, (IP["B"], 6666), memoryview(bytearray(old)))
        sim.run(1000)
        assert live(a, b, sim.now) is path
    # The old path was asked each ten seconds, and answered.
    assert (IP["B"], 6666) not in targets
    assert 2 <= targets.count((IP["B"], 9993)) <= 4, targets


def test_a_peer_with_two_sockets_is_seldom_asked_which_it_uses():
    sim, r, a, b = one_root()
    sim.run(20)
    met(sim, a, b)
    path = live(a, b, sim.now)
    second = sim.also("B", IP["B"], 40000)
    peer = b.topology.peers[a.address]
    targets = _targets(sim)
    for _ in range(60):
        b.send_to(sim.now, peer, second, (IP["A"], 9993), VERB_USER_MESSAGE, (TYPE, b"x"))
        sim.run(1000)
        assert live(a, b, sim.now) is path
    assert targets.count((IP["B"], 9993)) <= 12, targets


def test_a_peer_behind_a_new_address_is_found_in_seconds():
    sim, r, a, b = one_root()
    sim.run(20)
    met(sim, a, b)
    new = bytes((10, 9, 0, 99))
    sim.move("B", new, tell=True)
    sim.run(100)
    took = _chat(sim, b, a, 5000)
    assert took is not None and took <= 1000, took
    took = _chat(sim, a, b, 30000)
    assert took is not None and took <= 10000, took
    for _ in range(20):
        a.send_user_message(sim.now, b.address, TYPE, b"x")
        b.send_user_message(sim.now, a.address, TYPE, b"x")
        sim.run(2000)
    assert live(a, b, sim.now).remote == (new, 9993)


def test_a_root_that_forgot_everything_is_greeted_again():
    sim, r, a, b = one_root()
    sim.run(20)
    met(sim, a, b)
    sim.block = cut("AB")
    planet = a.storage.get("planet")
    sim.remove("R")
    r = sim.add("R", IDS["R"], IP["R"], planet)
    took = sim.until(
        lambda: a.address in r.topology.peers and b.address in r.topology.peers, 30000
    )
    assert took is not None and took <= 18000, took
    assert _chat(sim, a, b, 30000) is not None
    assert not events(a, "offline") and not events(b, "offline")


def test_a_node_in_use_greets_a_forgetful_root_within_seconds():
    sim, r, a, b = one_root()
    sim.run(20)
    met(sim, a, b)
    sim.block = cut("AB")
    assert _chat(sim, a, b, 30000) is not None
    planet = a.storage.get("planet")
    sim.remove("R")
    r = sim.add("R", IDS["R"], IP["R"], planet)
    sim.run(10)
    for _ in range(16):
        a.send_user_message(sim.now, b.address, TYPE, b"x")
        b.send_user_message(sim.now, a.address, TYPE, b"x")
        sim.run(500)
    assert a.address in r.topology.peers and b.address in r.topology.peers
    assert _chat(sim, a, b, 2000) is not None


def test_after_hours_without_network_a_node_is_back_within_twenty_seconds():
    sim, r, a, b = one_root()
    sim.run(20)
    sim.block = lambda s, d, p: True
    sim.run(3600000)
    assert not a.online
    sim.block = None
    took = sim.until(lambda: a.online and b.online, 60000)
    assert took is not None and took <= 17000, took


def test_new_local_addresses_are_tried_at_once():
    sim, r, a, b = one_root()
    sim.run(20)
    met(sim, a, b)
    _in_use(a, b, sim.now)
    a.set_local_addresses([(IP["A"], 9993)])
    sim.kick("A")
    sim.run(10)
    assert not sim.log, "nothing changed"
    sim.move("A", bytes((10, 9, 0, 77)), tell=True)
    sim.kick("A")
    sim.run(30)
    assert count(sim, "A", "R", lambda p: p[27] == VERB_HELLO)
    assert count(sim, "A", "B") and count(sim, "B", "A")
    assert a.surface.addresses(sim.now)[-1][0] == bytes((10, 9, 0, 77))


def test_when_a_root_sees_us_elsewhere_direct_paths_are_proven_again():
    sim, r, a, b = one_root()
    sim.run(20)
    met(sim, a, b)
    # The NAT in front of A gives it another address; nobody tells A.
    sim.move("A", bytes((10, 9, 0, 88)))
    took = sim.until(lambda: (bytes((10, 9, 0, 88)), 9993) in a.surface.addresses(sim.now), 30000)
    assert took is not None and took <= 17000, took
    sim.run(1000)
    assert count(sim, "A", "B") > 0
    assert live(a, b, sim.now) is not None
    took = sim.until(
        lambda: (
            _in_use(b, a, sim.now)
            or (live(b, a, sim.now) and live(b, a, sim.now).remote[0] == bytes((10, 9, 0, 88)))
        ),
        30000,
    )
    assert took is not None


def test_an_idle_node_asks_its_root_less_than_the_reference_does():
    sim, r, a, b = one_root()
    sim.run(20)
    del sim.log[:]
    sim.run(3600000)
    # The reference: a WHOIS each 5 s (720) and a HELLO each 224 s.
    assert count(sim, "A", "R") < 400, count(sim, "A", "R")
    assert a.online and not events(a, "offline")


def test_somebody_who_only_listens_is_not_called_unreachable():
    sim, r, a, b = one_root()
    sim.run(20)
    sim.block = cut("AB")
    for _ in range(60):
        a.send_user_message(sim.now, b.address, TYPE, b"x")
        sim.run(1000)
    assert [e["path"] for e in events(a, "peer")] == ["relayed"]
    sim.remove("B")
    for _ in range(40):
        a.send_user_message(sim.now, b.address, TYPE, b"x")
        sim.run(1000)
    assert [e["path"] for e in events(a, "peer")] == ["relayed", "unreachable"]
    sim.run(60000)
    del sim.log[:]
    sim.run(60000)
    assert count(sim, "A", "R", lambda p: p[8:13] == b.address) == 0, "asks for ever"


def test_an_anchor_is_kept_in_contact_without_traffic():
    sim, r, a, b = one_root()
    a.vl2.always_contact = lambda: {b.address}
    assert sim.until(lambda: live(a, b, sim.now) is not None, 40000) is not None
    sim.run(600000)
    assert live(a, b, sim.now) is not None
    sim.block = cut("AB")
    sim.run(60000)
    assert live(a, b, sim.now) is None
    sim.block = None
    assert sim.until(lambda: live(a, b, sim.now) is not None, 40000) is not None


def test_an_anchor_that_comes_back_on_another_port_is_found_each_time():
    sim, r, a, b = one_root()
    a.vl2.always_contact = lambda: {b.address}
    assert sim.until(lambda: live(a, b, sim.now) is not None, 40000) is not None
    for port in (40000, 40001):
        state = sim.remove("B")
        b = sim.add("B", None, IP["B"], storage=state, port=port)
        sim.run(100)
        b.send_user_message(sim.now, a.address, TYPE, b"back")
        sim.deliver()
        sim.kick("A")
        took = sim.until(lambda b=b, at=(IP["B"], port): _at(sim, a, b) == at, 40000)
        assert took is not None and took <= 5000, (port, took)
        sim.run(3000)


def test_an_unused_path_expires_and_its_peer_is_forgotten():
    sim, r, a, b = one_root()
    sim.run(20)
    met(sim, a, b)
    sim.run(EXPIRE_MS + 40000)
    assert not a.topology.peers[b.address].slots
    assert count(sim, "A", "B") == 0
    sim.run(300000)
    assert b.address not in a.topology.peers
    assert len(a.topology.paths) == 1


def test_old_times_do_not_become_recent_when_the_counter_comes_round():
    sim, r, a, b = one_root()
    sim.run(20)
    peer = a.topology.peers[r.address]
    path = peer.best_path(sim.now)
    sim.block = lambda s, d, p: True
    heard = peer.last_receive
    sim.run(3700000)
    assert peer.last_receive is None and not peer.slots
    # 12.4 days later the counter shows the same number again.
    assert not peer.heard_within(ticks_add(heard, 10), 60000)
    assert path.last_in is None or ticks_diff(sim.now, path.last_in) >= 0
    assert (1, (IP["R"], 9993)) not in a.topology.paths


def test_the_back_off_is_bounded():
    waits = [keepalive.root_retry_ms(n) for n in range(9)]
    assert waits == [0, 1000, 2000, 4000, 8000, 16000, 16000, 16000, 16000]


def test_a_refused_datagram_is_counted_and_the_node_goes_on():
    sim = Sim()
    a = sim.add("A", IDS["A"], IP["A"], make_planet(IDS["R"], [(IP["R"], 9993)]))
    a.cb.wire_send = lambda *x: 101
    sim.run(60000)
    assert a.drops[drops.WIRE] > 3 and not a.online
    r = sim.add("R", IDS["R"], IP["R"], a.storage.get("planet"))
    a.cb.wire_send = lambda sock, remote, data, ttl: sim.sent("A", sock, remote, bytes(data), ttl)
    assert sim.until(lambda: a.online, 17000) is not None
    assert r.online
