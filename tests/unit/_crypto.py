# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What the tests of zt.crypto share: the recorded vectors and patterns.

import json

_loaded = []


def vectors():
    if not _loaded:
        path = __file__.replace("\\", "/").rsplit("/", 1)[0] + "/../vectors/vl1.json"
        with open(path) as f:
            _loaded.append(json.loads(f.read()))
    return _loaded[0]


def h(text):
    return bytes.fromhex(text)


def raises(error, f, *args):
    try:
        f(*args)
    except error:
        return True
    return False


def pattern(n, start=1):
    return bytes([(start + 7 * i + (i >> 8)) & 0xFF for i in range(n)])


KEY = pattern(48, 3)


def identity(name):
    for i in vectors()["identities"]:
        if i["name"] == name:
            return h(i["private_key"]), h(i["public_key"])
