# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Why a datagram or packet was not processed: one counter per cause in Node.drops. Bumping one
# costs no heap; status output prints them by name.

from ._compat import const

SHORT = const(0)  # too short to be a packet, or a legacy beacon
LOOPED = const(1)  # claims to come from us
FRAGMENT = const(2)  # impossible fragment numbering, or reassembled too large
CIPHER = const(3)  # a cipher suite this build does not have
MAC = const(4)  # authentication failed
MALFORMED = const(5)  # authentic, but its fields run over the end or contradict each other
COMPRESSION = const(6)  # authentic, but not a valid LZ4 block
UNKNOWN_SENDER = const(7)  # sender unknown and the waiting queue is full or timed out
UNEXPECTED = const(8)  # an OK nobody asked for
GATED = const(9)  # over a rate limit
VERSION = const(10)  # protocol version below the minimum
IDENTITY = const(11)  # identity invalid, or not the one its address belongs to
RELAY_REFUSED = const(12)  # addressed to another node and we do not relay for this path
HOPS = const(13)  # relayed too often
NO_ROUTE = const(14)  # nothing known to send it over
QUEUE_FULL = const(15)  # pushed out of a bounded queue
WIRE = const(16)  # the socket refused it
IGNORED = const(17)  # authentic, but of no use to us
MEMORY = const(18)  # no memory to process it
TOO_LONG = const(19)  # longer than the limit packet_bytes

NAMES = (
    "short",
    "looped",
    "fragment",
    "cipher",
    "mac",
    "malformed",
    "compression",
    "unknown_sender",
    "unexpected",
    "gated",
    "version",
    "identity",
    "relay_refused",
    "hops",
    "no_route",
    "queue_full",
    "wire",
    "ignored",
    "memory",
    "too_long",
)
