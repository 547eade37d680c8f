# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# zt_sources(LIB FILES...): the C files of one of our modules, for cmake-based ports.
#
# In ESP-IDF the firmware is a library that a program is linked from, and MicroPython 1.25 has the library
# pass the sources of a user's module on to the program. They would be compiled there once more with none of
# ESP-IDF's options, thus without optimization: too large for the flash, too deep for lwIP's stack; and that
# copy is the one that is linked. So there they are sources of the library alone. The scan for names takes no
# generator expressions; it is told the files, and does not look into a target whose name is one.

macro(zt_sources LIB)
    if(ESP_PLATFORM)
        list(APPEND MICROPY_SOURCE_USERMOD ${ARGN})
        add_library(${LIB}_compiled INTERFACE)
        foreach(ZT_FILE ${ARGN})
            target_sources(${LIB}_compiled INTERFACE
                $<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,STATIC_LIBRARY>:${ZT_FILE}>
            )
        endforeach()
        target_link_libraries(${LIB} INTERFACE $<BUILD_INTERFACE:${LIB}_compiled>)
    else()
        target_sources(${LIB} INTERFACE ${ARGN})
    endif()
endmacro()
