# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The package's objects in flash, on an emulated board whose processor refuses to write there: what
# a program may do to them does what it should or raises, and never writes. cpython-only: the
# emulated board.

import pytest
import qemu_board

FAULT = 76  # ZT_BOARD_FAULT


@pytest.mark.usefixtures("a_board_is_possible")
def test_a_write_to_the_flash_stops_the_machine():
    program = "import uctypes, zt.ota\nuctypes.bytearray_at(id(%s), 2)[0] = 1\nprint('went on')"
    for what in ("zt.ota.Refused", "zt.__dict__", "zt.ota.install", "zt", "int"):
        with qemu_board.Board() as board:
            repl = board.connect()
            repl.enter()
            with pytest.raises(EOFError):
                repl.run(program % what)
            assert b"board: a write to the flash" in repl.seen and b"went on" not in repl.seen
            assert board.exit_status(10) == FAULT


HELP = """
import gc, io, struct, sys, zt, zt.limits, zt.ota, zt.settings

MODULES = [m for m in zt.__dict__.values() if type(m) is type(sys)]


def raises(kind, f, *args):
    try:
        f(*args)
    except kind:
        return
    raise AssertionError("%r%r raised no %r" % (f, args, kind))
"""

EVERY_CLASS = """
n = 0
for m in MODULES:
    for what in m.__dict__.values():
        if type(what) is not type:
            continue
        n += 1
        class First(what):
            def __init__(self):
                self.mine = 1
            extra = property(lambda self: self.mine + 1)
        class Second(First):
            pass
        Third = type("Third", (what,), {"extra": property(lambda self: 3)})
        assert issubclass(Second, what) and issubclass(Third, what)
        it = Second()
        assert it.extra == 2 and isinstance(it, what), what
        assert not issubclass(what, First)
        Third.later = lambda self: 4
        Second.late = property(lambda self: 6)
        assert it.late == 6
# A user's own classes are as everywhere in MicroPython: the mark is set, and asked for.
class Plain:
    pass
class Under(Plain):
    pass
raises(AttributeError, setattr, Plain, "late", property(lambda self: 5))
Under.late = property(lambda self: 6)
assert Under().late == 6
print(n)
"""

DERIVED = """
class Mine(zt.NIC):
    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
    def config(self, *args, **kw):
        return super().config(*args, **kw)

assert Mine().config("port") == 9993

class Later(zt.ota.Refused):
    def __init__(self, when):
        super().__init__("later")
        self.when = when

try:
    raise Later(5)
except zt.ota.Refused as e:
    assert e.args == ("later",) and e.when == 5
print("good")
"""

ATTRIBUTES = """
Limits = zt.limits.Limits
NAMES = "extra __name__ __dict__ __globals__ __code__ __bases__ __class__ __path__ __init__"
for o in (zt, zt.limits, Limits, Limits.full, zt.NIC, zt.Node, zt.ota.Refused, zt.ota.install):
    for name in NAMES.split():
        raises(AttributeError, setattr, o, name, None)
        raises(AttributeError, delattr, o, name)
wrapped = 0
for m in MODULES:
    for c in m.__dict__.values():
        for v in c.__dict__.values() if type(c) is type else ():
            if type(v) is property:
                v.setter(print), v.getter(print), v.deleter(print)
            if type(v) in (property, staticmethod, classmethod):
                wrapped += 1
                raises(AttributeError, setattr, v, "extra", 1)
assert wrapped > 20, wrapped
raises(TypeError, Limits.full.__globals__.update, {1: 2})
print("good")
"""

CONTAINERS = """
dicts = [zt.__dict__] + [m.__dict__ for m in MODULES if not m.__name__ in %r]
dicts += [zt.limits.Limits.__dict__, zt.NIC.__dict__]
dicts += [v for d in dicts[1:] for v in d.values() if type(v) is dict]
for d in dicts:
    size, key = len(d), list(d)[0]
    raises(TypeError, d.__setitem__, key, 1)
    raises(TypeError, d.__setitem__, "new", 1)
    raises(TypeError, d.__delitem__, key)
    raises(TypeError, d.clear)
    raises(TypeError, d.pop, key)
    raises(TypeError, d.pop, "new", 1)
    raises(TypeError, d.popitem)
    raises(TypeError, d.setdefault, key, 1)
    raises(TypeError, d.setdefault, "new", 1)
    raises(TypeError, d.update, {1: 2})
    for text in ("new = 1", "class new: pass", "def new(): pass", "import sys as new",
            "for new in range(3): pass"):
        raises(TypeError, exec, text, d)
    raises(TypeError, exec, "def f():\\n global new\\n new = 1\\nf()", d)
    dict(d).update(d.copy())
    assert len(d) == size and "new" not in d
constant = [v for m in MODULES for v in m.__dict__.values() if type(v) is bytes and len(v) > 4][0]
before = bytes(bytearray(constant))
raises(TypeError, exec, "v[0] = 1", {"v": memoryview(constant)})
raises(TypeError, struct.pack_into, "B", constant, 0, 1)
raises(TypeError, io.BytesIO(b"abcd").readinto, constant)
io.BytesIO(constant).write(b"abcd")
assert constant == before
print("good")
"""

EXCEPTIONS = """
import micropython

def rounds():
    try:
        yield 1
        yield 2
    finally:
        pass

def deep():
    return deep()

def fill():
    kept = []
    while True:
        kept.append(zt.limits.Limits("small"))

def locked():
    micropython.heap_lock()
    try:
        raise zt.ota.Refused("text", 1)
    finally:
        micropython.heap_unlock()

for _ in range(2):
    for kind in (zt.ota.Refused, GeneratorExit, StopIteration):
        for it in (kind, kind("text"), kind):
            try:
                raise it
            except kind as e:
                sys.print_exception(e, io.StringIO())
                if kind is zt.ota.Refused:
                    e.extra = 1
    for end in (zt.ota.Refused, GeneratorExit):
        g = rounds()
        next(g)
        raises(end, g.throw, end)
    g = rounds()
    next(g)
    g.close()
    raises(RuntimeError, deep)
    raises(MemoryError, bytearray, 1 << 22)
    raises(MemoryError, fill)
    gc.collect()
    raises((MemoryError, zt.ota.Refused), locked)
del sys.modules["zt"]
import zt
sys.modules.clear()
import zt.limits
zt.__init__()
print("good")
"""


def test_every_class_can_be_derived_from(prompt):
    assert int(prompt.run(HELP + EVERY_CLASS)) > 60
    assert prompt.run(HELP + DERIVED).strip() == "good"


def test_nothing_in_flash_can_be_changed(prompt):
    in_ram = tuple("zt." + n for n in ("_state", "log", "crypto", "_hal_board", "hal"))
    for program in (ATTRIBUTES, CONTAINERS % (in_ram,)):
        assert prompt.run(HELP + program).strip() == "good"


def test_exceptions_and_restarts_leave_the_flash_alone(prompt):
    assert prompt.run(HELP + EXCEPTIONS, 120).strip() == "good"
