# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The node's C code in the firmware of an ESP32: the modules, the interfaces and wires over ESP-IDF's lwIP,
# this port. What the other ports need because lwIP is theirs (its memory, timers, checksums, and sockets) is
# not here. tests/embedded/test_esp32_boards.py holds the list against theirs.

set(ZT_FIRMWARE ${CMAKE_CURRENT_LIST_DIR}/../../firmware)
set(ZT_ESP32 ${CMAKE_CURRENT_LIST_DIR})

include(${ZT_FIRMWARE}/modules/sources.cmake)

add_library(usermod_zt INTERFACE)
zt_sources(usermod_zt
    ${ZT_FIRMWARE}/modules/zthal/modzthal.c
    ${ZT_FIRMWARE}/modules/zthal/zt_hal_board.c
    ${ZT_FIRMWARE}/modules/zthal/zt_pump.c
    ${ZT_FIRMWARE}/modules/ztnet/zt_nic_py.c
    ${ZT_FIRMWARE}/modules/ztplane/modztplane.c
    ${ZT_FIRMWARE}/modules/ztplane/zt_plane_run.c
    ${ZT_FIRMWARE}/modules/ztrom/zt_rom.c
    ${ZT_FIRMWARE}/netif/zt_hal_lwip.c
    ${ZT_FIRMWARE}/netif/zt_hal_lwip_rx.c
    ${ZT_FIRMWARE}/netif/zt_hal_lwip_tx.c
    ${ZT_FIRMWARE}/netif/zt_nd6.c
    ${ZT_FIRMWARE}/netif/zt_netif.c
    ${ZT_FIRMWARE}/netif/zt_netif_addr.c
    ${ZT_FIRMWARE}/netif/zt_netif_input.c
    ${ZT_FIRMWARE}/netif/zt_netif_ping.c
    ${ZT_FIRMWARE}/netif/zt_netif_output.c
    ${ZT_FIRMWARE}/netif/zt_netif_route.c
    ${ZT_FIRMWARE}/netif/zt_netif_strong.c
    ${ZT_FIRMWARE}/netif/zt_netif_tcp.c
    ${ZT_ESP32}/zt_guard_esp32.c
    ${ZT_ESP32}/zt_hal_esp32.c
    ${ZT_ESP32}/zt_hooks_esp32.c
    ${ZT_ESP32}/zt_pump_esp32.c
)
target_include_directories(usermod_zt INTERFACE
    ${ZT_FIRMWARE}/modules/zthal
    ${ZT_FIRMWARE}/modules/ztnet
    ${ZT_FIRMWARE}/modules/ztplane
    ${ZT_FIRMWARE}/modules/ztrom
    ${ZT_FIRMWARE}/netif
    ${ZT_ESP32}
)
target_link_options(usermod_zt INTERFACE
    # Messages of lwIP's neighbour discovery pass zt_nd6.c first, and its clock does.
    -Wl,--wrap=nd6_input
    -Wl,--wrap=nd6_tmr
    # What only lwIP calls. Its library is read after ours, which is not looked into again then.
    -Wl,--undefined=__wrap_nd6_input
    -Wl,--undefined=__wrap_nd6_tmr
    -Wl,--undefined=lwip_hook_ip6_input
    -Wl,--undefined=lwip_hook_ip6_route
    -Wl,--undefined=lwip_hook_nd6_get_gw
    -Wl,--undefined=zt_esp32_route4
    -Wl,--undefined=zt_netif_gateway4
    -Wl,--undefined=zt_netif_in4
    -Wl,--undefined=zt_netif_tcp_in
)
target_link_libraries(usermod INTERFACE usermod_zt)

# Deriving from a class in flash (docs/boards.md, "Flash"). zt_rom.c does not link without it.
set_source_files_properties(${MICROPY_PY_DIR}/objtype.c PROPERTIES
    COMPILE_OPTIONS "-include;${ZT_FIRMWARE}/modules/ztrom/zt_objtype.h"
)

# lwIP's own sources ask the routes of our networks.
idf_component_get_property(ZT_LWIP lwip COMPONENT_LIB)
target_include_directories(${ZT_LWIP} PRIVATE ${ZT_ESP32})
target_compile_definitions(${ZT_LWIP} PRIVATE ESP_IDF_LWIP_HOOK_FILENAME="zt_hooks_esp32.h")
