# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# _ztbench, of the bench build only (tools/build_bench.sh).

SRC_USERMOD_C += $(USERMOD_DIR)/modztbench.c
CFLAGS_USERMOD += -I$(VARIANT_DIR)
