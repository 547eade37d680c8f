# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Numbers of the wire protocol, each defined once. Sections cited are those of the protocol notes
# (VL1 = peers and packets, VL2 = networks).

from ._compat import const

VERSION = "0.1.0"
USER_AGENT = "microzt 0.1.0"
VERSION_MAJOR = const(0)
VERSION_MINOR = const(1)
VERSION_REVISION = const(0)

# VL1 1.2: 12 would oblige us to receive AES-GMAC-SIV; 11 keeps peers on Salsa20/12-Poly1305.
PROTO_VERSION = const(11)
PROTO_MIN = const(4)
# Announced software version: the original release whose protocol version 11 is (VL1 1.2), because
# controllers and peers decide by it what we can do. Our own version is VERSION.
COMPAT_VERSION = (1, 4, 8)

DEFAULT_PORT = const(9993)

# VL1 5.1
VERB_NOP = const(0x00)
VERB_HELLO = const(0x01)
VERB_ERROR = const(0x02)
VERB_OK = const(0x03)
VERB_WHOIS = const(0x04)
VERB_RENDEZVOUS = const(0x05)
VERB_FRAME = const(0x06)
VERB_EXT_FRAME = const(0x07)
VERB_ECHO = const(0x08)
VERB_MULTICAST_LIKE = const(0x09)
VERB_NETWORK_CREDENTIALS = const(0x0A)
VERB_NETWORK_CONFIG_REQUEST = const(0x0B)
VERB_NETWORK_CONFIG = const(0x0C)
VERB_MULTICAST_GATHER = const(0x0D)
VERB_MULTICAST_FRAME = const(0x0E)
VERB_PUSH_DIRECT_PATHS = const(0x10)
VERB_ACK = const(0x12)
VERB_QOS_MEASUREMENT = const(0x13)
VERB_USER_MESSAGE = const(0x14)
VERB_REMOTE_TRACE = const(0x15)
VERB_PATH_NEGOTIATION_REQUEST = const(0x16)

# VL1 5.5
ERROR_INVALID_REQUEST = const(0x01)
ERROR_BAD_PROTOCOL_VERSION = const(0x02)
ERROR_OBJ_NOT_FOUND = const(0x03)
ERROR_IDENTITY_COLLISION = const(0x04)
ERROR_UNSUPPORTED_OPERATION = const(0x05)
ERROR_NEED_MEMBERSHIP_CERTIFICATE = const(0x06)
ERROR_NETWORK_ACCESS_DENIED = const(0x07)
ERROR_UNWANTED_MULTICAST = const(0x08)
ERROR_NETWORK_AUTHENTICATION_REQUIRED = const(0x09)

# VL1 1.3
MIN_PACKET = const(28)
MAX_PACKET = const(10024)
DEFAULT_MTU = const(1432)
MAX_FRAGMENTS = const(7)
MAX_HOPS = const(3)

# VL2 0.2 and 3.3
NETWORK_MTU_DEFAULT = const(2800)
NETWORK_MTU_MIN = const(1280)
NETWORK_MTU_MAX = const(10000)

# Status of a joined network, numeric codes of the original's API (VL2 2.3).
NET_REQUESTING_CONFIGURATION = const(0)
NET_OK = const(1)
NET_ACCESS_DENIED = const(2)
NET_NOT_FOUND = const(3)
NET_PORT_ERROR = const(4)
NET_CLIENT_TOO_OLD = const(5)
NET_AUTHENTICATION_REQUIRED = const(6)
NET_STATUS_NAMES = (
    "REQUESTING_CONFIGURATION",
    "OK",
    "ACCESS_DENIED",
    "NOT_FOUND",
    "PORT_ERROR",
    "CLIENT_TOO_OLD",
    "AUTHENTICATION_REQUIRED",
)

# What VL2 tells VL1 about a packet it was offered.
IGNORED = const(0)
DONE = const(1)
TRUSTED = const(2)
PARK = const(3)
