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

for _name in (
    "log const inet mac osutil hal crypto drops netdrops limits identity world packet signed"
    " dictionary com rulematch rules capability credential confchunk netconf path peer surface"
    " hello direct keepalive relay describe topology frames groups managed netinfo held membership"
    " multicast adhoc request network vl2 verbs expect waiting router parking inbound"
    " vl2host node planesync plane nic driver settings flashstore cardinfo"
).split():
    __import__("zt." + _name)
del _name
