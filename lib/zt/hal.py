# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The host as the node sees it: wires, waiting, files, randomness, and network interfaces where
# there is a stack. Chooses the backend and knows nothing else; docs/internals.md has the
# contract.

from ._compat import MICROPYTHON

if MICROPYTHON:
    import _zthal
    from _zthal import *  # noqa: F403

    if not hasattr(_zthal, "lock"):
        from ._hal_board import *  # noqa: F403
else:
    from ._hal_cpython import *  # noqa: F403
