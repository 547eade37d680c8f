# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# One test per group of each vector file and per recording; conftest.py makes the pairs.

import pytest


def test_group(source, group):
    failures = source.check(group)
    if failures is None:
        pytest.skip("not built")
    assert not failures, "%d failed\n%s" % (len(failures), "\n".join(failures[:20]))
