# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Skips the interop tests, with the reason in print, where they cannot run; fails instead if
# ZT_NEED_INTEROP is set, as it is in CI.

import os
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)

import client  # noqa: E402
import lab  # noqa: E402

_reasons = []


def reason():
    """Why no interop test can run here, or None."""
    if not os.path.exists(os.path.join(TOP, "build", "microzt")):
        return "the unix port is not built (make build)"
    why = lab.missing()
    if why:
        return why
    fetch = subprocess.run(
        ["sh", os.path.join(TOP, "tools", "fetch_libzt.sh"), client.LIBZT],
        capture_output=True,
        text=True,
    )
    if fetch.returncode:
        return "libzt: " + fetch.stderr.strip()
    return None


@pytest.fixture
def pair(tmp_path):
    """(world, first, second), see taps.members."""
    import taps

    with taps.members(tmp_path, "first", "second") as found:
        yield found


@pytest.fixture(scope="session", autouse=True)
def possible():
    why = reason()
    if why:
        _reasons.append(why)
        if os.environ.get("ZT_NEED_INTEROP"):
            pytest.fail(why)
        pytest.skip(why)


def pytest_terminal_summary(terminalreporter):
    for why in _reasons:
        terminalreporter.write_line("interop not run: " + why)
