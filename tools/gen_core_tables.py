#!/usr/bin/env python3
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Writes the constant tables of firmware/core from their definitions, with the arithmetic of the
# pure Python twin: the SHA-2 constants, and for Curve25519 the field and group constants and the
# comb table of the base point. `gen_core_tables.py FOLDER` writes both headers there.

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

from zt import _curve_py as curve  # noqa: E402
from zt import _sha2_py as sha2  # noqa: E402

HEAD = (
    "// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT\n//\n"
    "// Written by tools/gen_core_tables.py; do not edit. %s\n\n"
    "#ifndef %s\n#define %s\n\n#include <stdint.h>\n\n"
)
TEETH = 5
SPACING = 51  # 5 * 51 = 255 bits


def words(n, count=8):
    return ["0x%08x" % (n >> 32 * i & 0xFFFFFFFF) for i in range(count)]


def rows(items, indent, per_row):
    lines = []
    for i in range(0, len(items), per_row):
        lines.append(" " * indent + ", ".join(items[i : i + per_row]) + ",\n")
    return "".join(lines)


def sha512_table():
    sha2._sha2_constants()
    out = [HEAD % ("SHA-2 constants.", "ZT_SHA512_TABLE_H", "ZT_SHA512_TABLE_H")]
    for name, values in (
        ("ZT_SHA512_K", sha2._k512),
        ("ZT_SHA512_START", sha2._start512),
        ("ZT_SHA384_START", sha2._start384),
    ):
        out.append("static const uint64_t %s[%d] = {\n" % (name, len(values)))
        out.append(rows(["0x%016x" % v for v in values], 4, 4) + "};\n\n")
    return "".join(out) + "#endif\n"


def affine(p):
    zi = pow(p[2], curve._P - 2, curve._P)
    return p[0] * zi % curve._P, p[1] * zi % curve._P


def comb():
    """For each m in 0..15: 2^204 B + sum over j < 4 of (bit j of m ? 1 : -1) 2^(51 j) B."""
    tooth = [curve._BASE]
    for _ in range(TEETH - 1):
        tooth.append(curve._multiply(1 << SPACING, tooth[-1]))
    half = pow(2, curve._P - 2, curve._P)
    table = []
    for m in range(1 << TEETH - 1):
        p = tooth[-1]
        for j in range(TEETH - 1):
            q = tooth[j]
            if not m >> j & 1:
                q = (curve._P - q[0], q[1], q[2], curve._P - q[3])
            p = curve._add(p, q)
        x, y = affine(p)
        table.append(((y + x) * half, (y - x) * half, curve._D * x * y))
    return [[v % curve._P for v in entry] for entry in table]


def c25519_table():
    p, order = curve._P, curve._L
    out = [HEAD % ("Words are little endian.", "ZT_C25519_TABLE_H", "ZT_C25519_TABLE_H")]
    half = (order + 1) // 2
    for comment, name, value, count in (
        ("The curve's d, and twice it.", "ZT_D", curve._D, 8),
        ("", "ZT_2D", 2 * curve._D % p, 8),
        ("A square root of -1.", "ZT_SQRT_M1", curve._SQRT_M1, 8),
        ("The order L of the base point, and floor(2^512 / L).", "ZT_L", order, 8),
        ("", "ZT_MU", (1 << 512) // order, 9),
        ("1/2 and (2^255 - 1)/2 mod L, to recode a scalar in 1 and -1.", "ZT_HALF", half, 8),
        ("", "ZT_HALF_ONES", ((1 << 255) - 1) * half % order, 8),
    ):
        if comment:
            out.append("// %s\n" % comment)
        out.append("static const uint32_t %s[%d] = {\n" % (name, count))
        out.append(rows(words(value, count), 4, 4) + "};\n")
    out.append(
        "\n// The base point's comb: entry m is 2^204 B and 2^(51 j) B for j < 4, added where\n"
        "// bit j of m is 1 and taken away where it is 0; as (y + x)/2, (y - x)/2, d x y.\n"
        "static const uint32_t ZT_COMB[16][24] = {\n"
    )
    for entry in comb():
        flat = [w for value in entry for w in words(value)]
        out.append("    {\n" + rows(flat, 8, 4) + "    },\n")
    return "".join(out) + "};\n\n#endif\n"


def main(folder):
    for name, text in (
        ("zt_sha512_table.h", sha512_table()),
        ("zt_c25519_table.h", c25519_table()),
    ):
        with open(os.path.join(folder, name), "w") as f:
            f.write(text)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: gen_core_tables.py FOLDER")
    main(sys.argv[1])
