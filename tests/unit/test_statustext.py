# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What `zt status` says of a node's counters.

from zt import statustext


def _status(received=0, dropped=None, plane=None):
    c = {"received": received, "relayed": 0, "evicted": 0, "dropped": dropped or {}}
    if plane is not None:
        c["plane"] = plane
    return {"counters": c}


def _network(nwid, numbers, drops):
    c = dict(zip(("rxFrames", "rxBytes", "txFrames", "txBytes"), numbers))
    c["drops"] = drops
    return {"nwid": nwid, "counters": c}


def _peer(i, rx, tx):
    c = {"rxPackets": rx, "rxBytes": 100 * rx, "txPackets": tx, "txBytes": 100 * tx}
    return {"address": "%010x" % i, "counters": c}


def test_a_node_that_has_done_nothing_has_nothing_to_say():
    assert statustext.lines(_status(), [], [], False) == []
    assert statustext.lines(_status(plane={}), [], [{"address": "1"}, _peer(1, 0, 0)], True) == []


def test_only_what_is_not_zero_is_shown_the_worst_cause_first():
    dropped = {"mac": 2, "short": 30, "gated": 0}
    plane = {"tx": 5, "rx": 7, "rx_datagrams": 0, "mac": 1, "wire": 0, "event_lost": 4}
    assert statustext.lines(_status(9, dropped, plane), [], [], False) == [
        "node     received 9",
        "dropped  short 30, mac 2",
        "plane    rx 7, tx 5",
        "dropped  event_lost 4, mac 1",
    ]


def test_networks_with_what_they_dropped():
    nets = [
        _network("ffff000000000001", (4000000000, 5, 6, 7), {"rules_in": 3, "rules_out": 0}),
        _network("1111000000000001", (0, 0, 0, 0), {"rules_in": 0}),
    ]
    lines = statustext.lines(_status(), nets, [], False)
    assert [x.split() for x in lines] == [
        "NETWORK RX FRAMES RX BYTES TX FRAMES TX BYTES DROPPED".split(),
        "1111000000000001 0 0 0 0 -".split(),
        "ffff000000000001 4000000000 5 6 7 rules_in 3".split(),
    ]


def test_the_busiest_peers_first_and_how_many_more():
    peers = [_peer(i, i, 1) for i in range(8)] + [{"address": "f" * 10}, _peer(9, 0, 0)]
    short = statustext.lines(_status(), [], peers, False)
    assert [x.split()[0] for x in short[1:6]] == ["%010x" % i for i in (7, 6, 5, 4, 3)]
    assert short[1].split() == ["0000000007", "7", "700", "1", "100"]
    assert short[6:] == ["and 3 more: zt status --counters"]
    everybody = statustext.lines(_status(), [], peers, True)
    assert len(everybody) == 9 and everybody[-1].split()[0] == "0000000000"
