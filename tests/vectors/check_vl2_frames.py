# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Checkers for members at work: who is admitted, frames out of and into the tap, groups, rules.
# What a case takes for granted but does not say (who is in a group, which route was learned) is
# read from what it expects.

from harness import need, run, same

LIKE, CREDENTIALS, GATHER, MULTICAST = 9, 10, 13, 14


def unhex(s):
    return bytes.fromhex(s)


def bare(packets):
    return [{k: p[k] for k in ("dest", "verb", "payload")} for p in packets]


def as_set(packets):
    return sorted(bare(packets), key=lambda p: (p["dest"], p["verb"], p["payload"]))


def check_membership(cases, document):
    fakehost, membership = need("fakehost"), need("zt.membership")
    credential = need("zt.credential")
    kinds = {
        "com": credential.COM,
        "tag": credential.Tag,
        "capability": credential.Capability,
        "coo": credential.Ownership,
        "revocation": credential.Revocation,
    }

    def check(c):
        member = fakehost.Member(document, document["network_id"], c["receiver_config"])
        for i, step in enumerate(c["steps"]):
            item, _ = kinds[step["add"]].unpack(unhex(step["data"]), 0)
            source = unhex(step.get("sent_from", step["peer"]))
            got = member.net.credential(member.now, item, source)
            same("step %d" % i, membership.RESULTS[got], step["result"])
            same(
                "step %d forwarded" % i,
                as_set(member.host.take()),
                as_set(step.get("forwarded", [])),
            )
            same(
                "step %d allowed" % i,
                member.allowed(unhex(step["peer"])),
                step["peer_allowed_after"],
            )

    return run(cases, check, "name")


def gather_limit(payload):
    """The implicit gather limit of an expected MULTICAST_FRAME, or None."""
    return int.from_bytes(payload[9:13], "big") if payload[8] & 2 else None


def group_of(payload):
    at = 9 + (4 if payload[8] & 2 else 0) + (6 if payload[8] & 4 else 0)
    return payload[:8] + payload[at : at + 10]


def known_members(member, expected, others):
    """Make the recipients of the expected multicasts known members of their groups."""
    config = member.net.config
    for p in expected:
        if p["verb"] != MULTICAST:
            continue
        payload = unhex(p["payload"])
        frames = [q for q in expected if q["verb"] == MULTICAST]
        recipients = [unhex(q["dest"]) for q in frames]
        members = [a for a in recipients if not config.is_active_bridge(a)]
        pool = [a for a in recipients if a not in members] + list(others)
        # A limit of 1 says that there were as many members as the configuration asks for.
        while gather_limit(payload) == 1 and len(members) < config.multicast_limit and pool:
            members.append(pool.pop(0))
        for address in members:
            member.vl2.multicast.add(member.now, group_of(payload), address)
        member.host.take()
        return


def check_local_ethernet(cases, document):
    fakehost, mac = need("fakehost"), need("zt.mac")

    def check(c):
        expected = c["packets"]
        nwid = unhex(document["network_id"])
        roots = {unhex(p["dest"]) for p in expected if p["verb"] == LIKE} - {nwid[:5]}
        member = fakehost.Member(
            document, document["network_id"], c["config"], roots=sorted(roots)
        )
        to, source = mac.parse(c["to"]), mac.parse(c["from"])
        config = member.net.config
        known_members(member, expected, ())
        extended = [p for p in expected if p["verb"] == 7]
        behind = to[0] != mac.first_octet(nwid) and not to[0] & 1
        if behind and len(extended) == 1 and len(config.active_bridges) > 1:
            member.net.learn_route(to, unhex(extended[0]["dest"]))
        member.vl2.tap_frame(
            member.now, nwid, source, to, c["ethertype"], memoryview(unhex(c["frame"]))
        )
        sent = [
            p for p in member.host.take() if p["verb"] != GATHER or unhex(p["dest"]) not in roots
        ]
        same("packets", as_set(sent), as_set(expected))
        for dest in {p["dest"] for p in sent}:  # to each recipient, credentials come before frames
            order = [
                p["verb"]
                for p in sent
                if p["dest"] == dest and p["verb"] in (6, 7, CREDENTIALS, MULTICAST)
            ]
            same(
                "order",
                order,
                [p["verb"] for p in expected if p["dest"] == dest and p["verb"] in set(order)],
            )
        same("looped back", member.host.frames, c["looped_back"])

    return run(cases, check, "name")


def results_of(payload):
    """(group, total, addresses) in an expected OK with gather results."""
    at = 27 if payload[0] == GATHER else 28
    count = int.from_bytes(payload[at + 4 : at + 6], "big")
    addresses = [payload[i : i + 5] for i in range(at + 6, at + 6 + 5 * count, 5)]
    return payload[9:27], int.from_bytes(payload[at : at + 4], "big"), addresses


def check_inbound(cases, document):
    fakehost, const = need("fakehost"), need("zt.const")

    def check(c):
        source, payload = unhex(c["from"]), unhex(c["payload"])
        nwid = document["network_id"]
        broadcast = b"\xff" * 6 + bytes(4)
        groups = []
        for p in c["emitted"]:
            if p["verb"] == LIKE:
                data = unhex(p["payload"])
                keys = [data[i + 8 : i + 18] for i in range(0, len(data), 18)]
                groups = [(k[:6], int.from_bytes(k[6:], "big")) for k in keys if k != broadcast]
        if not c["joined"]:
            member = fakehost.Member(document, nwid)
            member.vl2.leave(member.now, unhex(nwid))
        else:
            member = fakehost.Member(document, nwid, c["config"], groups=groups)
            if c["sender_com_known_before"]:
                member.admit(source)
            known_members(member, c["emitted"], [source])
            for p in c["replies"]:
                data = unhex(p["payload"])
                if p["verb"] == 3 and data[0] in (GATHER, MULTICAST):
                    key, total, found = results_of(data)
                    others = [a for a in found if a != member.host.address]
                    if total > len(found):
                        others.append(source)
                    for address in others:
                        member.vl2.multicast.add(member.now, key, address)
            member.host.take()
        result, replies = member.receive(source, c["verb"], unhex(c["packet_id"]), payload)
        parked = c["handler_result"].startswith("retry")
        same("result", result == const.PARK, parked)
        same("delivered", member.host.frames, c["delivered"])
        same("replies", replies, bare(c["replies"]))
        same("emitted", as_set(member.host.take()), as_set(c["emitted"]))
        if not c["joined"]:
            return
        mac = need("zt.mac")
        routes = [{"mac": mac.text(m), "via": via.hex()} for m, via in member.net.routes.items()]
        same("routes", routes, c["bridge_routes"])
        same("allowed", member.allowed(source), c["sender_allowed_after"])

    return run(cases, check, "name")


def check_multicast_like(case, document):
    fakehost = need("fakehost")

    def check(c):
        for p in c["packets"]:
            payload = unhex(p["payload"])
            keys = [payload[i : i + 18] for i in range(0, len(payload), 18)]
            same("network", payload[:8].hex(), document["network_id"])
            config = need("zt.netconf").NetworkConfig()
            member = fakehost.Member(document, payload[:8].hex())
            config.nwid, config.issued_to, config.type = member.nwid, member.host.address, 1
            broadcast = member.nwid + b"\xff" * 6 + bytes(4)
            config.flags = 2 if broadcast in keys else 0
            member.apply(config)
            for key in reversed([k for k in keys if k != broadcast]):
                member.vl2.subscribe(
                    member.now, member.nwid, key[8:14], int.from_bytes(key[14:], "big")
                )
            member.host.take()
            dest = unhex(p["dest"])
            member.net.like(member.now, member.net.member(member.now, dest))
            same("sent", member.host.take(), bare([p]))

    return run(case if isinstance(case, list) else [case], check)


def check_multicast_gather_reply(case, document):
    fakehost = need("fakehost")

    def check(c):
        data = unhex(c["gather_results"])
        total, count = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:6], "big")
        found = [data[i : i + 5] for i in range(6, 6 + 5 * count, 5)]
        same("count", count, c["count"])
        member = fakehost.Member(document, document["network_id"], name=found[0])
        # The asker is among the members, is counted, and is not named.
        asker = next(a for a in member.host.people if a not in found and a != member.nwid[:5])
        key = member.nwid + b"\x01\x00\x5e\x00\x00\x01" + bytes(4)
        for address in found[1:] + [asker] * (total - count):
            member.vl2.multicast.add(member.now, key, address)
        got = member.vl2.multicast.results(key, asker, 32, True)
        same("head", got[:11], data[:11])
        got = sorted(got[i : i + 5] for i in range(6, len(got), 5))
        same("members", got, sorted(found))

    return run(case if isinstance(case, list) else [case], check)


class Remote:
    """The record of a member whose credentials are all verified; valid are those near the
    configuration's time.
    """

    def __init__(self, config, credentials):
        credential = need("zt.credential")
        kinds = {
            "tag": credential.Tag,
            "capability": credential.Capability,
            "coo": credential.Ownership,
        }
        now = int.from_bytes(config.timestamp, "big")
        self.found = {"tag": [], "capability": [], "coo": []}
        for c in credentials:
            item, _ = kinds[c["type"]].unpack(unhex(c["serialized"]), 0)
            if abs(int.from_bytes(item.timestamp, "big") - now) <= config.ctmd:
                self.found[c["type"]].append(item)

    def tag(self, ident):
        return next((t.value for t in self.found["tag"] if t.id == ident), None)

    def capabilities(self):
        return self.found["capability"]

    def owns_ip(self, ip):
        return any(c.owns_ip(ip) for c in self.found["coo"])

    def owns_mac(self, mac):
        return any(c.owns_mac(mac) for c in self.found["coo"])


def check_rule_eval(cases, document):
    rules, mac, netconf = need("zt.rules"), need("zt.mac"), need("zt.netconf")
    names = ("NO_MATCH", "DROP", "REDIRECT", "ACCEPT", "SUPER_ACCEPT")

    def check(c):
        config = netconf.NetworkConfig.parse(unhex(c["config"]))
        raw = unhex(c["rules"])
        same("rules of the config", bytes(config.rules), raw)
        same("flags", config.flags, int(c["flags"], 16))
        inbound = c["direction"] == "inbound"
        nobody = bytes(5)
        dest, source = unhex(c["zt_dest"]), unhex(c["zt_source"])
        known = inbound or dest != nobody
        remote = Remote(config, c["remote_credentials"]) if known else None
        frame = memoryview(unhex(c["frame"]))
        to, by = mac.parse(c["mac_dest"]), mac.parse(c["mac_source"])
        rest = (inbound, frame, c["ethertype"], by, to, source, dest if dest != nobody else None)
        base = rules.Filter(unhex(c["local_node"]), lambda n: b"\x80" * n)
        base.remote = remote
        same("base result", names[base.run(raw, *rest, base.context(config))], c["base_result"])
        whole = rules.Filter(unhex(c["local_node"]), lambda n: b"\x80" * n)
        same("verdict", whole.verdict(config, remote, *rest, no_tee=c["no_tee"]), c["accept"])
        head = config.nwid.hex(), c["mac_dest"].replace(":", ""), c["mac_source"].replace(":", "")
        copies = [
            {
                "dest": bytes(dest).hex(),
                "verb": 7,
                "payload": "%s%02x%s%s%04x%s"
                % (head[0], flags, head[1], head[2], c["ethertype"], frame[:n].hex()),
            }
            for dest, flags, n in whole.copies
        ]
        same("copies", copies, bare(c["emitted"]))

    return run(cases, check, "name")
