# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Checkers for the primitives: hash, agreement, signature, stream cipher, authenticator,
# decompression.

from harness import need, run, same


def unhex(s):
    return bytes.fromhex(s)


def xor(a, b):
    n = len(a)
    return (int.from_bytes(a, "little") ^ int.from_bytes(b, "little")).to_bytes(n, "little")


def check_memory_hard_hash(cases, document):
    crypto = need("zt.crypto")

    def check(c):
        public = unhex(c["public_key"])
        start = crypto.sha512(public)
        same("sha512", start, unhex(c["sha512_of_public_key"]))
        stream = bytearray(2097152)
        crypto.salsa20_xor(start[:32], start[32:40], stream, 20)
        memory = bytearray(stream)
        block = bytes(64)
        for o in range(0, len(memory), 64):
            block = xor(bytes(stream[o : o + 64]), block)
            memory[o : o + 64] = block
        same("first block", bytes(memory[:64]), unhex(c["memory_first_64"]))
        same("second block", bytes(memory[64:128]), unhex(c["memory_second_64"]))
        same("last block", bytes(memory[-64:]), unhex(c["memory_last_64"]))
        same("filled memory", crypto.sha512(memory), unhex(c["sha512_of_memory_after_fill"]))
        digest = bytearray(start)
        a = int.from_bytes(memory[0:8], "big") % 8 * 8
        b = int.from_bytes(memory[8:16], "big") % (len(memory) // 8) * 8
        digest[a : a + 8], memory[b : b + 8] = memory[b : b + 8], digest[a : a + 8]
        crypto.salsa20_xor(start[:32], start[32:40], digest, 20, len(memory) // 64)
        same("first round", bytes(digest), unhex(c["digest_after_first_round"]))
        final = crypto.idhash(public)
        same("digest", final, unhex(c["digest"]))
        same("hashcash", final[0] < 17, c["hashcash_ok"])
        same("address", final[59:64], unhex(c["derived_address"]))

    return run(cases, check)


def check_agree(cases, document):
    crypto = need("zt.crypto")
    keys = {i["name"]: i for i in document.get("identities", []) if isinstance(i, dict)}

    def check(c):
        session = unhex(c["session_key_48"])
        private = unhex(c["private_key_dh"])
        public = unhex(c["public_key_dh"])
        same("sha512 of x25519", crypto.sha512(crypto.x25519(private, public))[:48], session)
        # The Ed25519 halves take no part in the agreement.
        same("agree", crypto.agree(private + bytes(32), public + bytes(32)), session)
        same("salsa key", session[:32], unhex(c["salsa_key_32"]))
        if c.get("private_of") in keys and c.get("public_of") in keys:
            mine = unhex(keys[c["private_of"]]["private_key"])
            theirs = unhex(keys[c["public_of"]]["public_key"])
            same("agree of identities", crypto.agree(mine, theirs), session)

    return run(cases, check)


def check_sign(cases, document):
    crypto = need("zt.crypto")
    keys = {i["name"]: i for i in document["identities"]}

    def check(c):
        who = keys[c["signer"]]
        private, public = unhex(who["private_key"]), unhex(who["public_key"])
        message, signature = unhex(c["message"]), unhex(c["signature"])
        same("verify", crypto.verify(public, message, signature), c["verifies"])
        # Signing is deterministic: the good ones must come out again, the damaged ones must not.
        same("sign", crypto.sign(private, public, message) == signature, c["verifies"])

    return run(cases, check)


def check_salsa20(cases, document):
    crypto = need("zt.crypto")

    def check(c):
        key, iv, data = unhex(c["key"]), unhex(c["iv"]), unhex(c["in"])
        buf = bytearray(data)
        crypto.salsa20_xor(key, iv, buf, c["rounds"])
        same("out", bytes(buf), unhex(c["out"]))
        tail = bytearray(data[64:])
        if tail:
            crypto.salsa20_xor(key, iv, tail, c["rounds"], 1)
            same("from block 1", bytes(tail), unhex(c["out"])[64:])

    return run(cases, check)


def check_poly1305(cases, document):
    crypto = need("zt.crypto")
    return run(
        cases,
        lambda c: same(
            "tag", crypto.poly1305(unhex(c["key"]), unhex(c["message"])), unhex(c["tag"])
        ),
    )


def check_lz4(cases, document):
    crypto = need("zt.crypto")
    packet = need("zt.packet")

    def check(c):
        payload, block = unhex(c["payload"]), unhex(c["lz4_block"])
        out = bytearray(len(payload))
        same("length", crypto.lz4_decompress(block, out), len(payload))
        same("payload", bytes(out), payload)
        same("one byte too small", crypto.lz4_decompress(block, bytearray(len(payload) - 1)), -1)
        same("flag", bool(c["verb_byte_after"] & packet.FLAG_COMPRESSED), True)

    return run(cases, check)
