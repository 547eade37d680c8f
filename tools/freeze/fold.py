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
# is one of a package. This file finds what is constant and decides what of it is put in place.

import argparse
import ast
import os
import sys

from fold_modules import Module, names_in, read
from fold_rewrite import KNOWN, Remove, RemoveImports, Replace

SMALL = 1 << 30  # beyond it a number is an object of its own in each module that uses it
SHORT = 24  # characters of a text that is a name anyway

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
