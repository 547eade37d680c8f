# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# ESP32-S3 modules with octal PSRAM and 16 MiB of flash (N16R8).

zt_flash(16)
list(APPEND SDKCONFIG_DEFAULTS
    boards/sdkconfig.spiram_sx
    boards/sdkconfig.240mhz
    boards/sdkconfig.spiram_oct
)
list(APPEND MICROPY_DEF_BOARD MICROPY_HW_BOARD_NAME="microzt ESP32-S3 with octal PSRAM, 16 MiB")
