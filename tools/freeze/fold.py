#!/usr/bin/env python3
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
#   fold.py OUT MODULE... [--loose MODULE...]
#
# Writes the modules of lib/zt that a board freezes into the folder OUT, with what is constant put
# where it is used: a number named in one module and used in another costs a name, an entry of a
# dictionary and two look-ups at each use, and mpy-cross does not see across modules. Branches that
# no board takes go too, and functions and classes with "# not on boards" behind their head. What
# was put in place is not defined any more, so modules that go to a board beside the frozen ones
# (tests do that) are folded with them: --loose. Modules are named without .py; "controller/issue"
# is one of a package.

import argparse
import ast
import os
import re
import sys

LIB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib", "zt")
NAME = re.compile("_?[A-Z][A-Z0-9_]*$")
MARK = "# not on boards"
SMALL = 1 << 30  # beyond it a number is an object of its own in each module that uses it
SHORT = 24  # characters of a text that is a name anyway

# What is known of every board.
KNOWN = {
    "sys.implementation.name == 'micropython'": True,
    "hasattr(os, 'getenv')": False,  # no environment, so no host
    "struct.calcsize('L') == 8": False,
}

# Put in place and defined as well, for programs on a board: docs/api.md.
KEPT = (
    ("const", "DEFAULT_PORT"),
    ("const", "VERSION"),
    ("world", "MOON"),
    ("world", "PLANET"),
)

BINARY = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
    ast.LShift: lambda a, b: a << b,
    ast.RShift: lambda a, b: a >> b,
    ast.BitOr: lambda a, b: a | b,
    ast.BitAnd: lambda a, b: a & b,
    ast.BitXor: lambda a, b: a ^ b,
}
UNARY = {ast.USub: lambda a: -a, ast.Invert: lambda a: ~a, ast.Not: lambda a: not a}


class NotConstant(Exception):
    pass


class Unmarked(ast.NodeTransformer):
    """No functions and classes that are marked in `lines`; their names go into `gone`."""

    def __init__(self, lines, gone):
        self.lines = lines
        self.gone = gone

    def visit_FunctionDef(self, node):
        if self.lines[node.lineno - 1].endswith(MARK):
            self.gone.add(node.name)
            return None
        return self.generic_visit(node)

    visit_ClassDef = visit_FunctionDef

    def visit_Assign(self, node):
        """A statement each for `A, B = 1, 2`."""
        target = node.targets[0]
        if not isinstance(target, ast.Tuple) or not isinstance(node.value, ast.Tuple):
            return node
        pairs = list(zip(target.elts, node.value.elts))
        if not all(isinstance(t, ast.Name) and NAME.match(t.id) for t, _ in pairs):
            return node
        return [ast.Assign([t], v, lineno=node.lineno) for t, v in pairs]


def read(name, gone):
    path = os.path.join(LIB, name + ".py")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    tree = ast.parse(text, path)
    used = names_in(tree)
    tree = Unmarked(text.split("\n"), gone).visit(tree)
    tree.used = used  # also by what is gone
    return tree


def names_in(tree):
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}


class Module:
    """A module's tree, what its import statements name, and what it binds where."""

    def __init__(self, name, tree):
        self.name = name
        self.tree = tree
        self.modules = {}  # a name here -> a module of ours
        self.names = {}  # a name here -> (module, name there)
        self.assigned = {}  # a name -> the value of its only binding in the module's body
        self.bound = bound = {}
        for node in self.walk_body(tree):
            for n in bindings(node):
                bound[n] = bound.get(n, 0) + 1
        for node in ast.walk(tree):
            if isinstance(node, ast.Global):
                for n in node.names:
                    bound[n] = bound.get(n, 0) + 2
            elif isinstance(node, ast.ImportFrom) and node.level:
                self.imports(node)
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                n = node.targets[0].id
                if bound[n] == 1 and len(node.targets) == 1 and NAME.match(n):
                    self.assigned[n] = node.value
        self.local = {
            n
            for node in ast.walk(tree)
            if isinstance(node, (ast.FunctionDef, ast.Lambda, ast.ClassDef))
            for inner in inside(node)
            if not (isinstance(inner, ast.ImportFrom) and inner.level)
            for n in bindings(inner)
        }

    def walk_body(self, tree):
        for node in tree.body:
            yield from statements(node)

    def imports(self, node):
        folder = self.name.split("/")[:-1]
        folder = folder[: len(folder) - node.level + 1]
        for a in node.names:
            if node.module is None:
                self.modules[a.asname or a.name] = "/".join(folder + [a.name])
            else:
                self.names[a.asname or a.name] = ("/".join(folder + [node.module]), a.name)

    def owner(self, node):
        """(module, name) of what a Name or an Attribute of a module stands for, or None."""
        if isinstance(node, ast.Name):
            if node.id in self.assigned:
                return self.name, node.id
            return self.names.get(node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in self.modules and node.value.id not in self.local:
                return self.modules[node.value.id], node.attr
        return None


def statements(node):
    """The node and what it holds, without the insides of functions and classes."""
    yield node
    if not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Lambda)):
        for child in ast.iter_child_nodes(node):
            yield from statements(child)


def inside(node):
    for child in ast.iter_child_nodes(node):
        yield from statements(child)


def bindings(node):
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        return [node.id]
    if isinstance(node, ast.arg):
        return [node.arg]
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [(a.asname or a.name).split(".")[0] for a in node.names]
    if isinstance(node, ast.ExceptHandler) and node.name:
        return [node.name]
    return []


class Folder:
    """`frozen` and `loose` are lists of names of modules."""

    def __init__(self, frozen, loose=()):
        self.gone = set()
        names = list(frozen) + list(loose)
        self.modules = {n: Module(n, read(n, self.gone)) for n in names}
        self.frozen = set(frozen)
        self.values = {}
        for m in self.modules.values():
            m.names = {n: self.origin(owner) for n, owner in m.names.items()}
        self.find_values()
        self.choose()

    def origin(self, owner):
        """Where a name comes from that its module itself has imported."""
        m = self.modules.get(owner[0])
        while m and owner[1] in m.names:
            owner = m.names[owner[1]]
            m = self.modules.get(owner[0])
        return owner

    # ---- what is constant ----

    def find_values(self):
        more = True
        while more:
            more = False
            for m in self.modules.values():
                for n, node in m.assigned.items():
                    if (m.name, n) not in self.values:
                        try:
                            self.values[m.name, n] = self.value(m, node)
                            more = True
                        except NotConstant:
                            pass

    def value(self, m, node):
        if ast.unparse(node) in KNOWN:
            return KNOWN[ast.unparse(node)]
        if isinstance(node, ast.Constant) and not isinstance(node.value, (float, complex)):
            return node.value
        if isinstance(node, ast.Tuple) and not any(isinstance(e, ast.Starred) for e in node.elts):
            return tuple([self.value(m, e) for e in node.elts])
        if isinstance(node, ast.UnaryOp) and type(node.op) in UNARY:
            return UNARY[type(node.op)](self.value(m, node.operand))
        if isinstance(node, ast.BinOp) and type(node.op) in BINARY:
            if isinstance(node.left, ast.Constant) and isinstance(node.left.value, str):
                raise NotConstant  # a text with values in it
            return BINARY[type(node.op)](self.value(m, node.left), self.value(m, node.right))
        if isinstance(node, ast.IfExp):
            return self.value(m, node.body if self.value(m, node.test) else node.orelse)
        if isinstance(node, ast.Compare) and [type(op) for op in node.ops] == [ast.Eq]:
            return self.value(m, node.left) == self.value(m, node.comparators[0])
        if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
            if isinstance(node.func, ast.Name) and node.func.id == "const":
                return self.value(m, node.args[0])
            if isinstance(node.func, ast.Name) and node.func.id == "bytes":
                arg = node.args[0]
                items = arg.elts if isinstance(arg, (ast.List, ast.Tuple)) else None
                if items is None:
                    return bytes(self.value(m, arg))
                return bytes([self.value(m, e) for e in items])
        owner = m.owner(node)
        if owner in self.values:
            return self.values[owner]
        raise NotConstant

    # ---- which of it is put in place ----

    def choose(self):
        """Numbers and short names everywhere; an object in flash only within its own module."""
        users = {}
        for m in self.modules.values():
            if m.name not in self.frozen:
                continue
            for node in ast.walk(m.tree):
                owner = m.owner(node)
                if owner and isinstance(node.ctx, ast.Load):
                    users.setdefault(owner, set()).add(m.name)
        self.folded = set()
        for (module, name), value in self.values.items():
            everywhere = isinstance(value, int) and -SMALL <= value < SMALL
            everywhere = everywhere or isinstance(value, str) and len(value) <= SHORT
            if everywhere or users.get((module, name), set()) <= {module}:
                self.folded.add((module, name))
        for m in self.modules.values():
            for n in list(m.assigned) + list(m.names):
                if n in m.local and (m.names.get(n) or (m.name, n)) in self.folded:
                    raise SystemExit("fold: %s is also a local name in %s" % (n, m.name))

    def sources(self):
        """name -> text; refuses a module that wants of another what that has no longer."""
        trees = {name: self.tree(name) for name in self.modules}
        has = {name: Module(name, tree).bound for name, tree in trees.items()}
        self.no_methods(trees)
        for name, tree in trees.items():
            m = Module(name, tree)
            for owner in [m.owner(n) for n in ast.walk(tree)] + list(m.names.values()):
                there = has.get(owner[0]) if owner else None
                if there is not None and owner[1] not in there and owner[1] != "*" not in there:
                    raise SystemExit("fold: %s has no %s for %s" % (owner[0], owner[1], name))
        return {n: ast.unparse(ast.fix_missing_locations(t)) + "\n" for n, t in trees.items()}

    def no_methods(self, trees):
        """Refuse the use of a method that is gone, if nothing else has its name."""
        nodes = [(name, n) for name, tree in trees.items() for n in ast.walk(tree)]
        defined = {n.name for _, n in nodes if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
        attributes = [(name, n) for name, n in nodes if isinstance(n, ast.Attribute)]
        defined |= {n.attr for _, n in attributes if isinstance(n.ctx, ast.Store)}
        for name, n in attributes:
            if n.attr in self.gone - defined:
                raise SystemExit("fold: %s wants %s, which is not on boards" % (name, n.attr))

    def tree(self, name):
        m = self.modules[name]
        used = m.tree.used
        tree = Replace(self, m).visit(m.tree)
        tree = Remove(self, m).visit(tree)
        return RemoveImports(used - names_in(tree)).visit(tree)


def literal(value):
    if isinstance(value, tuple):
        return ast.Tuple([literal(v) for v in value], ast.Load())
    if isinstance(value, int) and not isinstance(value, bool) and value < 0:
        return ast.UnaryOp(ast.USub(), ast.Constant(-value))
    return ast.Constant(value)


class Replace(ast.NodeTransformer):
    """Values for names, and no branches that are never taken."""

    def __init__(self, folder, module):
        self.folder = folder
        self.module = module

    def put(self, node):
        if isinstance(node.ctx, ast.Load):
            owner = self.module.owner(node)
            if owner in self.folder.folded:
                return literal(self.folder.values[owner])
        return self.generic_visit(node)

    visit_Name = put
    visit_Attribute = put

    def generic_visit(self, node):
        if isinstance(node, ast.expr) and ast.unparse(node) in KNOWN:
            return ast.Constant(KNOWN[ast.unparse(node)])
        return super().generic_visit(node)

    def visit_UnaryOp(self, node):
        node = self.generic_visit(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            if isinstance(node.operand, ast.Constant):
                return ast.Constant(not node.operand.value)
        return node

    def visit_BoolOp(self, node):
        node = self.generic_visit(node)
        if isinstance(node, ast.BoolOp):
            decides = isinstance(node.op, ast.Or)
            values = []
            for v in node.values:
                if isinstance(v, ast.Constant) and isinstance(v.value, bool):
                    if v.value == decides:
                        values.append(v)
                        break
                    if v is not node.values[-1]:
                        continue
                values.append(v)
            if len(values) == 1:
                return values[0]
            node.values = values
        return node

    def visit_IfExp(self, node):
        node = self.generic_visit(node)
        if isinstance(node, ast.IfExp) and isinstance(node.test, ast.Constant):
            return node.body if node.test.value else node.orelse
        return node

    def visit_If(self, node):
        node = self.generic_visit(node)
        if isinstance(node.test, ast.Constant):
            return (node.body if node.test.value else node.orelse) or ast.Pass()
        return node


class Body(ast.NodeTransformer):
    """Takes statements out; what is left of a body that loses all is `pass`."""

    def generic_visit(self, node):
        node = super().generic_visit(node)
        if not isinstance(node, ast.Module) and getattr(node, "body", None) == []:
            node.body = [ast.Pass()]
        return node


class Remove(Body):
    """No definitions of what Replace has put in place, no docstrings, nothing behind a return."""

    def __init__(self, folder, module):
        self.folder = folder
        self.module = module

    def visit_Assign(self, node):
        if len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            n = node.targets[0].id
            if n in self.module.assigned and (self.module.name, n) in self.folder.folded:
                if (self.module.name, n) not in KEPT:
                    return None
            known = n in self.module.assigned and n not in self.module.local
            if known and (self.module.name, n) in self.folder.values:
                node.value = literal(self.folder.values[self.module.name, n])
        return node

    def visit_Expr(self, node):
        return None if isinstance(node.value, ast.Constant) else node

    def visit_ImportFrom(self, node):
        node.names = [
            a
            for a in node.names
            if self.module.names.get(a.asname or a.name) not in self.folder.folded
        ]
        return node if node.names else None

    def visit_FunctionDef(self, node):
        for i, statement in enumerate(node.body):
            if isinstance(statement, (ast.Return, ast.Raise)):
                del node.body[i + 1 :]
                break
        return self.generic_visit(node)


class RemoveImports(Body):
    """No imports of what only was needed for what is gone. (One never used here is for others.)"""

    def __init__(self, gone):
        self.gone = gone

    def visit_ImportFrom(self, node):
        node.names = [a for a in node.names if (a.asname or a.name) not in self.gone]
        return node if node.names else None

    visit_Import = visit_ImportFrom


def write(path, text):
    """Only what changed, so that it is not compiled again."""
    try:
        with open(path, encoding="utf-8") as f:
            if f.read() == text:
                return
    except OSError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(text)
    os.replace(path + ".new", path)


def main():
    parser = argparse.ArgumentParser(usage="fold.py OUT MODULE... [--loose MODULE...]")
    parser.add_argument("out")
    parser.add_argument("modules", nargs="+")
    parser.add_argument("--loose", nargs="*", default=[])
    args = parser.parse_args()
    folder = Folder(args.modules, args.loose)
    sources = folder.sources()
    for name, text in sources.items():
        write(os.path.join(args.out, name + ".py"), text)
    for file in os.listdir(args.out):
        if file.endswith(".py") and file[:-3] not in sources:
            os.remove(os.path.join(args.out, file))


if __name__ == "__main__":
    sys.exit(main())
