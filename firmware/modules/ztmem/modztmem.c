// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The module _ztmem: what MicroPython's gc module does not tell. heap() -> (bytes in use, free, the largest
// free piece), where the heap grows by itself (ESP32) with what it can still get, as gc.mem_free() has it.
// statics() -> (bytes of firmware/ in .data and .bss without the stack's packet memory; that memory; bytes
// taken for interfaces so far), the first two 0 where the linker script does not say.

#include "py/gc.h"
#include "py/runtime.h"

// The board's linker script puts what is ours between these.
extern char zt_statics_start[] __attribute__((weak));
extern char zt_statics_end[] __attribute__((weak));
extern char zt_packets_start[] __attribute__((weak));
extern char zt_packets_end[] __attribute__((weak));
extern uint32_t zt_netif_bytes __attribute__((weak));

static mp_obj_t heap(void) {
    gc_info_t info;
    gc_info(&info);
    size_t free = info.free;
    size_t largest = info.max_free * MICROPY_BYTES_PER_GC_BLOCK;
    #if MICROPY_GC_SPLIT_HEAP_AUTO
    free += info.max_new_split;
    largest = MAX(largest, info.max_new_split);
    #endif
    mp_obj_t values[3] = {
        mp_obj_new_int_from_uint(info.used),
        mp_obj_new_int_from_uint(free),
        mp_obj_new_int_from_uint(largest),
    };
    return mp_obj_new_tuple(3, values);
}
static MP_DEFINE_CONST_FUN_OBJ_0(heap_obj, heap);

static mp_obj_t statics(void) {
    mp_obj_t values[3] = {
        mp_obj_new_int_from_uint((uintptr_t)zt_statics_end - (uintptr_t)zt_statics_start),
        mp_obj_new_int_from_uint((uintptr_t)zt_packets_end - (uintptr_t)zt_packets_start),
        mp_obj_new_int_from_uint(&zt_netif_bytes != NULL ? zt_netif_bytes : 0),
    };
    return mp_obj_new_tuple(3, values);
}
static MP_DEFINE_CONST_FUN_OBJ_0(statics_obj, statics);

static const mp_rom_map_elem_t globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__ztmem) },
    { MP_ROM_QSTR(MP_QSTR_heap), MP_ROM_PTR(&heap_obj) },
    { MP_ROM_QSTR(MP_QSTR_statics), MP_ROM_PTR(&statics_obj) },
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t zt_mem_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&globals,
};
MP_REGISTER_MODULE(MP_QSTR__ztmem, zt_mem_module);
