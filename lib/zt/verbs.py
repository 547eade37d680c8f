# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What the node does with each authentic VL1 verb but HELLO (VL1 section 5). One function per verb,
# reached from a table: f(node, now, rx) -> IGNORED, DONE, TRUSTED or PARK. A field that runs over
# the end of the packet raises ValueError, which the node counts; nothing else is raised.

from . import drops, hello, log
from ._compat import const, elapsed
from .const import (
    DONE,
    ERROR_IDENTITY_COLLISION,
    IGNORED,
    VERB_ACK,
    VERB_ECHO,
    VERB_ERROR,
    VERB_EXT_FRAME,
    VERB_FRAME,
    VERB_HELLO,
    VERB_MULTICAST_FRAME,
    VERB_MULTICAST_GATHER,
    VERB_MULTICAST_LIKE,
    VERB_NETWORK_CONFIG,
    VERB_NETWORK_CONFIG_REQUEST,
    VERB_NETWORK_CREDENTIALS,
    VERB_NOP,
    VERB_OK,
    VERB_PATH_NEGOTIATION_REQUEST,
    VERB_PUSH_DIRECT_PATHS,
    VERB_QOS_MEASUREMENT,
    VERB_REMOTE_TRACE,
    VERB_RENDEZVOUS,
    VERB_USER_MESSAGE,
    VERB_WHOIS,
)
from .direct import push_received, rendezvous
from .identity import Identity
from .peer import VOUCHED_ROOT

_ECHO_GATE_MS = const(166)
# The reference asks for one address in a packet and reads only the first of an answer (VL1 5.6).
# An answer is longer than its question, so neither one question nor one peer gets many: a leaf
# allows what its reference does (one per 100 ms), a root more, where the reference has no bound.
_MAX_WHOIS = const(4)
_WHOIS_LEAF = const(10)  # in a second
_WHOIS_ROOT = const(128)
_WHOIS_UNKNOWN = const(16)  # in a second: addresses of one peer's questions we ask on


def nop(node, now, rx):
    return DONE


def ignored(node, now, rx):
    node.drop(drops.IGNORED)
    return IGNORED


def hello_encrypted(node, now, rx):
    """A HELLO under another suite: only from a known peer, already authenticated."""
    if rx.n < 112:
        raise ValueError("HELLO truncated")
    identity = Identity.unpack(rx.p, 41)[0]
    if identity != rx.peer.identity:
        node.drop(drops.IDENTITY)
        return IGNORED
    return hello.finish(node, now, rx, rx.peer)


def error(node, now, rx):
    p = rx.p
    if rx.n < 38:
        raise ValueError("ERROR truncated")
    code = p[37]
    if code == ERROR_IDENTITY_COLLISION:
        asked = node.expected.find(now, bytes(p[29:37]), VERB_HELLO, rx.source) is not None
        if asked and p[28] == VERB_HELLO and node.topology.is_upstream(rx.source):
            log.error("vl1", "a root says our address belongs to another identity")
            node.callbacks.event("identity_collision", {"from": rx.source.hex()})
        return DONE
    node.vl2.error(now, rx.source, p[28], bytes(p[29:37]), code, p[38 : rx.n])
    return DONE


def ok(node, now, rx):
    p = rx.p
    if rx.n < 37:
        raise ValueError("OK truncated")
    in_re = p[28]
    in_re_id = bytes(p[29:37])
    # OK to a pushed configuration is quoted as ECHO (VL1 5.13), so look an ECHO up under both
    # verbs.
    rtt = node.expected.find(now, in_re_id, in_re, rx.source)
    if rtt is None:
        if in_re == VERB_ECHO and node.expected.find(
            now, in_re_id, VERB_NETWORK_CONFIG, rx.source
        ) is not None:  # fmt: skip
            return DONE
        node.drop(drops.UNEXPECTED)
        return IGNORED
    if in_re == VERB_HELLO:
        return hello.ok(node, now, rx, rtt)
    if in_re == VERB_ECHO:
        if rx.hops == 0:
            node.topology.path(now, rx.local_socket, rx.remote).sample(rtt)
        node.echo_answered(now, in_re_id, rx, rtt)
    elif in_re == VERB_WHOIS:
        if not node.topology.is_upstream(rx.source):
            node.drop(drops.UNEXPECTED)
            return IGNORED
        identity = Identity.unpack(p[: rx.n], 37)[0]
        if identity.private is not None:
            raise ValueError("identity with a private key on the wire")
        if identity.address != node.expected.about(in_re_id):
            node.drop(drops.UNEXPECTED)
            return IGNORED
        node.peer_learned(now, identity, VOUCHED_ROOT)
    else:
        node.vl2.ok(now, rx.source, in_re, in_re_id, p[37 : rx.n])
    return DONE


def whois(node, now, rx):
    peer = rx.peer
    if not peer.whois_allowed(now, _WHOIS_ROOT if node.topology.am_root else _WHOIS_LEAF):
        node.drop(drops.GATED)
        return IGNORED
    parts = [bytes([VERB_WHOIS]), rx.id]
    end = min(rx.n, 28 + 5 * _MAX_WHOIS)
    for o in range(28, end - 4, 5):
        address = bytes(rx.p[o : o + 5])
        if address == node.address:
            parts.append(node.identity.pack())
            continue
        found = node.topology.find(now, address, True)
        if found is not None:
            parts.append(found.identity.pack())
        elif not node.topology.is_upstream(rx.source) and peer.whois_unknown < _WHOIS_UNKNOWN:
            # Not for another root: two that both do not know would ask each other for ever.
            peer.whois_unknown += 1
            node.whois(now, address, False)
    if len(parts) > 2:
        node.reply(now, peer, rx, VERB_OK, parts)
    return DONE


def echo(node, now, rx):
    # The gate is of the path (VL1 7.9), but peers behind one relay must not share it.
    gate = node.topology.path(now, rx.local_socket, rx.remote) if rx.hops == 0 else rx.peer
    if not elapsed(now, gate.last_echo_answer, _ECHO_GATE_MS):
        node.drop(drops.GATED)
        return IGNORED
    gate.last_echo_answer = now
    node.reply(now, rx.peer, rx, VERB_OK, (bytes([VERB_ECHO]), rx.id, rx.p[28 : rx.n]))
    return DONE


def user_message(node, now, rx):
    if rx.n < 36:
        raise ValueError("USER_MESSAGE truncated")
    node.callbacks.event(
        "user_message",
        {
            "source": rx.source.hex(),
            "type": bytes(rx.p[28:36]).hex(),
            "data": bytes(rx.p[36 : rx.n]),
        },
    )
    return DONE


def vl2(node, now, rx):
    return node.vl2.handle(now, rx.verb, rx.source, rx.id, rx.p[28 : rx.n], node.rx_reply)


TABLE = {
    VERB_NOP: nop,
    VERB_HELLO: hello_encrypted,
    VERB_ERROR: error,
    VERB_OK: ok,
    VERB_WHOIS: whois,
    VERB_RENDEZVOUS: rendezvous,
    VERB_FRAME: vl2,
    VERB_EXT_FRAME: vl2,
    VERB_ECHO: echo,
    VERB_MULTICAST_LIKE: vl2,
    VERB_NETWORK_CREDENTIALS: vl2,
    VERB_NETWORK_CONFIG_REQUEST: vl2,
    VERB_NETWORK_CONFIG: vl2,
    VERB_MULTICAST_GATHER: vl2,
    VERB_MULTICAST_FRAME: vl2,
    VERB_PUSH_DIRECT_PATHS: push_received,
    VERB_ACK: ignored,
    VERB_QOS_MEASUREMENT: ignored,
    VERB_USER_MESSAGE: user_message,
    VERB_REMOTE_TRACE: nop,
    VERB_PATH_NEGOTIATION_REQUEST: ignored,
}
