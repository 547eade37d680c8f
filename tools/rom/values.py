# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What the evaluator of modules (evaluate.py) computes with, besides Python's own constants, tuples
# and dicts: functions, classes and modules that will be objects in flash, and names that only the
# C compiler can resolve. Data only.


class Unsupported(Exception):
    """A module does something on import that cannot be done at build time."""


class Fun:
    """A function: raw code of mpy-tool with what its definition gave it."""

    def __init__(self, code, module, defaults=None, kw_defaults=None, cells=()):
        self.code = code
        self.module = module
        self.defaults = defaults
        self.kw_defaults = kw_defaults
        self.cells = cells


class Class:
    def __init__(self, name, bases, names, module):
        self.name = name
        self.bases = bases
        self.names = names
        self.module = module
        self.code = None

    def lookup(self, name):
        """True if the class or one of its bases in Python has it."""
        if name in self.names:
            return True
        return any(isinstance(b, Class) and b.lookup(name) for b in self.bases)

    def native(self):
        """True if a base is a type of the interpreter other than object."""
        for b in self.bases:
            if b.native() if isinstance(b, Class) else b.name != "object":
                return True
        return False


class Cell:
    """What `__class__` of super() is closed over."""

    def __init__(self):
        self.value = None


class Wrapped:
    """staticmethod, classmethod (one item) or property (getter, setter, deleter)."""

    def __init__(self, kind, items):
        self.kind = kind
        self.items = items


class Module:
    """One of the package's modules. In RAM: evaluated by the board, and what it holds is not known
    here."""

    def __init__(self, name, compiled, in_ram):
        self.name = name
        self.compiled = compiled
        self.in_ram = in_ram
        self.names = {}
        self.imported = set()  # of these names
        self.resolved = set()  # of these names, those that code had
        self.state = "new"  # evaluating, done


class Builtin:
    """A name of the interpreter's module builtins."""

    def __init__(self, name):
        self.name = name


class Native:
    """A module in C, or something in one: its path of names."""

    def __init__(self, path):
        self.path = path


NULL = object()  # MP_OBJ_NULL on the stack
BUILD_CLASS = object()
