# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The node's state as plain dicts in the shapes of the original service's JSON (VL2 8.2). Reads,
# never changes; never shows a secret.

from . import drops, inet
from ._compat import ticks_diff
from .const import VERSION, VERSION_MAJOR, VERSION_MINOR, VERSION_REVISION
from .path import LATENCY_UNKNOWN
from .peer import STATE_NAMES, VOUCHED_NAMES

_MOVED = ("rxPackets", "rxBytes", "txPackets", "txBytes")


def _number(b8):
    return int.from_bytes(b8, "big")


def status(node):
    planet = node.topology.planet
    return {
        "address": node.address.hex(),
        "clock": node.clock(),
        "online": node.online,
        "planetWorldId": _number(planet.id) if planet else 0,
        "planetWorldTimestamp": _number(planet.timestamp) if planet else 0,
        "publicIdentity": node.identity.text(),
        "tcpFallbackActive": False,
        "version": VERSION,
        "versionBuild": 0,
        "versionMajor": VERSION_MAJOR,
        "versionMinor": VERSION_MINOR,
        "versionRev": VERSION_REVISION,
        "surfaceAddresses": [inet.text(ip, port) for ip, port in node.surface.addresses(node.now)],
        "counters": counters(node),
        "identityCheck": "self" if node.can_validate else "root",
    }


def counters(node):
    """What went through and what was dropped, by cause; not part of the original's answer."""
    out = {"received": node.received, "relayed": node.relayed, "evicted": node.topology.evicted}
    out["dropped"] = {name: node.drops[i] for i, name in enumerate(drops.NAMES) if node.drops[i]}
    out["refused"] = dict(node.limits.refused)
    if node.plane is not None:
        out["plane"] = node.plane.counters()
    return out


def peers(node):
    if node.plane is not None:
        node.plane.sync.peers(node.now)
    return [peer(node, p) for p in node.topology.peers.values()]


def peer(node, p):
    now = node.now
    wall = node.clock()
    best = p.best_slot(now)
    latency = p.latency(now)
    known = p.version != (0, 0, 0)
    major, minor, rev = p.version if known else (-1, -1, -1)
    d = {
        "address": p.address.hex(),
        "isBonded": False,
        "latency": latency if latency != LATENCY_UNKNOWN else -1,
        "paths": [_path(node, s, s is best, now, wall) for s in p.slots],
        "role": "PLANET" if node.topology.is_upstream(p.address) else "LEAF",
        "state": STATE_NAMES[p.state],
        "tunneled": False,
        "identityFrom": VOUCHED_NAMES[p.vouched],
        "version": "%d.%d.%d" % (major, minor, rev),
        "versionMajor": major,
        "versionMinor": minor,
        "versionRev": rev,
    }
    if p.moved is not None:
        # Frames that the data plane moved; what goes through Python is not counted by peer.
        d["counters"] = dict(zip(_MOVED, p.moved))
    return d


def _path(node, slot, preferred, now, wall):
    p = slot.path
    expired = slot.expired(now)
    return {
        "active": not expired,
        "address": inet.text(p.remote[0], p.remote[1]),
        "expired": expired,
        "lastReceive": _wall(p.last_in, now, wall),
        "lastSend": _wall(p.last_out, now, wall),
        "localSocket": p.local_socket if p.local_socket is not None else -1,
        "preferred": preferred,
        "trustedPathId": 0,
    }


def _wall(then, now, wall):
    return wall - ticks_diff(now, then) if then is not None else 0


def networks(node):
    return [n.describe() for n in node.vl2.networks.values()]
