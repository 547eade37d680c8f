# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# ESP32 modules without PSRAM, 4 MiB of flash (WROOM-32 and its like).

set(IDF_TARGET esp32)
set(ZT_FLASH_MB 4)
include(${CMAKE_CURRENT_LIST_DIR}/../../board.cmake)
