# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The package zt as constant objects (ZT_ROM=1), where manifest_board.py is frozen.

ZTROM_DIR := $(USERMOD_DIR)
ifneq ($(ZT_ROM),)
SRC_USERMOD_C += $(ZTROM_DIR)/zt_rom.c
CFLAGS_USERMOD += -I$(ZTROM_DIR) -DMICROPY_MODULE_BUILTIN_SUBPACKAGES=1
$(BUILD)/py/objtype.o: CFLAGS += -include $(ZTROM_DIR)/zt_objtype.h
endif
