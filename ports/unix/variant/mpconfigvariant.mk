# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# MicroPython's unix port as a node: our C modules, lwIP in the process, the package zt frozen.
# The top Makefile passes ZT_LWIP_DIR and ZT_SITE (where microdot is installed).

ZT_TOP := $(abspath $(VARIANT_DIR)/../../..)

PROG = microzt
FROZEN_MANIFEST ?= $(ZT_TOP)/firmware/manifest.py
MICROPY_MANIFEST_ZT_TOP = $(ZT_TOP)
MICROPY_MANIFEST_ZT_SITE = $(ZT_SITE)
USER_C_MODULES ?= $(ZT_TOP)/firmware/modules

# One thread, and nothing that needs a library beside libc.
MICROPY_PY_THREAD = 0
MICROPY_PY_FFI = 0
MICROPY_PY_SSL = 0
MICROPY_SSL_MBEDTLS = 0
MICROPY_PY_BTREE = 0
MICROPY_VFS_FAT = 0
MICROPY_VFS_LFS1 = 0
# tools/provision.py makes the flash images of emulated boards with it.
MICROPY_VFS_LFS2 = 1

# As many TAP devices as the plane can hold.
CFLAGS_EXTRA += -DZT_PLANE_NICS=64

# What crypto costs decides how fast a node is.
COPT = -O2

# Upstream's growing heap, unused in its own unix variants, adds to a void pointer.
$(BUILD)/py/gc.o: CFLAGS += -Wno-pointer-arith
