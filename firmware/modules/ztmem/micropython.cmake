# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# _ztmem for cmake-based ports.

add_library(usermod_ztmem INTERFACE)
target_sources(usermod_ztmem INTERFACE ${CMAKE_CURRENT_LIST_DIR}/modztmem.c)
target_link_libraries(usermod INTERFACE usermod_ztmem)
