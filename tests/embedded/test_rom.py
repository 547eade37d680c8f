# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# tools/rom: modules that are objects in flash behave as modules do, and what cannot be one is
# refused with the reason. cpython-only: a tool of the host, and the emulated board.

import os
import subprocess
import sys

import boards
import pytest

TOP = boards.TOP
MPY_CROSS = os.path.join(TOP, "build", "mpy-cross", "mpy-cross")
MPY_TOOL = os.path.join(TOP, "build", "src", "micropython", "tools", "mpy-tool.py")

CONFIG = """
PACKAGE = "pack"
RAM = %r
SYMBOLS = {("pack", "__init__"): ("mp_obj_fun_builtin_fixed_t", "init")}
OFFERS = ()
NAMES = {}
"""


def freeze(tmp_path, ram=(), **modules):
    """Freeze a package `pack`: the C text, or what the tool complains of."""
    if not os.path.exists(MPY_CROSS):
        pytest.skip("no build/mpy-cross: make build")
    modules.setdefault("__init__", "")
    config = tmp_path / "config.py"
    config.write_text(CONFIG % (ram,))
    files = []
    for name, text in modules.items():
        source = tmp_path / (name + ".py")
        source.write_text(text)
        files.append(str(tmp_path / (name + ".mpy")))
        words = [MPY_CROSS, "-O3", "-s", "pack/%s.py" % name, "-o", files[-1], str(source)]
        subprocess.run(words, check=True)
    words = [sys.executable, os.path.join(TOP, "tools", "rom"), MPY_TOOL, str(config), "-f"]
    done = subprocess.run(words + files, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else done.stderr


def test_what_changes_cannot_be_constant(tmp_path):
    for text, why in (
        ("ITEMS = []", "pack.m_ITEMS is [], which must be changeable"),
        ("N = 0\ndef f():\n    global N\n    N += 1", "pack_m_f changes the global N"),
        ("F = open('x')", "pack.m: a call of open"),
        ("import time\nT = time.ticks_ms()", "pack.m: a call of"),
        ("import other", None),
        ("from .other import x", "pack.m: import of pack.other, which is not frozen"),
        ("for i in range(3):\n    pass", "pack.m: "),
        ("class A:\n    def __new__(cls):\n        return 1", "__new__ in class A"),
        ("class A:\n    def __setattr__(self, k, v):\n        pass", "__setattr__ in class A"),
        ("class A:\n    def f(self):\n        return super().f()", "super() in pack.m_A_f"),
        ("def f():\n    return 1\nX = f()", "pack.m: a call of"),
    ):
        said = freeze(tmp_path, m=text)
        if why is None:
            assert "pack as constant objects" in said
        else:
            assert "tools/rom: " in said and why in said, (text, said)
    said = freeze(tmp_path, ("gone",), m="")
    assert "RAM names pack.gone, which is not frozen" in said


def test_a_module_in_ram_may_change(tmp_path):
    text = "N = []\ndef f():\n    global N\n    N = None"
    said = freeze(tmp_path, ("m",), m=text, user="from . import m\ndef g():\n    return m.N\n")
    assert "zt_rom_globals" in said and "zt_rom_ram_n = 1" in said
    said = freeze(tmp_path, ("m",), m=text, user="from .m import N\n")
    assert "pack.user: N of pack.m, which is only known on the board" in said


COST = """
import gc
gc.collect()
before = gc.mem_alloc()
import zt
import zt.card, zt.ota, zt.usage
gc.collect()
print(gc.mem_alloc() - before)
"""

USE = """
import gc, sys, zt, zt.ota, zt.inet, zt.identity, zt.mac, zt.limits
gc.collect()

class Mine(zt.NIC):
    def config(self, *args, **kw):
        return "mine"

assert issubclass(Mine, zt.NIC) and Mine().config("x") == "mine"
assert zt.NIC().config("port") == 9993 and isinstance(Mine(), zt.NIC)

class Other(zt.ota.Refused):
    pass

try:
    raise zt.ota.Refused("text")
except Exception as e:
    assert str(e) == "text" and isinstance(e, zt.ota.Refused), repr(e)
    assert repr(e) == "Refused('text',)", repr(e)
small = zt.limits.Limits("small", networks=2)
assert small.networks == 2
try:
    zt.limits.Limits(profile="none")
except ValueError:
    pass
else:
    raise AssertionError("a keyword went astray")
for name, what in (("inet", zt.inet), ("Limits", zt.limits.Limits), ("zt", zt)):
    try:
        what.extra = 1
    except AttributeError:
        pass
    else:
        raise AssertionError(name)
assert zt.identity.Identity.parse.__name__ == "parse"
assert "Limits" in dir(zt.limits)
assert __import__("zt.mac", None, None, ("*",)) is zt.mac
from zt import mac
assert mac is zt.mac
print("good")
"""

WRONG = """
import zt.limits, sys, io
try:
    zt.limits.Limits().full(1)
except TypeError as e:
    out = io.StringIO()
    sys.print_exception(e, out)
    print(out.getvalue())
"""

BESIDE = """
import zt.guest
from zt import guest
assert guest is zt.guest and "guest" in dir(zt) and guest.small("small").profile == "small"
try:
    import zt.nothing
except ImportError:
    print("good")
"""

# At the prompt.
NAMES = """
import gc, zt
gc.collect()
before = gc.mem_alloc()
names = dir(zt)
for name in "NIC Node memory socket use_sockets ota settings limits __version__".split():
    assert names.count(name) == 1, name
    assert getattr(zt, name) is not None
del names, name
gc.collect()
assert gc.mem_alloc() - before < 512, "asking has a price"
import socket, zt.card, zt.node
assert zt.NIC is zt.card.NIC and zt.Node is zt.node.Node and zt.socket is socket
for text, kind in (("zt.nothing", AttributeError), ("from zt import nothing", ImportError)):
    try:
        exec(text)
    except kind:
        continue
    raise AssertionError(text)
from zt import NIC, Node, memory, use_sockets
assert "config" in dir(zt.NIC) and "config" in dir(zt.NIC())
help(zt)
help(zt.NIC)
"""


def test_a_package_in_flash_is_as_one_in_ram(prompt):
    prompt.run("import os\nfor f in ('/lib', '/lib/zt', '/zt'): os.mkdir(f)")
    prompt.put("/lib/zt/guest.py", b"from .limits import Limits\nsmall = Limits\n")
    for _ in range(2):
        assert int(prompt.run(COST)) < 2048
        assert prompt.run(USE).strip() == "good"
        assert prompt.run(BESIDE).strip() == "good"
        said = prompt.run(NAMES)
        for name in ("NIC", "Node", "memory", "socket", "use_sockets", "ota", "active"):
            assert "\n  %s -- " % name in said, name
        assert 'File "zt/limits.py"' in prompt.run(WRONG) and "in full" in prompt.run(WRONG)
        prompt.soft_reset()
