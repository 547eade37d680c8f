# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The least of MicroPython's module webrepl, for the examples.


def accept_conn(listener):
    raise NotImplementedError
