# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Every bound of the node in one place, and what happens at each of them. A profile is a whole set;
# single values may be given instead: Limits("small", networks=2). "unix" follows the sizes of the
# original implementation, "small" is for boards. Nothing here knows what the numbers are used for.

from . import const, log

# name, unix, small; the comment is the policy at the bound.
_TABLE = (
    # VL1
    ("peers", 4096, 32),  # besides the roots: the longest silent is forgotten (not its cache)
    ("paths", 8192, 64),  # the longest silent goes, unused ones first
    ("paths_per_peer", 64, 4),  # the path heard least recently is replaced
    ("expected", 1024, 16),  # requests awaiting an OK: the oldest is forgotten
    ("parked", 256, 8),  # packets kept for later: the oldest goes
    ("queued", 1024, 16),  # packets waiting for an identity or a path: the oldest goes
    ("packet_bytes", 10024, 3072),  # a longer packet is dropped (too_long), not sent (ValueError)
    ("reassembly", 64, 2),  # half-received packets: the oldest goes
    ("surfaces", 256, 8),  # reports of our own address: expired ones go, then any
    ("unite", 4096, 16),  # pairs introduced lately (roots): all are forgotten
    # VL2: what we join
    ("networks", 256, 4),  # join() refuses
    ("config_bytes", 484519, 16384),  # a longer configuration is dropped
    ("config_save_ms", 0, 600000),  # a configuration with nothing new but its time is not stored
    ("nic_mtu", 10000, 1386),  # of our interface at most: a full TCP segment in one datagram
    ("rules", 1024, 128),  # announced; a configuration with more is refused
    ("capabilities", 128, 8),  # announced; those beyond are not used
    ("capability_rules", 64, 32),  # announced
    ("tags", 128, 16),  # announced; those beyond are not used
    ("groups", 1024, 32),  # subscribed per network: subscribe() returns False
    ("bridged_groups", 4096, 16),  # groups behind us per network: the oldest goes
    ("bridge_routes", 65536, 32),  # learned MACs per network: the bridge with most loses all
    # VL2: what we know of others
    ("members", 8192, 64),  # per network: an unadmitted, else the longest silent is forgotten
    ("member_tags", 128, 16),  # per member and kind: further ones are refused
    ("member_thresholds", 128, 8),  # revocations per member: folded into one that voids more
    ("pending_credentials", 256, 8),  # signer unknown yet: the oldest goes
    ("credentials_per_second", 4, 4),  # NETWORK_CREDENTIALS packets per peer: the rest is dropped
    # VL2: multicast
    ("multicast_groups", 65536, 128),  # known groups of all networks: a quiet one is forgotten
    ("group_members", 4096, 32),  # per group: the one announced longest ago goes
    ("multicast_queue", 32, 4),  # frames per group waiting for members: the oldest goes
    ("multicast_queue_bytes", 1048576, 6000),  # in all groups: the frame is not queued
)

PROFILES = ("unix", "small")


class Limits:
    """The bounds as attributes, and what the node says of itself in configuration requests."""

    def __init__(self, profile="unix", **changes):
        if profile not in PROFILES:
            raise ValueError("profile must be unix or small")
        self.profile = profile
        self.refused = {}  # name of a limit -> how often it was met
        column = 1 + PROFILES.index(profile)
        for row in _TABLE:
            setattr(self, row[0], row[column])
        self.proto_version = const.PROTO_VERSION
        self.version = const.COMPAT_VERSION  # announced in HELLO, OK(HELLO) and requests
        self.vendor = 0  # none of those the protocol numbers
        self.idhash = None  # run the 2 MiB identity hash? None: if the memory is there at start
        self.platform = "microzt/" + profile
        for name in changes:
            if not hasattr(self, name):
                raise ValueError("no such limit")
            setattr(self, name, changes[name])

    def full(self, name):
        """Something did not fit: count it under its limit's name, and say so the first time."""
        if name not in self.refused:
            self.refused[name] = 0
            log.warn("limits", "%s: no more than %d" % (name, getattr(self, name)))
        self.refused[name] += 1

    def names(self):
        return [row[0] for row in _TABLE]
