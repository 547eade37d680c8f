# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The package's public names, loaded when first used: zt.Node (the sans-IO core), zt.aio (asyncio),
# zt.NIC (as network.WLAN), zt.memory() (what it takes), zt.socket (the network's socket module),
# zt.use_sockets(), and under `zt exec` zt.node, the running node. Importing zt opens nothing.
# Boards have these names as constants, see firmware/rom.py.

import sys

from ._compat import MICROPYTHON
from .const import VERSION

__version__ = VERSION


def __getattr__(name):  # not on boards
    if name == "Node":
        from .node import Node

        return Node
    if name == "NIC":
        from .card import NIC

        return NIC
    if name == "memory":
        from .usage import memory

        return memory
    if name == "socket":
        from .sockets import module

        return module()
    if name[:1] == "_" and name.split("_")[1] not in ("crypto", "hal", "state"):
        raise AttributeError(name)
    # MicroPython asks here for a submodule before it looks for the file.
    try:
        return __import__("zt." + name, None, None, ("*",))
    except ImportError:
        if MICROPYTHON:
            raise
        raise AttributeError(name)


def use_sockets():
    """Make a later `import socket` mean zt.socket, for programs that must not be changed."""
    from .sockets import module

    sys.modules["socket"] = module()
