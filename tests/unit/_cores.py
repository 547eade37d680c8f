# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The compiled core (for wide registers, portable, and as boards have it) behind its ctypes front,
# for the tests that compare it with something else. CPython only.

import importlib.util
import os
import subprocess
import sys

import pytest
from hypothesis import settings
from hypothesis import strategies as st

HERE = os.path.dirname(os.path.abspath(__file__))
CORE = os.path.join(HERE, "..", "..", "firmware", "core")
VARIANTS = (
    ("wide", "-O2"),
    ("portable", "-O2 -DZT_PORTABLE -DZT_C25519_32"),
    ("board", "-Os -DZT_PORTABLE -DZT_C25519_32 -DZT_ALIGNED_WORDS=1"),
)
RELAXED = settings(max_examples=100, deadline=None)
SLOW = settings(max_examples=20, deadline=None)


def load_backend(folder, name, flags):
    """The ctypes front over a core built with these flags."""
    subprocess.run(
        ["make", "-s", "-C", CORE, "BUILD=" + folder, "CFLAGS=" + flags],
        check=True,
        stdout=sys.stderr,
    )
    os.environ["ZT_CORE_LIB"] = os.path.join(folder, "libztcore.so")
    try:
        spec = importlib.util.spec_from_file_location(
            name, os.path.join(HERE, "..", "..", "lib", "zt", "_crypto_ctypes.py")
        )
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        del os.environ["ZT_CORE_LIB"]
    return module


_built = []


def variants(tmp_path_factory):
    """The core in all its variants, built once."""
    if _built:
        return _built
    kept = os.environ.get("ZT_CORE_LIB")
    for name, flags in VARIANTS:
        try:
            _built.append(load_backend(str(tmp_path_factory.mktemp(name)), "core_" + name, flags))
        except (OSError, subprocess.CalledProcessError) as e:
            pytest.skip("no C compiler or make to build the core: %s" % e)
    if kept:
        os.environ["ZT_CORE_LIB"] = kept
    return _built


def need(module):
    return pytest.importorskip(module, reason="the PyPI package %s is not installed" % module)


def folder_of(package):
    return os.path.dirname(need(package).__file__)


def b(n):
    return st.binary(min_size=n, max_size=n)
