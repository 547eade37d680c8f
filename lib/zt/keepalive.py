# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The node's periodic work on peers: reaching the roots, keeping paths open, noticing that a peer
# or all roots are gone (VL1 7.13, 8.1, 8.2). Unlike the reference it does not wait for a 5 s pass
# to act on news; the pass only catches what nothing else woke.

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
_ROOT_PROBE_MS = const(20000)  # a root silent for this long is asked every pass
_UNANSWERED_MS = const(20000)
_BACKOFF_MAX = const(6)  # 1, 2, 4, 8, 16, 32 then 60 s between HELLOs to a root that never answers


def root_retry_ms(tries):
    """How long to wait after the n-th unanswered HELLO to a root."""
    if tries <= 0:
        return 0
    return min(1000 << min(tries - 1, _BACKOFF_MAX), 60000)


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
        elif elapsed(now, peer.last_hello, _CONTACT_HELLO_MS):
            _keep(node, now, peer)
            if not peer.best_path(now):
                hello.send(node, now, peer, None, None)
                peer.last_hello = now
    for address in list(topology.peers):
        if topology.is_upstream(address) or address in always:
            continue
        peer = topology.peers.get(address)
        if peer is None:
            continue
        if peer.active(now):
            _keep(node, now, peer)
        state(node, now, peer)
    online(node, now)
    return wait


def _root(node, now, peer, endpoints, is_best):
    """Keep one root reachable; ms until it wants attention again."""
    if peer.best_path(now) is not None:
        peer.hello_tries = 0
        if elapsed(now, peer.last_hello, _ROOT_HELLO_MS):
            peer.last_hello = now
            for s in peer.slots:
                hello.send(node, now, peer, s.path.local_socket, s.path.remote)
            _endpoints(node, now, peer, endpoints)
        elif is_best:
            # The reference keeps its NAT mapping open by a WHOIS every 5 s; an ECHO does it in
            # fewer bytes.
            path = peer.best_path(now)
            silent = not peer.heard_within(now, _ROOT_PROBE_MS)
            if silent or elapsed(now, path.last_out, _HEARTBEAT_MS):
                node.send_to(now, peer, path.local_socket, path.remote, VERB_ECHO, ())
                if silent:
                    _endpoints(node, now, peer, endpoints)
        return PASS_MS
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


def _keep(node, now, peer):
    """Full HELLO on every path each 60 s, ECHO on paths that were idle for 14 s (VL1 7.13)."""
    peer.prune(now)
    full = elapsed(now, peer.last_hello, _HELLO_MS)
    if full and peer.slots:
        peer.last_hello = now
    for s in peer.slots:
        path = s.path
        if full:
            hello.send(node, now, peer, path.local_socket, path.remote)
        elif elapsed(now, path.last_out, _HEARTBEAT_MS):
            contact(node, now, peer, path.local_socket, path.remote)


def state(node, now, peer):
    """Work out direct, relayed or unreachable, and tell the application of a change."""
    if peer.best_path(now) is not None:
        new = STATE_DIRECT
    elif peer.unanswered_since is not None and elapsed(now, peer.unanswered_since, _UNANSWERED_MS):
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
