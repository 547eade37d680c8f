# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# For fold.py: puts values where names were and takes away what is not needed then. What is
# constant and put in place the Folder has decided (`values`, `folded`).

import ast

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
