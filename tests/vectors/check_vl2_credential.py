# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Checkers for credentials: fields, bytes, signatures in both directions, agreement of
# certificates.

from harness import need, run, same


def unhex(s):
    return bytes.fromhex(s)


def be8(n):
    return n.to_bytes(8, "big")


def people(document):
    """identity_of() over the file's identities."""
    identity = need("zt.identity")
    known = {}
    for p in document["identities"].values():
        known[unhex(p["address"])] = identity.Identity.parse(p["secret"])
    return known.get


def parsed(kind, c):
    data = unhex(c["serialized"])
    got, end = kind.unpack(data, 0)
    same("end", end, len(data))
    same("packed", got.pack(), data)
    same("signed message", got.signed_message(), unhex(c["signed_message"]))
    return got


def signed_again(kind, c, got, identity_of):
    """Signing is deterministic: the same bytes must come out when the file says that the signature
    is good.
    """
    signer = identity_of(unhex(c["signed_by"]))
    if c["verify"] and signer:
        again, _ = kind.unpack(unhex(c["serialized"]), 0)
        again.signature = None
        again.sign(signer)
        same("signed again", again.pack(), got.pack())


def verdict(credential, got, identity_of, wanted):
    same("verify", got.verify(identity_of) == credential.OK, wanted)
    if wanted:
        same("verify without the signer", got.verify(lambda a: None), credential.UNKNOWN_SIGNER)
        same("unknown signer", got.unknown, got.nwid[:5])


def check_com(cases, document):
    credential = need("zt.credential")
    identity_of = people(document)

    def check(c):
        got = parsed(credential.COM, c)
        q = c["qualifiers"]
        wanted = b"".join(be8(i["id"]) + unhex(i["value"]) + unhex(i["max_delta"]) for i in q)
        same("qualifiers", got.signed_message(), wanted)
        same("signed by", got.signed_by, unhex(c["signed_by"]))
        if "signature" in c:
            same("signature", got.signature, unhex(c["signature"]))
        verdict(credential, got, identity_of, c["verify"])
        signed_again(credential.COM, c, got, identity_of)
        values = {i["id"]: unhex(i["value"]) for i in q}
        same("timestamp", got.timestamp, values[0])
        same("network", got.nwid, values[1])
        same("issued to", got.issued_to, values[2][3:])
        member = identity_of(got.issued_to)
        if c["verify"] and member:  # issue it ourselves
            window = int(q[0]["max_delta"], 16)
            made = credential.COM.issue(got.nwid, member, got.timestamp, window)
            made.sign(identity_of(got.signed_by))
            same("issued", made.pack(), got.pack())

    return run(cases, check, "name")


def check_com_agreement(cases, document):
    credential, identity = need("zt.credential"), need("zt.identity")

    def check(c):
        mine = credential.COM.unpack(unhex(c["mine"]), 0)[0]
        other = credential.COM.unpack(unhex(c["other"]), 0)[0]
        who = identity.Identity.parse(c["other_identity"])
        same("agrees", bool(mine.agrees(other, who)), c["agrees"])

    return run(cases, check, "name")


def common(got, c):
    same("network", got.nwid, unhex(c["network_id"]))
    same("timestamp", got.timestamp, be8(c["timestamp"]))
    same("id", got.id, c["id"])
    same("issued to", got.issued_to, unhex(c["issued_to"]))


def check_tag(cases, document):
    credential = need("zt.credential")
    identity_of = people(document)

    def check(c):
        got = parsed(credential.Tag, c)
        common(got, c)
        same("value", got.value, c["value"])
        same("signed by", got.signed_by, unhex(c["signed_by"]))
        same("signature", got.signature, unhex(c["signature"]))
        verdict(credential, got, identity_of, c["verify"])
        signed_again(credential.Tag, c, got, identity_of)

    return run(cases, check, lambda c: "%s to %s" % (c["id"], c["issued_to"]))


def check_coo(cases, document):
    credential = need("zt.credential")
    identity_of = people(document)

    def check(c):
        got = parsed(credential.Ownership, c)
        common(got, c)
        same("flags", int.from_bytes(got.flags, "big"), c["flags"])
        things = [{"type": kind, "value": value.hex()} for kind, value in got.things]
        same("things", things, c["things"])
        for kind, value in got.things:
            if kind == credential.THING_MAC:
                same("owns", got.owns_mac(value[:6]), True)
                same("owns another", got.owns_mac(bytes([value[0] ^ 1]) + value[1:6]), False)
            elif kind in (credential.THING_IPV4, credential.THING_IPV6):
                ip = value[: 4 if kind == credential.THING_IPV4 else 16]
                same("owns", got.owns_ip(ip), True)
        verdict(credential, got, identity_of, c["verify"])
        signed_again(credential.Ownership, c, got, identity_of)

    return run(cases, check)


def check_revocation(cases, document):
    credential = need("zt.credential")
    identity_of = people(document)

    def check(c):
        got = parsed(credential.Revocation, c)
        same("id", got.id, c["id"])
        same("network", got.nwid, unhex(c["network_id"]))
        same("credential", got.credential_id, c["credential_id"])
        same("threshold", got.threshold, be8(c["threshold"]))
        same("flags", got.flags, c["flags"])
        same("target", got.target, unhex(c["target"]))
        same("type", got.type, c["type"])
        verdict(credential, got, identity_of, c["verify"])
        signed_again(credential.Revocation, c, got, identity_of)

    return run(cases, check)


def check_capability(cases, document):
    credential, rulesjson = need("zt.credential"), need("zt.rulesjson")
    identity_of = people(document)
    from check_vl2_address import readable

    def check(c):
        got = parsed(credential.Capability, c)
        common(got, c)
        same("rules", bytes(got.rules), unhex(c["rules_bin"]))
        same("readable", readable(rulesjson, bytes(got.rules)), c["rules"])
        same("longest chain", got.max_chain, c["max_custody_chain_length"])
        chain = [
            {"to": to.hex(), "from": by.hex(), "signature": sig.hex()}
            for to, by, sig in got.custody
        ]
        same("custody", chain, c["custody"])
        # The reference's code 0 is good, -1 is bad.
        verdict(credential, got, identity_of, c["verify"] == 0)
        if c["verify"] == 0:
            again, _ = credential.Capability.unpack(unhex(c["serialized"]), 0)
            holders = [(unhex(i["to"]), identity_of(unhex(i["from"]))) for i in c["custody"]]
            again.custody = []
            for to, by in holders:
                again.issued_to = to
                again.sign(by)
            same("signed again", again.pack(), got.pack())

    return run(cases, check, lambda c: c.get("name", str(c["id"])))
