# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Why a frame, a packet of a network or a credential had no effect: one counter per cause in
# Network.drops. Bumping one costs no heap; status output prints them by name.

from ._compat import const

NO_CONFIG = const(0)
NOT_ADMITTED = const(1)
REVOKED = const(2)
RULES_OUT = const(3)
RULES_IN = const(4)
NOT_BRIDGE = const(5)
NO_BRIDGE = const(6)
BAD_SOURCE = const(7)
BAD_DESTINATION = const(8)
BROADCAST_OFF = const(9)
MULTICAST_OFF = const(10)
BAD_CREDENTIAL = const(11)
BAD_CONFIG = const(12)
STALE_CONFIG = const(13)
GROUPS_FULL = const(14)
NAMES = (
    "no_config",
    "not_admitted",
    "revoked",
    "rules_out",
    "rules_in",
    "not_bridge",
    "no_bridge",
    "bad_source",
    "bad_destination",
    "broadcast_off",
    "multicast_off",
    "bad_credential",
    "bad_config",
    "stale_config",
    "groups_full",
)
