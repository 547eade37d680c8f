# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The socket module of the virtual network: the in-process stack's on the unix port, the built-in
# one on boards. Says plainly when a build has no stack.

from . import hal


def module():
    """The socket module; OSError where there is no network stack (CPython)."""
    if not hal.HAS_STACK:
        raise OSError("no network stack in this build")
    try:
        import lwip
    except ImportError:  # there is one stack, and it has our networks
        import socket as lwip
    return lwip
