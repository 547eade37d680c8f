# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# For tools that are started by hand and need a package of tools/requirements.txt: they go on under
# the Python of build/venv, which `make setup` makes.

import os
import sys

VENV = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "build", "venv")


def enter():
    """Does not return where build/venv is there and this is another Python than its own."""
    python = os.path.join(VENV, "bin", "python3")
    whole = os.path.exists(os.path.join(VENV, "pyvenv.cfg")) and os.access(python, os.X_OK)
    if whole and os.path.realpath(sys.prefix) != os.path.realpath(VENV):
        os.execv(python, [python, *sys.argv])
