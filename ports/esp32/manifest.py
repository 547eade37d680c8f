# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What is frozen into the firmware of an ESP32: MicroPython's own start, its usual packages for the
# network (mip, ntptime, requests, webrepl, umqtt), and the node.
# ruff: noqa: F821

freeze("$(PORT_DIR)/modules", ("_boot.py", "flashbdev.py", "inisetup.py"))  # type: ignore
include("$(MPY_DIR)/extmod/asyncio")  # type: ignore
require("bundle-networking")  # type: ignore
require("umqtt.simple")  # type: ignore
include("$(ZT_TOP)/firmware/manifest_board.py")  # type: ignore
