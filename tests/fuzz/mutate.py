# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Feeds mutated packets to three Nodes (a member, the network's controller, the root) through
# process_wire_packet. Most are damaged in the clear and sealed then, so that the parsers meet what
# a malicious peer can send; some are damaged on the wire. An exception ends the run with status 1
# and shows how to repeat it.
#
# usage: mutate.py RUNS [SEED]

import json
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
VECTORS = os.path.join(TOP, "tests", "vectors")
sys.path[:0] = [os.path.join(TOP, "lib"), os.path.join(TOP, "tests"), VECTORS]

import nodes  # noqa: E402
import oracle  # noqa: E402
import pcap  # noqa: E402
import wire  # noqa: E402
from zt import crypto, drops, netconf, packet, world  # noqa: E402
from zt.controller import Controller  # noqa: E402
from zt.identity import Identity  # noqa: E402

TELLING = b"\x00\x01\x02\x04\x06\x07\x10\x1f\x20\x3f\x40\x7f\x80\xfe\xff"
MAX_PAYLOAD = 9900


def load(name):
    with open(os.path.join(VECTORS, name)) as f:
        return json.load(f)


def unhex(s):
    return bytes.fromhex(s)


def seeds(vl1, vl2):
    """Clear packets, verb byte first: those of the vectors and, where they can be opened, of the
    recordings.
    """
    found = {unhex(c["plain_verb_and_payload"]) for c in vl1["packets"]}
    for c in vl1["ok_hello"] + vl1["conversation"]["datagrams"]:
        if "clear_verb_and_payload" in c:
            found.add(unhex(c["clear_verb_and_payload"]))
    for group in (
        "inbound",
        "config_chunks",
        "config_error",
        "config_request",
        "local_ethernet",
        "rule_eval",
    ):
        for c in vl2[group]:
            for p in c.get("packets", []) + c.get("emitted", []) + c.get("replies", []):
                found.add(bytes([p["verb"]]) + unhex(p["payload"]))
            if "payload" in c:
                found.add(bytes([c["verb"]]) + unhex(c["payload"]))
    for folder in ("salsa", "aes"):
        found.update(recorded(os.path.join(VECTORS, "recordings", folder)))
    return sorted(found)


def recorded(folder):
    if not oracle.available():
        return
    people = {}
    for name in ("root", "ca", "cb"):
        with open(os.path.join(folder, name + ".identity.secret")) as f:
            ident = Identity.parse(f.read())
        people[ident.address] = ident
    keys = {(a, b): people[a].agree(people[b]) for a in people for b in people if a != b}
    joiner = wire.Joiner()
    for d in pcap.datagrams(os.path.join(folder, "wire.pcap"))[0]:
        whole = joiner.add(d.payload) if len(d.payload) > 16 else None
        if whole and packet.suite(whole) == 3:
            clear = oracle.opened(keys[whole[13:18], whole[8:13]], whole)
            yield wire.decompressed(clear)


class Field:
    """The nodes, their keys, and the counters of what happened."""

    def __init__(self, vl1, vl2):
        self.people = {
            unhex(p["address"]): Identity.parse(p["secret"]) for p in vl2["identities"].values()
        }
        root = Identity.parse(vl1["identities"][-1]["secret_string"])
        self.people[root.address] = root
        ends = [(root, [(bytes((10, 77, 0, 1)), 9993)])]
        planet = world.World.make(
            world.PLANET, bytes(7) + b"\x09", bytes(8), root.private, root.public, ends
        ).pack()
        self.nwid = unhex(vl2["network_id"])
        member = unhex(vl2["identities"]["A"]["address"])
        self.config = netconf.NetworkConfig.parse(unhex(vl2["inbound"][0]["config"]))
        self.lones = [self.make(a, planet) for a in (member, self.nwid[:5], root.address)]
        self.lones[0].node.join(1000, self.nwid)
        owner = self.lones[1]
        controller = Controller(owner.node.identity, owner.storage, owner.node.clock, owner.random)
        owner.node.attach_controller(controller)
        controller.put_network(1000, self.nwid, {"private": True, "v4AssignMode": {"zt": True}})
        for address in list(self.people)[:4]:
            controller.put_member(1000, self.nwid, address, {"authorized": True})
        self.keys = {}
        self.renew()

    def make(self, address, planet):
        lone = nodes.Lone(self.people[address].text(True), planet)
        for ident in self.people.values():
            if ident.address != address:
                lone.node.topology.add_peer(lone.now, ident)
        return lone

    def renew(self):
        """Put the member's configuration back in force; a mutant may have replaced it."""
        net = self.lones[0].node.vl2.networks.get(self.nwid)
        if net is None:
            net = self.lones[0].node.join(self.lones[0].now, self.nwid)
        net.apply(self.lones[0].now, self.config, True)

    def key(self, a, b):
        if (a, b) not in self.keys:
            self.keys[a, b] = self.people[a].agree(self.people[b])
        return self.keys[a, b]


class Mutator:
    def __init__(self, rng, corpus):
        self.rng = rng
        self.corpus = corpus

    def clear(self):
        """A clear packet, damaged in up to four ways; sometimes not at all."""
        rng = self.rng
        data = bytearray(rng.choice(self.corpus))
        for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3, 4))):
            self.damage(data)
        if not data:
            data.append(rng.randrange(256))
        return bytes(data[:MAX_PAYLOAD])

    def damage(self, data):
        rng = self.rng
        kind = rng.randrange(9)
        at = rng.randrange(len(data)) if data else 0
        if not data:
            data.extend(rng.randbytes(rng.randrange(1, 40)))
        elif kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at] = rng.choice(TELLING)
        elif kind == 2:
            del data[at:]
        elif kind == 3:
            data.extend(rng.randbytes(rng.randrange(1, 64)))
        elif kind == 4:
            del data[at : at + rng.randrange(1, 32)]
        elif kind == 5:
            data[at:at] = rng.randbytes(rng.randrange(1, 32))
        elif kind == 6:
            other = rng.choice(self.corpus)
            data[at:] = other[rng.randrange(len(other)) :]
        elif kind == 7:
            end = min(len(data), at + rng.choice((2, 4, 8)))
            data[at:end] = rng.choice((b"\xff", b"\x00", b"\x7f", b"\x80")) * (end - at)
        else:
            data[0] = rng.randrange(256)


def one(field, rng, mutator):
    """(node, datagrams) of one run."""
    lone = rng.choice(field.lones)
    node = lone.node
    people = list(field.people)
    source = rng.choice([a for a in people if a != node.address])
    clear = mutator.clear()
    verb = clear[0] & 31
    if verb == 3 and len(clear) > 9 and rng.random() < 0.9:  # make it an answer to something
        node.expected.add(lone.now, clear[2:10], clear[1], source, clear[10:15])
    if clear[0] & packet.FLAG_COMPRESSED == 0 and rng.random() < 0.03:
        clear = bytes([clear[0] | packet.FLAG_COMPRESSED]) + clear[1:]
    suite = 0 if rng.random() < 0.1 else 1
    split = len(clear) > 1400 or rng.random() < 0.02
    flags = packet.FLAG_FRAGMENTED if split else 0
    key = field.key(source, node.address)
    ident = rng.randbytes(8)
    if verb == 1 and rng.random() < 0.8:  # so that the masked end comes out as it was meant
        buf = bytearray(ident + node.address + source + bytes(9) + clear)
        crypto.hello_mask(key, buf, min(len(buf), rng.choice((135, 147, 129, len(buf)))), len(buf))
        clear, suite = bytes(buf[27:]), 0
    data = wire.sealed(key, ident, node.address, source, flags, clear, suite)
    pieces = [data]
    if split:
        mtu = rng.choice((100, 1432)) if len(data) < 600 else 1432
        total = packet.pieces(len(data), mtu)
        out = bytearray(mtu)
        pieces = [data[:mtu]]
        for i in range(1, min(total, 16)):
            pieces.append(
                bytes(out[: packet.fragment(data, i, min(total, 15), len(data), out, mtu)])
            )
        rng.shuffle(pieces)
    if rng.random() < 0.08:
        broken = bytearray(rng.choice(pieces))
        mutator.damage(broken)
        pieces.append(bytes(broken))
    return lone, pieces


def main(runs, seed):
    vl1, vl2 = load("vl1.json"), load("vl2.json")
    field = Field(vl1, vl2)
    corpus = seeds(vl1, vl2)
    rng = random.Random(seed)
    mutator = Mutator(rng, corpus)
    began = time.monotonic()
    fed = 0
    for i in range(runs):
        lone, pieces = one(field, rng, mutator)
        try:
            for data in pieces:
                remote = rng.choice(
                    (nodes.HERE, nodes.THERE, (bytes((10, 77, 0, rng.randrange(1, 9))), 9993))
                )
                lone.receive(data, remote)
                fed += 1
            lone.now = lone.now + rng.randrange(300) & (1 << 30) - 1
            if i % 16 == 0:
                lone.tick(rng.randrange(700))
        except Exception:
            sys.stderr.write(
                "run %d of seed %d: %s\n" % (i, seed, " ".join(d.hex() for d in pieces))
            )
            raise
        lone.sent.clear()
        lone.frames.clear()
        if i % 500 == 0:
            field.renew()
    seconds = time.monotonic() - began
    print(
        "%d runs, %d datagrams, seed %d, %.0f s, crypto %s, 0 exceptions"
        % (runs, fed, seed, seconds, crypto.BACKEND)
    )
    for name, lone in zip(("member", "controller", "root"), field.lones):
        node = lone.node
        causes = ", ".join("%s %d" % (drops.NAMES[i], n) for i, n in enumerate(node.drops) if n)
        print(
            "%s: %d received, %d relayed; dropped: %s"
            % (name, node.received, node.relayed, causes)
        )


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit("usage: mutate.py RUNS [SEED]")
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
