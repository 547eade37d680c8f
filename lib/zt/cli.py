# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The `zt` command: finds the command's module, parses its options, turns every failure into one
# line on stderr and an exit status (0 done, 1 failed, 2 usage). What a command does is in its cmd_
# module.

import sys

from . import log, osutil
from .args import FLAG, TEXT, UsageError, help_lines, parse
from .const import USER_AGENT
from .osutil import Failure, err_line, out

COMMON = (
    (("--help", "-h"), FLAG, "", "show this help"),
    (("--version",), FLAG, "", "show the version"),
    (("--home",), TEXT, "DIR", "state directory (default $ZT_HOME, else ~/.zt)"),
    (("--json",), FLAG, "", "print JSON"),
    (("--log-level",), TEXT, "LEVEL", "error, warn, info or debug (default warn)"),
    (("--verbose", "-v"), FLAG, "", "same as --log-level info"),
)

# First word, module, what the overall help says.
_MODULES = (
    ("id", "cmd_id", "make, show and check identities"),
    ("planet", "cmd_id", "make and sign a planet file of your own"),
    ("run", "cmd_run", "run a node in the foreground"),
    ("exec", "cmd_exec", "run a Python script with a node up"),
    ("status", "cmd_node", "what the running node says of itself"),
    ("peers", "cmd_node", "whom the running node knows"),
    ("networks", "cmd_node", "the networks the running node has joined"),
    ("join", "cmd_node", "join a network"),
    ("leave", "cmd_node", "leave a network"),
    ("network", "cmd_network", "networks of the running controller: new, set, list"),
    ("member", "cmd_network", "members of such a network: list, authorize, deauthorize"),
    ("rules", "cmd_rules", "what the rules of a network do with a frame; check rules"),
    ("ping", "cmd_ping", "ICMP echo over the network, or ECHO to a node"),
    ("nc", "cmd_stream", "copy stdin and stdout over the network"),
    ("perf", "cmd_stream", "measure one TCP stream over the network"),
)


def _load(module):
    return __import__("zt." + module, None, None, ("COMMANDS",))


def _overall_help():
    lines = ["usage: zt COMMAND [options]", "", "commands:"]
    lines += ["  %-9s %s" % (name, text) for name, _, text in _MODULES]
    lines += ["", "options of every command:"] + help_lines(COMMON)
    return "\n".join(lines)


def _usage(name, command):
    return ("zt %s [options] %s" % (name, command.usage)).rstrip()


def _help(name, command):
    lines = ["usage: " + _usage(name, command), "", command.help]
    if command.options:
        lines += ["", "options:"] + help_lines(command.options)
    lines += ["", "options of every command:"] + help_lines(COMMON)
    return "\n".join(lines)


def _group_help(first, commands):
    lines = ["usage:"]
    for key in sorted(commands):
        if key[0] == first:
            lines.append("  " + _usage(" ".join(key), commands[key]))
            lines.append("      " + commands[key].help)
    return "\n".join(lines)


def _find(words):
    """(key, Command, remaining words); UsageError when there is no such command."""
    first = words[0]
    modules = [module for name, module, _ in _MODULES if name == first]
    if not modules:
        raise UsageError("unknown command %s" % first)
    commands = _load(modules[0]).COMMANDS
    if (first,) in commands:
        return (first,), commands[(first,)], words[1:]
    if len(words) > 1:
        if (first, words[1]) in commands:
            return (first, words[1]), commands[(first, words[1])], words[2:]
        if words[1] in ("-h", "--help"):
            return (first,), None, commands
        if words[1] == "--version":
            return (first, ""), None, commands
    known = sorted([key[1] for key in commands if key[0] == first])
    raise UsageError("zt %s needs one of: %s" % (first, ", ".join(known)))


def _merge(early, late):
    for option in COMMON:
        key = option[0][0].lstrip("-").replace("-", "_")
        if not getattr(late, key):
            setattr(late, key, getattr(early, key))


def _set_up_log(args):
    log.set_sink(err_line)
    try:
        log.set_level(args.log_level or ("info" if args.verbose else "warn"))
    except ValueError as e:
        raise UsageError(str(e))


def _dispatch(words):
    early = parse(words, COMMON, rest_after_first=True)
    if early.version:
        out(USER_AGENT)
        return 0
    if not early.rest:
        if early.help:
            out(_overall_help())
            return 0
        raise UsageError("which command? See zt --help")
    key, command, rest = _find(early.rest)
    if command is None:
        out(USER_AGENT if len(key) == 2 else _group_help(key[0], rest))
        return 0
    args = parse(rest, tuple(command.options) + COMMON, command.script)
    _merge(early, args)
    name = " ".join(key)
    if args.version:
        out(USER_AGENT)
        return 0
    if args.help or early.help:
        out(_help(name, command))
        return 0
    if not command.least <= len(args.rest) <= command.most:
        raise UsageError("usage: " + _usage(name, command))
    _set_up_log(args)
    if not args.home and command.home:
        args.home = osutil.default_home()
    return command.run(args) or 0


class Command:
    """One entry of a module's COMMANDS. `home`: the default home applies when none is given (the
    others make a temporary one); `script`: what follows the first positional argument is a
    script's."""

    def __init__(self, run, usage, help, options=(), least=0, most=0, home=True, script=False):
        self.run = run
        self.usage = usage
        self.help = help
        self.options = options
        self.least = least
        self.most = most
        self.home = home
        self.script = script


def main(words):
    """Run one command line (without the program's name); returns the exit status."""
    try:
        return _dispatch(words)
    except UsageError as e:
        err_line("zt: %s" % e)
        return 2
    except (Failure, ValueError) as e:
        if log.level >= log.DEBUG and not isinstance(e, Failure):
            raise
        err_line("zt: %s" % e)
    except OSError as e:
        err_line("zt: %s" % osutil.errtext(e))
    except MemoryError as e:
        err_line("zt: out of memory: %s" % e)
    except KeyboardInterrupt:
        err_line("zt: interrupted")
    return 1


def run():
    """Entry point of both programs."""
    sys.exit(main(sys.argv[1:]))
