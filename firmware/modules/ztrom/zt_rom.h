// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// What the constant objects that tools/rom writes refer to. Included at the end of MicroPython's
// frozen_content.c and by zt_rom.c.

#ifndef ZT_ROM_H
#define ZT_ROM_H

#include "py/emitglue.h"
#include "py/obj.h"
#include "py/objfun.h"
#include "py/objtuple.h"
#include "py/objtype.h"
#include "py/runtime.h"

// zt.socket: where lwIP is not ESP-IDF's, the module has another name in C.
#ifndef ESP_PLATFORM
#define mp_module_socket mp_module_lwip
#endif

// Modules that are evaluated in RAM, at most.
#define ZT_ROM_RAM_MODULES 8

// As mp_obj_new_type gives a class that others derive from, so that deriving from one writes nothing to it
// (zt_objtype.h).
#define ZT_ROM_TYPE_FLAGS (MP_TYPE_FLAG_IS_SUBCLASSED | MP_TYPE_FLAG_EQ_NOT_REFLEXIVE \
    | MP_TYPE_FLAG_EQ_CHECKS_OTHER_TYPE | MP_TYPE_FLAG_EQ_HAS_NEQ_TEST | MP_TYPE_FLAG_ITER_IS_GETITER \
    | MP_TYPE_FLAG_INSTANCE_TYPE)

// The layout of mp_obj_property_t, which py/objproperty.c keeps to itself.
typedef struct {
    mp_obj_base_t base;
    mp_rom_obj_t proxy[3];
} zt_rom_property_t;

typedef struct {
    qstr name;
    const mp_module_context_t *context;
    mp_proto_fun_t code;
} zt_rom_ram_t;

extern const zt_rom_ram_t zt_rom_ram[];
extern const size_t zt_rom_ram_n;

// The slots of a class that py/objtype.c keeps to itself; usable after the import of zt.
mp_obj_t zt_rom_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args);
void zt_rom_print(const mp_print_t *print, mp_obj_t self, mp_print_kind_t kind);
mp_obj_t zt_rom_unary_op(mp_unary_op_t op, mp_obj_t self);
mp_obj_t zt_rom_binary_op(mp_binary_op_t op, mp_obj_t lhs, mp_obj_t rhs);
void zt_rom_attr(mp_obj_t self, qstr name, mp_obj_t *dest);
mp_obj_t zt_rom_subscr(mp_obj_t self, mp_obj_t index, mp_obj_t value);
mp_int_t zt_rom_buffer(mp_obj_t self, mp_buffer_info_t *info, mp_uint_t flags);

#endif
