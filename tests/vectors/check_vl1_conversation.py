# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Checker for a whole exchange of three nodes: every datagram is put together, opened, compared and
# parsed to its last byte; the planet that travels in it takes the place of the old one.

from harness import NotBuilt, need, same


def unhex(s):
    return bytes.fromhex(s)


def check_conversation(case, document):
    identity = need("zt.identity")
    need("zt.packet")
    people = [identity.Identity.parse(i["secret_string"]) for i in document["identities"]]
    conversations = case if isinstance(case, list) else [case]
    for one in conversations:
        yield from datagrams(one, {p.address: p for p in people})
        yield from planets(one)
        if one.get("moon_known_to_R"):
            yield "moon", NotBuilt("conversation[moons]")


def datagrams(one, people):
    import wire

    joiner = wire.Joiner()
    for i, d in enumerate(one["datagrams"]):
        if "datagram" not in d:
            continue
        name = "%d %s" % (i, d.get("verb") or d["kind"])
        try:
            result = datagram(d, people, joiner)
        except NotBuilt as e:
            result = e
        except Exception as e:
            result = "%s: %s" % (type(e).__name__, e)
        yield name, result


def datagram(d, people, joiner):
    import dissect
    import oracle
    import wire
    from zt import packet

    data = unhex(d["datagram"])
    same("bytes", len(data), d["bytes"])
    same("fragment", packet.is_fragment(data), d["kind"] == "fragment")
    if d["kind"] == "fragment":
        numbers = data[packet.IDX_FRAGMENT_NUMBERS]
        same("numbers", (numbers >> 4, numbers & 15), (d["total"], d["number"]))
        same("hops", data[packet.IDX_FRAGMENT_HOPS] & 7, d["hops"])
    else:
        same("suite", packet.suite(data), d["suite"])
        same("hops", packet.hops(data), d["hops"])
        same("source", data[13:18], unhex(d["src"]))
        same("dest", data[8:13], unhex(d["dst"]))
        same("head", bool(data[18] & packet.FLAG_FRAGMENTED), d["kind"] == "head")
    whole = joiner.add(data)
    if whole is None:
        return None
    if packet.suite(whole) not in wire.SUITES:
        # The cipher is missing, the codecs are not.
        clear = unhex(d.get("clear_verb_and_payload", ""))
        if not clear and packet.suite(whole) == 3 and oracle.available():
            clear = oracle.opened(people[whole[13:18]].agree(people[whole[8:13]]), whole)
            dissect.packet(clear[0] & 31, wire.decompressed(clear)[1:])
        elif clear:
            same(
                "verb",
                dissect.name(dissect.packet(clear[0] & 31, wire.decompressed(clear)[1:])),
                d["verb"],
            )
        raise NotBuilt("conversation[suite %d]" % packet.suite(whole))
    key = people[whole[13:18]].agree(people[whole[8:13]])
    clear = wire.opened(key, whole)
    if "hello_tail_offset" in d:
        same("tail", wire.hello_tail(clear), d["hello_tail_offset"])
        clear = wire.unmasked(key, whole, clear, d["hello_tail_offset"])
    if "clear_verb_and_payload" in d:
        same("clear", clear, unhex(d["clear_verb_and_payload"]))
    p = dissect.packet(clear[0] & 31, clear[1:])
    if "verb" in d:
        same("verb", dissect.name(p), d["verb"])
    return None


def planets(one):
    """The update rule takes A from its planet to the one it ends with."""
    if "planet_of_A_and_B_at_start" not in one:
        return
    world = need("zt.world")
    old = world.World.unpack(unhex(one["planet_of_A_and_B_at_start"]), 0)[0]
    new = world.World.unpack(unhex(one["planet_of_R"]), 0)[0]
    after = new if new.replaces(old) else old
    wanted = unhex(one["A_planet_after"])
    yield "planet update", None if after.pack() == wanted else "A would end with another planet"
