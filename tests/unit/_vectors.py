# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Loads the test vectors on CPython and MicroPython alike, from a path relative to this file, and
# holds the two loops every parser test needs: every truncation and one flipped bit per byte.

import json

_loaded = {}


def _folder():
    parts = __file__.replace("\\", "/").split("/")[:-1]
    return "/".join(parts + ["..", "vectors"]) if parts else "../vectors"


def load(name):
    """The parsed JSON of tests/vectors/<name>, read once."""
    if name not in _loaded:
        with open(_folder() + "/" + name) as f:
            _loaded[name] = json.load(f)
    return _loaded[name]


def read(name):
    """The bytes of tests/vectors/<name>."""
    with open(_folder() + "/" + name, "rb") as f:
        return f.read()


def unhex(s):
    return bytes.fromhex(s)


def refuses(parse, data):
    """True if parse(data) raises ValueError, False if it returns. Anything else raised is a
    failure.
    """
    try:
        parse(data)
    except ValueError:
        return True
    return False


def every_truncation_refused(parse, data):
    """parse() must refuse data[:n] for every n < len(data)."""
    for n in range(len(data)):
        assert refuses(parse, bytes(data[:n])), "accepted %d of %d bytes" % (n, len(data))


def survive_truncations(parse, data):
    """parse() may accept or refuse each truncation, but raises nothing but ValueError."""
    for n in range(len(data)):
        refuses(parse, bytes(data[:n]))


def survive_flips(parse, data):
    """parse() raises nothing but ValueError for any byte replaced by some telling values."""
    work = bytearray(data)
    for i in range(len(work)):
        old = work[i]
        for new in (old ^ 1, old ^ 0x80, 0xFF, 0):
            work[i] = new
            refuses(parse, bytes(work))
        work[i] = old
