# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# tools/freeze/fold.py: what it puts in place has the value it had, what it takes away nobody
# wants, and what it cannot do it refuses. cpython-only: a tool of the host.

import ast
import os
import sys

import pytest

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(TOP, "tools", "freeze"))

import fold  # noqa: E402
import fold_modules  # noqa: E402

NUMBERS = """
import sys
from ._compat import const
HERE = sys.implementation.name == "micropython"
ONE = const(1)
MASK = (ONE << 4) - 2
MINUS = const(-3)
TABLE = bytes([ONE, 7])
LEFT, RIGHT = const(5), 6
WORD = "L" if LEFT == RIGHT else "Q"
SHARED = b"abcd"
BIG = 1 << 40
ROWS = {ONE: "x"}
"""
PASSED_ON = """
from .numbers import ONE, SHARED, UNKNOWN as OTHER
"""
USER = '''
from . import numbers
from .numbers import MASK
from .passed import ONE, SHARED

_KINDS = (ONE, numbers.MINUS, "two")
_count = 0


class Thing:
    LIMIT = MASK * 2


def f(x=MASK):
    """Text."""
    if not numbers.HERE:
        import os

        return os.getenv("HOME")
    return [x ** numbers.MINUS, x in _KINDS, SHARED, numbers.BIG, Thing.LIMIT]


def g(x):
    if numbers.HERE and x:
        return "yes" if numbers.HERE else "no"
    raise ValueError("x")
    return 1
'''


def folded(tmp_path, monkeypatch, loose=(), **modules):
    monkeypatch.setattr(fold_modules, "LIB", str(tmp_path))
    modules.setdefault("_compat", "from micropython import const\n")
    for name, text in modules.items():
        (tmp_path / (name + ".py")).write_text(text)
    frozen = [n for n in modules if n not in loose]
    return fold.Folder(frozen, loose).sources()


def test_values_go_where_they_are_used(tmp_path, monkeypatch):
    passed = PASSED_ON.replace(", UNKNOWN as OTHER", "")
    got = folded(tmp_path, monkeypatch, numbers=NUMBERS, passed=passed, user=USER)
    for gone in ("ONE", "MASK", "MINUS", "HERE", "_KINDS", "getenv", "Text", "const"):
        assert gone not in got["user"], gone
    assert got["numbers"] == "SHARED = b'abcd'\nBIG = 1099511627776\nROWS = {1: 'x'}\n"
    assert got["passed"] == "from .numbers import SHARED\n"
    space = {"SHARED": b"abcd", "numbers": type("numbers", (), {"BIG": 1 << 40})}
    tree = ast.parse(got["user"])
    tree.body = [n for n in tree.body if not isinstance(n, ast.ImportFrom)]
    exec(compile(tree, "user", "exec"), space)
    assert space["f"]() == [14**-3, False, b"abcd", 1 << 40, 28]
    assert space["f"](-3)[1] is True
    assert space["g"](1) == "yes"
    assert "return 1" not in got["user"]


def test_a_module_beside_the_frozen_ones(tmp_path, monkeypatch):
    loose = "from . import numbers\nfrom .numbers import ONE, TABLE\n"
    loose += "x = (ONE, TABLE, numbers.MASK, numbers.RIGHT, numbers.WORD)\n"
    got = folded(tmp_path, monkeypatch, ("guest",), numbers=NUMBERS, guest=loose)
    assert got["guest"] == "x = (1, b'\\x01\\x07', 14, 6, 'Q')\n"


def test_refuses_a_name_that_is_not_there(tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match="numbers has no UNKNOWN for passed"):
        folded(tmp_path, monkeypatch, numbers=NUMBERS, passed=PASSED_ON)
    with pytest.raises(SystemExit, match="numbers has no THREE for user"):
        user = "from . import numbers\nprint(numbers.THREE)\n"
        folded(tmp_path, monkeypatch, numbers=NUMBERS, user=user)


def test_refuses_a_constant_that_is_also_a_local_name(tmp_path, monkeypatch):
    user = "from .numbers import ONE\ndef f(ONE):\n    return ONE\n"
    with pytest.raises(SystemExit, match="ONE is also a local name in user"):
        folded(tmp_path, monkeypatch, numbers=NUMBERS, user=user)


def test_what_changes_is_no_constant(tmp_path, monkeypatch):
    text = "LEVEL = 1\nSTEP = 2\nSTEP = 3\ndef f():\n    global LEVEL\n    LEVEL = STEP\n"
    got = folded(tmp_path, monkeypatch, numbers=text)["numbers"]
    assert got.startswith("LEVEL = 1\nSTEP = 2\n")


def test_what_is_marked_goes_and_nobody_may_want_it(tmp_path, monkeypatch):
    kept = "import os\n\n\ndef here():\n    return 1\n\n\n"
    text = kept + "def home():  # not on boards\n    return os.getenv('HOME')\n\n\n"
    text += "class A:\n    @staticmethod\n    def go():  # not on boards\n        pass\n"
    got = folded(tmp_path, monkeypatch, files=text)["files"]
    assert got == "def here():\n    return 1\n\nclass A:\n    pass\n"
    with pytest.raises(SystemExit, match="files has no home for user"):
        folded(tmp_path, monkeypatch, files=text, user="from .files import here, home\n")
    with pytest.raises(SystemExit, match="user wants go, which is not on boards"):
        folded(tmp_path, monkeypatch, files=text, user="def f(x):\n    x.go()\n")


def test_the_package_keeps_its_functions():
    with open(os.path.join(TOP, "firmware", "manifest_board.py")) as f:
        assigned = [n for n in ast.parse(f.read()).body if isinstance(n, ast.Assign)]
    hosts = [ast.literal_eval(n.value) for n in assigned if n.targets[0].id == "_NOT_ON_BOARDS"][0]
    names = sorted(f[:-3] for f in os.listdir(fold_modules.LIB) if f.endswith(".py"))
    names = [n for n in names if n not in hosts]
    lost = []
    for name, text in fold.Folder(names).sources().items():
        want, has = [
            {n.name for n in ast.walk(t) if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
            for t in (fold_modules.read(name, set()), ast.parse(text))
        ]
        lost += sorted(want - has)
    # Those of CPython's half of _compat.
    assert lost == ["const", "ticks_add", "ticks_diff", "ticks_ms"]
