# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# ESP32-C3 modules, 4 MiB of flash. The chip has no PSRAM, so there is no variant with it.

set(IDF_TARGET esp32c3)
set(ZT_FLASH_MB 4)
set(ZT_BOARD_SDKCONFIG ${CMAKE_CURRENT_LIST_DIR}/sdkconfig.board)
# Never 2 MiB for the identity hash.
list(APPEND MICROPY_DEF_BOARD ZT_NO_IDHASH=1)
include(${CMAKE_CURRENT_LIST_DIR}/../../board.cmake)
