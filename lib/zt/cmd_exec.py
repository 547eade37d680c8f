# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# zt exec: runs a user's script with a node up. The script finds it as zt.node (an aio.Node);
# blocking calls on zt.socket and asyncio both keep the node going.

import io
import sys

import zt

from . import hal, osutil
from .cli import Command
from .options import NODE, open_host
from .osutil import Failure
from .osutil import err as err_text


def run(args):
    if not hal.HAS_STACK:
        raise Failure("exec needs the unix port (./zt): no network stack in this build")
    path = args.rest[0]
    try:
        source = osutil.read_file(path)
    except OSError as e:
        raise Failure("%s: %s" % (path, osutil.errtext(e)))
    from . import aio

    hal.sigterm_as_interrupt()
    host = open_host(args)
    try:
        zt.node = aio.Node(host).attach()
        sys.argv[:] = args.rest
        sys.path.insert(0, osutil.dirname(path))
        exec(compile(source, path, "exec"), {"__name__": "__main__", "__file__": path})
    except KeyboardInterrupt:
        pass
    except Exception as e:
        err_text(traceback_of(e, path))
        return 1
    finally:
        host.close()
    return 0


def traceback_of(e, path):
    """The traceback of a script that failed, from its own first line on."""
    text = io.StringIO()
    sys.print_exception(e, text)
    lines = text.getvalue().split("\n")
    ours = 1
    while ours < len(lines) and lines[ours].startswith('  File "'):
        if lines[ours].startswith('  File "%s"' % path):
            return "\n".join(lines[:1] + lines[ours:])
        ours += 1
    return "\n".join(lines)


COMMANDS = {
    ("exec",): Command(
        run,
        "FILE.py [ARGS]",
        "Run a script with a node up; zt.node is that node.",
        NODE,
        1,
        1000,
        False,
        True,
    ),
}
