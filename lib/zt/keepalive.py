# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The node's periodic work on peers: reaching the roots, keeping paths open, noticing that a path,
# a peer or all roots are gone (VL1 7.13, 8.1, 8.2). Unlike the reference it does not wait for a 5
# s pass to act on news; the pass only catches what nothing else woke. What it sends to a root
# stays below what the reference sends (a WHOIS each 5 s to the best, HELLO each 5 s to an absent
# one).

from . import hello, log
from ._compat import const, elapsed, ticks_diff
from .const import VERB_ECHO
from .direct import contact
from .peer import STATE_DIRECT, STATE_RELAYED, STATE_UNREACHABLE

PASS_MS = const(5000)
HOUSEKEEPING_MS = const(30000)
_HEARTBEAT_MS = const(14000)
_HELLO_MS = const(60000)
_ROOT_HELLO_MS = const(224000)
_CONTACT_HELLO_MS = const(28000)
_ONLINE_MS = const(60000)  # our choice; the reference waits 500 s
# The reference lets NAT mappings to all roots but the best lapse. Peers choose their root without
# asking us, so each should be able to reach us; 25 s is below the usual 30 s of a NAT.
_OTHER_ROOT_MS = const(25000)
_PROBE_MS = const(1000)
_MOVED_MS = const(10000)  # a peer with several sockets is asked about it no more often
_GIVE_UP = const(5)  # probes after which a path is asked only at the heartbeat
_RELAY_PROBE_MS = const(5000)
_UNANSWERED_MS = const(20000)
_WAITING_MS = const(30000)
_BACKOFF_MAX = const(4)  # 1, 2, 4, 8, then 16 s between HELLOs to a root that never answers


def root_retry_ms(tries):
    """How long to wait after the n-th unanswered HELLO to a root."""
    if tries <= 0:
        return 0
    return 1000 << min(tries - 1, _BACKOFF_MAX)


def ping_pass(node, now):
    """Everything that may be due; returns ms until it must be called again."""
    wait = PASS_MS
    topology = node.topology
    best = topology.best_upstream(now)
    for address in topology.upstreams():
        peer = topology.peers[address]
        wait = min(wait, _root(node, now, peer, topology.roots[address], peer is best))
    always = node.vl2.always_contact()
    for address in always:
        if address == node.address or topology.is_upstream(address):
            continue
        peer = topology.find(now, address)
        if peer is None:
            node.whois(now, address)
            continue
        if elapsed(now, peer.last_hello, _CONTACT_HELLO_MS) or _in_doubt(peer):
            wait = min(wait, _keep(node, now, peer))
            if peer.live_slot(now) is None and elapsed(now, peer.last_hello, _CONTACT_HELLO_MS):
                hello.send(node, now, peer, None, None)
                peer.last_hello = now
        state(node, now, peer)
    for address in list(topology.peers):
        if topology.is_upstream(address) or address in always:
            continue
        peer = topology.peers.get(address)
        if peer is None:
            continue
        if peer.active(now):
            wait = min(wait, _keep(node, now, peer))
        _ask_over_relay(node, now, peer)
        state(node, now, peer)
    for peer in list(topology.peers.values()):
        if peer.candidate is not None:
            wait = min(wait, _candidate(node, now, peer))
    online(node, now)
    return wait


def probe(node, now, peer, slot):
    """Ask whether anybody listens at the end of a path, at most once a second. An ECHO first; then
    HELLOs, which also an end that has forgotten us answers.
    """
    if slot.asked is not None and not elapsed(now, slot.last_probe, _PROBE_MS):
        return
    path = slot.path
    if slot.asked is None and peer.can_echo():
        node.send_to(now, peer, path.local_socket, path.remote, VERB_ECHO, ())
    else:
        hello.send(node, now, peer, path.local_socket, path.remote)


def _root(node, now, peer, endpoints, is_best):
    """Keep one root reachable; ms until it wants attention again."""
    slot = peer.live_slot(now)
    if slot is None:
        return _search(node, now, peer, endpoints)
    peer.hello_tries = 0
    if elapsed(now, peer.last_hello, _ROOT_HELLO_MS):
        peer.last_hello = now
        for s in peer.slots:
            hello.send(node, now, peer, s.path.local_socket, s.path.remote)
        _endpoints(node, now, peer, endpoints)
        return _PROBE_MS
    if slot.asked is not None:
        if elapsed(now, slot.last_probe, _PROBE_MS):
            probe(node, now, peer, slot)
            _endpoints(node, now, peer, endpoints)
        return _PROBE_MS
    beat = _HEARTBEAT_MS if is_best else _OTHER_ROOT_MS
    if elapsed(now, slot.path.last_out, beat) or elapsed(now, slot.lr, beat):
        probe(node, now, peer, slot)
        return _PROBE_MS
    return PASS_MS


def _search(node, now, peer, endpoints):
    """HELLO a root that has no working path, with back-off; ms until the next try."""
    retry = root_retry_ms(peer.hello_tries)
    left = 0
    if peer.last_hello is not None:
        left = retry - max(ticks_diff(now, peer.last_hello), 0)
    if left > 0:
        return left
    peer.last_hello = now
    peer.hello_tries += 1
    sent = False
    for s in peer.slots:
        sent = hello.send(node, now, peer, s.path.local_socket, s.path.remote) or sent
    for remote in peer.cached_paths:
        if node.acceptable(peer.address, None, remote):
            sent = hello.send(node, now, peer, None, remote) or sent
    if peer.cached_paths:
        peer.cached_paths = ()
    sent = _endpoints(node, now, peer, endpoints) or sent
    if not sent:
        hello.send(node, now, peer, None, None)
    return root_retry_ms(peer.hello_tries)


def _endpoints(node, now, peer, endpoints):
    """HELLO one random endpoint of each family, as the reference does."""
    sent = False
    for size in (4, 16):
        of_family = [e for e in endpoints if len(e[0]) == size]
        if of_family:
            remote = of_family[node.random(1)[0] % len(of_family)]
            if node.acceptable(peer.address, None, remote):
                sent = hello.send(node, now, peer, None, remote) or sent
    return sent


def _in_doubt(peer):
    for s in peer.slots:
        if s.asked is not None:
            return True
    return False


def _keep(node, now, peer):
    """Full HELLO on every path each 60 s, ECHO on paths that were idle for 14 s (VL1 7.13), and
    again each second on a path that owes an answer. ms until it should be called again.
    """
    peer.prune(now)
    wait = PASS_MS
    full = elapsed(now, peer.last_hello, _HELLO_MS)
    if full and peer.slots:
        peer.last_hello = now
    for s in peer.slots:
        path = s.path
        if full:
            hello.send(node, now, peer, path.local_socket, path.remote)
        elif s.asked is not None and s.probes < _GIVE_UP:
            probe(node, now, peer, s)
        elif elapsed(now, path.last_out, _HEARTBEAT_MS):
            contact(node, now, peer, path.local_socket, path.remote)
        if s.asked is not None and s.probes < _GIVE_UP:
            wait = _PROBE_MS
    return wait


def moved(node, now, peer, slot, path, greets):
    """Something came from an IP we have a working path to, but from another port. Usually the peer
    has several sockets and nothing is to be done (VL1 7.3). If it was restarted or its NAT gave it
    another port, the reference notices when the old path has been silent for 19 s. We look whether
    the old one has said anything for a second, ask there, and a second later here.
    """
    if not greets and not elapsed(now, path.last_confirm, _MOVED_MS):
        return
    path.last_confirm = now
    if node.acceptable(peer.address, path.local_socket, path.remote):
        peer.candidate = (path, now)
        if elapsed(now, slot.lr, _PROBE_MS):
            probe(node, now, peer, slot)
        node.wake(now, _PROBE_MS)


def _candidate(node, now, peer):
    path, since = peer.candidate
    slot = peer.same_ip(path, now)
    if slot is not None:
        if slot.asked is not None or not elapsed(now, since, _PROBE_MS):
            return _PROBE_MS
        if ticks_diff(slot.lr, since) <= 0:
            probe(node, now, peer, slot)
            return _PROBE_MS
    peer.candidate = None
    if slot is None and peer.confirm_allowed(now):
        hello.send(node, now, peer, path.local_socket, path.remote)
    return PASS_MS


def _waiting(peer, now):
    """Did we send something lately and hear nothing since?"""
    return peer.unanswered_since is not None and not elapsed(now, peer.last_sent, _WAITING_MS)


def _ask_over_relay(node, now, peer):
    """We send over a relay and hear nothing: is the peer there at all? The reference does not ask,
    but neither does it tell its user.
    """
    if (
        not _waiting(peer, now)
        or peer.state == STATE_UNREACHABLE
        or not elapsed(now, peer.unanswered_since, _RELAY_PROBE_MS)
        or not elapsed(now, peer.last_relay_probe, _RELAY_PROBE_MS)
        or peer.live_slot(now) is not None
        or node.relay(now, peer) is None
    ):
        return
    peer.last_relay_probe = now
    node.send(now, peer.address, VERB_ECHO)


def state(node, now, peer):
    """Work out direct, relayed or unreachable, and tell the application of a change."""
    if peer.live_slot(now) is not None:
        new = STATE_DIRECT
    elif peer.state == STATE_UNREACHABLE and peer.unanswered_since is not None:
        return
    elif _waiting(peer, now) and elapsed(now, peer.unanswered_since, _UNANSWERED_MS):
        new = STATE_UNREACHABLE
    elif peer.last_receive is not None or peer.unanswered_since is not None:
        new = STATE_RELAYED
    else:
        return
    if new != peer.state:
        peer.state = new
        if not node.topology.is_upstream(peer.address):
            node.peer_event(peer)


def online(node, now):
    """Recompute the online state (VL1 8.2)."""
    if node.topology.am_root:
        up = True
    else:
        up = False
        for address in node.topology.roots:
            if node.topology.peers[address].heard_within(now, _ONLINE_MS):
                up = True
    if up == node.online:
        return
    node.online = up
    log.info("vl1", "online" if up else "offline: no root answers; still trying")
    node.callbacks.event("online" if up else "offline", {})
    if up:
        node.vl2.came_online(now)


def network_changed(node, now):
    """Our own addresses changed: nothing that worked is known to work. Ask every root and every
    peer in use at once.
    """
    for address in node.topology.upstreams():
        peer = node.topology.peers[address]
        peer.hello_tries = 0
        peer.last_hello = None
    for peer in list(node.topology.peers.values()):
        peer.last_push = None
        if peer.active(now):
            for s in peer.slots:
                contact(node, now, peer, s.path.local_socket, s.path.remote)
