# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What changes in the package while it runs, besides the log's level. On boards all other modules
# are constants in flash (tools/rom), so this is the place for it. Importing it keeps a board's
# heap in one piece.

import gc
import os

running = None  # the zt.NIC that is active
heap_peak = 0  # bytes, the most that usage.heap() has seen

# Without a threshold the heap is filled to its end before anything is collected, and what then
# lives long lies wherever it was made. A program that has set one knows why.
_OFTEN = 16384  # bytes; our choice
if hasattr(gc, "threshold") and gc.threshold() < 0 and not hasattr(os, "getenv"):
    gc.collect()
    gc.threshold(_OFTEN)
