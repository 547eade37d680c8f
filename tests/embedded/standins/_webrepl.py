# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The least of MicroPython's module _webrepl, for the examples.

said = []


def password(text):
    said.append(("password", text))
