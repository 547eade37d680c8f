# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The Python half of the native .mpy, in the same module as natmod.c: the identity hash and the
# search between whose steps Ctrl-C is seen, other tasks run and the caller is told.

_STEP_BLOCKS = 4096


def _memory():
    try:
        return bytearray(_sizes()[2])  # noqa: F821 - the C half's, as all that is not defined here
    except MemoryError:
        raise MemoryError("identity hash needs 2 MiB")


def idhash(key, progress=None):
    memory = _memory()
    state = bytearray(_sizes()[0])  # noqa: F821
    _idhash_init(state, key, memory)  # noqa: F821
    while True:
        got = _idhash_step(state, memory, _STEP_BLOCKS)  # noqa: F821
        if isinstance(got, bytes):
            return got
        if progress is not None:
            progress(got)


def identity_search(key, progress=None):
    memory = _memory()
    state = bytearray(_sizes()[1])  # noqa: F821
    try:
        _search_init(state, key, memory)  # noqa: F821
        while True:
            got = _search_step(state, memory, _STEP_BLOCKS)  # noqa: F821
            if isinstance(got, tuple):
                return got
            if progress is not None:
                progress(got)
    finally:
        wipe(state)  # noqa: F821
