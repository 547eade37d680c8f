# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The board that is asked for more than it holds: the same as in the unit tests, inside the board.

import json
import pathlib

import boards
from _people import IDS
from test_full import check

FILL = pathlib.Path(__file__).resolve().parents[1] / "unit" / "_full.py"

RUN = """
import json, os
from zt.usage import heap
said = fill(%r, %r, os.urandom)
before = heap()
said = fill(%r, %r, os.urandom)
said["grown"] = heap()[0] - before[0]
print(json.dumps(said))
"""


def test_the_board_refuses_by_name_and_goes_on(prompt, tmp_path):
    boards.put_modules(prompt, ("store",), tmp_path)
    prompt.soft_reset()
    prompt.run(FILL.read_text(), 60)
    said = json.loads(prompt.run(RUN % ((IDS["A"], IDS["R"]) * 2), 120))
    check(said)
    assert said["grown"] < 1024, "nothing of the first time is left"
