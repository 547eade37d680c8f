# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# A table-driven option parser for both interpreters (MicroPython has no argparse). It knows option
# tables and strings, and refuses to know what a command does.
#
# An option is (names, kind, metavar, help): names is a tuple of "--long" and "-s" forms, the first
# gives the attribute; kind is FLAG, TEXT, INT or LIST (may be repeated).

from ._compat import const

FLAG = const(0)
TEXT = const(1)
INT = const(2)
LIST = const(3)


class UsageError(Exception):
    """The command line makes no sense: exit status 2."""


class Args:
    """The result: one attribute per option, `rest` for the positional arguments."""

    def __init__(self):
        self.rest = []


def attribute(option):
    return option[0][0].lstrip("-").replace("-", "_")


def _find(options, name):
    for option in options:
        if name in option[0]:
            return option
    return None


def _store(args, option, name, value):
    key = attribute(option)
    kind = option[1]
    if kind == INT:
        try:
            value = int(value)
        except ValueError:
            raise UsageError("%s: %s is not a number" % (name, value))
        if value < 0:
            raise UsageError("%s: %d is negative" % (name, value))
    if kind == LIST:
        getattr(args, key).append(value)
    else:
        setattr(args, key, value)


def _is_option(word, options):
    # "-" is a file name and "-1" a number, unless somebody names an option so.
    if len(word) < 2 or word[0] != "-":
        return False
    return not word[1:].isdigit() or _find(options, word) is not None


def parse(words, options, rest_after_first=False):
    """Parse `words` by the table `options`; `rest_after_first` leaves all after the first
    positional argument alone (the arguments of a script)."""
    args = Args()
    for option in options:
        empty = {FLAG: False, LIST: []}
        setattr(args, attribute(option), empty.get(option[1]))
    i = 0
    while i < len(words):
        word = words[i]
        i += 1
        if word == "--":
            args.rest.extend(words[i:])
            break
        if not _is_option(word, options):
            args.rest.append(word)
            if rest_after_first:
                args.rest.extend(words[i:])
                break
            continue
        name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        option = _find(options, name)
        if option is None:
            raise UsageError("unknown option %s" % name)
        if option[1] == FLAG:
            if equals:
                raise UsageError("%s takes no value" % name)
            setattr(args, attribute(option), True)
            continue
        if not equals:
            if i >= len(words):
                raise UsageError("%s needs a value" % name)
            value = words[i]
            i += 1
        _store(args, option, name, value)
    return args


def help_lines(options):
    """One aligned line per option."""
    left = []
    for names, kind, metavar, _ in options:
        text = ", ".join(names)
        if kind != FLAG:
            text += " " + metavar
        left.append(text)
    width = max([len(t) for t in left]) if left else 0
    return ["  %s%s  %s" % (t, " " * (width - len(t)), o[3]) for t, o in zip(left, options)]
