# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# An emulated board of a microcontroller's size: QEMU's "virt" machine with an rv32imc core (the ESP32-C3's
# instruction set) and 400 KB of RAM in all. Upstream's ports/qemu builds it, pointed here by BOARD_DIR;
# tools/build_qemu.sh passes ZT_LWIP_DIR and ZT_SITE. ZT_PLAIN=1 builds the same firmware without the node.

ZT_TOP := $(abspath $(BOARD_DIR)/../../..)
ZT_BOARD = 1
ifeq ($(ZT_PLAIN),)
ZT_ROM = 1
endif

QEMU_ARCH = riscv32
QEMU_MACHINE = virt
RV32_ARCH = rv32imc
# This compiler has no rv32imc_zicsr libraries, and without the older specification csrw is refused.
AFLAGS += -misa-spec=2.2

# Registers are saved by calls: 5 % less code.
CFLAGS += -msave-restore
# As a chip without external RAM: it never has 2 MiB for the identity hash.
CFLAGS += -DZT_NO_IDHASH=1
# Texts and bytecode lie where they end up, not at words.
CFLAGS += -malign-data=natural
# A name's hash has one byte: no dictionary is long enough for a second one to matter.
CFLAGS += -DMICROPY_QSTR_BYTES_IN_HASH=1
CFLAGS += -DQEMU_SOC_VIRT -DMICROPY_HW_MCU_NAME='"$(RV32_ARCH)"'
CFLAGS += -I$(BOARD_DIR) -DMP_CONFIGFILE='<zt_mpconfig.h>'
# Headers with names in them: a change makes the names be collected anew.
QSTR_GLOBAL_DEPENDENCIES += $(BOARD_DIR)/zt_mpconfig.h $(ZT_TOP)/firmware/modules/ztnet/zt_nic_py.h
LDSCRIPT = $(BOARD_DIR)/zt_ram.ld
SRC_BOARD_O += shared/runtime/gchelper_native.o shared/runtime/gchelper_rv32i.o
MPY_CROSS_FLAGS += -march=rv32imc

SRC_C += $(wildcard $(BOARD_DIR)/*.c) shared/timeutils/timeutils.c

# Of the 400 KB. The rest is for the stack, lwIP, the rings of the network card, and the C heap.
MICROPY_HEAP_SIZE ?= 253952
MICROPY_VFS_LFS2 = 1

FROZEN_MANIFEST ?= $(BOARD_DIR)/$(if $(ZT_PLAIN),manifest_plain.py,manifest.py)
MICROPY_MANIFEST_ZT_TOP = $(ZT_TOP)
MICROPY_MANIFEST_ZT_SITE = $(ZT_SITE)
USER_C_MODULES ?= $(ZT_TOP)/firmware/modules

CFLAGS += -include $(BOARD_DIR)/zt_budget.h

# Upstream's main program and console, with the calls that a board answers otherwise (zt_board.h).
$(BUILD)/main.o: CFLAGS += -Dpyexec_friendly_repl=zt_board_friendly_repl -Dpyexec_raw_repl=zt_board_raw_repl
$(BUILD)/main.o: $(BOARD_DIR)/mpconfigboard.mk
$(BUILD)/mphalport.o: CFLAGS += -Duart_rx_chr=zt_board_rx_chr

# What every byte goes through is worth a kilobyte.
$(BUILD)/%/zt_salsa20.o $(BUILD)/%/zt_poly1305.o: CFLAGS += -O2
