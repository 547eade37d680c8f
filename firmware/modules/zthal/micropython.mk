# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# _zthal and the pump, over lwIP (ZT_LWIP_DIR). On boards (ZT_BOARD=1) the wires are the board's own lwIP's;
# another port brings its own (zt_wires.h, zt_plane_port.h). ZT_PLAIN=1 leaves the node out.

ZTHAL_DIR := $(USERMOD_DIR)
ifneq ($(ZT_LWIP_DIR),)
ifeq ($(ZT_PLAIN),)
SRC_USERMOD_C += $(ZTHAL_DIR)/modzthal.c $(ZTHAL_DIR)/zt_pump.c
endif
CFLAGS_USERMOD += -I$(ZTHAL_DIR)
endif
ifneq ($(ZT_BOARD),)
ifeq ($(ZT_PLAIN),)
SRC_USERMOD_C += $(ZTHAL_DIR)/zt_hal_board.c
SRC_USERMOD_LIB_C += $(addprefix $(abspath $(ZTHAL_DIR)/../../netif)/,\
	zt_hal_lwip.c zt_hal_lwip_rx.c zt_hal_lwip_tx.c)
endif
CFLAGS_USERMOD += -DZT_BOARD=1
endif
