# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# _ztmem for cmake-based ports.

include(${CMAKE_CURRENT_LIST_DIR}/../sources.cmake)

add_library(usermod_ztmem INTERFACE)
zt_sources(usermod_ztmem ${CMAKE_CURRENT_LIST_DIR}/modztmem.c)
target_link_libraries(usermod INTERFACE usermod_ztmem)
