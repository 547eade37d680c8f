# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What a node has counted, as lines for people: from the answers of /status, /network and /peer.
# Only what is not zero is shown. Knows nothing of how the answers are fetched.

from ._compat import const
from .cmd_node import table

_PEERS = const(5)  # without --counters
_NODE_TRAFFIC = ("received", "relayed", "evicted")
_PLANE_TRAFFIC = (
    "rx",
    "tx",
    "events",
    "rx_messages",
    "rx_datagrams",
    "tx_messages",
)


def in_order(counts, names):
    """`name count` of those of `names` that are not zero."""
    return ", ".join(["%s %d" % (name, counts[name]) for name in names if counts.get(name)])


def causes(counts):
    """`name count` of those that are not zero, the largest first."""
    found = [(-counts[name], name) for name in counts if counts[name]]
    return ", ".join(["%s %d" % (name, -n) for n, name in sorted(found)])


def node_lines(counters):
    plane = counters.get("plane", {})
    lost = {name: plane[name] for name in plane if name not in _PLANE_TRAFFIC}
    found = (
        ("node     ", in_order(counters, _NODE_TRAFFIC)),
        ("dropped  ", causes(counters["dropped"])),
        ("plane    ", in_order(plane, _PLANE_TRAFFIC)),
        ("dropped  ", causes(lost)),
    )
    return [head + text for head, text in found if text]


def network_lines(networks):
    rows = [("NETWORK", "RX FRAMES", "RX BYTES", "TX FRAMES", "TX BYTES", "DROPPED")]
    for n in sorted(networks, key=lambda n: n["nwid"]):
        c = n["counters"]
        rows.append((n["nwid"],) + _numbers(c, "Frames") + (causes(c["drops"]) or "-",))
    return table(rows) if len(rows) > 1 else []


def _numbers(c, what):
    return (str(c["rx" + what]), str(c["rxBytes"]), str(c["tx" + what]), str(c["txBytes"]))


def _busy(peer):
    return peer["counters"]["rxBytes"] + peer["counters"]["txBytes"]


def peer_lines(peers, everybody):
    """The peers whose frames the data plane moved, the busiest first."""
    found = [p for p in peers if "counters" in p and _busy(p)]
    found.sort(key=_busy, reverse=True)
    rows = [("PEER", "RX PACKETS", "RX BYTES", "TX PACKETS", "TX BYTES")]
    for p in found if everybody else found[:_PEERS]:
        rows.append((p["address"],) + _numbers(p["counters"], "Packets"))
    if len(rows) == 1:
        return []
    left = len(found) - len(rows) + 1
    return table(rows) + (["and %d more: zt status --counters" % left] if left else [])


def lines(status, networks, peers, everybody):
    out = node_lines(status["counters"])
    return out + network_lines(networks) + peer_lines(peers, everybody)
