# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The rules for boards that are too small for the identity hash, in a MicroPython that really is:
# the built unix port, which the system allows 1 MB more than it has after its imports. What the
# node then does with strangers is in test_small_ram.
#
# cpython-only: starts processes.

import pathlib
import resource
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = TOP / "build" / "microzt"
CLI = "import sys; from zt import cli, cmd_id, osutil; "
SIZE = "\n[print(l.split()[1]) for l in open('/proc/self/status') if 'VmPeak' in l]"
STATUS = """
import sys
from zt import hal, store
from zt.node import Node
class Callbacks:
    pass
s = store.MemoryStore()
s.put("identity.secret", open(sys.argv[1], "rb").read())
node = Node(Callbacks(), s, lambda: 0, hal.random, "small", idhash=%s)
print(node.status()["identityCheck"])
"""


def _run(code, *words, most=None):
    """Run code in the unix port, in at most so many bytes of address space."""
    if not BINARY.exists():
        pytest.skip("the unix port is not built")
    limit = None
    if most is not None:
        limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (most, most))  # noqa: E731
    return subprocess.run(
        [BINARY, "-c", code, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=TOP,
        preexec_fn=limit,
    )


def _small(code, *words):
    """A limit of 1 MB more than what this code takes."""
    return int(_run(code + SIZE, *words).stdout.split()[-1]) * 1024 + (1 << 20)


def test_without_the_memory_no_identity_is_made_and_the_tool_is_named(tmp_path):
    words = ("id", "new", "--out", str(tmp_path / "a"))
    done = _run(CLI + "cli.run()", *words, most=_small(CLI))
    assert done.returncode == 1 and done.stdout == ""
    assert "2 MiB" in done.stderr and "tools/provision.py" in done.stderr, done.stderr
    assert not (tmp_path / "a").exists()
    done = _run(CLI + "cli.run()", *words)
    assert done.returncode == 0, done.stderr
    # With one that is brought the node starts, and says what it cannot do.
    secret = str(tmp_path / "a" / "identity.secret")
    for limit, word in ((_small(STATUS % False, secret), "root"), (None, "self")):
        done = _run(STATUS % None, secret, most=limit)
        assert done.stdout.split() == [word], done.stderr
