# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Runs the bytecode of modules and of class bodies at build time, as far as a module that only
# defines things goes: imports, constants, functions, classes, tables. Anything else is
# Unsupported, never guessed.

import struct

from values import (
    BUILD_CLASS,
    NULL,
    Builtin,
    Cell,
    Class,
    Fun,
    Module,
    Native,
    Unsupported,
    Wrapped,
)

# What a name of a C module is worth while modules are evaluated.
# Boards have 32 bits.
KNOWN = {("sys", "implementation", "name"): "micropython"}
PURE = {"bytes": bytes, "tuple": tuple, "len": len, "range": range, "min": min, "max": max}

BINARY = {
    "__lt__": lambda a, b: a < b,
    "__gt__": lambda a, b: a > b,
    "__eq__": lambda a, b: a == b,
    "__le__": lambda a, b: a <= b,
    "__ge__": lambda a, b: a >= b,
    "__ne__": lambda a, b: a != b,
    "<in>": lambda a, b: b in a,
    "__or__": lambda a, b: a | b,
    "__xor__": lambda a, b: a ^ b,
    "__and__": lambda a, b: a & b,
    "__lshift__": lambda a, b: a << b,
    "__rshift__": lambda a, b: a >> b,
    "__add__": lambda a, b: a + b,
    "__sub__": lambda a, b: a - b,
    "__mul__": lambda a, b: a * b,
    "__floordiv__": lambda a, b: a // b,
    "__mod__": lambda a, b: a % b,
}
CONSTANT = (int, str, bytes, tuple, float, type(None), type(Ellipsis))


def is_constant(value):
    if isinstance(value, (tuple, list)):
        return all(is_constant(v) for v in value)
    return isinstance(value, CONSTANT)


class Evaluator:
    """`modules` is name -> Module, `tool` the loaded mpy-tool."""

    def __init__(self, tool, modules, package):
        self.tool = tool
        self.modules = modules
        self.package = package
        self.op = tool.Opcode

    def module(self, name):
        """The evaluated module."""
        m = self.modules[name]
        if m.state == "new" and not m.in_ram:
            m.state = "evaluating"
            m.names["__name__"] = name
            self.run(m, m.compiled.raw_code, m.names)
            m.state = "done"
        return m

    def load_module(self, m, level, name):
        """What IMPORT_NAME with these gives: (the outermost, the innermost module)."""
        if level:
            parts = m.name.split(".")
            if m.name != self.package:
                parts = parts[:-1]
            parts = parts[: len(parts) - level + 1]
            name = ".".join(parts + ([name] if name else []))
        if name.split(".")[0] != self.package:
            return Native((name.split(".")[0],)), Native(tuple(name.split(".")))
        if name not in self.modules:
            raise Unsupported("import of %s, which is not frozen" % name)
        return self.modules[self.package], self.module(name)

    def attribute(self, value, name):
        if isinstance(value, Module):
            if name in value.names:
                return value.names[name]
            if value.name + "." + name in self.modules:
                return self.module(value.name + "." + name)
            if value.in_ram:
                raise Unsupported(
                    "%s of %s, which is only known on the board" % (name, value.name)
                )
            raise Unsupported("%s has no %s" % (value.name, name))
        if isinstance(value, Native):
            path = value.path + (name,)
            return KNOWN.get(path, Native(path))
        if isinstance(value, Class) and name in value.names:
            return value.names[name]
        if isinstance(value, Wrapped) and value.kind == "property" and name == "setter":
            return Wrapped("setter", value.items)
        raise Unsupported("attribute %s of %r" % (name, value))

    def call(self, m, f, args, kw):
        if f is BUILD_CLASS:
            return self.build_class(m, args)
        if isinstance(f, Wrapped) and f.kind == "setter":
            return Wrapped("property", [f.items[0], args[0], f.items[2]])
        if isinstance(f, Builtin) and not kw:
            if f.name in ("staticmethod", "classmethod"):
                return Wrapped(f.name, list(args))
            if f.name == "property":
                return Wrapped("property", (list(args) + [None, None])[:3])
            if f.name == "len" and isinstance(args[0], tuple):
                return len(args[0])
            if f.name in PURE and all(is_constant(a) for a in args):
                return PURE[f.name](*args)
        if isinstance(f, Native) and f.path == ("struct", "calcsize"):
            return struct.calcsize("<" + args[0])
        if isinstance(f, Native) and f.path == ("micropython", "const"):
            return args[0]
        raise Unsupported("a call of %s" % (getattr(f, "name", None) or f,))

    def build_class(self, m, args):
        body, name = args[0], args[1]
        names = {}
        cls = Class(name, [b for b in args[2:]], names, m)
        for base in cls.bases:
            if not isinstance(base, (Class, Builtin)) or getattr(base, "name", "") in (
                "type",
                "dict",
            ):
                raise Unsupported("the base of class %s" % name)
        cell = self.run(m, body.code, names)
        if isinstance(cell, Cell):
            cell.value = cls
        # They make a type of another kind, or one with other flags.
        for bad in ("__new__", "__setattr__", "__delattr__", "__get__", "__set__", "__delete__"):
            if bad in names:
                raise Unsupported("%s in class %s" % (bad, name))
        # MicroPython asks a type itself for its name and makes no use of these.
        names.pop("__module__", None)
        names.pop("__qualname__", None)
        return cls

    def name(self, m, names, key):
        if key in names:
            return names[key]
        if key in m.names:
            return m.names[key]
        return Builtin(key)

    def run(self, m, code, names):
        """Run a module's or a class's body, which stores into `names`."""
        if code.code_kind != self.tool.MP_CODE_BYTECODE:
            raise Unsupported("native code")
        n_state = code.prelude_signature[0]
        fast = [None] * n_state
        for b in code.fun_data[code.offset_closure_info : code.offset_opcodes]:
            fast[b] = Cell()
        stack = []
        imported = False
        op = self.op
        bc = code.fun_data
        ip = code.offset_opcodes
        while True:
            byte = bc[ip]
            fmt, size, arg, extra = self.tool.mp_opcode_decode(bc, ip)
            text = op.mapping[byte]
            start = ip
            ip += size
            if fmt == self.tool.MP_BC_FORMAT_QSTR:
                arg = code.qstr_table[arg].str
            word = text.split()[0]
            if word == "LOAD_CONST_SMALL_INT":
                stack.append(arg if arg is not None else int(text.split()[1]))
            elif word == "LOAD_CONST_STRING":
                stack.append(arg)
            elif word == "LOAD_CONST_OBJ":
                stack.append(code.obj_table[arg])
            elif word in ("LOAD_CONST_NONE", "LOAD_CONST_TRUE", "LOAD_CONST_FALSE"):
                stack.append({"N": None, "T": True, "F": False}[word[11]])
            elif word == "LOAD_NULL":
                stack.append(NULL)
            elif word in ("LOAD_NAME", "LOAD_GLOBAL"):
                stack.append(self.name(m, names if word == "LOAD_NAME" else m.names, arg))
            elif word in ("STORE_NAME", "STORE_GLOBAL"):
                (names if word == "STORE_NAME" else m.names)[arg] = stack.pop()
                if imported:
                    m.imported.add(arg)
            elif word == "DELETE_NAME":
                del names[arg]
            elif word == "LOAD_FAST":
                stack.append(fast[int(text.split()[1])])
            elif word == "LOAD_FAST_N":
                stack.append(fast[arg])
            elif word == "LOAD_ATTR":
                stack.append(self.attribute(stack.pop(), arg))
            elif word == "LOAD_METHOD":
                stack[-1:] = [self.attribute(stack[-1], arg), NULL]
            elif word == "LOAD_SUBSCR":
                key = stack.pop()
                stack.append(stack.pop()[key])
            elif word == "LOAD_BUILD_CLASS":
                stack.append(BUILD_CLASS)
            elif word == "POP_TOP":
                stack.pop()
            elif word == "DUP_TOP":
                stack.append(stack[-1])
            elif word == "ROT_TWO":
                stack[-2:] = [stack[-1], stack[-2]]
            elif word == "ROT_THREE":
                stack[-3:] = [stack[-1], stack[-3], stack[-2]]
            elif word in ("BUILD_TUPLE", "BUILD_LIST"):
                items = stack[len(stack) - arg :]
                del stack[len(stack) - arg :]
                stack.append(tuple(items) if word == "BUILD_TUPLE" else items)
            elif word == "BUILD_MAP":
                stack.append({})
            elif word == "STORE_MAP":
                key = stack.pop()
                value = stack.pop()
                stack[-1][key] = value
            elif word.startswith("MAKE_"):
                self.make_function(m, code, word, arg, extra, stack)
            elif word in ("CALL_FUNCTION", "CALL_METHOD"):
                n, n_kw = arg & 0xFF, arg >> 8
                kw = stack[len(stack) - 2 * n_kw :] if n_kw else []
                del stack[len(stack) - 2 * n_kw :]
                args = stack[len(stack) - n :] if n else []
                del stack[len(stack) - n :]
                if word == "CALL_METHOD":
                    stack.pop()
                stack.append(self.call(m, stack.pop(), args, kw))
            elif word == "IMPORT_NAME":
                names_wanted = stack.pop()
                outer, inner = self.load_module(m, stack.pop(), arg)
                stack.append(outer if names_wanted is None else inner)
            elif word == "IMPORT_FROM":
                stack.append(self.attribute(stack[-1], arg))
            elif word == "JUMP":
                ip += arg
            elif word in ("POP_JUMP_IF_TRUE", "POP_JUMP_IF_FALSE"):
                if self.truth(stack.pop()) == (word == "POP_JUMP_IF_TRUE"):
                    ip += arg
            elif word in ("JUMP_IF_TRUE_OR_POP", "JUMP_IF_FALSE_OR_POP"):
                if self.truth(stack[-1]) == (word == "JUMP_IF_TRUE_OR_POP"):
                    ip += arg
                else:
                    stack.pop()
            elif word == "UNARY_OP":
                stack.append(self.unary(text.split()[2], stack.pop()))
            elif word == "BINARY_OP":
                b = stack.pop()
                stack.append(self.binary(text.split(None, 2)[2], stack.pop(), b))
            elif word == "UNPACK_SEQUENCE":
                items = tuple(stack.pop())
                if len(items) != arg:
                    raise Unsupported("%d names for %d values" % (arg, len(items)))
                stack.extend(reversed(items))
            elif word == "RETURN_VALUE":
                return stack.pop()
            else:
                raise Unsupported("%s at %d of %s" % (text, start, code.escaped_name))
            imported = word in ("IMPORT_NAME", "IMPORT_FROM")

    def make_function(self, m, code, word, arg, extra, stack):
        cells = ()
        if "CLOSURE" in word:
            cells = tuple(stack[len(stack) - extra :])
            del stack[len(stack) - extra :]
            if not all(isinstance(c, Cell) for c in cells):
                raise Unsupported("a closure over more than __class__")
        defaults = kw_defaults = None
        if word.endswith("DEFARGS"):
            kw_defaults = stack.pop()
            defaults = stack.pop()
        f = Fun(
            code.children[arg],
            m,
            None if defaults is NULL else defaults,
            None if kw_defaults is NULL else kw_defaults,
            cells,
        )
        stack.append(f)

    def truth(self, value):
        if not is_constant(value):
            raise Unsupported("a condition that is not constant")
        return bool(value)

    def unary(self, name, a):
        if not is_constant(a):
            raise Unsupported("%s of %r" % (name, a))
        if name == "<not>":
            return not a
        return {"__neg__": lambda: -a, "__invert__": lambda: ~a, "__pos__": lambda: a}[name]()

    def binary(self, name, a, b):
        # A tuple may hold what is made of parts, such as functions; nothing looks at them here.
        if name not in BINARY or not (is_constant(a) or isinstance(a, tuple)):
            raise Unsupported("%s of %r" % (name, a))
        return BINARY[name](a, b)
