# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# For test files that say micropython-only: imported before what only the unix port has (lwip,
# _ztplane), it has pytest skip the file on CPython.

from zt import hal

if not (hal.HAS_STACK and getattr(hal, "HAS_PLANE", False)):
    import unittest

    raise unittest.SkipTest("CPython has no stack and no plane; tests/run_mpy.py runs this file")
