# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Our modules for cmake-based ports. _ztcrypto and _ztmem are for any; the rest needs a port of ours below it, which
# among these is ESP-IDF's. (Make-based ports read the micropython.mk of each folder.)

include(${CMAKE_CURRENT_LIST_DIR}/ztcrypto/micropython.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/ztmem/micropython.cmake)
if(ESP_PLATFORM)
    include(${CMAKE_CURRENT_LIST_DIR}/../../ports/esp32/node.cmake)
endif()
