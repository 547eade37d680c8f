# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What a board's host offers beside the C module `_zthal`: files over the VFS. A board runs one
# node, so the lock is only a mark in this run of the interpreter; littlefs and FAT have no
# modes.

import os

_EWOULDBLOCK = 11
_locked = []


def save(path, data, mode):
    """Replace the file whole or not at all, also when the power fails: littlefs writes at close
    and renames in one step."""
    temporary = path + ".0.tmp"
    try:
        with open(temporary, "wb") as f:
            f.write(data)
        os.rename(temporary, path)
    except OSError:
        try:
            os.remove(temporary)
        except OSError:
            pass
        raise


def mkdir(path, mode):
    os.mkdir(path)


def lock(path):
    if path in _locked:
        raise OSError(_EWOULDBLOCK)
    _locked.append(path)
    return path


def unlock(handle):
    if handle in _locked:
        _locked.remove(handle)
