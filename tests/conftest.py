# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Lets every test import lib/zt and the helpers beside it, from wherever pytest is started. A test
# that failed while a real libzt crashed fails for that.

import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in (os.path.join(os.path.dirname(HERE), "lib"), HERE):
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _blame_libzt(error):
    client = sys.modules.get("client")
    crash = client and client.libzt_crash()
    if crash and not isinstance(error, client.LibztCrashed):
        raise client.LibztCrashed(crash) from error
    raise error


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    client = sys.modules.get("client")
    if client:
        client.Libzt.started.clear()
    try:
        return (yield)
    except Exception as e:
        _blame_libzt(e)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    try:
        return (yield)
    except Exception as e:
        _blame_libzt(e)
