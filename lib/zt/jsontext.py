# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# JSON as the HTTP API and the controller's files have it: keys in alphabetical order on both
# interpreters, and the coercions applied to values that users send (VL2 8.1). It knows no field
# names.

import json

from ._compat import MICROPYTHON, const

_DEPTH = const(32)  # our choice
_LIMIT = const(9007199254740992)  # the largest integer every JSON reader keeps (2^53)
_DIGITS = const(400)  # our choice: reading a long number takes the square of its length


def loads(data):
    """The value of a whole JSON text in UTF-8; ValueError if it is not one or nested too deep.

    MicroPython's reader takes what is cut short for complete and knows no bound of depth, so the
    brackets are followed first.
    """
    text = str(data, "utf-8")
    parts = text.replace("\\\\", "").replace('\\"', "").split('"')
    closing = []
    digits = 0
    for part in parts[0::2]:
        for c in part:
            if "0" <= c <= "9":
                digits += 1
                if digits > _DIGITS:
                    raise ValueError("JSON number too long")
                continue
            digits = 0
            if c in "{[":
                closing.append("}" if c == "{" else "]")
                if len(closing) > _DEPTH:
                    raise ValueError("JSON nested too deep")
            elif c in "}]" and (not closing or closing.pop() != c):
                raise ValueError("not JSON")
    if closing or len(parts) % 2 == 0:
        raise ValueError("JSON cut short")
    return _loads(text)


def _no_number(name):
    raise ValueError("not JSON")  # NaN and Infinity, which CPython's reader takes


def _loads(text):
    if MICROPYTHON:
        return json.loads(text)
    return json.loads(text, parse_constant=_no_number)


def number(x):
    """A float as JSON: at most six decimals, the same on both interpreters."""
    if not -_LIMIT <= x <= _LIMIT:
        return "null"  # JSON has no infinity and nothing that is not a number
    text = ("%.6f" % x).rstrip("0")
    return text + "0" if text[-1] == "." else text


def _string(s):
    text = json.dumps(s)
    # DEL and the controls after it drive a terminal too; neither writer escapes them all.
    if not MICROPYTHON:
        return text.replace("\x7f", "\\u007f")
    if len(text) != len(text.encode()) or "\x7f" in text:
        text = "".join([c if not "\x7f" <= c <= "\x9f" else "\\u%04x" % ord(c) for c in text])
    return text


def dumps(value):
    """Compact JSON text with sorted keys; takes what json.loads gives."""
    out = []
    _dump(value, out)
    return "".join(out)


def _dump(value, out):
    if isinstance(value, dict):
        separator = "{"
        for key in sorted(value):
            out.append(separator)
            out.append(_string(key))
            out.append(":")
            _dump(value[key], out)
            separator = ","
        out.append("}" if value else "{}")
    elif isinstance(value, (list, tuple)):
        separator = "["
        for x in value:
            out.append(separator)
            _dump(x, out)
            separator = ","
        out.append("]" if value else "[]")
    elif isinstance(value, str):
        out.append(_string(value))
    elif isinstance(value, float):
        out.append(number(value))
    else:
        out.append(json.dumps(value))


def boolean(value, default=False):
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return value > 0
    if isinstance(value, str):
        return value[:1] in ("t", "T", "1")
    return default


def integer(value, default=0):
    if isinstance(value, (bool, int)):  # a bool is no int on MicroPython
        return int(value)
    if isinstance(value, float):
        # Also leaves out infinities and what is not a number.
        return int(value) if -_LIMIT <= value <= _LIMIT else default
    if isinstance(value, str) and value:
        return leading_int(value, 10)
    return default


def text(value, default=""):
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)):
        return str(value)
    return default


def leading_int(s, base):
    """The number a text begins with, after spaces and a sign; 0 if there is none."""
    s = s.strip()
    negative = s[:1] == "-"
    if s[:1] in ("-", "+"):
        s = s[1:]
    if base == 16 and s[:2] in ("0x", "0X"):
        s = s[2:]
    n = 0
    for c in s[:32]:
        d = "0123456789abcdef".find(c.lower())
        if d < 0 or d >= base:
            break
        n = n * base + d
    return -n if negative else n
