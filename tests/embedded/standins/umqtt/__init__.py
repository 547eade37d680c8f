# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# A package as micropython-lib has it.
