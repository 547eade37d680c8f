# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The rules engine of the core through ctypes, for tests: builds the library, lays a case out in C
# structures, and judges the same case with lib/zt/rules.py. CPython only.

import ctypes
import os
import subprocess
from ctypes import Structure, c_size_t, c_uint8, c_uint16, c_uint32

from zt import mac, rules
from zt.credential import Ownership

HERE = os.path.dirname(os.path.abspath(__file__))
CORE = os.path.join(HERE, "..", "..", "firmware", "core")
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror"]
SANITIZE = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
ROOM = 4096  # steps of a trace
FALSE, TRUE, NO, YES, UNASKED = range(5)
SET, SKIP, SUPER, GOES_ON = 1, 2, 4, 255


def build(path, cc, flags):
    source = os.path.join(CORE, "zt_rules.c")
    command = [cc, *WARNINGS, *flags, "-fPIC", "-shared", "-o", path, source]
    subprocess.run(command, check=True)
    return path


class List(Structure):
    _fields_ = [("raw", ctypes.c_void_p), ("n", c_size_t)]


class Tag(Structure):
    _fields_ = [("id", c_uint32), ("value", c_uint32)]


class Thing(Structure):
    _fields_ = [("type", c_uint8), ("value", c_uint8 * 16)]


class Member(Structure):
    _fields_ = [
        ("tags", ctypes.POINTER(Tag)),
        ("capabilities", ctypes.POINTER(List)),
        ("things", ctypes.POINTER(Thing)),
        ("tag_count", c_uint16),
        ("capability_count", c_uint16),
        ("thing_count", c_uint16),
    ]


class Network(Structure):
    _fields_ = [
        ("rules", List),
        ("own", Member),
        ("flags", c_uint32),
        ("address", c_uint8 * 5),
        ("has_sixplane", c_uint8),
        ("has_rfc4193", c_uint8),
        ("sixplane", c_uint8 * 5),
        ("rfc4193", c_uint8 * 11),
    ]


class Frame(Structure):
    _fields_ = [
        ("payload", ctypes.c_void_p),
        ("n", c_size_t),
        ("random", c_uint32),
        ("ethertype", c_uint16),
        ("inbound", c_uint8),
        ("no_tee", c_uint8),
        ("mac_source", c_uint8 * 6),
        ("mac_dest", c_uint8 * 6),
        ("source", c_uint8 * 5),
        ("dest", c_uint8 * 5),
    ]


class Copy(Structure):
    _fields_ = [("length", c_uint32), ("dest", c_uint8 * 5), ("flags", c_uint8)]


class Out(Structure):
    _fields_ = [("copies", Copy * 3), ("count", c_uint8), ("base", c_uint8), ("result", c_uint8)]


class Step(Structure):
    _fields_ = [
        ("list", c_uint16),
        ("rule", c_uint16),
        ("type", c_uint8),
        ("match", c_uint8),
        ("state", c_uint8),
        ("result", c_uint8),
    ]


class Trace(Structure):
    _fields_ = [("steps", ctypes.POINTER(Step)), ("room", c_size_t), ("count", c_size_t)]


class Credentials:
    """What one member has: tags {id: value}, capabilities [bytes], things [(type, 16 bytes)]."""

    def __init__(self, tags=None, capabilities=(), things=()):
        self.tags = tags or {}
        self.lists = list(capabilities)
        self.things = list(things)
        self.coos = [
            Ownership(bytes(8), bytes(8), 1, self.things[i : i + 16], bytes(5))
            for i in range(0, len(self.things), 16)
        ]

    # Asked by lib/zt/rules.py.

    def tag(self, id):
        return self.tags.get(id)

    def capabilities(self):
        return [Named(i, raw) for i, raw in enumerate(self.lists)]

    def owns_ip(self, ip):
        return any(c.owns_ip(ip) for c in self.coos)

    def owns_mac(self, m):
        return any(c.owns_mac(m) for c in self.coos)


class Named:
    def __init__(self, id, rules=b"", value=0):
        self.id = id
        self.rules = rules
        self.value = value


class Case:
    """One frame, everything the engine is told about it, and how to ask both engines."""

    nwid = bytes.fromhex("6af0762a6e3c00de")
    flags = 0
    me = bytes.fromhex("c4aaa26c6a")
    remote = None
    static_ips = ()
    dest = None
    no_tee = False
    random = 0x80000000

    def __init__(self, **given):
        self.own = Credentials()
        for name, value in given.items():
            setattr(self, name, value)

    def __repr__(self):
        shown = dict(self.__dict__, own=self.own.__dict__)
        shown["remote"] = self.remote and self.remote.__dict__
        return "Case(%r)" % shown

    # --- C

    def _member(self, credentials, keep):
        tags = (Tag * len(credentials.tags))(*sorted(credentials.tags.items()))
        lists = (List * len(credentials.lists))(*[_list(x, keep) for x in credentials.lists])
        things = (Thing * len(credentials.things))()
        for i, (kind, value) in enumerate(credentials.things):
            things[i].type = kind
            things[i].value[:] = value
        keep += (tags, lists, things)
        return Member(tags, lists, things, len(tags), len(lists), len(things))

    def c(self, lib, trace=None):
        """(verdict, [(destination, flags, length)], result of the base rules)."""
        keep = []
        net = Network(_list(self.rules, keep), self._member(self.own, keep), self.flags)
        net.address[:] = self.me
        sixplane = mac.sixplane(self.nwid, self.me)
        rfc4193 = mac.rfc4193(self.nwid, self.me)
        own = [ip for ip, _ in self.static_ips]
        net.has_sixplane = sixplane in own
        net.has_rfc4193 = rfc4193 in own
        net.sixplane[:] = sixplane[:5]
        net.rfc4193[:] = rfc4193[:11]
        payload = _list(self.payload, keep)
        frame = Frame(payload.raw, payload.n, self.random, self.ethertype)
        frame.inbound = self.inbound
        frame.no_tee = self.no_tee
        frame.mac_source[:] = self.mac_source
        frame.mac_dest[:] = self.mac_dest
        frame.source[:] = self.source
        frame.dest[:] = self.dest or bytes(5)
        remote = ctypes.byref(self._member(self.remote, keep)) if self.remote else None
        out = Out(count=77)
        verdict = lib.zt_rules_eval(
            ctypes.byref(net),
            remote,
            ctypes.byref(frame),
            ctypes.byref(out),
            None if trace is None else ctypes.byref(trace),
        )
        copies = [(bytes(c.dest), c.flags, c.length) for c in out.copies[: out.count]]
        return verdict, copies, out.base

    def steps(self, lib):
        """c() with its trace: (what c() gives, list of Step)."""
        trace = Trace((Step * ROOM)(), ROOM, 0)
        answer = self.c(lib, trace)
        assert trace.count <= ROOM
        return answer, trace.steps[: trace.count]

    # --- Python

    def python(self, judge=None):
        """The verdict and copies of lib/zt/rules.py."""
        config = Named(0, self.rules)
        config.nwid = self.nwid
        config.flags = self.flags
        config.tags = [Named(i, value=v) for i, v in self.own.tags.items()]
        config.coos = self.own.coos
        config.capabilities = self.own.capabilities()
        config.static_ips = self.static_ips
        numbers = draws(self.random)
        f = judge or rules.Filter(self.me, lambda n: next(numbers).to_bytes(n, "big"))
        verdict = f.verdict(
            config,
            self.remote,
            self.inbound,
            memoryview(self.payload),
            self.ethertype,
            self.mac_source,
            self.mac_dest,
            self.source,
            self.dest,
            self.no_tee,
        )
        return verdict, [(bytes(d), flags, n) for d, flags, n in f.copies]


def _list(raw, keep):
    # A block of its own for the bytes, so that a sanitizer sees a step outside it.
    block = (c_uint8 * len(raw)).from_buffer_copy(raw) if raw else None
    keep.append(block)
    return List(ctypes.addressof(block) if raw else None, len(raw))


def draws(first):
    """The random numbers of one frame, from the one the caller gave."""
    yield first
    x = first
    while True:
        x = (x + 0x9E3779B9) & 0xFFFFFFFF
        y = (x ^ x >> 16) * 0x85EBCA6B & 0xFFFFFFFF
        y = (y ^ y >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
        yield y ^ y >> 16


def load(path):
    lib = ctypes.CDLL(path)
    p = ctypes.c_void_p
    lib.zt_rules_eval.argtypes = (p, p, p, p, p)
    lib.zt_rules_eval.restype = ctypes.c_int
    lib.zt_rules_validate.argtypes = (p, c_size_t, c_size_t, p)
    lib.zt_rules_validate.restype = ctypes.c_int
    return lib


def validate(lib, raw, limit=rules.MAX_RULES):
    """As rules.validate, but None for a malformed list."""
    keep = []
    x = _list(raw, keep)
    used = c_size_t(7777777)
    if lib.zt_rules_validate(x.raw, x.n, limit, ctypes.byref(used)):
        assert used.value == 7777777
        return None
    return used.value
