# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The node options shared by run, exec, ping, nc and perf, and how they become a Host.

from . import limits
from .args import FLAG, INT, LIST, TEXT
from .cmd_id import progress_on_terminal
from .host import Host
from .osutil import Failure

NODE = (
    (("--port",), INT, "N", "UDP port, 0 for any (default: local.conf, else 9993)"),
    (("--planet",), TEXT, "FILE", "planet to use; it is copied to the home"),
    (("--join",), LIST, "NWID", "join this network (repeatable)"),
    (("--controller",), FLAG, "", "be a controller for networks of our own"),
    (("--allow-loopback",), FLAG, "", "admit loopback addresses as paths; tests only"),
    (("--profile",), TEXT, "NAME", "size of tables: unix or small (default unix)"),
)


def open_host(args):
    """The Host these options describe."""
    profile = args.profile or "unix"
    if profile not in limits.PROFILES:
        raise Failure("--profile: %s is none of %s" % (profile, ", ".join(limits.PROFILES)))
    return Host(
        args.home,
        args.port,
        args.planet,
        args.join,
        args.controller,
        args.allow_loopback,
        profile,
        progress_on_terminal(),
        getattr(args, "tap", False),
    )
