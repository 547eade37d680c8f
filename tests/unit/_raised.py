# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What pytest.raises is where tests run on MicroPython, too.


def raised(kind, f, *args, **kw):
    """The exception of that kind which the call raises; AssertionError if it raises none."""
    try:
        f(*args, **kw)
    except kind as e:
        return e
    raise AssertionError("nothing raised")
