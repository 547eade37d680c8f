// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The package zt as a built-in module whose objects are constants in flash (tools/rom). Here is what they
// need in RAM: the slots that MicroPython keeps to itself, and the globals of the few modules that change.

#include "zt_rom.h"

#include <string.h>

#include "py/gc.h"

// Read from a class that the interpreter has made; code, so they outlive a soft reset.
static struct {
    mp_make_new_fun_t make_new;
    mp_print_fun_t print;
    mp_unary_op_fun_t unary_op;
    mp_binary_op_fun_t binary_op;
    mp_attr_fun_t attr;
    mp_subscr_fun_t subscr;
    mp_buffer_fun_t buffer;
} slots;

mp_obj_t zt_rom_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    return slots.make_new(type, n_args, n_kw, args);
}

void zt_rom_print(const mp_print_t *print, mp_obj_t self, mp_print_kind_t kind) {
    slots.print(print, self, kind);
}

mp_obj_t zt_rom_unary_op(mp_unary_op_t op, mp_obj_t self) {
    return slots.unary_op(op, self);
}

mp_obj_t zt_rom_binary_op(mp_binary_op_t op, mp_obj_t lhs, mp_obj_t rhs) {
    return slots.binary_op(op, lhs, rhs);
}

void zt_rom_attr(mp_obj_t self, qstr name, mp_obj_t *dest) {
    slots.attr(self, name, dest);
}

mp_obj_t zt_rom_subscr(mp_obj_t self, mp_obj_t index, mp_obj_t value) {
    return slots.subscr(self, index, value);
}

mp_int_t zt_rom_buffer(mp_obj_t self, mp_buffer_info_t *info, mp_uint_t flags) {
    return slots.buffer(self, info, flags);
}

static void take_slots(void) {
    const mp_obj_type_t *type =
        MP_OBJ_TO_PTR(mp_obj_new_type(MP_QSTR_zt, mp_const_empty_tuple, mp_obj_new_dict(0)));
    slots.make_new = MP_OBJ_TYPE_GET_SLOT(type, make_new);
    slots.print = MP_OBJ_TYPE_GET_SLOT(type, print);
    slots.unary_op = MP_OBJ_TYPE_GET_SLOT(type, unary_op);
    slots.binary_op = MP_OBJ_TYPE_GET_SLOT(type, binary_op);
    slots.attr = MP_OBJ_TYPE_GET_SLOT(type, attr);
    slots.subscr = MP_OBJ_TYPE_GET_SLOT(type, subscr);
    slots.buffer = MP_OBJ_TYPE_GET_SLOT(type, buffer);
}

// micropython.const, for modules that import it from zt._compat.
static mp_obj_t zt_rom_const(mp_obj_t value) {
    return value;
}
MP_DEFINE_CONST_FUN_OBJ_1(zt_rom_const_obj, zt_rom_const);

extern const mp_obj_module_t mp_module_zt; // in the frozen content
extern const unsigned char zt_rom_objtype; // in zt_objtype.h

// zt.__init__(): MicroPython calls it when the module is looked up. What the package holds in RAM is made
// once after each start or soft reset: sys.modules, which begins empty then, says whether it was.
static mp_obj_t zt_rom_init(void) {
    mp_map_t *loaded = &MP_STATE_VM(mp_loaded_modules_dict).map;
    mp_obj_t key = MP_OBJ_NEW_QSTR(MP_QSTR_zt);
    if (mp_map_lookup(loaded, key, MP_MAP_LOOKUP) != NULL || !zt_rom_objtype) {
        return mp_const_none;
    }
    take_slots();
    for (size_t i = 0; i < zt_rom_ram_n; i++) {
        mp_obj_dict_t *globals = &MP_STATE_VM(zt_rom_globals)[i];
        globals->base.type = &mp_type_dict;
        mp_map_init(&globals->map, 0);
        mp_obj_dict_store(MP_OBJ_FROM_PTR(globals), MP_OBJ_NEW_QSTR(MP_QSTR___name__),
            MP_OBJ_NEW_QSTR(zt_rom_ram[i].name));
    }
    // What runs below imports zt in turn.
    mp_map_lookup(loaded, key, MP_MAP_LOOKUP_ADD_IF_NOT_FOUND)->value = MP_OBJ_FROM_PTR(&mp_module_zt);
    mp_obj_dict_t *old_globals = mp_globals_get();
    mp_obj_dict_t *old_locals = mp_locals_get();
    nlr_buf_t nlr;
    int failed = nlr_push(&nlr);
    if (!failed) {
        for (size_t i = 0; i < zt_rom_ram_n; i++) {
            mp_globals_set(&MP_STATE_VM(zt_rom_globals)[i]);
            mp_locals_set(&MP_STATE_VM(zt_rom_globals)[i]);
            mp_call_function_0(
                mp_make_function_from_proto_fun(zt_rom_ram[i].code, zt_rom_ram[i].context, NULL));
        }
        nlr_pop();
    }
    mp_globals_set(old_globals);
    mp_locals_set(old_locals);
    if (failed) {
        mp_map_lookup(loaded, key, MP_MAP_LOOKUP_REMOVE_IF_FOUND);
        nlr_jump(nlr.ret_val);
    }
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_0(zt_rom_init_obj, zt_rom_init);

// Importing a module that is not frozen, out of /lib/zt, also stores it in the package. That cannot be; it
// is found in sys.modules when it is asked for. What is not there is no attribute: dir() asks for every name.
void zt_rom_package_attr(mp_obj_t self, qstr name, mp_obj_t *dest) {
    (void)self;
    if (dest[0] == MP_OBJ_NULL) {
        char path[64] = "zt.";
        size_t n = qstr_len(name);
        if (n < sizeof(path) - 3) {
            memcpy(path + 3, qstr_str(name), n);
            qstr full = qstr_find_strn(path, n + 3);
            mp_map_elem_t *found = full == MP_QSTRnull ? NULL :
                mp_map_lookup(&MP_STATE_VM(mp_loaded_modules_dict).map, MP_OBJ_NEW_QSTR(full), MP_MAP_LOOKUP);
            if (found != NULL) {
                dest[0] = found->value;
            }
        }
    } else if (dest[0] == MP_OBJ_SENTINEL && dest[1] != MP_OBJ_NULL && mp_obj_is_type(dest[1], &mp_type_module)) {
        dest[0] = MP_OBJ_NULL;
    }
}

MP_REGISTER_MODULE(MP_QSTR_zt, mp_module_zt);
MP_REGISTER_MODULE_DELEGATION(mp_module_zt, zt_rom_package_attr);
MP_REGISTER_ROOT_POINTER(mp_obj_dict_t zt_rom_globals[8]);
