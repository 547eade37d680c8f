# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The board that is asked for more than it holds: the same as in the unit tests, inside the board.

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
sys.path[:0] = [str(TOP / "tools"), str(HERE.parent / "unit"), str(HERE)]

import boards  # noqa: E402
import pytest  # noqa: E402
import qemu_board  # noqa: E402
from _people import IDS  # noqa: E402
from test_full import check  # noqa: E402

RUN = """
import json, os
from zt.usage import heap
said = fill(%r, %r, os.urandom)
before = heap()
said = fill(%r, %r, os.urandom)
said["grown"] = heap()[0] - before[0]
print(json.dumps(said))
"""



def test_the_board_refuses_by_name_and_goes_on(tmp_path):
    why = boards.missing()
    if why:
        pytest.skip(why)
    disk = str(tmp_path / "flash.img")
    qemu_board.make_disk(disk)
    with qemu_board.Board(disk=disk) as board:
        repl = board.connect()
        repl.enter()
        boards.put_modules(repl, ("store",), tmp_path)
        repl.soft_reset()
        repl.run((HERE.parent / "unit" / "_full.py").read_text(), 60)
        said = json.loads(repl.run(RUN % ((IDS["A"], IDS["R"]) * 2), 120))
    check(said)
    assert said["grown"] < 1024, "nothing of the first time is left"
