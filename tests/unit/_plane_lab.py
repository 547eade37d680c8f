# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What the tests of the data plane share: node A with two peers, packets from one of them, and
# frames. CPython only.

import os
import shutil

import pytest
from _plane import Plane, build, frame, load
from zt import crypto, mac, packet
from zt.const import VERB_FRAME

A, B, C = (bytes.fromhex(x) for x in ("1122334455", "66778899aa", "c4aaa26c6a"))
NWID = bytes.fromhex("8056c2e21c000001")
MAC = {x: mac.from_address(x, NWID) for x in (A, B, C)}
KEY_B, KEY_C = bytes(range(48)), bytes(range(100, 148))
AT_A, AT_B, AT_C = (1, (b"\x0a\0\0\1", 9993)), (1, (b"\x0a\0\0\2", 9993)), (2, (bytes(16), 77))
ROOT = (1, (b"\x0a\0\0\x63", 9993))
IPV4 = 0x0800
GROUP = b"\x33\x33\0\0\0\1"


_built = []


def library(folder):
    """The core and the shim, built once in a run, or the reason to skip."""
    if not _built and "ZT_PLANE_LIB" in os.environ:
        _built.append(load(os.environ["ZT_PLANE_LIB"]))
    if not _built:
        cc = shutil.which("cc")
        if not cc:
            pytest.skip("no C compiler (Debian package gcc)")
        _built.append(load(build(str(folder / "plane.so"), cc, ["-O2"])))
    return _built[0]


def plane(lib, now=1000, rules=b"\1\0", **limits):
    """A with peers B and C, all members of one network; index 0."""
    p = Plane(lib, A, bytes(range(16)), **limits)
    p.now = now
    install(p, rules)
    return p


def install(p, rules=b"\1\0", **more):
    assert p.peer(B, KEY_B, AT_B, [AT_B]) == 0
    assert p.peer(C, KEY_C, AT_C, [AT_C]) == 0
    assert p.network(NWID, rules, nic=3, **more) == 0
    assert p.member(0, B) == p.member(0, C) == 0


_ids = [0]


def seal(verb, payload, source=B, dest=A, key=KEY_B, hops=0, suite=1, cut=False):
    _ids[0] += 1
    p = bytearray(28 + len(payload))
    p[0:8] = (0xF0 << 56 | _ids[0]).to_bytes(8, "big")
    p[8:13], p[13:18], p[27], p[28:] = dest, source, verb, payload
    if cut:
        p[18] |= packet.FLAG_FRAGMENTED
    crypto.seal(key, p, len(p), suite)
    p[18] |= hops
    return bytes(p)


def pieces(p, mtu=1432):
    """A sealed packet as datagrams."""
    total = packet.pieces(len(p), mtu)
    out = [p[:mtu]]
    buf = bytearray(mtu)
    for i in range(1, total):
        out.append(bytes(buf[: packet.fragment(p, i, total, len(p), buf, mtu)]))
    return out


def from_b(payload=b"hello", **more):
    return seal(VERB_FRAME, NWID + b"\x08\0" + payload, **more)


def to_a(payload=b"hello", src=B):
    return frame(MAC[A], MAC[src], IPV4, payload)


def to_b(payload=b"hello", dst=B):
    return frame(MAC[dst], MAC[A], IPV4, payload)


def unseal(data, key=KEY_B):
    p = bytearray(data)
    assert crypto.open(key, p, len(p))
    return p


def only_event(p):
    (event,) = p.events()
    return event


def long_one(n=4000):
    body = bytes(i * 11 & 255 for i in range(n))
    return pieces(from_b(body, cut=True)), to_a(body)
