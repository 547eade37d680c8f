# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What is kept of credentials says the same as they did, and knows only themselves again.

from _vl2 import NWID, identity, public
from zt._compat import be64
from zt.credential import COM, Capability, Ownership, Tag
from zt.held import HeldCapability, HeldCOM, HeldOwnership, HeldTag

CONTROLLER = identity("controller")
B = public("B")
C = public("C")
AT = 5000


def _com(member=B, timestamp=AT, window=1000):
    com = COM.issue(NWID, member, be64(timestamp), window)
    com.sign(CONTROLLER)
    return com


def test_an_ordinary_certificate_is_kept_without_its_qualifiers_and_agrees_as_before():
    for other in (AT, AT + 1000, AT + 1001, AT - 1000, AT - 1001):
        theirs = _com(timestamp=other)
        for holder in (B, None):
            held = HeldCOM(theirs, holder)
            assert (held.qualifiers is None) == (holder is B)
            assert held.timestamp == be64(other)
            mine = _com(identity("A"))
            for who in (B, C):
                again = held.com(NWID, who)
                assert mine.agrees(again, who) == mine.agrees(theirs, who)
            assert mine.agrees(held.com(NWID, B), B) == (abs(other - AT) <= 1000)


def test_other_qualifiers_are_kept_as_they_are():
    q = _com().signed_message()
    more = b"\0\0\0\0\0\0\0\x09" + be64(7) + bytes(8)
    mine = COM(_com(identity("A")).signed_message() + more)
    for qualifiers, good in ((q, False), (q + more, True), (q[:72], False), (b"", False)):
        theirs = COM(qualifiers)
        held = HeldCOM(theirs, B)
        assert (held.qualifiers is None) == (qualifiers == q)
        assert mine.agrees(theirs, B) == good
        assert mine.agrees(held.com(NWID, B), B) == good
    # A hash of somebody else is not the identity's own.
    stolen = HeldCOM(_com(C), B)
    assert stolen.qualifiers is not None
    assert not _com(identity("A")).agrees(stolen.com(NWID, B), B)


def test_only_the_same_bytes_are_the_same():
    com = _com()
    tag = Tag(NWID, be64(AT), 5, 6, B.address)
    coo = Ownership(NWID, be64(AT), 1, [(2, b"\x0a\0\0\x01" + bytes(12))], B.address)
    capability = Capability(NWID, be64(AT), 3, b"\x01\x00", B.address)
    for c in (tag, coo, capability):
        c.sign(CONTROLLER)
    held = (HeldCOM(com, B), HeldTag(tag), HeldOwnership(coo), HeldCapability(capability))
    whole = (com, tag, coo, capability)
    for i, h in enumerate(held):
        assert [h.same(c) for c in whole] == [i == n for n in range(4)]
        assert h.same(type(whole[i]).unpack(whole[i].pack())[0])
    for c in (com, tag, coo):
        good = c.signature
        c.signature = bytes((good[0] ^ 1,)) + good[1:]
        assert not any([h.same(c) for h in held])
        c.signature = good
    assert not held[0].same(_com(window=1001))
    assert held[1].value == 6
    assert held[2].things == coo.things and held[2].owns_ip(b"\x0a\0\0\x01")
    assert not held[2].owns_ip(b"\x0a\0\0\x02") and not held[2].owns_mac(b"\x0a\0\0\x01\0\0")
    assert held[3].id == 3 and held[3].rules == b"\x01\x00"
