# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

from _vectors import load, refuses, survive_flips, unhex
from zt import confchunk
from zt.identity import Identity
from zt.netconf import Chunk, ChunkAssembler, NetworkConfig, pack_chunks

ADDRESS = unhex("c4aaa26c6a")


def v(group):
    return load("vl2.json")[group]


def nwid():
    return unhex(v("network_id"))


def controller():
    return Identity.parse(v("identities")["controller"]["secret"])


def be8(n):
    return n.to_bytes(8, "big")


def body_of(p):
    """The chunk in a packet payload of the vectors: OK has in-re verb and packet id before it."""
    payload = unhex(p["payload"])
    return payload[9:] if p["verb"] == 3 else payload


def test_chunks_of_the_vectors_are_made_byte_by_byte():
    for case in v("config_chunks"):
        text = unhex(case["dictionary"])
        bodies = [body_of(p) for p in case["packets"]]
        first = Chunk.unpack(bodies[0])
        assert pack_chunks(controller(), nwid(), text, first.update_id) == bodies, case["name"]
        for b in bodies:
            c = Chunk.unpack(memoryview(b"12345678" + b), 8)
            assert c.nwid == nwid() and c.total == len(text) and c.flags == 0
            assert text[c.offset : c.offset + len(c.data)] == bytes(c.data)
            assert controller().verify(c.signed_bytes, c.signature)


def test_chunks_of_the_vectors_are_put_together():
    for case in v("config_chunks"):
        a = ChunkAssembler()
        text = None
        for step in case["receive_in_order"]:
            c = Chunk.unpack(body_of(case["packets"][step["packet"]]))
            update, forward, text = a.add(c, b"other", be8(1), controller())
            assert (update or bytes(8)) == unhex(step["returns_update_id"]) and not forward
        assert text == unhex(case["dictionary"])
        assert (NetworkConfig.parse(text).issued_to == ADDRESS) == case["applied"]
        for p in case["packets"]:
            assert a.add(Chunk.unpack(body_of(p)), b"other", be8(1), controller()) == (
                None,
                False,
                None,
            )
            assert a.last == confchunk.DUPLICATE


def test_single_chunks_of_the_vectors():
    for case in v("config_chunk_accept"):
        a = ChunkAssembler()
        c = Chunk.unpack(unhex(case["chunk"]))
        update, forward, text = a.add(
            c, unhex(case["source"]), unhex(case["packet_id"]), controller()
        )
        assert (update or bytes(8)) == unhex(case["returns_update_id"]), case["name"]
        applied = text is not None and NetworkConfig.parse(text).issued_to == ADDRESS
        assert applied == case["applied"], case["name"]


def add(a, body, signer=None):
    return a.add(Chunk.unpack(body), b"other", be8(1), signer or controller())


def test_unknown_controller_and_other_signers_are_dropped():
    body = pack_chunks(controller(), nwid(), b"text", be8(1))[0]
    a = ChunkAssembler()
    assert a.add(Chunk.unpack(body), b"other", be8(1), None) == (None, False, None)
    assert a.last == confchunk.NO_CONTROLLER
    other = Identity.parse(v("identities")["A"]["secret"])
    forged = pack_chunks(other, nwid(), b"text", be8(1))[0]
    assert add(a, forged)[2] is None and a.last == confchunk.BAD_SIGNATURE
    assert add(a, forged, other)[2] is None and a.last == confchunk.BAD_SIGNATURE
    assert add(a, body) == (be8(1), False, b"text")


def test_fast_propagate_is_told_only_of_genuine_chunks():
    a = ChunkAssembler()
    body = pack_chunks(controller(), nwid(), b"text", be8(1), 1)[0]
    bad = bytearray(body)
    bad[-1] ^= 1
    assert add(a, bytes(bad)) == (None, False, None)
    assert add(a, body) == (be8(1), True, b"text") and add(a, body) == (None, False, None)


def test_three_updates_at_once_and_no_more():
    text = bytes(range(256)) * 60  # two chunks
    a = ChunkAssembler()
    updates = [pack_chunks(controller(), nwid(), text, be8(i)) for i in (1, 2, 3, 4)]
    for u in updates[:3]:
        assert add(a, u[0])[0] is None
    for u in updates[:3]:
        assert add(a, u[1])[2] == text
    b = ChunkAssembler()
    for u in updates:
        add(b, u[0])
    # The fourth took the place of the first.
    assert [add(b, u[1])[0] for u in updates[1:]] == [be8(2), be8(3), be8(4)]
    assert add(b, updates[0][1]) == (None, False, None)


def test_texts_beyond_the_limit_are_dropped():
    a = ChunkAssembler(100)
    assert add(a, pack_chunks(controller(), nwid(), b"x" * 101, be8(1))[0]) == (None, False, None)
    assert a.last == confchunk.TOO_BIG
    assert add(a, pack_chunks(controller(), nwid(), b"x" * 100, be8(1))[0])[2] == b"x" * 100
    unsigned = nwid() + b"\0\x65" + b"x" * 101
    assert a.add(Chunk.unpack(unsigned), nwid()[:5], be8(1), controller()) == (None, False, None)


def chunk_with(total, offset, data, update=1):
    signer = controller()
    body = nwid() + len(data).to_bytes(2, "big") + data + b"\0" + be8(update)
    body += total.to_bytes(4, "big") + offset.to_bytes(4, "big")
    return body + b"\1\0\x60" + signer.sign(body)


def test_chunks_that_contradict_each_other():
    a = ChunkAssembler()
    assert add(a, chunk_with(10, 0, b"01234"))[2] is None
    assert add(a, chunk_with(12, 5, b"56789"))[2] is None and a.last == confchunk.CONFUSED
    assert add(a, chunk_with(10, 4, b"456"))[2] is None and a.last == confchunk.TAKEN
    assert (
        add(a, chunk_with(10, 5, b"56789"))[2] is None
    )  # counted too much; never complete, never wrong
    assert add(a, chunk_with(0, 0, b"", 2)) == (be8(2), False, b"")
    for bad in (
        chunk_with(4, 0, b"01234"),
        chunk_with(5, 1, b"01234"),
        chunk_with(5, 0xFFFFFFFF, b"01234"),
        chunk_with(5, 0, b"01234", 0),
    ):
        assert refuses(Chunk.unpack, bad)


def test_damaged_chunks():
    body = chunk_with(5, 0, b"01234")
    survive_flips(Chunk.unpack, body)
    for n in range(len(body)):
        if n != 15:  # there it is a whole chunk of the old form
            assert refuses(Chunk.unpack, body[:n]), n
    assert Chunk.unpack(body[:15]).signature is None
    for off in (15 + 17, 15 + 18, 15 + 19):
        bad = bytearray(body)
        bad[off] ^= 1
        assert refuses(Chunk.unpack, bytes(bad))
