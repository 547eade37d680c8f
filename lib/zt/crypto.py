# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Chooses who computes: the C module on MicroPython, the shared core library through ctypes on
# CPython, else pure Python. All three offer the same functions; nothing here knows an algorithm.
# On CPython ZT_CRYPTO=python or ZT_CRYPTO=ctypes forces one, ZT_CORE_LIB names the library.

from ._compat import MICROPYTHON


def _choose():
    if MICROPYTHON:
        try:
            import _ztcrypto

            return _ztcrypto
        except ImportError:
            from . import _crypto_py

            return _crypto_py
    import os

    forced = os.environ.get("ZT_CRYPTO", "")
    if forced not in ("", "python", "ctypes"):
        raise ImportError("ZT_CRYPTO must be python or ctypes")
    if forced != "python":
        try:
            from . import _crypto_ctypes

            return _crypto_ctypes
        except ImportError:
            if forced:
                raise
    from . import _crypto_py

    return _crypto_py


_backend = _choose()
_IDHASH_BYTES = 2 * 1024 * 1024

BACKEND = _backend.BACKEND
sha512 = _backend.sha512
sha384 = _backend.sha384
salsa20_xor = _backend.salsa20_xor
poly1305 = _backend.poly1305
x25519 = _backend.x25519
ed25519_sign = _backend.ed25519_sign
ed25519_verify = _backend.ed25519_verify
public_key = _backend.public_key
public_key_dh = _backend.public_key_dh
agree = _backend.agree
sign = _backend.sign
verify = _backend.verify
idhash = _backend.idhash
identity_search = _backend.identity_search
lz4_decompress = _backend.lz4_decompress
seal = _backend.seal
open = _backend.open
hello_mask = _backend.hello_mask
equal = _backend.equal
wipe = _backend.wipe


def idhash_fits():
    """Can the scratch memory of idhash() be had now? Boards without external RAM say no."""
    try:
        bytearray(_IDHASH_BYTES)
    except MemoryError:
        return False
    return True
