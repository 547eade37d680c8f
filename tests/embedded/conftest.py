# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Skips the tests of the emulated board, with the reason in print, where it cannot run; fails
# instead if ZT_NEED_INTEROP is set, as it is in CI. Gives tests that need no network a board.

import os

import boards
import pytest
import qemu_board

_reasons = []


@pytest.fixture(scope="session")
def a_board_is_possible():
    why = boards.missing()
    if why:
        _reasons.append(why)
        if os.environ.get("ZT_NEED_INTEROP"):
            pytest.fail(why)
        pytest.skip(why)


@pytest.fixture
def prompt(a_board_is_possible, tmp_path):
    """The prompt of a board whose flash is blank, without a network."""
    disk = str(tmp_path / "flash.img")
    qemu_board.make_disk(disk)
    with qemu_board.Board(disk=disk) as board:
        repl = board.connect()
        repl.enter()
        yield repl


def pytest_terminal_summary(terminalreporter):
    for why in _reasons:
        terminalreporter.write_line("emulated board not run: " + why)
