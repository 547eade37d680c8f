# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Checks a capture of real nodes with their identities in hand: every packet authentic, put
# together, opened and parsed to its last byte, every signature good, and the configurations in it
# those that the controller was told to give. What the recording holds comes from its folder,
# nothing from here.

import glob
import json
import os

import dissect
import oracle
import pcap
import wire
from harness import NotBuilt, need, same
from zt import const, packet


def check(folder, note):
    """Yield (case, result); tell `note` the counts."""
    identity = need("zt.identity")
    need("zt.credential")
    need("zt.netconf")
    people = {}
    for path in sorted(glob.glob(os.path.join(folder, "*.identity.secret"))):
        with open(path) as f:
            ident = identity.Identity.parse(f.read())
        people[ident.address] = ident
    recording = Recording(folder, people)
    yield from recording.packets()
    yield from recording.aggregate()
    note(recording.summary())


class Recording:
    def __init__(self, folder, people):
        self.folder = folder
        self.people = people
        self.keys = {}
        self.names = {}
        self.opened = 0
        self.closed = 0
        self.by_oracle = 0
        self.fragments = 0
        self.beacons = 0
        self.signatures = 0
        self.configs = {}  # nwid -> address -> list of NetworkConfigs
        self.assemblers = {}
        self.credentials = []
        self.hello_seen = {}

    def summary(self):
        verbs = ", ".join("%s %d" % (k, self.names[k]) for k in sorted(self.names))
        return (
            "%s: %d packets opened by lib/zt and parsed; %d under a cipher it does not have, %d of"
            " those opened by the tests' own and parsed; %d later fragments, %d other datagrams;"
            " %d signatures good\n  %s"
        ) % (
            self.folder,
            self.opened,
            self.closed,
            self.by_oracle,
            self.fragments,
            self.beacons,
            self.signatures,
            verbs,
        )

    def key(self, a, b):
        if (a, b) not in self.keys:
            self.keys[a, b] = self.people[a].agree(self.people[b])
        return self.keys[a, b]

    def packets(self):
        found, missing = pcap.datagrams(os.path.join(self.folder, "wire.pcap"))
        yield "IP fragments", None if not missing else "%d packets lack a piece" % missing
        joiner = wire.Joiner()
        waiting = set()
        for i, d in enumerate(found):
            if len(d.payload) <= 16:
                # Four random bytes that open a NAT; not packets (VL1 5.8).
                self.beacons += 1
                continue
            fragment = packet.is_fragment(d.payload)
            self.fragments += fragment
            try:
                whole = joiner.add(d.payload)
                if whole is None:
                    waiting.add(bytes(d.payload[:8]))
                    continue
                waiting.discard(whole[:8])
                result = self.one(whole)
            except NotBuilt as e:
                self.closed += 1
                result = e
            except Exception as e:
                result = "%s: %s" % (type(e).__name__, e)
            yield "%d at %.3f s" % (i, d.seconds), result
        yield "reassembly", None if not waiting else "%d packets lack a fragment" % len(waiting)

    def one(self, whole):
        source, dest = bytes(whole[13:18]), bytes(whole[8:13])
        if source not in self.people or dest not in self.people:
            raise AssertionError("a node whose identity is not in the folder")
        suite = packet.suite(whole)
        key = self.key(source, dest)
        built = suite in wire.SUITES
        if built:
            clear = wire.opened(key, whole)
        elif suite == 3 and oracle.available():
            clear = oracle.opened(key, whole)
            same("authentic", clear is not None, True)
            clear = wire.decompressed(clear)
        else:
            raise NotBuilt("recording[suite %d]" % suite)
        if clear[0] & 31 == const.VERB_HELLO and suite == 0:
            clear = wire.unmasked(key, whole, clear, wire.hello_tail(clear))
        p = dissect.packet(clear[0] & 31, clear[1:])
        name = dissect.name(p)
        self.names[name] = self.names.get(name, 0) + 1
        self.content(p, source, dest, whole)
        if not built:
            self.by_oracle += 1
            raise NotBuilt("recording[suite %d]" % suite)
        self.opened += 1
        return None

    def content(self, p, source, dest, whole):
        """What must hold of a packet beyond its form."""
        if p.verb == const.VERB_HELLO:
            same("identity", p.identities[0] == self.people[source], True)
            self.hello_seen[bytes(whole[:8])] = p.fields["timestamp"]
        if p.verb == const.VERB_OK and p.fields["in_re_verb"] == const.VERB_HELLO:
            seen = self.hello_seen.get(bytes.fromhex(p.fields["in_re_id"]))
            if seen is not None:
                same("echoed timestamp", p.fields["timestamp"], seen)
        for ident in p.identities:
            if ident.address in self.people:
                same("identity", ident == self.people[ident.address], True)
        for w in p.worlds:
            same("signature of a world", w.verify_with(w.update_key), True)
            self.signatures += 1
        for item in p.signed:
            self.credential(item)
        for chunk in p.chunks:
            self.chunk(chunk, source, dest, whole)

    def credential(self, item):
        credential = need("zt.credential")
        same("verdict on " + type(item).__name__, item.verify(self.people.get), credential.OK)
        self.signatures += 1
        self.credentials.append(item)

    def chunk(self, chunk, source, dest, whole):
        netconf = need("zt.netconf")
        controller = self.people[chunk.nwid[:5]]
        same("signature of a chunk", controller.verify(chunk.signed_bytes, chunk.signature), True)
        self.signatures += 1
        assembler = self.assemblers.setdefault((dest, chunk.nwid), netconf.ChunkAssembler())
        update, _, text = assembler.add(chunk, source, whole[:8], controller)
        if text is None:
            return
        same("update", update, chunk.update_id)
        config = netconf.NetworkConfig.parse(text)
        same("packed again", config.pack(), text)
        same("issued to", config.issued_to, dest)
        held = [config.capabilities, config.tags, config.coos]
        for item in [config.com] + [c for kind in held for c in kind]:
            if item:
                self.credential(item)
                same("holder", item.issued_to, dest)
        self.configs.setdefault(chunk.nwid, {}).setdefault(dest, []).append(config)

    # --- the whole

    def aggregate(self):
        world = need("zt.world")

        def planet():
            with open(os.path.join(self.folder, "planet"), "rb") as f:
                data = f.read()
            w, end = world.World.unpack(data, 0)
            same("end", end, len(data))
            same("packed", w.pack(), data)
            roots = [i.address for i, _ in w.roots]
            same("roots have identities here", [a for a in roots if a not in self.people], [])

        yield from named("planet", planet)
        yield from named("something was opened", lambda: same("any", self.opened > 0, True))
        facts, network, members = self.told()
        for address, member in sorted(members.items()):
            for what in (compare_network, compare_member):
                name = "%s of %s" % (what.__name__[8:], address.hex())
                yield from named(
                    name,
                    lambda what=what, a=address, m=member: self.every(what, a, m, network, facts),
                )

    def told(self):
        """(facts, network object, address -> member object) of the controller's answers."""
        with open(os.path.join(self.folder, "facts.txt")) as f:
            words = f.read().split()
        facts = {bytes.fromhex(a): ip for a, ip in zip(words[1::2], words[2::2])}
        with open(os.path.join(self.folder, "network.json")) as f:
            network = json.load(f)
        same("network id", network["id"], words[0])
        members = {}
        for path in glob.glob(os.path.join(self.folder, "member*.json")):
            with open(path) as f:
                member = json.load(f)
            members[bytes.fromhex(member["address"])] = member
        return facts, network, members

    def every(self, what, address, member, network, facts):
        configs = self.configs.get(bytes.fromhex(network["id"]), {}).get(address)
        if not configs:
            if self.closed:
                raise NotBuilt("recording[suite 3]")
            raise AssertionError("no configuration in the recording")
        for config in configs:
            what(config, member, network, facts.get(address))


def named(name, check):
    try:
        check()
        yield name, None
    except NotBuilt as e:
        yield name, e
    except Exception as e:
        yield name, "%s: %s" % (type(e).__name__, e)


def rules_of(objects):
    """Wire bytes of rules as the controller was told them."""
    rulesjson = need("zt.rulesjson")
    return b"".join(rulesjson.from_json(r) for r in objects)


def compare_network(config, member, network, ip):
    inet = need("zt.inet")
    same("nwid", config.nwid.hex(), network["id"])
    same("name", config.name, network["name"])
    same("public", bool(config.public), not network["private"])
    same("broadcast", bool(config.broadcast), network["enableBroadcast"])
    same("mtu", config.mtu, network["mtu"])
    same("multicast limit", config.multicast_limit, network["multicastLimit"])
    routes = [
        {"target": inet.text(target, bits), "via": inet.ip_text(via) if via else None}
        for target, bits, via, _, _ in config.routes
    ]
    same("routes", routes, network["routes"])
    same("rules", bytes(config.rules), rules_of(network["rules"]))
    dns = network["dns"] if isinstance(network["dns"], dict) else {"domain": "", "servers": []}
    same("dns domain", config.dns_domain, dns["domain"])
    same("dns servers", [inet.ip_text(s[0]) for s in config.dns_servers], dns["servers"])


def compare_member(config, member, network, ip):
    inet, mac = need("zt.inet"), need("zt.mac")
    address = bytes.fromhex(member["address"])
    wanted = []
    modes = network["v6AssignMode"]
    if modes.get("rfc4193"):
        wanted.append((mac.rfc4193(config.nwid, address), 88))
    if modes.get("6plane"):
        wanted.append((mac.sixplane(config.nwid, address), 40))
    if ip:
        v4 = inet.parse_ip(ip)
        bits = [b for target, b, _, _, _ in config.routes if inet.in_net(v4, target, b)]
        wanted.append((v4, max(bits)))
    same("addresses", sorted(config.static_ips), sorted(wanted))
    tags = {t["id"]: t["default"] for t in network["tags"] if t["default"] is not None}
    tags.update({i: v for i, v in member["tags"]})
    same("tags", {t.id: t.value for t in config.tags}, tags)
    by_id = {c["id"]: c for c in network["capabilities"]}
    wanted = {i: rules_of(by_id[i]["rules"]) for i in member["capabilities"]}
    same("capabilities", {c.id: bytes(c.rules) for c in config.capabilities}, wanted)
    owned = [t for coo in config.coos for t in coo.things]
    same("things owned", len(owned), len(config.static_ips))
    for ip, _ in config.static_ips:
        same("owned " + inet.ip_text(ip), any(c.owns_ip(ip) for c in config.coos), True)
