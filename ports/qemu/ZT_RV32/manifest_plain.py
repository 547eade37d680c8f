# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What is frozen into the emulated board with or without the node: a start as boards have it, a
# network module, asyncio and microdot.
# ruff: noqa: F821

include("$(MPY_DIR)/extmod/asyncio")  # type: ignore
module("_boot.py", base_path="modules")  # type: ignore
module("network.py", base_path="modules")  # type: ignore
package("microdot", ("__init__.py", "microdot.py"), base_path="$(ZT_SITE)", opt=1)  # type: ignore
