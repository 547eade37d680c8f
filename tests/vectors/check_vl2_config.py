# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Checkers for network configurations: fields, bytes, chunks, requests, refusals, ad-hoc networks.

from harness import need, run, same

STATUS = {3: "NOT_FOUND", 5: "NOT_FOUND", 7: "ACCESS_DENIED", 9: "AUTHENTICATION_REQUIRED"}


def unhex(s):
    return bytes.fromhex(s)


def be8(n):
    return n.to_bytes(8, "big")


def check_fields(c, got):
    """A NetworkConfig has the fields that the vectors show."""
    inet, rulesjson = need("zt.inet"), need("zt.rulesjson")
    from check_vl2_address import readable

    def ip(pair):
        return inet.text(pair[0], pair[1])

    same("nwid", got.nwid, unhex(c["nwid"]))
    same("timestamp", got.timestamp, be8(c["timestamp"]))
    for name in (
        "ctmd",
        "revision",
        "mtu",
        "multicast_limit",
        "type",
        "name",
        "sso_version",
        "sso_enabled",
    ):
        same(name, getattr(got, name), c[name])
    same("public", bool(got.public), c["type"] == 1)
    same("issued to", got.issued_to, unhex(c["issued_to"]))
    same("trace target", got.trace_target, unhex(c["remote_trace_target"]))
    same("trace level", got.trace_level, c["remote_trace_level"])
    same("flags", got.flags, int(c["flags"], 16))
    roles = ["%06x%s" % (roles, address.hex()) for address, roles in got.specialists]
    same("specialists", roles, c["specialists"])
    routes = [
        {
            "target": ip(r[:2]),
            "via": ip((r[2], 0)) if r[2] else None,
            "flags": r[3],
            "metric": r[4],
        }
        for r in got.routes
    ]
    same("routes", routes, [dict(r, via=via(r["via"])) for r in c["routes"]])
    same("static ips", [ip(p) for p in got.static_ips], c["static_ips"])
    same("rules", bytes(got.rules), unhex(c["rules_bin"]))
    same("rule count", len(rulesjson.to_json(bytes(got.rules))), c["rule_count"])
    if "rules" in c:
        same("readable rules", readable(rulesjson, bytes(got.rules)), c["rules"])
    count = [
        {"id": x.id, "rule_count": len(rulesjson.to_json(bytes(x.rules)))}
        for x in got.capabilities
    ]
    same(
        "capabilities", count, [{k: x[k] for k in ("id", "rule_count")} for x in c["capabilities"]]
    )
    same("tags", [{"id": t.id, "value": t.value} for t in got.tags], c["tags"])
    coos = [{"id": x.id, "things": len(x.things)} for x in got.coos]
    same("ownerships", coos, c["certificates_of_ownership"])
    dns = {"domain": got.dns_domain, "servers": [ip(s) for s in got.dns_servers]}
    same("dns", dns, c["dns"])
    same("certificate", bool(got.com), c["com_present"])
    if c["com_present"]:
        same("time of certificate", got.com.timestamp, be8(c["com_timestamp"]))
    for name, key in (
        ("auth_url", "authentication_url"),
        ("auth_expiry", "authentication_expiry_time"),
        ("issuer_url", "issuer_url"),
        ("central_url", "central_auth_url"),
        ("sso_nonce", "sso_nonce"),
        ("sso_state", "sso_state"),
        ("sso_client_id", "sso_client_id"),
        ("sso_provider", "sso_provider"),
    ):
        if key in c:
            same(key, getattr(got, name), c[key])


def via(text):
    """The files write a gateway with or without its meaningless number."""
    return text if text is None or "/" in text else text + "/0"


def check_network_config(cases, document):
    netconf = need("zt.netconf")

    def check(c):
        data = unhex(c["dictionary"])
        try:
            got = netconf.NetworkConfig.parse(data)
        except ValueError:
            same("parses", False, c["parses"])
            return
        same("parses", True, c["parses"])
        check_fields(c["config"], got)
        same("packed again", got.pack() == data, c["reencoded_equal"])

    return run(cases, check, "name")


def check_network_config_parse(cases, document):
    netconf = need("zt.netconf")

    def check(c):
        try:
            got = netconf.NetworkConfig.parse(unhex(c["dictionary"]))
        except ValueError:
            same("parses", False, c["parses"])
            return
        same("parses", True, c["parses"])
        for name in ("mtu", "type", "multicast_limit"):
            if name in c:
                same(name, getattr(got, name), c[name])
        if "rule_count" in c:
            raw = bytes(got.rules)
            n = p = 0
            while p < len(raw):
                n, p = n + 1, p + 2 + raw[p + 1]
            same("rules", n, c["rule_count"])

    return run(cases, check, "name")


def body_of(packet):
    """(chunk bytes, solicited) of an OK or a push."""
    payload = unhex(packet["payload"])
    return (payload[9:], True) if packet["verb"] == 3 else (payload, False)


def check_config_chunks(cases, document):
    netconf = need("zt.netconf")
    fakehost = need("fakehost")

    def check(c):
        nwid = unhex(document["network_id"])
        bodies = [body_of(p)[0] for p in c["packets"]]
        first = netconf.Chunk.unpack(bodies[0], 0)
        member = fakehost.Member(
            document, document["network_id"], name=unhex(c["packets"][0]["dest"])
        )
        controller = member.host.identity_of(nwid[:5])
        made = netconf.pack_chunks(controller, nwid, unhex(c["dictionary"]), first.update_id)
        same("chunks", sorted(bytes(m) for m in made), sorted(bodies))
        for step in c["receive_in_order"]:
            packet = c["packets"][step["packet"]]
            body, solicited = body_of(packet)
            if solicited:
                same("in re", packet["payload"][2:18], c["request_packet_id"])
            got = member.net.request.chunk(
                member.now, nwid[:5], bytes(8), memoryview(body), solicited
            )
            same("update id", got or bytes(8), unhex(step["returns_update_id"]))
        same("applied", member.net.config is not None, c["applied"])
        if c["applied"]:
            same("config", member.net.config.pack(), unhex(c["dictionary"]))

    return run(cases, check, "name")


def check_config_chunk_accept(cases, document):
    fakehost = need("fakehost")

    def check(c):
        member = fakehost.Member(document, document["network_id"])
        body = memoryview(unhex(c["chunk"]))
        try:
            got = member.net.request.chunk(
                member.now, unhex(c["source"]), unhex(c["packet_id"]), body, True
            )
        except ValueError:
            got = None
        same("update id", got or bytes(8), unhex(c["returns_update_id"]))
        same("applied", member.net.config is not None, c["applied"])

    return run(cases, check, "name")


def check_config_request(cases, document):
    fakehost, netconf = need("fakehost"), need("zt.netconf")
    dictionary = need("zt.dictionary")

    def check(c):
        packet = c["packets"][0]
        payload = unhex(packet["payload"])
        nwid = payload[:8].hex()
        same("network", nwid, c.get("network_id", document["network_id"]))
        # The reference's own numbers come from the file; keys, order and form are ours.
        meta = dictionary.Dictionary(payload[10 : 10 + int.from_bytes(payload[8:10], "big")])
        limits = {
            "version": tuple(meta.uint(k) for k in ("majv", "minv", "revv")),
            "proto_version": meta.uint("pv"),
            "vendor": meta.uint("vend"),
            "platform": meta.get("o").decode(),
            "rules": meta.uint("mr"),
            "capabilities": meta.uint("mc"),
            "capability_rules": meta.uint("mcr"),
            "tags": meta.uint("mt"),
        }
        member = fakehost.Member(document, nwid, **limits)
        if c["have_config"]:
            config = netconf.NetworkConfig()
            config.nwid, config.issued_to = member.nwid, member.host.address
            config.timestamp, config.revision = be8(c["timestamp"]), c["revision"]
            member.apply(config)
            member.host.take()
        member.net.request.ask(member.now + 10000)
        wanted = [{k: p[k] for k in ("dest", "verb", "payload")} for p in c["packets"]]
        same("sent", member.host.take(), wanted)

    return run(cases, check, lambda c: "with config" if c["have_config"] else "without config")


def check_config_error(cases, document):
    fakehost, netconf = need("fakehost"), need("zt.netconf")
    const = need("zt.const")

    def check(c):
        for packet in c["packets"]:
            payload = unhex(packet["payload"])
            code, body = payload[9], payload[10:]
            member = fakehost.Member(document, body[:8].hex(), name=unhex(packet["dest"]))
            wanted = STATUS[code]
            # Anybody else's refusal means nothing.
            stranger = next(
                a for a in member.host.people if a not in (body[:5], member.host.address)
            )
            member.receive(stranger, packet["verb"], bytes(8), payload)
            same(
                "status after a stranger's", member.net.status, const.NET_REQUESTING_CONFIGURATION
            )
            member.receive(body[:5], packet["verb"], bytes(8), payload)
            same("status", const.NET_STATUS_NAMES[member.net.status], wanted)
            if code == 9 and len(body) > 10:
                said = netconf.parse_error_auth(body)
                same(
                    "url",
                    said["url"].encode(),
                    need("zt.dictionary").Dictionary(body[10:]).get("aU") or b"",
                )
                same("kept", member.net.authentication, said)

    return run(cases, check, "name")


def check_adhoc(cases, document):
    fakehost = need("fakehost")

    def check(c):
        member = fakehost.Member(document, c["network_id"], name=unhex(c["address"]))
        same("status", member.net.status, c["status"])
        same("has a config", member.net.config is not None, "config" in c)
        same("stored", member.host.load("network", member.nwid), b"\n")
        if "config" in c:
            check_fields(c["config"], member.net.config)
            same("dictionary", member.net.config.pack(), unhex(c["dictionary"]))

    return run(cases, check, "network_id")
