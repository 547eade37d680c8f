# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# X25519 and Ed25519 in pure Python (RFC 7748, RFC 8032). Small and obvious, not fast, and not
# constant time; the compiled core is what keeps secrets.

from ._sha2_py import sha512

_P = (1 << 255) - 19
_L = (1 << 252) + 27742317777372353535851937790883648493

try:
    pow(2, 3, 5)
    _pow = pow
except TypeError:  # a MicroPython without three-argument pow

    def _pow(base, exponent, modulus):
        result = 1
        while exponent:
            if exponent & 1:
                result = result * base % modulus
            base = base * base % modulus
            exponent >>= 1
        return result


_D = -121665 * _pow(121666, _P - 2, _P) % _P
_SQRT_M1 = _pow(2, (_P - 1) // 4, _P)


def _clamp(private32):
    n = int.from_bytes(bytes(private32[:32]), "little")
    return n & (1 << 254) - 8 | 1 << 254


def need(buf, n, message):
    if len(buf) != n:
        raise ValueError(message)


def x25519(private32, public32):
    need(private32, 32, "private key must be 32 bytes")
    need(public32, 32, "public key must be 32 bytes")
    k = _clamp(private32)
    x1 = int.from_bytes(bytes(public32), "little") & (1 << 255) - 1
    x2, z2, x3, z3 = 1, 0, x1, 1
    for t in range(254, -1, -1):
        bit = k >> t & 1
        if bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % _P, b * b % _P, d * a % _P, c * b % _P
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % _P, x1 * (da - cb) ** 2 % _P
        x2, z2 = aa * bb % _P, e * (aa + 121665 * e) % _P
        if bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
    return (x2 * _pow(z2, _P - 2, _P) % _P).to_bytes(32, "little")


def _recover_x(y, sign_bit):
    # None if y is no coordinate of the curve, or is the other spelling of one.
    if y >= _P:
        return None
    u, v = y * y - 1, _D * y * y + 1
    xx = u * _pow(v, _P - 2, _P) % _P
    x = _pow(xx, (_P + 3) // 8, _P)
    if (x * x - xx) % _P:
        x = x * _SQRT_M1 % _P
    if (x * x - xx) % _P or (x == 0 and sign_bit):
        return None
    return _P - x if x & 1 != sign_bit else x


def _point(x, y):
    return x, y, 1, x * y % _P


_BASE_Y = 4 * _pow(5, _P - 2, _P) % _P
_BASE = _point(_recover_x(_BASE_Y, 0), _BASE_Y)


def _add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % _P
    b = (p[1] + p[0]) * (q[1] + q[0]) % _P
    c = 2 * p[3] * q[3] * _D % _P
    d = 2 * p[2] * q[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _multiply(n, p):
    q = (0, 1, 1, 0)
    while n:
        if n & 1:
            q = _add(q, p)
        p = _add(p, p)
        n >>= 1
    return q


def _encode(p):
    zi = _pow(p[2], _P - 2, _P)
    x, y = p[0] * zi % _P, p[1] * zi % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _decode(b):
    n = int.from_bytes(bytes(b), "little")
    y = n & (1 << 255) - 1
    x = _recover_x(y, n >> 255)
    return None if x is None else _point(x, y)


def _hash_int(*parts):
    return int.from_bytes(sha512(b"".join([bytes(p) for p in parts])), "little") % _L


def ed25519_public(seed32):
    return _encode(_multiply(_clamp(sha512(seed32)), _BASE))


def ed25519_sign(seed32, public32, msg):
    need(seed32, 32, "seed must be 32 bytes")
    need(public32, 32, "public key must be 32 bytes")
    h = sha512(seed32)
    r = _hash_int(h[32:], msg)
    big_r = _encode(_multiply(r, _BASE))
    s = (r + _hash_int(big_r, public32, msg) * _clamp(h)) % _L
    return big_r + s.to_bytes(32, "little")


def ed25519_verify(public32, msg, sig64):
    need(public32, 32, "public key must be 32 bytes")
    need(sig64, 64, "signature must be 64 bytes")
    sig64 = bytes(sig64)
    s = int.from_bytes(sig64[32:], "little")
    a = _decode(public32)
    if a is None or s >= _L:
        return False
    minus_a = (_P - a[0], a[1], 1, _P - a[3])
    h = _hash_int(sig64[:32], public32, msg)
    return _encode(_add(_multiply(s, _BASE), _multiply(h, minus_a))) == sig64[:32]
