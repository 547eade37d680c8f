# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# _ztplane, where there is the stack to bring frames to (ZT_LWIP_DIR, see ztnet). The core is linked by
# ztcrypto.

ZTPLANE_DIR := $(USERMOD_DIR)
ifneq ($(and $(ZT_LWIP_DIR),$(if $(ZT_PLAIN),,yes)),)
SRC_USERMOD_C += $(ZTPLANE_DIR)/modztplane.c
SRC_USERMOD_LIB_C += $(ZTPLANE_DIR)/zt_plane_run.c
CFLAGS_USERMOD += -I$(ZTPLANE_DIR)
endif
