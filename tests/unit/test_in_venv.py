# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# tools/in_venv.py: a tool that any Python starts goes on under the one that has its packages.
# cpython-only: starts processes.

import pathlib
import subprocess
import sys

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
PROGRAM = """import sys
sys.path.insert(0, %r)
import in_venv
in_venv.VENV = %r
in_venv.enter()
print(sys.prefix, sys.argv[1:])
"""


def run(folder, made, *words):
    program = folder / "program.py"
    program.write_text(PROGRAM % (str(TOOLS), str(folder / "venv")))
    if made:
        make = [sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")]
        subprocess.run(make, check=True)
    command = [sys._base_executable, str(program), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_it_goes_on_under_the_python_of_the_folder(tmp_path):
    assert run(tmp_path, True, "--port", "x y") == "%s ['--port', 'x y']" % (tmp_path / "venv")


def test_without_one_it_goes_on_as_it_is(tmp_path):
    assert run(tmp_path, False) == "%s []" % sys.base_prefix
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "python3").symlink_to(sys._base_executable)
    assert run(tmp_path, False) == "%s []" % sys.base_prefix, "half of one"
