# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The pure Python twin of firmware/core: the oracle it is tested against, and the last resort where
# there is no compiled core. Small and obvious, not fast, and not constant time.

import struct

from ._curve_py import ed25519_public, ed25519_sign, ed25519_verify, need, x25519
from ._sha2_py import sha384, sha512  # noqa: F401 (sha384 is offered, not used)

BACKEND = "python"

_M32 = 0xFFFFFFFF
_M64 = 0xFFFFFFFFFFFFFFFF
_HEADER = 28
_MAX_SIZE = 0xFFFF
_IDHASH_BYTES = 2097152


# ---- Salsa20


def _state(key, iv):
    # "expand 32-byte k" on the diagonal; words 8 and 9 are the block number.
    return list(
        struct.unpack(
            "<16I", b"expa" + key[:16] + b"nd 3" + iv + bytes(8) + b"2-by" + key[16:] + b"te k"
        )
    )


def _quarter(a, b, c, d):
    t = a + d & _M32
    b ^= (t << 7 | t >> 25) & _M32
    t = b + a & _M32
    c ^= (t << 9 | t >> 23) & _M32
    t = c + b & _M32
    d ^= (t << 13 | t >> 19) & _M32
    t = d + c & _M32
    return a ^ (t << 18 | t >> 14) & _M32, b, c, d


def _block(state, number, rounds):
    state[8] = number & _M32
    state[9] = number >> 32
    q = _quarter
    x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13, x14, x15 = state
    for _ in range(rounds // 2):
        x0, x4, x8, x12 = q(x0, x4, x8, x12)
        x5, x9, x13, x1 = q(x5, x9, x13, x1)
        x10, x14, x2, x6 = q(x10, x14, x2, x6)
        x15, x3, x7, x11 = q(x15, x3, x7, x11)
        x0, x1, x2, x3 = q(x0, x1, x2, x3)
        x5, x6, x7, x4 = q(x5, x6, x7, x4)
        x10, x11, x8, x9 = q(x10, x11, x8, x9)
        x15, x12, x13, x14 = q(x15, x12, x13, x14)
    x = (x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13, x14, x15)
    return struct.pack("<16I", *[a + b & _M32 for a, b in zip(x, state)])


def _xor(buf, start, end, key, iv, rounds, block):
    state = _state(key, iv)
    for off in range(start, end, 64):
        ks = _block(state, block, rounds)
        block = block + 1 & _M64
        for i in range(min(64, end - off)):
            buf[off + i] ^= ks[i]


def salsa20_xor(key32, iv8, buf, rounds, block=0):
    need(key32, 32, "key must be 32 bytes")
    need(iv8, 8, "iv must be 8 bytes")
    if rounds not in (12, 20):
        raise ValueError("rounds must be 12 or 20")
    _xor(buf, 0, len(buf), bytes(key32), bytes(iv8), rounds, block)


# ---- Poly1305


def poly1305(key32, data):
    need(key32, 32, "key must be 32 bytes")
    key32 = bytes(key32)
    r = int.from_bytes(key32[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    p = (1 << 130) - 5
    acc = 0
    for off in range(0, len(data), 16):
        acc = (acc + int.from_bytes(bytes(data[off : off + 16]) + b"\x01", "little")) * r % p
    acc += int.from_bytes(key32[16:], "little")
    return (acc & (1 << 128) - 1).to_bytes(16, "little")


# ---- ZeroTier's use of them (VL1 2.3 to 2.5)


def public_key_dh(private32):
    return x25519(private32, b"\x09" + bytes(31))


def public_key(private64):
    need(private64, 64, "private key must be 64 bytes")
    return public_key_dh(private64[:32]) + ed25519_public(private64[32:])


def agree(private64, public64):
    need(private64, 64, "private key must be 64 bytes")
    need(public64, 64, "public key must be 64 bytes")
    return sha512(x25519(private64[:32], public64[:32]))[:48]


def sign(private64, public64, msg):
    need(private64, 64, "private key must be 64 bytes")
    need(public64, 64, "public key must be 64 bytes")
    d = sha512(msg)[:32]
    return ed25519_sign(private64[32:], public64[32:], d) + d


def verify(public64, msg, sig96):
    need(public64, 64, "public key must be 64 bytes")
    need(sig96, 96, "signature must be 96 bytes")
    d = sha512(msg)[:32]
    return equal(d, sig96[64:]) and ed25519_verify(public64[32:], d, sig96[:64])


# ---- The memory-hard identity hash and the search for a key that meets it (VL1 3.4, 3.5)


def idhash(public64, progress=None):
    need(public64, 64, "public key must be 64 bytes")
    digest = bytearray(sha512(public64))
    state = _state(bytes(digest[:32]), bytes(digest[32:40]))
    mem = bytearray(_IDHASH_BYTES)
    previous = 0
    for i in range(32768):
        if progress and i & 0x7FF == 0:
            progress(i // 1639)
        previous ^= int.from_bytes(_block(state, i, 20), "little")
        mem[64 * i : 64 * i + 64] = previous.to_bytes(64, "little")
    for i in range(131072):
        if progress and i & 0x7FF == 0:
            progress(20 + i // 1639)
        # Only the low bits of the two big-endian index words count.
        n = 16 * i
        a = 8 * (mem[n + 7] & 7)
        b = 8 * ((mem[n + 13] << 16 | mem[n + 14] << 8 | mem[n + 15]) & 0x3FFFF)
        word = bytes(digest[a : a + 8])
        digest[a : a + 8] = mem[b : b + 8]
        mem[b : b + 8] = word
        mixed = int.from_bytes(digest, "little")
        mixed ^= int.from_bytes(_block(state, 32768 + i, 20), "little")
        digest[:] = mixed.to_bytes(64, "little")
    return bytes(digest)


def identity_search(private64, progress=None):
    need(private64, 64, "private key must be 64 bytes")
    private = bytearray(private64)
    signing = ed25519_public(private[32:])
    tries = 0
    while True:
        up = int.from_bytes(private[8:16], "little") + 1 & _M64
        down = int.from_bytes(private[16:24], "little") - 1 & _M64
        private[8:16] = up.to_bytes(8, "little")
        private[16:24] = down.to_bytes(8, "little")
        public = public_key_dh(private[:32]) + signing
        digest = idhash(public, progress and (lambda percent, n=tries: progress(n)))
        tries += 1
        if digest[0] < 17:
            return bytes(private), public, digest


# ---- LZ4 block decompression (VL1 4.7)


def lz4_decompress(src, dst):
    end = len(src)
    room = len(dst)
    i = n = 0
    while i < end:
        token = src[i]
        i += 1
        count = token >> 4
        if count == 15:
            while True:
                if i >= end:
                    return -1
                count += src[i]
                i += 1
                if src[i - 1] != 255:
                    break
        if count > end - i or count > room - n:
            return -1
        dst[n : n + count] = src[i : i + count]
        i += count
        n += count
        if i == end:
            # A block ends in literals, at least five of them where a match came before.
            return n if n == count or count >= 5 else -1
        if end - i < 2:
            return -1
        back = src[i] | src[i + 1] << 8
        i += 2
        if back == 0 or back > n:
            return -1
        count = (token & 15) + 4
        if count == 19:
            while True:
                if i >= end:
                    return -1
                count += src[i]
                i += 1
                if src[i - 1] != 255:
                    break
        if count > room - n:
            return -1
        for k in range(n, n + count):
            dst[k] = dst[k - back]
        n += count
    return -1


# ---- Whole packets (VL1 4.3 to 4.6)


def _packet_key(session48, pkt, n):
    head = bytes(pkt[:18]) + bytes((pkt[18] & 0xF8, n & 0xFF, n >> 8))
    key = bytes([a ^ b for a, b in zip(session48, head)]) + bytes(session48[21:32])
    return key, head[:8]


def _mac(key, iv, pkt, n):
    one_time = bytearray(32)
    salsa20_xor(key, iv, one_time, 12)
    return poly1305(one_time, bytes(pkt[27:n]))[:8]


def seal(session48, pkt, n, suite):
    need(session48, 48, "session key must be 48 bytes")
    if n < _HEADER or n > len(pkt) or n > _MAX_SIZE:
        raise ValueError("bad packet length")
    if suite not in (0, 1):
        raise ValueError("suite must be 0 or 1")
    pkt[18] = pkt[18] & 0x40 | (0x88 if suite else 0)
    key, iv = _packet_key(session48, pkt, n)
    if suite:
        _xor(pkt, 27, n, key, iv, 12, 1)
    pkt[19:27] = _mac(key, iv, pkt, n)


def open(session48, pkt, n):
    need(session48, 48, "session key must be 48 bytes")
    if n < 0 or n > len(pkt):
        raise ValueError("bad packet length")
    if n < _HEADER or n > _MAX_SIZE or pkt[18] & 0x30:
        return False
    key, iv = _packet_key(session48, pkt, n)
    if not equal(_mac(key, iv, pkt, n), pkt[19:27]):
        return False
    if pkt[18] & 0x08:
        _xor(pkt, 27, n, key, iv, 12, 1)
    return True


def hello_mask(session48, pkt, off, n):
    need(session48, 48, "session key must be 48 bytes")
    if off < _HEADER or off > n or n > len(pkt):
        raise ValueError("bad packet length")
    iv = bytes(pkt[:7]) + bytes((pkt[7] & 0xF8,))
    _xor(pkt, off, n, bytes(session48[:32]), iv, 12, 0)


def equal(a, b):
    if len(a) != len(b):
        return False
    diff = 0
    for x, y in zip(a, b):
        diff |= x ^ y
    return diff == 0


def wipe(buf):
    for i in range(len(buf)):
        buf[i] = 0
