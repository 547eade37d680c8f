# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Checkers for identities: forms, derivation of the address, validation.

from harness import need, run, same


def unhex(s):
    return bytes.fromhex(s)


def stepped(private, steps):
    """The private key after so many steps of the search (VL1 3.5)."""
    mask = (1 << 64) - 1
    up = int.from_bytes(private[8:16], "little") + steps & mask
    down = int.from_bytes(private[16:24], "little") - steps & mask
    return private[:8] + up.to_bytes(8, "little") + down.to_bytes(8, "little") + private[24:]


def check_identities(cases, document):
    crypto = need("zt.crypto")
    identity = need("zt.identity")

    def check(c):
        private, public = unhex(c["private_key"]), unhex(c["public_key"])
        same("search", stepped(unhex(c["start_private_key"]), c["iterations"]), private)
        same("public key", crypto.public_key(private), public)
        same("dh half", crypto.public_key_dh(private[:32]), public[:32])
        digest = crypto.idhash(public)
        same("digest", digest, unhex(c["digest"]))
        same("address of digest", digest[59:64], unhex(c["address"]))
        full = identity.Identity.parse(c["secret_string"])
        bare = identity.Identity.parse(c["public_string"])
        for ident in (full, bare):
            same("address", ident.address, unhex(c["address"]))
            same("public", ident.public, public)
            same("text", ident.text(), c["public_string"])
            same("binary", ident.pack(), unhex(c["public_binary"]))
            same("hash", ident.hash384(), unhex(c["public_key_hash_sha384"]))
            same("valid", ident.validate(), c["valid"])
        same("secret text", full.text(True), c["secret_string"])
        same("secret binary", full.pack(True), unhex(c["secret_binary"]))
        same("no secret", bare.private, None)
        for data in (unhex(c["public_binary"]), unhex(c["secret_binary"])):
            got, end = identity.Identity.unpack(data)
            same("end", end, len(data))
            same("equal", got == full, True)
        same("private", identity.Identity.unpack(unhex(c["secret_binary"]))[0].private, private)

    return run(cases, check, "name")


def check_identity_checks(cases, document):
    identity = need("zt.identity")

    def check(c):
        try:
            ident = identity.Identity.parse(c["string"])
        except ValueError:
            same("parses", False, c["parses"])
            return
        # The reference takes any character as a hex digit and finds out at validation; refusing
        # earlier is as good.
        same("parses", True, c["parses"])
        same("valid", ident.validate(), c["valid"])

    return run(cases, check, "why")
