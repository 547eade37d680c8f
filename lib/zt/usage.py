# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What the node takes of a board's memory: static RAM, tables of the data plane, heap. Measures and
# adds up; what may be taken is in limits.py.

import gc

from . import _state, hal
from ._compat import MICROPYTHON


def heap():
    """(bytes in use, free, the largest free piece) after a collection; zeros on CPython."""
    gc.collect()
    if not MICROPYTHON:
        return 0, 0, 0
    import _ztmem

    found = _ztmem.heap()
    _state.heap_peak = max(_state.heap_peak, found[0])
    return found


def _cost(f, n):
    """Heap bytes of one of `n` objects that f() makes."""
    made = []
    before = heap()[0]
    for i in range(n):
        made.append(f(i))
    after = heap()[0]
    made.clear()
    return max(after - before, 0) // n


def per_peer():
    """Heap of one more peer with a direct path, and of its record as a member of a network, with
    its certificate."""
    from .com import COM
    from .held import HeldCOM
    from .identity import Identity
    from .membership import Member
    from .path import Path
    from .peer import Peer

    def peer(i):
        address = b"peer" + bytes((i,))
        p = Peer(Identity(address, bytes(64)), bytes(48))
        p.learn(Path(0, (bytes((10, 0, 0, i)), 9993)), 0, 4)
        return {address: p}

    def member(i):
        address = b"peer" + bytes((i,))
        m = Member(address, bytes((2, 0, 0, 0, 0, i)))
        holder = Identity(address, bytes(64))
        m.com = HeldCOM(COM.issue(bytes(8), holder, bytes((0,) * 7 + (i,)), 0), holder)
        return {address: m}

    return _cost(peer, 8), _cost(member, 8)


def per_network(node):
    """Heap of one more network that has no configuration yet."""
    from .network import Network

    def network(i):
        nwid = bytes(7) + bytes((i + 1,))
        return {nwid: Network(node, node.vl2.multicast, nwid)}

    return _cost(network, 4)


def memory():
    """What is used, in bytes: of the whole heap, of what the active zt.NIC takes besides, and what
    one more peer, member or network costs."""
    from . import card

    nic = card.active()
    used, free, largest = heap()
    found = {
        "heap_used": used,
        "heap_free": free,
        "heap_largest_free": largest,
        "heap_peak": _state.heap_peak,
    }
    if MICROPYTHON:
        import _ztmem

        found["static"], found["static_packets"], found["interfaces"] = _ztmem.statics()
        found["peer"], found["member"] = per_peer()
        left = hal.stack_left() if hasattr(hal, "stack_left") else 0
        if left:  # never used so far by lwIP's task, where it has one
            found["stack_left"] = left
    if nic is not None:
        node = nic.node
        found["network"] = per_network(node)
        found["peers"] = len(node.topology.peers)
        found["networks"] = len(node.vl2.networks)
        found["plane"] = node.plane.size if node.plane is not None else 0
        found["buffers"] = len(nic.driver.buf) + len(node.tx)
        found["flash"] = nic.store.stats(node.now)
    return found
