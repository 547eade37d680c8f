# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The rules for boards without the 2 MiB of the identity hash (docs/security.md): such a node makes
# no identity and takes none from anybody but a root that it asked, directly or relayed, whatever
# else it is told. With the memory it does both itself.

from _people import IDS, IP, TYPE, cut, events, live, messages, one_root
from zt import crypto, drops, hello, identity, inet, packet
from zt._compat import be16
from zt.const import (
    NET_OK,
    VERB_HELLO,
    VERB_OK,
    VERB_RENDEZVOUS,
    VERB_USER_MESSAGE,
    VERB_WHOIS,
)
from zt.controller import Controller
from zt.identity import Identity
from zt.peer import Peer

_FORGER = Identity.parse(IDS["D"])  # whose keys the forger has; his place on the wire is D's


class _Hash:
    """Whose keys the identity hash was run over; with `memory` False there is none for it."""

    def __init__(self, memory=True):
        self.memory = memory
        self.runs = []
        self.kept = crypto.idhash, crypto.identity_search, crypto.idhash_fits

    def idhash(self, public, progress=None):
        self.runs.append(public)
        if not self.memory:
            raise MemoryError("identity hash needs 2 MiB")
        return self.kept[0](public, progress)

    def search(self, private, progress=None):
        self.runs.append(None)
        raise MemoryError("identity hash needs 2 MiB")

    def __enter__(self):
        crypto.idhash = self.idhash
        if not self.memory:
            crypto.identity_search = self.search
            crypto.idhash_fits = lambda: False
        return self

    def __exit__(self, *args):
        crypto.idhash, crypto.identity_search, crypto.idhash_fits = self.kept


def _board(names="A", **kw):
    """(sim, root R, board C, the others...), the first two in contact; C has no memory."""
    made = one_root(names)
    sim, r = made[0], made[1]
    kw.setdefault("idhash", False)
    board = sim.add("C", IDS["C"], IP["C"], r.storage.get("planet"), profile="small", **kw)
    sim.where["D"] = [(1, (IP["D"], 9993))]
    assert sim.until(lambda: board.online and live(r, board, sim.now)) is not None
    return [sim, r, board] + made[2:]


def _forged(address):
    """An identity whose keys are whole and whose address is another's: only the hash tells."""
    return Identity(address, _FORGER.public, _FORGER.private)


def _hello(mine, to, packet_id=b"12345678"):
    head = bytes((11, 1, 4, 0, 8)) + bytes(8) + mine.pack() + inet.pack(IP["C"], 9993)
    return _sealed(mine, to, VERB_HELLO, head + bytes(16) + b"\0\0", packet_id, 0)


def _sealed(mine, to, verb, body, packet_id=b"12345678", suite=1):
    key = mine.agree(to.identity)
    pkt = bytearray(28 + len(body))
    n = packet.compose(pkt, packet_id, to.address, mine.address, verb, (body,))
    if verb == VERB_HELLO:
        crypto.hello_mask(key, pkt, n - 2, n)
    crypto.seal(key, pkt, n, suite)
    return bytes(pkt)


def _put(sim, data, to):
    """A datagram from the forger's place to the socket of a node."""
    sim.wire.append(("D", to, data, (IP["D"], 9993), 1))
    sim.deliver()


def _heard(sim, board, forged):
    """Did the board say anything that the owner of these keys could open?"""
    key = forged.agree(board.identity)
    for src, _, data in sim.log:
        p = bytearray(data)
        if src == "C" and len(p) > 27 and crypto.open(key, p, len(p)):
            return True
    return False


def _origin(node, address):
    return [p["identityFrom"] for p in node.peers() if p["address"] == address.hex()]


# --- making one


def test_a_board_makes_no_identity_and_names_the_tool():
    drawn = []
    with _Hash(memory=False) as h:
        try:
            identity.generate(lambda n: drawn.append(n) or bytes(n))
            raise ValueError("an identity was made")
        except MemoryError as e:
            assert "2 MiB" in str(e) and "tools/provision.py" in str(e)
        assert not h.runs and not drawn


def test_what_was_not_found_out_before_is_found_out_at_start():
    sim, r, with_memory = _board("", idhash=None)
    assert with_memory.can_validate and with_memory.status()["identityCheck"] == "self"
    with _Hash(memory=False) as h:
        board = sim.add("B", IDS["B"], IP["B"], r.storage.get("planet"))
        assert not board.can_validate and not h.runs
        assert board.status()["identityCheck"] == "root"


# --- taking one


def test_a_stranger_is_taken_when_a_root_has_named_its_key():
    sim, r, board, a = _board()
    sim.block = lambda src, dst, data: src == "R" and dst == "C" and len(data) > 100
    with _Hash() as h:
        peer = Peer(board.identity, a.identity.agree(board.identity))
        hello.send(a, sim.now, peer, 1, (IP["C"], 9993))
        sim.run(400)
        assert a.address not in board.topology.peers and len(board.parked.items) == 1
        assert not _heard(sim, board, a.identity)
        sim.block = None  # the root's answer comes through when asked again
        sim.run(700)
        assert board.topology.peers[a.address].identity == a.identity
        assert a.identity.public not in h.runs
    # The HELLO that waited is answered, and both talk.
    assert _heard(sim, board, a.identity) and not board.parked.items
    assert _origin(board, a.address) == ["root"] and _origin(board, r.address) == ["planet"]
    board.send_user_message(sim.now, a.address, TYPE, b"hello")
    a.send_user_message(sim.now, board.address, TYPE, b"yourself")
    sim.run(1000)
    assert messages(a) == [b"hello"] and messages(board) == [b"yourself"]


def test_a_forged_hello_is_refused_direct_and_relayed_by_a_genuine_root():
    for relayed in (False, True):
        for known in (True, False):  # the address is somebody's, or nobody's
            sim, r, board, a = _board()
            forged = _forged(a.address if known else bytes((1, 2, 3, 4, 5)))
            del sim.log[:]
            for i in range(20):
                at = "R" if relayed else "C"
                _put(sim, _hello(forged, board, bytes((0, 0, 0, 0, 0, 0, 1, i))), at)
                sim.run(1000)
            # It did come through, and the board did ask.
            came = [p for s, d, p in sim.log if d == "C" and p[13:18] == forged.address]
            assert len(came) == 20 and {packet.hops(p) for p in came} == {int(relayed)}
            assert {s for s, d, p in sim.log if d == "C" and p in came} == {
                "R" if relayed else "D"
            }
            asked = [b for b in sim.log if b[0] == "C" and b[1] == "R" and len(b[2]) == 33]
            assert asked
            assert not _heard(sim, board, forged)
            peer = board.topology.peers.get(forged.address)
            if known:
                assert peer.identity == a.identity and peer.last_receive is None
            else:
                assert peer is None
            sim.run(12000)
            assert not board.parked.items and not board.wanted.wanted
            assert not _heard(sim, board, forged)


def test_the_forged_hello_lacks_nothing_but_the_hash():
    # So that the test above cannot pass for another reason.
    sim, r, board, a = _board()
    board.validate = lambda identity: True
    forged = _forged(a.address)
    _put(sim, _hello(forged, board), "R")
    assert board.topology.peers[a.address].identity == forged and _heard(sim, board, forged)


def test_what_else_a_stranger_sends_makes_nobody_known():
    sim, r, board, a = _board()
    forged = _forged(bytes((1, 2, 3, 4, 5)))
    before = set(board.topology.peers)
    for i, verb in enumerate(range(32)):
        body = forged.pack() * 2 if verb != VERB_HELLO else bytes(13) + forged.pack()
        p = _sealed(forged, board, verb, body, bytes((0, 0, 0, 0, 0, 0, 2, i)))
        _put(sim, p, "R" if i % 2 else "C")
        sim.run(600)
    assert set(board.topology.peers) == before and not _heard(sim, board, forged)


def test_without_a_root_within_reach_nobody_is_taken():
    sim, r, board, a = _board()
    sim.block = cut("CR")
    for i in range(10):
        _put(sim, _hello(a.identity, board, bytes((0, 0, 0, 0, 0, 0, 3, i))), "C")
        sim.run(2000)
    assert a.address not in board.topology.peers and not _heard(sim, board, a.identity)


def test_a_board_that_is_the_only_root_takes_nobody():
    sim, r, a = one_root("A")
    small = sim.add("R", IDS["R"], IP["R"], a.storage.get("planet"), idhash=False)
    sim.run(30000)
    assert not small.topology.peers and not a.online


# --- answers to WHOIS


def _whois_answer(sender, board, packet_id, found, wire_id=b"87654321"):
    body = bytes([VERB_WHOIS]) + packet_id + found.pack()
    return _sealed(sender.identity, board, VERB_OK, body, wire_id)


def _question(sim, board, address):
    """The board asks for an address; the packet ID of its question, which gets lost."""
    sim.block = lambda src, dst, data: src == "C"
    del sim.wire[:]
    board.whois(sim.now, address)
    packet_id = sim.wire[0][2][0:8]
    sim.deliver()
    return packet_id


def test_an_answer_counts_only_from_a_root_and_only_about_what_it_was_asked():
    cases = {
        "good": (True, lambda s: _whois_answer(s[1], s[2], s[4], s[3].identity)),
        "nobody asked": (False, lambda s: _whois_answer(s[1], s[2], b"00000000", s[3].identity)),
        "another address": (False, lambda s: _whois_answer(s[1], s[2], s[4], _FORGER)),
        "our own address": (
            False,
            lambda s: _whois_answer(s[1], s[2], s[4], _forged(s[2].address)),
        ),
        "no root": (False, lambda s: _whois_answer(s[5], s[2], s[4], s[3].identity)),
        "not sealed by the root": (
            False,
            lambda s: s[1].address.join(
                _whois_answer(s[5], s[2], s[4], s[3].identity).split(s[5].address)
            ),
        ),
        "one bit wrong": (
            False,
            lambda s: _damaged(_whois_answer(s[1], s[2], s[4], s[3].identity)),
        ),
        "a private key": (
            False,
            lambda s: _sealed(
                s[1].identity, s[2], VERB_OK, bytes([VERB_WHOIS]) + s[4] + s[3].identity.pack(True)
            ),
        ),
    }
    for name in sorted(cases):
        taken, make = cases[name]
        sim, r, board, a, b = _board("AB")
        # B is a peer the board knows and hears, so that its answer is authentic.
        b.send_user_message(sim.now, board.address, TYPE, b"here")
        assert sim.until(lambda n=board: messages(n)) is not None
        before = set(board.topology.peers)
        packet_id = _question(sim, board, a.address)
        _put(sim, make((sim, r, board, a, packet_id, b)), "C")
        assert (a.address in board.topology.peers) == taken, name
        assert taken or set(board.topology.peers) == before, name
        assert not taken or _origin(board, a.address) == ["root"]


def _damaged(p):
    return p[:40] + bytes([p[40] ^ 1]) + p[41:]


def test_a_rendezvous_with_a_stranger_is_not_kept():
    sim, r, board, a = _board()
    del sim.log[:]
    body = b"\0" + a.address + be16(9993) + b"\4" + IP["A"]
    _put(sim, _sealed(r.identity, board, VERB_RENDEZVOUS, body), "C")
    sim.run(1000)
    assert not [1 for s, d, _ in sim.log if (s, d) == ("C", "A")]
    assert a.address not in board.topology.peers


# --- a key that changes


def test_a_known_peer_keeps_its_key():
    sim, r, board, a = _board()
    a.send_user_message(sim.now, board.address, TYPE, b"x")
    assert sim.until(lambda: messages(board)) is not None
    forged = _forged(a.address)
    for at in ("C", "R"):
        _put(sim, _hello(forged, board), at)
    packet_id = _question(sim, board, a.address)
    _put(sim, _whois_answer(r, board, packet_id, forged), "C")
    assert board.topology.peers[a.address].identity == a.identity
    assert board.drops[drops.IDENTITY] == 3


def test_a_root_keeps_the_key_of_the_planet():
    sim, r, board, a = _board()
    packet_id = _question(sim, board, a.address)
    board.expected.add(sim.now, packet_id, VERB_WHOIS, r.address, r.address)
    _put(sim, _whois_answer(r, board, packet_id, _forged(r.address)), "C")
    _put(sim, _hello(_forged(r.address), board), "C")
    assert board.topology.peers[r.address].identity == r.identity
    assert board.drops[drops.IDENTITY] == 2


# --- the cache


def test_the_cache_holds_only_peers_that_spoke():
    sim, r, board, a, b = _board("AB")
    board.send_user_message(sim.now, a.address, TYPE, b"x")
    assert sim.until(lambda: board.topology.peers.get(a.address)) is not None
    sim.block = lambda src, dst, data: src == "B" or dst == "B"
    board.send_user_message(sim.now, b.address, TYPE, b"x")
    assert sim.until(lambda: board.topology.peers.get(b.address)) is not None
    sim.run(2000)
    assert board.topology.peers[b.address].last_receive is None
    storage = sim.remove("C")
    assert sorted(storage.keys("peer")) == sorted([r.address, a.address])
    again = sim.add("C", IDS["C"], IP["C"], storage=storage, idhash=False)
    again.send_user_message(sim.now, a.address, TYPE, b"y")
    assert _origin(again, a.address) == ["cache"]
    sim.run(2000)
    assert messages(a) == [b"x", b"y"]


def test_a_damaged_key_in_the_cache_gives_way_to_the_roots_word_and_to_nobody_elses():
    for relayed in (False, True):
        sim, r, board, a = _board()
        storage = sim.remove("C")
        wrong = bytearray(Peer(a.identity, bytes(48)).pack(0))
        wrong[40] ^= 0xFF
        storage.put("peer", bytes(wrong), a.address)
        board = sim.add("C", IDS["C"], IP["C"], storage=storage, idhash=False)
        assert sim.until(lambda b=board: b.online) is not None
        forged = _forged(a.address)
        _put(sim, _hello(forged, board), "R" if relayed else "C")
        sim.run(1000)
        assert board.topology.peers[a.address].identity == a.identity
        assert _origin(board, a.address) == ["root"] and not _heard(sim, board, forged)
        a.send_user_message(sim.now, board.address, TYPE, b"x")
        sim.run(3000)
        assert messages(board) == [b"x"]


# --- the whole way


def test_a_board_joins_a_network_and_knows_its_controller_from_the_root():
    sim, r, board, a, b = _board("AB")
    a.attach_controller(Controller(a.identity, a.storage, sim.clock, sim.random))
    nwid = bytes.fromhex(a.controller.put_network(sim.now, None, {"private": False})["nwid"])
    board.join(sim.now, nwid)
    sim.kick("C")
    assert sim.until(lambda: board.network(nwid).status == NET_OK) is not None
    b.send(sim.now, board.address, VERB_USER_MESSAGE, TYPE, b"from b")
    assert sim.until(lambda: messages(board)) is not None
    assert _origin(board, a.address) == _origin(board, b.address) == ["root"]
    assert not events(board, "identity_collision")


# --- with the memory


def test_with_the_memory_a_node_needs_no_root_for_it():
    sim, r, board, a = _board(idhash=True)
    sim.block = cut("CR", "AR")
    with _Hash() as h:
        _put(sim, _hello(_forged(a.address), board), "C")
        assert len(h.runs) == 1 and a.address not in board.topology.peers
        assert board.drops[drops.IDENTITY] == 1 and not board.wanted.wanted
        _put(sim, _hello(a.identity, board), "C")
        assert h.runs[1] == a.identity.public and _origin(board, a.address) == ["self"]
    sim.block = None
    sim, r, board, a = _board(idhash=True)
    _put(sim, _hello(_forged(a.address), board), "R")
    sim.run(2000)
    assert a.address not in board.topology.peers and not board.wanted.wanted


def test_when_the_memory_is_short_for_once_a_root_is_asked():
    sim, r, board, a = _board(idhash=True)
    with _Hash(memory=False) as h:
        _put(sim, _hello(_forged(a.address), board), "C")
        sim.run(1000)
        assert h.runs and board.drops[drops.MEMORY]
    assert board.topology.peers[a.address].identity == a.identity
    assert _origin(board, a.address) == ["root"]
