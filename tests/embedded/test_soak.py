# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# An hour of a board's life inside the board (soak.py): its heap neither grows nor falls to pieces.
# ZT_SOAK_MINUTES makes it longer; the first rounds are for caches and tables to fill.

import os
import pathlib

import boards
from _people import IDS

SOAK = pathlib.Path(__file__).resolve().with_name("soak.py")
MINUTES = int(os.environ.get("ZT_SOAK_MINUTES", "60"))
SLACK = 256  # bytes: what waits or was just heard differs from round to round
NOT_ON_BOARDS = ("controller", "controlport", "jsontext", "rulesjson", "store")


def test_an_hour_leaves_the_heap_as_it_was(prompt, tmp_path):
    boards.put_modules(prompt, NOT_ON_BOARDS, tmp_path)
    prompt.soft_reset()
    settings = "IDS = %r\nMINUTES = %d\n" % (IDS, MINUTES)
    said = prompt.run(settings + SOAK.read_text(), 30 * MINUTES)
    print(said)
    assert "joined OK" in said
    rounds = [[int(w) for w in line.split()[1:]] for line in said.split("\n") if "round" in line]
    assert [r[0] for r in rounds] == list(range(10, MINUTES + 1, 10))
    for before, after in zip(rounds, rounds[1:]):
        assert after[4] > before[4] and after[5] > 50, "no traffic"
    # The first round fills caches and tables; then the second half of the time is like the first.
    half = len(rounds) // 2
    first, second = rounds[1 : half + 1], rounds[half + 1 :]
    assert max(r[1] for r in second) <= max(r[1] for r in first) + SLACK, "the heap grew"
    assert max(r[3] for r in second) >= min(r[3] for r in first), "the largest free piece shrank"
