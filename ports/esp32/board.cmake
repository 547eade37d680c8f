# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What our boards share; each board's mpconfigboard.cmake sets IDF_TARGET and ZT_FLASH_MB and includes
# this. Upstream's CMakeLists.txt (ports/esp32 of MicroPython) reads what is set here: SDKCONFIG_DEFAULTS,
# USER_C_MODULES, MICROPY_FROZEN_MANIFEST, and MICROPY_MANIFEST_<NAME>, which becomes $(NAME) in a
# manifest.

get_filename_component(ZT_TOP ${CMAKE_CURRENT_LIST_DIR}/../.. ABSOLUTE)

set(USER_C_MODULES ${ZT_TOP}/firmware/modules/micropython.cmake)
set(MICROPY_FROZEN_MANIFEST ${ZT_TOP}/ports/esp32/manifest.py)
set(MICROPY_MANIFEST_ZT_TOP ${ZT_TOP})
# A definition of the whole component: the scan for names must see it too.
list(APPEND MICROPY_DEF_BOARD ZT_BOARD=1 MICROPY_MODULE_BUILTIN_SUBPACKAGES=1)

# A path of ours cannot be written into a fragment: fragments are taken as they are, and the name of a
# partition table is looked up in upstream's folder unless it is absolute.
function(zt_flash MB)
    set(TABLE ${ZT_TOP}/ports/esp32/partitions-${MB}MiB.csv)
    if(NOT EXISTS ${TABLE})
        message(FATAL_ERROR "no partition table for ${MB} MiB of flash: ${TABLE}")
    endif()
    set(LINES "CONFIG_PARTITION_TABLE_CUSTOM=y\nCONFIG_PARTITION_TABLE_CUSTOM_FILENAME=\"${TABLE}\"\n")
    foreach(SIZE 2 4 8 16 32)
        if(SIZE EQUAL MB)
            string(APPEND LINES "CONFIG_ESPTOOLPY_FLASHSIZE_${SIZE}MB=y\n")
        else()
            string(APPEND LINES "CONFIG_ESPTOOLPY_FLASHSIZE_${SIZE}MB=n\n")
        endif()
    endforeach()
    file(WRITE ${CMAKE_BINARY_DIR}/sdkconfig.zt_flash "${LINES}")
endfunction()

# The order matters: what comes later wins.
set(SDKCONFIG_DEFAULTS
    boards/sdkconfig.base
    ${ZT_BOARD_SDKCONFIG}
    ${ZT_TOP}/ports/esp32/sdkconfig.zt
    ${CMAKE_BINARY_DIR}/sdkconfig.zt_flash
)
zt_flash(${ZT_FLASH_MB})
