# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The core library through ctypes, for CPython. Checks lengths and hands buffers over; knows no
# algorithm. ImportError if there is no library: ZT_CORE_LIB, else build/libztcore.so beside lib/.

import ctypes
import mmap
import os

BACKEND = "ctypes"

_IDHASH_BYTES = 2097152
_IDHASH_BLOCKS = 163840
_STEP_BLOCKS = 8192  # a few milliseconds between two looks at Ctrl-C
_MAX_PACKET = 0xFFFF
_HEADER = 28


def _load():
    path = os.environ.get("ZT_CORE_LIB")
    if not path:
        here = os.path.dirname(os.path.abspath(__file__))
        path = os.path.join(here, "..", "..", "build", "libztcore.so")
    try:
        return ctypes.CDLL(os.path.abspath(path))
    except OSError:
        raise ImportError("no core library at " + path)


_lib = _load()
_p = ctypes.c_void_p  # a buffer
_n = ctypes.c_size_t
_u = ctypes.c_uint


def _function(name, result, *arguments):
    f = getattr(_lib, name)
    f.restype = result
    f.argtypes = arguments
    return f


_salsa20_init = _function("zt_salsa20_init", None, _p, _p, _p, ctypes.c_uint64)
_salsa20_xor = _function("zt_salsa20_xor", None, _p, _u, _p, _n)
_poly1305 = _function("zt_poly1305", None, _p, _p, _n, _p)
_sha512 = _function("zt_sha512", None, _p, _n, _p)
_sha384 = _function("zt_sha384", None, _p, _n, _p)
_x25519 = _function("zt_x25519", None, _p, _p, _p)
_x25519_base = _function("zt_x25519_base", None, _p, _p)
_ed25519_sign = _function("zt_ed25519_sign", None, _p, _p, _p, _n, _p)
_ed25519_verify = _function("zt_ed25519_verify_vartime", ctypes.c_int, _p, _p, _n, _p)
_identity_public = _function("zt_identity_public", None, _p, _p)
_identity_agree = _function("zt_identity_agree", None, _p, _p, _p)
_identity_sign = _function("zt_identity_sign", None, _p, _p, _p, _n, _p)
_identity_verify = _function("zt_identity_verify_vartime", ctypes.c_int, _p, _p, _n, _p)
_idhash_size = _function("zt_idhash_size", _n)
_idhash_init = _function("zt_idhash_init", None, _p, _p, _p)
_idhash_step = _function("zt_idhash_step", ctypes.c_int, _p, ctypes.c_uint32)
_idhash_result = _function("zt_idhash_result", None, _p, _p, _p)
_search_size = _function("zt_search_size", _n)
_search_init = _function("zt_search_init", None, _p, _p, _p)
_search_step = _function("zt_search_step", ctypes.c_int, _p, ctypes.c_uint32)
_search_result = _function("zt_search_result", None, _p, _p, _p, _p, _p)
_lz4 = _function("zt_lz4_decompress", ctypes.c_int32, _p, _n, _p, _n)
_seal = _function("zt_seal", ctypes.c_int, _p, _p, _n, _u)
_open = _function("zt_open", ctypes.c_int, _p, _p, _n)
_hello_mask = _function("zt_hello_mask", ctypes.c_int, _p, _p, _n, _n)


def _in(buf, n, message):
    # A key or the like, of exactly n bytes.
    if len(buf) != n:
        raise ValueError(message)
    return buf if type(buf) is bytes else bytes(buf)


def _data(buf):
    return buf if type(buf) is bytes else bytes(buf)


def _inout(buf):
    # The caller's own memory; TypeError if it may not be written.
    return (ctypes.c_char * len(buf)).from_buffer(buf)


def _out(n):
    return ctypes.create_string_buffer(n)


def sha512(data):
    out = _out(64)
    _sha512(_data(data), len(data), out)
    return out.raw


def sha384(data):
    out = _out(48)
    _sha384(_data(data), len(data), out)
    return out.raw


def salsa20_xor(key32, iv8, buf, rounds, block=0):
    key = _in(key32, 32, "key must be 32 bytes")
    iv = _in(iv8, 8, "iv must be 8 bytes")
    if rounds not in (12, 20):
        raise ValueError("rounds must be 12 or 20")
    state = _out(64)
    _salsa20_init(state, key, iv, block)
    _salsa20_xor(state, rounds, _inout(buf), len(buf))
    wipe(state)


def poly1305(key32, data):
    out = _out(16)
    _poly1305(_in(key32, 32, "key must be 32 bytes"), _data(data), len(data), out)
    return out.raw


def x25519(private32, public32):
    private = _in(private32, 32, "private key must be 32 bytes")
    out = _out(32)
    _x25519(private, _in(public32, 32, "public key must be 32 bytes"), out)
    return out.raw


def ed25519_sign(seed32, public32, msg):
    seed = _in(seed32, 32, "seed must be 32 bytes")
    public = _in(public32, 32, "public key must be 32 bytes")
    out = _out(64)
    _ed25519_sign(seed, public, _data(msg), len(msg), out)
    return out.raw


def ed25519_verify(public32, msg, sig64):
    public = _in(public32, 32, "public key must be 32 bytes")
    sig = _in(sig64, 64, "signature must be 64 bytes")
    return _ed25519_verify(public, _data(msg), len(msg), sig) == 0


def public_key_dh(private32):
    out = _out(32)
    _x25519_base(_in(private32, 32, "private key must be 32 bytes"), out)
    return out.raw


def public_key(private64):
    out = _out(64)
    _identity_public(_in(private64, 64, "private key must be 64 bytes"), out)
    return out.raw


def agree(private64, public64):
    private = _in(private64, 64, "private key must be 64 bytes")
    out = _out(48)
    _identity_agree(private, _in(public64, 64, "public key must be 64 bytes"), out)
    return out.raw


def sign(private64, public64, msg):
    private = _in(private64, 64, "private key must be 64 bytes")
    public = _in(public64, 64, "public key must be 64 bytes")
    out = _out(96)
    _identity_sign(private, public, _data(msg), len(msg), out)
    return out.raw


def verify(public64, msg, sig96):
    public = _in(public64, 64, "public key must be 64 bytes")
    sig = _in(sig96, 96, "signature must be 96 bytes")
    return _identity_verify(public, _data(msg), len(msg), sig) == 0


def _with_memory(work):
    # Run work(pointer to 2 MiB) and give the memory back, come what may.
    try:
        memory = mmap.mmap(-1, _IDHASH_BYTES)
    except OSError:
        raise MemoryError("identity hash needs 2 MiB")
    try:
        pointer = (ctypes.c_char * _IDHASH_BYTES).from_buffer(memory)
        try:
            return work(pointer)
        finally:
            del pointer
    finally:
        try:
            memory.close()
        except BufferError:
            pass  # an exception's traceback still holds the pointer; the memory goes with it


def idhash(public64, progress=None):
    public = _in(public64, 64, "public key must be 64 bytes")

    def work(memory):
        state, digest, done = _out(_idhash_size()), _out(64), ctypes.c_uint32()
        _idhash_init(state, public, memory)
        while not _idhash_step(state, _STEP_BLOCKS):
            if progress:
                _idhash_result(state, digest, ctypes.byref(done))
                progress(done.value * 100 // _IDHASH_BLOCKS)
        _idhash_result(state, digest, ctypes.byref(done))
        return digest.raw

    return _with_memory(work)


def identity_search(private64, progress=None):
    start = _in(private64, 64, "private key must be 64 bytes")

    def work(memory):
        state, tries = _out(_search_size()), ctypes.c_uint32()
        private, public, digest = _out(64), _out(64), _out(64)
        try:
            _search_init(state, start, memory)
            while not _search_step(state, _STEP_BLOCKS):
                if progress:
                    _search_result(state, private, public, digest, ctypes.byref(tries))
                    progress(tries.value)
            _search_result(state, private, public, digest, ctypes.byref(tries))
            return private.raw, public.raw, digest.raw
        finally:
            wipe(state)
            wipe(private)

    return _with_memory(work)


def lz4_decompress(src, dst):
    return _lz4(_data(src), len(src), _inout(dst), len(dst))


def seal(session48, pkt, n, suite):
    session = _in(session48, 48, "session key must be 48 bytes")
    if n < _HEADER or n > len(pkt) or n > _MAX_PACKET:
        raise ValueError("bad packet length")
    if suite not in (0, 1):
        raise ValueError("suite must be 0 or 1")
    _seal(session, _inout(pkt), n, suite)


def open(session48, pkt, n):
    session = _in(session48, 48, "session key must be 48 bytes")
    if n < 0 or n > len(pkt):
        raise ValueError("bad packet length")
    return _open(session, _inout(pkt), n) == 0


def hello_mask(session48, pkt, off, n):
    session = _in(session48, 48, "session key must be 48 bytes")
    if off < _HEADER or off > n or n > len(pkt):
        raise ValueError("bad packet length")
    _hello_mask(session, _inout(pkt), off, n)


def equal(a, b):
    if len(a) != len(b):
        return False
    diff = 0
    for x, y in zip(a, b):
        diff |= x ^ y
    return diff == 0


def wipe(buf):
    ctypes.memset(_inout(buf) if not isinstance(buf, ctypes.Array) else buf, 0, len(buf))
