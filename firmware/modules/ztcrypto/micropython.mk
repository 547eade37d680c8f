# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# _ztcrypto for make-based ports. Only the binding is scanned for names; the core is a library to it.

ZTCRYPTO_DIR := $(USERMOD_DIR)
# Absolute, or the objects of all builds would land in one folder.
ZT_CORE_DIR := $(abspath $(USERMOD_DIR)/../../core)

CORE_SRC :=
include $(ZT_CORE_DIR)/sources.mk

# ZT_PLAIN=1: firmware without the node, to compare with and to try native .mpy files in.
ifeq ($(ZT_PLAIN),)
SRC_USERMOD_C += $(ZTCRYPTO_DIR)/modztcrypto.c
SRC_USERMOD_LIB_C += $(addprefix $(ZT_CORE_DIR)/,$(CORE_SRC))
endif
CFLAGS_USERMOD += -I$(ZT_CORE_DIR)
