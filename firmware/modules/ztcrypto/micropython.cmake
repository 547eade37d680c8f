# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# _ztcrypto for cmake-based ports. The list of core sources is the one make reads.

include(${CMAKE_CURRENT_LIST_DIR}/../sources.cmake)

set(ZT_CORE_DIR ${CMAKE_CURRENT_LIST_DIR}/../../core)
file(STRINGS ${ZT_CORE_DIR}/sources.mk ZT_CORE_LINES REGEX "^CORE_SRC")
set(ZT_CORE_SOURCES)
foreach(LINE ${ZT_CORE_LINES})
    string(REGEX REPLACE "^CORE_SRC *\\+= *" "${ZT_CORE_DIR}/" FILE ${LINE})
    list(APPEND ZT_CORE_SOURCES ${FILE})
endforeach()

add_library(usermod_ztcrypto INTERFACE)
zt_sources(usermod_ztcrypto ${CMAKE_CURRENT_LIST_DIR}/modztcrypto.c ${ZT_CORE_SOURCES})
target_include_directories(usermod_ztcrypto INTERFACE ${ZT_CORE_DIR})
target_link_libraries(usermod INTERFACE usermod_ztcrypto)
