// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Included before MicroPython 1.25's py/objtype.c, and nowhere else. Deriving from a class marks the class as one
// that is derived from; our classes lie in flash, where a write is a fault. They have the mark from the
// start (ZT_ROM_TYPE_FLAGS), so the one line that sets it needs only leave alone what is set.

#ifndef ZT_OBJTYPE_H
#define ZT_OBJTYPE_H

#include "py/obj.h"

// objtype.c reads the mark in line 1097 and sets it in line 1161: `t->flags |= MP_TYPE_FLAG_IS_SUBCLASSED;`.
// In any other text than 1.25's the name below is unknown and the compiler stops.
#define ZT_OBJTYPE_1097 (0x0001)
#define ZT_OBJTYPE_1161 0; if (!(t->flags & 0x0001)) { t->flags |= 0x0001; }
#define ZT_OBJTYPE__(line) ZT_OBJTYPE_##line
#define ZT_OBJTYPE_(line) ZT_OBJTYPE__(line)
_Static_assert(MP_TYPE_FLAG_IS_SUBCLASSED == 0x0001, "py/obj.h");
#undef MP_TYPE_FLAG_IS_SUBCLASSED
#define MP_TYPE_FLAG_IS_SUBCLASSED ZT_OBJTYPE_(__LINE__)

// zt_rom.c asks for it: a build that forgets this file does not link.
extern const unsigned char zt_rom_objtype;
const unsigned char zt_rom_objtype = 1;

#endif
