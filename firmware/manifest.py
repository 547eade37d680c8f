# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What is frozen into a firmware: asyncio, the package zt, and microdot for the local HTTP API.
# ruff: noqa: F821

include("$(MPY_DIR)/extmod/asyncio")  # type: ignore
package("zt", base_path="$(ZT_TOP)/lib", opt=1)  # type: ignore
package("microdot", ("__init__.py", "microdot.py"), base_path="$(ZT_SITE)", opt=1)  # type: ignore
