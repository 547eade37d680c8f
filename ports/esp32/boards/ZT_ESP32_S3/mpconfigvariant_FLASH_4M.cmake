# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# ESP32-S3 modules with 4 MiB of flash and quad PSRAM or none (FH4R2: 2 MiB in the package).

zt_flash(4)
list(APPEND SDKCONFIG_DEFAULTS boards/sdkconfig.spiram_sx)
list(APPEND MICROPY_DEF_BOARD MICROPY_HW_BOARD_NAME="microzt ESP32-S3 with 4 MiB of flash")
