# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# tools/ota.py makes what lib/zt/ota.py takes. cpython-only: it is a program of the desktop

import os
import pathlib
import subprocess
import sys

from test_ota import BOARD, IMAGE, board, esp32, io, ota

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "ota.py"


def run(*args):
    done = subprocess.run([sys.executable, str(TOOL), *args], capture_output=True, text=True)
    return done.returncode, done.stdout.strip(), done.stderr


def test_a_board_takes_what_the_tool_signed(tmp_path):
    key, image, out = [str(tmp_path / n) for n in ("key", "image", "signed")]
    status, public, _ = run("key", key)
    assert status == 0 and len(public) == 64
    assert os.stat(key).st_mode & 0o777 == 0o600
    assert run("public", key)[1] == public
    status, _, error = run("key", key)
    assert status == 1 and "exists" in error
    pathlib.Path(image).write_bytes(IMAGE)
    assert run("sign", image, "--key", key, "--board", BOARD, "--out", out)[0] == 0

    def check(owner):
        owner.set(ota.KEY, bytes.fromhex(public))
        with open(out, "rb") as f:
            ota.install(io.BytesIO(f.read()), owner, BOARD)
        assert bytes(esp32.flash["ota_1"][: len(IMAGE)]) == IMAGE

    board(check)
    status, _, error = run("sign", image, "--key", image, "--board", BOARD, "--out", out)
    assert status == 1 and error.startswith("ota: ")
