# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What is frozen into the emulated board.
# ruff: noqa: F821

include("manifest_plain.py")  # type: ignore
include("$(ZT_TOP)/firmware/manifest_board.py")  # type: ignore
