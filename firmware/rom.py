# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# How boards freeze the package zt (tools/rom): its modules are constant objects in flash. Read
# that tool only.

PACKAGE = "zt"

# What changes while the board runs, or is only known there: evaluated in RAM when zt is imported,
# in this order.
RAM = ("_state", "log", "crypto", "_hal_board", "hal")

# Functions and types of C modules that ours import by name: (type in C, symbol).
SYMBOLS = {
    ("zt", "__init__"): ("mp_obj_fun_builtin_fixed_t", "zt_rom_init_obj"),
    ("micropython", "const"): ("mp_obj_fun_builtin_fixed_t", "zt_rom_const_obj"),
    ("time", "ticks_ms"): ("mp_obj_fun_builtin_fixed_t", "mp_time_ticks_ms_obj"),
    ("time", "ticks_add"): ("mp_obj_fun_builtin_fixed_t", "mp_time_ticks_add_obj"),
    ("time", "ticks_diff"): ("mp_obj_fun_builtin_fixed_t", "mp_time_ticks_diff_obj"),
    ("array", "array"): ("mp_obj_type_t", "mp_type_array"),
}

# Names the package has besides its own and its modules': where they are. "socket" alone is the
# module of the firmware in C.
NAMES = {
    "Node": ("node", "Node"),
    "NIC": ("card", "NIC"),
    "memory": ("usage", "memory"),
    "socket": None,
}

# What these modules import is theirs to offer: modules that are not frozen ask for it.
OFFERS = ("_compat",)
