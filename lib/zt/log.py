# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# One logger for the whole node. A line is "level subsystem: text". Callers test the level before
# they build arguments, and never pass a key, a token or a decrypted payload.

ERROR = 0
WARN = 1
INFO = 2
DEBUG = 3
NAMES = ("error", "warn", "info", "debug")

level = WARN
_sink = None


def set_level(name):
    """Set the level by name; ValueError for a name that is none of NAMES."""
    global level
    if name not in NAMES:
        raise ValueError("log level must be error, warn, info or debug")
    level = NAMES.index(name)


def set_sink(f):
    """Send lines to f(text) (no newline in text); None is nowhere."""
    global _sink
    _sink = f


def write(lvl, subsystem, text):
    if lvl <= level and _sink:
        _sink("%s %s: %s" % (NAMES[lvl], subsystem, text))


def error(subsystem, text):
    write(ERROR, subsystem, text)


def warn(subsystem, text):
    write(WARN, subsystem, text)


def info(subsystem, text):
    write(INFO, subsystem, text)


def debug(subsystem, text):
    write(DEBUG, subsystem, text)
