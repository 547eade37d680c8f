# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# ESP32 modules with PSRAM (WROVER and its like).

list(APPEND SDKCONFIG_DEFAULTS boards/sdkconfig.spiram)
list(APPEND MICROPY_DEF_BOARD MICROPY_HW_BOARD_NAME="microzt ESP32 with PSRAM")
