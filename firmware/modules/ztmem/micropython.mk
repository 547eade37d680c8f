# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# _ztmem for make-based ports.

ifeq ($(ZT_PLAIN),)
SRC_USERMOD_C += $(USERMOD_DIR)/modztmem.c
endif
