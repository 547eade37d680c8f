# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Checkers for derived addresses, dictionaries, and the serialization of rules.

from harness import need, run, same


def unhex(s):
    return bytes.fromhex(s)


def check_identities(people, document):
    identity = need("zt.identity")

    def check(name):
        p = people[name]
        full = identity.Identity.parse(p["secret"])
        bare = identity.Identity.parse(p["public"])
        same("address", bare.address, unhex(p["address"]))
        same("text", full.text(), p["public"])
        same("secret text", full.text(True), p["secret"])
        same("valid", full.validate(), True)
        message = full.address * 3
        same("keys belong together", bare.verify(message, full.sign(message)), True)

    return run(list(people), check, lambda name: name)


def check_mac(cases, document):
    mac = need("zt.mac")

    def check(c):
        nwid, address = unhex(c["network_id"]), unhex(c["address"])
        same("first octet", mac.first_octet(nwid), c["first_octet"])
        got = mac.from_address(address, nwid)
        same("mac", mac.text(got), c["mac"])
        same("parse", mac.parse(c["mac"]), got)
        same("back", mac.to_address(got, nwid), unhex(c["address_back"]))
        same("controller", nwid[:5], unhex(c["controller"]))

    return run(cases, check, lambda c: "%s %s" % (c["network_id"], c["address"]))


def check_ipv6(cases, document):
    mac, inet = need("zt.mac"), need("zt.inet")

    def check(c):
        nwid, address = unhex(c["network_id"]), unhex(c["address"])
        for kind, bits in (("rfc4193", 88), ("sixplane", 40)):
            got = getattr(mac, kind)(nwid, address)
            same(kind, got, unhex(c[kind + "_bytes"]))
            same(kind + " text", "%s/%d" % (inet.ip_text(got), bits), c[kind])
            same(kind + " parsed", inet.parse(c[kind]), (got, bits))
        local = mac.link_local(mac.from_address(address, nwid))
        same("link local", inet.ip_text(local) + "/64", c["link_local"])

    return run(cases, check, lambda c: "%s %s" % (c["network_id"], c["address"]))


def check_multicast_group(cases, document):
    mac, inet = need("zt.mac"), need("zt.inet")

    def check(c):
        group, adi = mac.group_for_ip(inet.parse_ip(c["ip"]))
        same("mac", mac.text(group), c["mac"])
        same("adi", adi, c["adi"])
        same("adi as hex", "%08x" % adi, c["adi_hex"])

    return run(cases, check, "ip")


def check_ndp_emulation(cases, document):
    mac, inet = need("zt.mac"), need("zt.inet")

    def check(c):
        nwid = unhex(c.get("network_id") or document["network_id"])
        me = mac.to_address(mac.parse(c["from"]), nwid)
        ips = [inet.parse(t) for t in c["static_ips"]]
        to = mac.parse(c["to"])
        reply = None
        # Which frames are looked at is the tap's decision (VL2 1.4); the rest is the codec's.
        if (
            int(c["flags"], 16) & 4
            and to[0] & 1
            and to != mac.BROADCAST
            and c["ethertype"] == 0x86DD
        ):
            reply = mac.ndp_emulate(nwid, me, ips, unhex(c["frame"]))
        got = []
        if reply:
            frame = {"from": mac.text(reply[0]), "to": c["from"], "ethertype": c["ethertype"]}
            got.append(dict(frame, frame=bytes(reply[1]).hex()))
        same("reply", got, c["emulated_reply"])

    return run(cases, check, "name")


def check_dictionary(groups, document):
    dictionary = need("zt.dictionary")

    def value(e):
        kind = e["kind"]
        if "value_hex" in e:
            return unhex(e["value_hex"])
        if kind == "u":
            return dictionary.hex64(unhex(e["value"]))
        if kind == "i":  # the writer drops the sign
            return dictionary.hex64(abs(e["value"]))
        return b"1" if e["value"] else b"0"

    def encode(c):
        entries = [e for e in c["entries"] if e.get("ok", True)]
        pairs = [(e["key"], value(e)) for e in entries]
        text = dictionary.encode(pairs)
        same("encoded", text, unhex(c["encoded"]))
        read = dictionary.Dictionary(text)
        for key, wanted in pairs:
            same("read back " + key, read.get(key), wanted)

    def decode(c):
        read = dictionary.Dictionary(unhex(c["raw"]))
        for k in c["lookups"]:
            key = k["key"]
            wanted = None if k["value_hex"] is None else unhex(k["value_hex"])
            same("get " + key, read.get(key), wanted)
            same("uint " + key, "%016x" % read.uint(key), k["as_uint"])
            number = read.uint(key)
            same("int " + key, number - (1 << 64) if number >> 63 else number, k["as_int"])
            same("bool " + key, bool(read.boolean(key)), k["as_bool"])

    for name, result in run(groups.get("encode", []), encode):
        yield "encode " + name, result
    for name, result in run(groups.get("decode", []), decode):
        yield "decode " + name, result


def readable(rulesjson, raw):
    """The rules as the vectors show them, from their bytes."""
    shown = rulesjson.to_json(raw)
    out = []
    p = 0
    for rule in shown:
        t = raw[p]
        rule = dict(rule)
        rule["type_name"] = rule.pop("type")
        rule.update({"t": t, "type": t & 0x3F, "not": bool(t & 0x80), "or": bool(t & 0x40)})
        out.append(rule)
        p += 2 + raw[p + 1]
    return out


def check_rules_serialize(cases, document):
    rules, rulesjson = need("zt.rules"), need("zt.rulesjson")

    def check(c):
        raw = unhex(c["bin"])
        same("length", rules.validate(raw), len(raw))
        same("fields", readable(rulesjson, raw), [c["rule"]])

    return run(cases, check, "name")


def check_rules_from_json(cases, document):
    rulesjson = need("zt.rulesjson")

    def check(c):
        raw = rulesjson.from_json(c["json"])
        same("accepted", raw is not None, c["accepted"])
        if raw is not None:
            same("bytes", raw, unhex(c["bin"]))
            same("rendered", rulesjson.to_json(raw), [c["rendered"]])

    return run(cases, check, lambda c: c["json"].get("type", ""))
