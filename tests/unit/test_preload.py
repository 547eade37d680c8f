# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The order in which a board imports its modules. cpython-only: it reads the sources' syntax trees

import ast
import pathlib
import re

LIB = pathlib.Path(__file__).resolve().parents[2] / "lib" / "zt"


def order():
    text = (LIB / "preload.py").read_text()
    return re.findall(r"^import zt\.(\w+)", text, re.MULTILINE)


def imports(name):
    """The modules of ours which a module imports when it is imported."""
    found = set()
    for node in ast.parse((LIB / (name + ".py")).read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            found |= {node.module} if node.module else {a.name for a in node.names}
    return {n for n in found if (LIB / (n + ".py")).exists()}


def test_no_module_of_a_board_imports_another_in_turn():
    loaded = set()
    for name in order():
        assert imports(name) <= loaded, (name, imports(name) - loaded)
        loaded.add(name)
    assert imports("card") <= loaded | {"preload"}


def test_nothing_is_imported_that_a_board_does_not_need():
    needed = set()
    left = ["card"]
    while left:
        new = imports(left.pop()) - needed - {"preload"}
        needed |= new
        left.extend(new)
    assert set(order()) == needed
