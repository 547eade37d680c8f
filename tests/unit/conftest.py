# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What the tests of the data plane by ctypes share.

import pytest


@pytest.fixture(scope="session")
def lib(tmp_path_factory):
    """The core with the tests' port, as a library (_plane_lab.py); a file may have its own."""
    from _plane_lab import library

    return library(tmp_path_factory.mktemp("plane"))
