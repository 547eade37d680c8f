# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# ESP32-S3 modules with quad PSRAM (N8R2 and its like).

list(APPEND SDKCONFIG_DEFAULTS boards/sdkconfig.spiram_sx)
list(APPEND MICROPY_DEF_BOARD MICROPY_HW_BOARD_NAME="microzt ESP32-S3 with PSRAM")
