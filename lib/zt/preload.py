# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Imports the modules of a node from the bottom up, so that none has to import another in turn:
# each level of that takes a kilobyte or more of the C stack, of which a board has 10 to 16. Before
# that it sees to it that a board's heap stays in one piece.

import gc
import os

# Without a threshold the heap is filled to its end before anything is collected, and what then
# lives long lies wherever it was made. A program that has set one knows why.
_OFTEN = 16384  # bytes; our choice
if hasattr(gc, "threshold") and gc.threshold() < 0 and not hasattr(os, "getenv"):
    gc.collect()
    gc.threshold(_OFTEN)

# Statements with whole names: these are then in the firmware, not made on the heap one by one.
# isort: off
import zt._compat  # noqa: E402, F401
import zt.log  # noqa: E402, F401
import zt.const  # noqa: E402, F401
import zt.inet  # noqa: E402, F401
import zt.mac  # noqa: E402, F401
import zt.osutil  # noqa: E402, F401
import zt.hal  # noqa: E402, F401
import zt.crypto  # noqa: E402, F401
import zt.drops  # noqa: E402, F401
import zt.netdrops  # noqa: E402, F401
import zt.limits  # noqa: E402, F401
import zt.identity  # noqa: E402, F401
import zt.world  # noqa: E402, F401
import zt.packet  # noqa: E402, F401
import zt.signed  # noqa: E402, F401
import zt.dictionary  # noqa: E402, F401
import zt.com  # noqa: E402, F401
import zt.rulematch  # noqa: E402, F401
import zt.rules  # noqa: E402, F401
import zt.capability  # noqa: E402, F401
import zt.credential  # noqa: E402, F401
import zt.confchunk  # noqa: E402, F401
import zt.netconf  # noqa: E402, F401
import zt.path  # noqa: E402, F401
import zt.peer  # noqa: E402, F401
import zt.surface  # noqa: E402, F401
import zt.hello  # noqa: E402, F401
import zt.direct  # noqa: E402, F401
import zt.keepalive  # noqa: E402, F401
import zt.relay  # noqa: E402, F401
import zt.describe  # noqa: E402, F401
import zt.topology  # noqa: E402, F401
import zt.frames  # noqa: E402, F401
import zt.groups  # noqa: E402, F401
import zt.managed  # noqa: E402, F401
import zt.netinfo  # noqa: E402, F401
import zt.held  # noqa: E402, F401
import zt.membership  # noqa: E402, F401
import zt.multicast  # noqa: E402, F401
import zt.adhoc  # noqa: E402, F401
import zt.request  # noqa: E402, F401
import zt.network  # noqa: E402, F401
import zt.vl2  # noqa: E402, F401
import zt.verbs  # noqa: E402, F401
import zt.expect  # noqa: E402, F401
import zt.waiting  # noqa: E402, F401
import zt.router  # noqa: E402, F401
import zt.parking  # noqa: E402, F401
import zt.inbound  # noqa: E402, F401
import zt.vl2host  # noqa: E402, F401
import zt.node  # noqa: E402, F401
import zt.planesync  # noqa: E402, F401
import zt.plane  # noqa: E402, F401
import zt.nic  # noqa: E402, F401
import zt.driver  # noqa: E402, F401
import zt.settings  # noqa: E402, F401
import zt.flashstore  # noqa: E402, F401
import zt.cardinfo  # noqa: E402, F401
