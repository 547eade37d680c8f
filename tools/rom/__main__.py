# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
#   python3 tools/rom MPY_TOOL CONFIG [arguments of mpy-tool.py]
#
# mpy-tool.py, but the modules of one package are frozen as constant objects (functions, classes,
# tables, the modules themselves) instead of code that makes them in RAM at import. CONFIG is a
# Python file as firmware/rom.py. docs/porting.md says what such modules may do.

import importlib.util
import os
import runpy
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from package import freeze  # noqa: E402
from values import Unsupported  # noqa: E402


def main(path, config, argv):
    sys.path.insert(0, os.path.dirname(path))
    spec = importlib.util.spec_from_file_location("mpy_tool", path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    # As a name, whose length has one byte, a text takes ten bytes less than as an object.
    tool.PERSISTENT_STR_INTERN_THRESHOLD = 256
    config = runpy.run_path(config)
    theirs = tool.freeze_mpy

    def freeze_mpy(idents, compiled):
        try:
            freeze(tool, theirs, config, idents, compiled)
        except Unsupported as e:
            sys.exit("tools/rom: %s" % e)

    tool.freeze_mpy = freeze_mpy
    tool.main(argv)


main(sys.argv[1], sys.argv[2], sys.argv[3:])
