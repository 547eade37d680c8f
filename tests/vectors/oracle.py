# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Cipher suite 3 (AES-GMAC-SIV) out of pycryptodome's AES, for the tests alone: lib/zt does not
# have it yet, but the packets of real nodes are full of it, and what is in them tests the codecs.
# A case opened this way still counts as not built.

import hashlib
import hmac

try:
    from Crypto.Cipher import AES
except ImportError:
    AES = None

IDX_FLAGS, IDX_MAC, IDX_VERB = 18, 19, 27


def available():
    return AES is not None


def kbkdf(key48, label, context, iteration):
    """48 bytes derived from a session key (VL1 2.6)."""
    message = (
        iteration.to_bytes(4, "big")
        + b"ZT"
        + label
        + b"\0"
        + bytes([context])
        + b"\x00\x00\x01\x80"
    )
    return hmac.new(key48, message, hashlib.sha384).digest()


def keys(session48):
    return kbkdf(session48, b"0", 0, 0)[:32], kbkdf(session48, b"1", 0, 0)[:32]


def gmac(key, iv8, aad, plain):
    cipher = AES.new(key, AES.MODE_GCM, nonce=iv8 + bytes(4))
    cipher.update(aad + bytes(-len(aad) % 16) + plain)
    return cipher.digest()


def fold(tag16):
    return bytes(a ^ b for a, b in zip(tag16[:8], tag16[8:]))


def ctr(key, tag16, data):
    start = bytearray(tag16)
    start[12] &= 0x7F
    return AES.new(key, AES.MODE_CTR, nonce=b"", initial_value=bytes(start)).encrypt(data)


def siv_encrypt(k0, k1, iv8, aad, plain):
    """(16-byte tag, ciphertext)."""
    tag = AES.new(k1, AES.MODE_ECB).encrypt(iv8 + fold(gmac(k0, iv8, aad, plain)))
    return tag, ctr(k1, tag, plain)


def siv_decrypt(k0, k1, tag, aad, sealed):
    """Plaintext, or None if it is not authentic."""
    plain = ctr(k1, tag, sealed)
    inner = AES.new(k1, AES.MODE_ECB).decrypt(tag)
    return plain if fold(gmac(k0, inner[:8], aad, plain)) == inner[8:] else None


def opened(session48, datagram):
    """The clear bytes 27.. of a whole suite-3 packet, or None."""
    k0, k1 = keys(session48)
    aad = datagram[8:IDX_FLAGS] + bytes([datagram[IDX_FLAGS] & 0xF8])
    return siv_decrypt(k0, k1, datagram[:8] + datagram[IDX_MAC:IDX_VERB], aad, datagram[IDX_VERB:])
