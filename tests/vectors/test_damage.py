# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Damaged packets at a Node: every truncation and flipped bits of every packet in the vectors must
# be dropped and counted, and nothing may raise. Every seventh bit by default, all of them with
# ZT_DAMAGE=all.

import json
import os

import nodes
import wire
from zt import packet
from zt.identity import Identity
from zt.netconf import NetworkConfig

HERE = os.path.dirname(os.path.abspath(__file__))
STEP = 1 if os.environ.get("ZT_DAMAGE") == "all" else 7


def load(name):
    with open(os.path.join(HERE, name)) as f:
        return json.load(f)


def unhex(s):
    return bytes.fromhex(s)


def truncations(data):
    for n in range(len(data)):
        yield data[:n]


def flips(data, first=0):
    for bit in range(first % STEP, len(data) * 8, STEP):
        out = bytearray(data)
        out[bit // 8] ^= 1 << bit % 8
        yield bytes(out)


def datagrams(document):
    """Every datagram of vl1.json."""
    for c in document["packets"]:
        yield unhex(c["armored"])
        yield unhex(c["armored_hops2"])
    for group in ("hello", "ok_hello", "trusted_path"):
        for c in document[group]:
            yield unhex(c["wire"])
    for c in document["fragmentation"]:
        yield unhex(c["armored_whole"])
        for d in c["datagrams"]:
            yield unhex(d)
    for d in document["conversation"]["datagrams"]:
        if "datagram" in d:
            yield unhex(d["datagram"])


def node_for(people, address, planet):
    """A Node with one of the identities, to which the others are known."""
    lone = nodes.Lone(people[address].text(True), planet)
    for ident in people.values():
        if ident.address != address:
            lone.node.topology.add_peer(lone.now, ident)
    return lone


def held(node):
    """Packets that wait for something; they are counted when they are given up."""
    slots = [s for s in node.reassembly.slots if s is not None and s.id is not None]
    return len(node.parked.items) + len(slots)


def counted(node):
    return sum(node.drops) + node.relayed


def without_hops(data):
    """Hop counts are the one thing in a packet that may change on its way."""
    if len(data) <= packet.IDX_FLAGS:
        return data
    at = packet.IDX_FRAGMENT_HOPS if data[13] == 0xFF else packet.IDX_FLAGS
    return data[:at] + bytes([data[at] & 0xF8]) + data[at + 1 :]


def test_every_damaged_datagram_is_dropped_and_counted():
    document = load("vl1.json")
    people = {}
    for i in document["identities"]:
        ident = Identity.parse(i["secret_string"])
        people[ident.address] = ident
    planet = unhex(document["worlds"][0]["serialized"])
    receivers = {a: node_for(people, a, planet) for a in people}
    every = list(dict.fromkeys(datagrams(document)))
    tried = 0
    for data in every:
        if data[8:13] not in receivers:
            continue
        node = receivers[data[8:13]].node
        for damaged in list(truncations(data)) + list(flips(data, tried)):
            node.reassembly = packet.Reassembly(8)
            node.parked.items.clear()
            received, before = node.received, counted(node)
            receivers[data[8:13]].receive(damaged)
            tried += 1
            if without_hops(damaged) == without_hops(data):
                continue
            assert node.received == received, "accepted: " + damaged.hex()
            assert counted(node) + held(node) > before, "not counted: " + damaged.hex()
        receivers[data[8:13]].tick(600)
    assert tried > 40000


def test_packets_damaged_on_purpose_are_dropped_and_counted():
    document = load("vl1.json")
    people = {}
    for i in document["identities"]:
        ident = Identity.parse(i["secret_string"])
        people[ident.address] = ident
    for c in document["packets_rejected"]:
        data = unhex(c["armored"])
        lone = node_for(people, data[8:13], None)
        lone.receive(data)
        assert lone.node.received == 0, c["why"]
        assert counted(lone.node) + held(lone.node) == 1, c["why"]


def test_what_is_held_is_given_up_and_counted():
    document = load("vl1.json")
    people = {}
    for i in document["identities"]:
        ident = Identity.parse(i["secret_string"])
        people[ident.address] = ident
    alone = nodes.Lone(next(iter(people.values())).text(True))
    node = alone.node
    sent = 0
    for c in document["packets"]:
        data = unhex(c["armored"])
        if data[8:13] == node.address and c["suite"] == 1:
            alone.receive(data)
            sent += 1
    fragments = [unhex(d) for c in document["fragmentation"] for d in c["datagrams"][1:]]
    for data in fragments:
        alone.receive(node.address.join((data[:8], data[13:])))
    before = counted(node)
    assert held(node) > 0
    for _ in range(40):
        alone.tick(1000)
    assert held(node) == 0
    assert counted(node) + node.reassembly.lost >= before + sent


def member(document):
    """Node A of the VL2 vectors, in their network; all others are known to it."""
    people = {
        unhex(p["address"]): Identity.parse(p["secret"]) for p in document["identities"].values()
    }
    me = unhex(document["identities"]["A"]["address"])
    lone = node_for(people, me, None)
    nwid = unhex(document["network_id"])
    lone.node.join(lone.now, nwid)
    config = NetworkConfig.parse(unhex(document["inbound"][0]["config"]))
    lone.node.vl2.networks[nwid].apply(lone.now, config, True)
    return lone, people


def payloads(document):
    """(source, verb, payload) of what the VL2 vectors send to A."""
    for c in document["inbound"]:
        yield unhex(c["from"]), c["verb"], unhex(c["payload"])
    for group in ("config_chunks", "config_error"):
        for c in document[group]:
            for p in c["packets"]:
                yield unhex(document["network_id"])[:5], p["verb"], unhex(p["payload"])
    for c in document["config_chunk_accept"]:
        yield unhex(c["source"]), 12, unhex(c["chunk"])
    for c in document["rule_eval"]:
        for p in c["emitted"]:
            yield unhex(document["identities"]["B"]["address"]), p["verb"], unhex(p["payload"])


def test_authentic_nonsense_is_survived_and_counted():
    # Damaged first and sealed then: this is what a malicious member can send.
    document = load("vl2.json")
    lone, people = member(document)
    node = lone.node
    seen = set()
    count = 0
    for source, verb, payload in payloads(document):
        if (verb, payload) in seen or source == node.address:
            continue
        seen.add((verb, payload))
        key = people[source].agree(people[node.address])
        for damaged in list(truncations(payload)) + list(flips(payload, count)):
            count += 1
            lone.now += 1
            ident = count.to_bytes(8, "big")
            if verb == 3 and len(damaged) >= 9:  # an OK must answer something
                about = damaged[9:14]
                node.expected.add(lone.now, damaged[1:9], damaged[0], source, about)
            data = wire.sealed(key, ident, node.address, source, 0, bytes([verb]) + damaged, 1)
            before = node.received + counted(node) + sum(node.vl2.drops) + held(node)
            for net in node.vl2.networks.values():
                before += sum(net.drops)
            lone.receive(data)
            after = node.received + counted(node) + sum(node.vl2.drops) + held(node)
            for net in node.vl2.networks.values():
                after += sum(net.drops)
            node.parked.items.clear()
            assert after > before or held(node), "verb %d: %s" % (verb, damaged.hex())
            lone.sent.clear()
            lone.frames.clear()
    assert count > 10000
