# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# ESP32-S3 modules without PSRAM, 8 MiB of flash.

set(IDF_TARGET esp32s3)
set(ZT_FLASH_MB 8)
set(ZT_BOARD_SDKCONFIG
    boards/sdkconfig.usb
    ${CMAKE_CURRENT_LIST_DIR}/sdkconfig.board
)
include(${CMAKE_CURRENT_LIST_DIR}/../../board.cmake)
