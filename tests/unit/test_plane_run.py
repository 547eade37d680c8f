# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Messages of several datagrams (zt_plane_rx_run), whose key streams are made side by side where
# the machine can: everything is as if each datagram had come alone. CPython only: ctypes.

import os
import random

from _plane import DONE, EVENT
from _plane_lab import AT_B, AT_C, KEY_B, KEY_C, NWID, A, B, C, from_b, plane, seal
from zt import packet
from zt.const import VERB_ECHO, VERB_FRAME

RUNS = int(os.environ.get("ZT_PLANE_CASES", "20000")) // 40


def _datagram(r, size):
    """One of `size` bytes: mostly a good frame of B or C, else something else."""
    kind = r.random()
    payload = NWID + b"\x08\0" + r.randbytes(size - 38)
    if kind < 0.55:
        return seal(VERB_FRAME, payload)
    if kind < 0.7:
        return seal(VERB_FRAME, payload, source=C, key=KEY_C)
    d = bytearray(seal(VERB_FRAME, payload))
    if kind < 0.8:
        d[r.randrange(size)] ^= 1 << r.randrange(8)  # anywhere, the header too
    elif kind < 0.83:
        return seal(VERB_ECHO, bytes(size - 28))  # Python's
    elif kind < 0.86:
        d[13:18] = r.choice((A, b"\x01\x02\x03\x04\x05"))
    elif kind < 0.89:
        d[13] = 0xFF
    elif kind < 0.92:
        d[18] |= packet.FLAG_FRAGMENTED
    elif kind < 0.95:
        return seal(VERB_FRAME, payload, suite=0)
    elif kind < 0.97:
        return bytes(r.randbytes(size))
    return bytes(d)


def _events(p):
    return [(bytes(e), data) for e, data in p.events()]


def _same(one, other):
    return (
        one.counters() == other.counters()
        and one.delivered == other.delivered
        and one.sent == other.sent
        and _events(one) == _events(other)
    )


def test_a_run_is_as_its_datagrams_one_by_one(lib):
    r = random.Random(20)
    for case in range(RUNS):
        size = r.choice((40, 60, 88, 90, 91, 91, 92, 150))
        parts = [_datagram(r, size) for _ in range(r.randrange(1, 14))]
        if r.random() < 0.3:
            parts[-1] = parts[-1][: r.randrange(1, size + 1)]
        run, alone = plane(lib), plane(lib)
        data = b"".join(parts)
        source = r.choice((AT_B, AT_B, AT_B, AT_C))
        while data:
            result, used = run.rx_run(data, size, *source)
            for _ in range(-(-used // size)):
                last = alone.rx(parts.pop(0), *source)
                assert last != EVENT or _ == -(-used // size) - 1, case
            assert result == last and (used == len(data) or result == EVENT), case
            assert _same(run, alone), (case, size)
            for p in (run, alone):
                p.clear()
            data = data[used:]
        assert not parts


def test_a_run_stops_where_python_has_to_look_first(lib):
    p = plane(lib)
    frames = [from_b(b"%d" % i * 40) for i in range(6)]
    hello = seal(VERB_ECHO, bytes(len(frames[0]) - 28))
    data = b"".join(frames[:2] + [hello] + frames[2:])
    size = len(hello)
    assert p.rx_run(data, size, *AT_B) == (EVENT, 3 * size)
    assert len(p.delivered) == 2
    # Python cuts B off; what was made ahead for its key is not used.
    assert p.peer_del(B) == 0 and len(p.events()) == 1
    assert p.rx_run(data[3 * size :], size, *AT_B) == (EVENT, size)
    assert len(p.delivered) == 2


def test_each_datagram_of_a_run_is_delivered_in_place_and_in_order(lib):
    p = plane(lib)
    frames = [from_b(bytes([i]) * 50) for i in range(9)]
    assert p.rx_run(b"".join(frames), 88, *AT_B) == (DONE, 9 * 88)
    assert [d[1][14:] for d in p.delivered] == [bytes([i]) * 50 for i in range(9)]
    assert all(owned for _, _, owned in p.delivered)
    assert KEY_B not in p.after


def test_a_size_of_zero_means_one_datagram(lib):
    p = plane(lib)
    frame = from_b(b"x" * 50)
    assert p.rx_run(frame, 0, *AT_B) == (DONE, len(frame))
    assert len(p.delivered) == 1
