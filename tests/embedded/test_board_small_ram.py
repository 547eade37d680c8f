# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The rules for boards too small for the identity hash (docs/security.md), on one that is: it makes
# no identity and names the tool; HELLOs in another's name, sent to it and relayed by a genuine
# root, make it ask the root and believe only that.

import json
import os
import subprocess
import sys
import types

import board_test
import pytest
import rawrepl
from test_board_tool import Bench
from zt.identity import Identity

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = "import json\nprint(json.dumps(nic.status('peers')))"
DROPS = "import json\nprint(json.dumps(nic.status('node')['counters']['dropped']))"


@pytest.fixture
def lab(a_board_is_possible, tmp_path):
    """A board online at a root on the lab's host, nothing joined."""
    bench = Bench(tmp_path)
    words = bench.words()
    args = board_test.arguments(words)
    board = board_test.Board(args)
    (tmp_path / "peer").mkdir()
    prefix = bench.net.command("host", [])
    peer = board_test.Peer(str(tmp_path / "peer"), args.host_ip, args.host_port, prefix)
    try:
        board.connect()
        board.repl.enter()
        peer.start()
        board.prepare(peer)
        test = board_test.Test(args, board, peer)
        test.boot()
        test.online()
        yield types.SimpleNamespace(bench=bench, board=board, peer=peer, args=args)
    finally:
        board.close()
        peer.close()
        bench.close()


def forge(lab, identity, address, ip, port, count=4):
    """Answers that the forger could open."""
    program = [sys.executable, os.path.join(HERE, "forger.py")]
    host = lab.args.host_ip
    done = lab.bench.net.run(
        "host",
        program + [identity, address, host, ip, str(port), str(count)],
        capture_output=True,
        text=True,
        timeout=60,
        env=dict(os.environ, PYTHONPATH=os.path.join(HERE, "..", "..", "lib")),
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def relayed(lab):
    out = lab.peer.zt("status", "--json", "--home", lab.peer.root)
    return json.loads(out)["counters"]["relayed"]


def test_a_board_takes_no_identity_but_from_its_root(lab):
    board = lab.board
    assert (
        board.ask("import json\nprint(json.dumps(nic.status('node')['identityCheck']))") == "root"
    )
    member = Identity.parse(
        open(os.path.join(lab.peer.folder, "member", "identity.public")).read()
    )
    known = member.address.hex()
    identity = board.run("print(nic.config('identity'))")
    for address in (known, "0102030405"):
        for ip, port in ((lab.args.host_ip, lab.args.host_port), (lab.args.board_ip, 9993)):
            before = relayed(lab)
            # The board's node has its turn while a program waits.
            board.repl.start("import time\ntime.sleep(4)")
            assert forge(lab, identity, address, ip, port) == 0
            board.repl.finish(60)
            by_root = ip == lab.args.host_ip
            assert relayed(lab) - before >= 4 if by_root else relayed(lab) == before
    peers = {p["address"]: p for p in board.ask(PEERS)}
    assert "0102030405" not in peers
    # Of the address that somebody has the board now knows the true key, by the root's word.
    assert peers[known]["identityFrom"] == "root"
    key = "nic.node.topology.peers[bytes.fromhex('%s')].identity.public.hex()" % known
    assert board.run("print(%s)" % key) == member.public.hex()
    assert board.ask(DROPS).get("identity", 0) >= 1
    # These HELLOs lack nothing but the hash: a node that checks nothing answers them.
    board.run("nic.node.validate = lambda identity: True")
    board.repl.start("import time\ntime.sleep(2)")
    assert forge(lab, identity, "0a0b0c0d0e", lab.args.board_ip, 9993, 1) > 0
    board.repl.finish(60)
    board.run("del nic.node.validate")
    # And with the true one it talks.
    lab.peer.authorize(board.address)
    test = board_test.Test(lab.args, board, lab.peer)
    test.join()
    test.ping(5)


def test_a_board_makes_no_identity(lab):
    board = lab.board
    board.run("nic.active(False)\nimport zt.settings\n_s = zt.settings.default()")
    board.run("_s.set('identity.secret', None)")
    for program in (
        "nic.active(True)",
        "from zt import identity, hal\nidentity.generate(hal.random)",
    ):
        with pytest.raises(rawrepl.Failed) as failed:
            board.run(program)
        assert "tools/provision.py" in str(failed.value)
    assert board.run("print(_s.get('identity.secret'))") == "None"


def test_the_tool_gives_it_one(lab):
    # The rest of the sentence above: what the board asks for works.
    board = lab.board
    board.run(
        "nic.active(False)\nimport zt.settings\nzt.settings.default().set('identity.secret', None)"
    )
    board.close()
    done = subprocess.run(
        [sys.executable, os.path.join(HERE, "..", "..", "tools", "provision.py"),
         "--port", lab.bench.machine.url()], capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    board.connect()
    board.repl.enter()
    assert board.run(
        "import zt\nnic = zt.NIC()\nnic.active(True)\nprint(nic.config('address'))"
    ) == (done.stdout.strip())
