# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# For a manifest, which upstream's makemanifest.py executes: from then on that script has the
# compiled modules frozen by tools/rom instead of mpy-tool.py. Make and CMake call makemanifest.py
# alike, and have no other place for this.

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def install(config):
    """`config` is the path of a file as firmware/rom.py. Nothing happens where another program
    reads the manifest."""
    main = sys.modules["__main__"]
    upstream = getattr(main, "system", None)
    if upstream is None or "-o" not in sys.argv:
        return
    config = os.path.abspath(config)
    # Upstream looks at the age of the modules only.
    output = sys.argv[sys.argv.index("-o") + 1]
    mine = [os.path.join(HERE, n) for n in os.listdir(HERE) if n.endswith(".py")] + [config]
    if os.path.exists(output):
        if max(os.path.getmtime(n) for n in mine) > os.path.getmtime(output):
            os.remove(output)

    def system(words):
        if len(words) > 1 and words[1].endswith("/mpy-tool.py"):
            words = [words[0], HERE, words[1], config] + words[2:]
        return upstream(words)

    main.system = system
