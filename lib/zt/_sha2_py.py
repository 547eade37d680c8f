# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# SHA-512 and SHA-384 (FIPS 180-4) where hashlib lacks them. The constants are derived from their
# definition, on first use.

import struct

_M64 = 0xFFFFFFFFFFFFFFFF


def _root(n, k):
    # Floor of the k-th root of an n below 2**256.
    x = 1 << 128
    while True:
        y = ((k - 1) * x + n // x ** (k - 1)) // k
        if y >= x:
            return x
        x = y


def _primes(count):
    found = []
    n = 2
    while len(found) < count:
        if all(n % p for p in found):
            found.append(n)
        n += 1
    return found


_k512 = []
_start512 = []
_start384 = []


def _sha2_constants():
    for i, p in enumerate(_primes(80)):
        _k512.append(_root(p << 192, 3) & _M64)
        if i < 8:
            _start512.append(_root(p << 128, 2) & _M64)
        elif i < 16:
            _start384.append(_root(p << 128, 2) & _M64)


def _ror(x, n):
    return (x >> n | x << 64 - n) & _M64


def _sha2(data, start):
    state = list(start)
    data = bytes(data)
    n = len(data)
    data += b"\x80" + bytes((111 - n) % 128 + 8) + (n * 8).to_bytes(8, "big")
    for off in range(0, len(data), 128):
        w = list(struct.unpack(">16Q", data[off : off + 128]))
        for i in range(16, 80):
            p, q = w[i - 15], w[i - 2]
            s0 = _ror(p, 1) ^ _ror(p, 8) ^ p >> 7
            s1 = _ror(q, 19) ^ _ror(q, 61) ^ q >> 6
            w.append(w[i - 16] + s0 + w[i - 7] + s1 & _M64)
        a, b, c, d, e, f, g, h = state
        for i in range(80):
            s1 = _ror(e, 14) ^ _ror(e, 18) ^ _ror(e, 41)
            t1 = h + s1 + (e & f ^ (e ^ _M64) & g) + _k512[i] + w[i]
            s0 = _ror(a, 28) ^ _ror(a, 34) ^ _ror(a, 39)
            t2 = s0 + (a & b ^ a & c ^ b & c)
            a, b, c, d, e, f, g, h = t1 + t2 & _M64, a, b, c, d + t1 & _M64, e, f, g
        state = [x + y & _M64 for x, y in zip(state, (a, b, c, d, e, f, g, h))]
    return struct.pack(">8Q", *state)


def sha512_pure(data):
    if not _k512:
        _sha2_constants()
    return _sha2(data, _start512)


def sha384_pure(data):
    if not _k512:
        _sha2_constants()
    return _sha2(data, _start384)[:48]


try:
    from hashlib import sha384 as _lib384
    from hashlib import sha512 as _lib512
except ImportError:
    sha512 = sha512_pure
    sha384 = sha384_pure
else:

    def sha512(data):
        return _lib512(data).digest()

    def sha384(data):
        return _lib384(data).digest()
