# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Checkers for physical addresses, worlds, their update rule, the built-in planet and the peer
# cache.

from harness import need, run, same


def unhex(s):
    return bytes.fromhex(s)


def be8(n):
    """A 64-bit id as bytes; files write it as a number or as 16 hex digits."""
    return bytes.fromhex(n) if isinstance(n, str) else n.to_bytes(8, "big")


def check_inet_address(cases, document):
    inet = need("zt.inet")

    def check(c):
        blob = unhex(c["serialized"])
        got, end = inet.unpack(blob, 0)
        same("end", end, len(blob))
        if got is None:
            same("nil", blob[:1], b"\0")
            same("packed", inet.pack(None, 0), blob)
            return
        same("text", inet.text(got[0], got[1]), c["text"])
        same("parsed", inet.parse(c["text"]), got)
        same("packed", inet.pack(got[0], got[1]), blob)
        same("scope", inet.scope(got[0]), c["scope"])
        same("valid for path", bool(inet.valid_for_path(got[0])), c["valid_for_path"])

    return run(cases, check, "text")


def check_fields(world, c, w):
    """The fields of a parsed world are those of a vector."""
    inet = need("zt.inet")
    same("type", w.type, c["type"])
    same("id", bytes(w.id), be8(c["id"]))
    same("timestamp", bytes(w.timestamp), be8(c["timestamp"]))
    roots = [
        {"identity": i.text(), "endpoints": [inet.text(*e) for e in ends if e is not None]}
        for i, ends in w.roots
    ]
    same("roots", roots, c["roots"])


def check_worlds(cases, document):
    crypto = need("zt.crypto")
    world = need("zt.world")

    def check(c):
        data = unhex(c["serialized"])
        w, end = world.World.unpack(data, 0)
        same("end", end, len(data))
        check_fields(world, c, w)
        same("packed", w.pack(), data)
        same("signed message", w.signed_message(), unhex(c["signed_message"]))
        same("next signer", bytes(w.update_key), unhex(c["updates_must_be_signed_by"]))
        public = unhex(c["signing_public_key"])
        same(
            "signature",
            crypto.verify(public, unhex(c["signed_message"]), bytes(w.signature)),
            True,
        )
        made = crypto.sign(unhex(c["signing_private_key"]), public, w.signed_message())
        same("signing", made, bytes(w.signature))

    return run(cases, check, "name")


def check_world_updates(cases, document):
    world = need("zt.world")
    data = {w["name"]: unhex(w["serialized"]) for w in document["worlds"]}

    def check(c):
        current = world.World.unpack(data[c["current"]], 0)[0]
        update = world.World.unpack(data[c["update"]], 0)[0]
        same("replaced", bool(update.replaces(current)), c["replaced"])

    return run(cases, check, lambda c: "%s to %s" % (c["current"], c["update"]))


def check_default_planet(case, document):
    world = need("zt.world")

    def check(c):
        data = unhex(c["serialized"])
        w, end = world.World.unpack(data, 0)
        same("end", end, len(data))
        check_fields(world, c, w)
        same("packed", w.pack(), data)
        same("built in", built_in_planet(), data)

    return run([case], check)


def built_in_planet():
    """The planet that the program carries, wherever it keeps it."""
    for module, name in (
        ("zt.planet", "DEFAULT"),
        ("zt.world", "DEFAULT_PLANET"),
        ("zt.world", "DEFAULT"),
    ):
        try:
            return bytes(getattr(__import__(module, fromlist=[name]), name))
        except (ImportError, AttributeError):
            pass
    return None


def check_peer_cache(case, document):
    peer = need("zt.peer")
    inet = need("zt.inet")
    names = {i["name"]: i for i in document["identities"]}

    def check(c):
        ident, proto, version, remotes = peer.unpack_cache(unhex(c["file"]))
        same("identity", ident.text(), names[c["identity"]]["public_string"])
        same("proto", proto, c["proto"])
        same("version", "%d.%d.%d" % version, c["version"])
        same("paths", [inet.text(*r) for r in remotes], c["paths"])
        # Writing it again gives the same bytes.
        path = need("zt.path")
        again = peer.Peer(ident, bytes(48))
        again.software = (proto, *version)
        again.slots = tuple(peer.Slot(path.Path(0, remote), 0) for remote in remotes)
        same("written again", again.pack(0), unhex(c["file"]))

    return run(case if isinstance(case, list) else [case], check)
