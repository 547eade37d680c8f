# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Checkers for whole packets: seal and open, what must be refused, HELLO and its answer, fragments.

from harness import NotBuilt, need, run, same


def unhex(s):
    return bytes.fromhex(s)


def tools(group, suite):
    """(wire, crypto, packet), or NotBuilt for a cipher that does not exist yet."""
    crypto, packet = need("zt.crypto"), need("zt.packet")
    import wire

    if suite not in wire.SUITES:
        raise NotBuilt("%s[suite %d]" % (group, suite))
    return wire, crypto, packet


def check_packets(cases, document):
    def check(c):
        wire, crypto, packet = tools("packets", c["suite"])
        key = unhex(c["key"])
        armored = unhex(c["armored"])
        clear = unhex(c["plain_verb_and_payload"])
        whole = bytes([c["verb"]]) + unhex(c["payload"])
        same("compressed flag", bool(clear[0] & packet.FLAG_COMPRESSED), c["compressed"])
        same("decompressed", wire.decompressed(clear), whole)
        flags = packet.FLAG_FRAGMENTED if c["fragmented_flag"] else 0
        head = unhex(c["packet_id"]), unhex(c["dest"]), unhex(c["source"])
        made = wire.sealed(key, head[0], head[1], head[2], flags, clear, c["suite"])
        same("sealed", made, armored)
        same("wire packet id", made[:8], unhex(c["wire_packet_id"]))
        for text, hops in ((c["armored"], 0), (c["armored_hops2"], 2)):
            data = unhex(text)
            same("hops", packet.hops(data), hops)
            same("suite", packet.suite(data), c["suite"])
            buf = bytearray(data)
            same("opens", bool(crypto.open(key, buf, len(buf))), True)
            same("opened", bytes(buf[27:]), clear)
            same("payload", wire.opened(key, data), whole)
            same("dest", data[packet.IDX_DEST : packet.IDX_SOURCE], head[1])
            same("source", data[packet.IDX_SOURCE : packet.IDX_FLAGS], head[2])

    return run(cases, check, "name")


def check_packets_rejected(cases, document):
    def check(c):
        crypto = need("zt.crypto")
        buf = bytearray(unhex(c["armored"]))
        same("opens", bool(crypto.open(unhex(c["key"]), buf, len(buf))), c["accepts"])
        if not c["accepts"]:
            same("unchanged", bytes(buf), unhex(c["armored"]))

    return run(cases, check, lambda c: "%s, suite %d" % (c["why"], c["suite"]))


def check_hello(cases, document):
    people = {i["name"]: i for i in document["identities"]}

    def check(c):
        wire, crypto, packet = tools("hello", 0)
        import dissect

        inet = need("zt.inet")
        key, data = unhex(c["key"]), unhex(c["wire"])
        clear = unhex(c["clear_packet_before_mac"])
        same("id", data[:8], unhex(c["packet_id"]))
        # Mask and seal the clear packet: the reference's bytes must come out.
        buf = bytearray(clear)
        crypto.hello_mask(key, buf, c["crypt_offset"], len(buf))
        crypto.seal(key, buf, len(buf), 0)
        same("sealed", bytes(buf), data)
        # And back.
        got = wire.opened(key, data)
        same("tail", wire.hello_tail(got), c["crypt_offset"])
        got = wire.unmasked(key, data, got, c["crypt_offset"])
        same("unmasked", got, clear[27:])
        same("dest", data[8:13], unhex(c["dest"]))
        same("source", data[13:18], unhex(c["source"]))
        f = dissect.packet(got[0], got[1:]).fields
        same("proto", f["proto"], c["proto"])
        same("version", f["version"], c["version"])
        same("timestamp", f["timestamp"], c["timestamp"])
        same("identity", f["identity"].text(), people[c["identity"]]["public_string"])
        sent_to = None if f["sent_to"] is None else inet.text(*f["sent_to"])
        same("sent to", sent_to, c["sent_to"] or None)
        same("planet id", f["planet_id"], c["planet_id"])
        same("planet timestamp", f["planet_timestamp"], c["planet_timestamp"])
        same("moons", f["moons"], c["moons"])
        received_by_a_node(c, data, people)

    return run(cases, check, "name")


def received_by_a_node(c, data, people):
    """A Node that is the destination must take the HELLO and answer it."""
    import nodes
    import wire

    me = next((p for p in people.values() if p["address"] == c["dest"]), None)
    if me is None:
        return
    lone = nodes.Lone(me["secret_string"])
    lone.receive(data)
    answers = [d for d in lone.sent if d[18] & 0xF8]
    same("answers", len(answers) >= 1, True)
    got = wire.opened(unhex(c["key"]), answers[0])
    head = b"\x03\x01" + unhex(c["packet_id"]) + c["timestamp"].to_bytes(8, "big")
    same("answer", got[:18], head)
    peer = lone.node.topology.peers[unhex(c["source"])]
    same("proto of the peer", peer.proto, c["proto"])
    same("version of the peer", "%d.%d.%d" % tuple(peer.version), c["version"])


def check_ok_hello(cases, document):
    def check(c):
        import dissect

        inet = need("zt.inet")
        crypto = need("zt.crypto")
        import wire

        clear = unhex(c["clear_verb_and_payload"])
        p = dissect.packet(clear[0], clear[1:])
        f = p.fields
        same("in re", (f["in_re_verb"], f["in_re_id"]), (1, c["in_re_packet_id"]))
        same("timestamp", f["timestamp"], c["hello_timestamp"])
        same("proto", f["proto"], c["proto"])
        same("version", f["version"], c["version"])
        same(
            "external",
            inet.text(*f["external"]) if f["external"] else None,
            c["external_address"] or None,
        )
        named = {w["name"]: unhex(w["serialized"]) for w in document["worlds"]}
        same(
            "worlds", [w.pack() for w in p.worlds], [named.get(w) or unhex(w) for w in c["worlds"]]
        )
        if c["suite"] not in wire.SUITES:
            # The fields above are checked; only this cipher's armor does not exist yet.
            return
        key, data = unhex(c["key"]), unhex(c["wire"])
        same("opened", wire.opened(key, data), clear)
        buf = bytearray(unhex(c["packet_id_before_armor"]) + data[8:18] + bytes(9) + clear)
        crypto.seal(key, buf, len(buf), c["suite"])
        same("sealed", bytes(buf), data)

    return run(cases, check, lambda c: "suite %d" % c["suite"])


def check_fragmentation(cases, document):
    def check(c):
        packet = need("zt.packet")
        import wire

        whole = unhex(c["armored_whole"])
        datagrams = [unhex(d) for d in c["datagrams"]]
        mtu = c["mtu"]
        total = packet.pieces(len(whole), mtu)
        same("pieces", total, len(datagrams))
        same("head", whole[:mtu], datagrams[0])
        out = bytearray(mtu)
        for i in range(1, total):
            n = packet.fragment(whole, i, total, len(whole), out, mtu)
            same("fragment %d" % i, bytes(out[:n]), datagrams[i])
        for order in (
            datagrams,
            datagrams[::-1],
            datagrams[1:] + datagrams[:1],
            datagrams[:1] + datagrams,
        ):
            joiner = wire.Joiner()
            done = [d for d in (joiner.add(d) for d in order) if d is not None]
            same("reassembled", done, [whole])
        key = key_of(document, whole)
        if c["suite"] in wire.SUITES and key:
            same("payload", wire.opened(key, whole)[1:], unhex(c["payload"]))

    return run(cases, check, lambda c: "mtu %d, suite %d" % (c["mtu"], c["suite"]))


def key_of(document, whole):
    """The session key of the packet's two ends, if the file holds their identities."""
    identity = need("zt.identity")
    people = {unhex(i["address"]): i for i in document.get("identities", [])}
    ends = people.get(whole[13:18]), people.get(whole[8:13])
    if None in ends:
        return None
    mine = identity.Identity.parse(ends[0]["secret_string"])
    return mine.agree(identity.Identity.parse(ends[1]["public_string"]))
