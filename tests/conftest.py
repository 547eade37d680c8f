# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Lets every test import lib/zt and the helpers beside it, from wherever pytest is started.

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in (os.path.join(os.path.dirname(HERE), "lib"), HERE):
    if folder not in sys.path:
        sys.path.insert(0, folder)
