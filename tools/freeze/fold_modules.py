# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# For fold.py: the tree of a module, what it binds where, and what its import statements name.
# Leaves out what is not for boards; knows no values.

import ast
import os
import re

LIB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib", "zt")
NAME = re.compile("_?[A-Z][A-Z0-9_]*$")
MARK = "# not on boards"


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
