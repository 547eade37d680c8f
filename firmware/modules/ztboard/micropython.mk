# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# _zthal on boards (ZT_BOARD=1): wires over the board's own lwIP, the pump. ZT_PLAIN=1 leaves the node out.

ZTBOARD_DIR := $(USERMOD_DIR)
ifneq ($(ZT_BOARD),)
ifeq ($(ZT_PLAIN),)
SRC_USERMOD_C += $(ZTBOARD_DIR)/modzthal.c $(ZTBOARD_DIR)/zt_pump.c
SRC_USERMOD_LIB_C += $(abspath $(ZTBOARD_DIR)/../../netif)/zt_hal_lwip.c
endif
CFLAGS_USERMOD += -I$(ZTBOARD_DIR) -DZT_BOARD=1
endif
