// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The module _board: the emulated board's flash, Ethernet and figures for Python. Arguments in and out.

#include <string.h>

#include "extmod/vfs.h"
#include "lwip/dns.h"
#include "py/mperrno.h"
#include "py/runtime.h"
#include "zt_board.h"
#include "zt_flash.h"
#include "zt_lan.h"

// ---- Flash(): a block device with erase blocks ----

typedef struct {
    mp_obj_base_t base;
} flash_t;

static const mp_obj_type_t flash_type;

static mp_obj_t flash_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 0, 0, false);
    (void)type;
    (void)args;
    static const flash_t flash = { { &flash_type } };
    return MP_OBJ_FROM_PTR(&flash);
}

// A place no flash has where the block is none of this one's: the product must not come round to another.
static uint32_t place(const mp_obj_t *args, size_t n_args) {
    uint32_t block = (uint32_t)mp_obj_get_int(args[1]);
    uint32_t offset = n_args == 4 ? (uint32_t)mp_obj_get_int(args[3]) : 0;
    return block < zt_flash_blocks() && offset < ZT_FLASH_BLOCK ? block * ZT_FLASH_BLOCK + offset : UINT32_MAX;
}

// readblocks(block, buf[, offset])
static mp_obj_t flash_read(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t b;
    mp_get_buffer_raise(args[2], &b, MP_BUFFER_WRITE);
    return MP_OBJ_NEW_SMALL_INT(zt_flash_read(place(args, n_args), b.buf, b.len) ? 0 : -MP_EIO);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(flash_read_obj, 3, 4, flash_read);

// writeblocks(block, buf[, offset]); without an offset the blocks are erased first
static mp_obj_t flash_write(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t b;
    mp_get_buffer_raise(args[2], &b, MP_BUFFER_READ);
    bool good = true;
    if (n_args == 3) {
        uint32_t block = (uint32_t)mp_obj_get_int(args[1]);
        for (size_t n = 0; n < b.len && good; n += ZT_FLASH_BLOCK) {
            good = zt_flash_erase(block++);
        }
    }
    good = good && zt_flash_write(place(args, n_args), b.buf, b.len);
    return MP_OBJ_NEW_SMALL_INT(good ? 0 : -MP_EIO);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(flash_write_obj, 3, 4, flash_write);

static mp_obj_t flash_ioctl(mp_obj_t self, mp_obj_t op, mp_obj_t arg) {
    (void)self;
    switch (mp_obj_get_int(op)) {
        case MP_BLOCKDEV_IOCTL_INIT:
        case MP_BLOCKDEV_IOCTL_DEINIT:
        case MP_BLOCKDEV_IOCTL_SYNC:
            return MP_OBJ_NEW_SMALL_INT(0);
        case MP_BLOCKDEV_IOCTL_BLOCK_COUNT:
            return MP_OBJ_NEW_SMALL_INT(zt_flash_blocks());
        case MP_BLOCKDEV_IOCTL_BLOCK_SIZE:
            return MP_OBJ_NEW_SMALL_INT(ZT_FLASH_BLOCK);
        case MP_BLOCKDEV_IOCTL_BLOCK_ERASE:
            return MP_OBJ_NEW_SMALL_INT(zt_flash_erase((uint32_t)mp_obj_get_int(arg)) ? 0 : -MP_EIO);
        default:
            return mp_const_none;
    }
}
static MP_DEFINE_CONST_FUN_OBJ_3(flash_ioctl_obj, flash_ioctl);

static const mp_rom_map_elem_t flash_table[] = {
    { MP_ROM_QSTR(MP_QSTR_readblocks), MP_ROM_PTR(&flash_read_obj) },
    { MP_ROM_QSTR(MP_QSTR_writeblocks), MP_ROM_PTR(&flash_write_obj) },
    { MP_ROM_QSTR(MP_QSTR_ioctl), MP_ROM_PTR(&flash_ioctl_obj) },
};
static MP_DEFINE_CONST_DICT(flash_dict, flash_table);

static MP_DEFINE_CONST_OBJ_TYPE(flash_type, MP_QSTR_Flash, MP_TYPE_FLAG_NONE, make_new, flash_new, locals_dict,
    &flash_dict);

// flash_blank(): has no block but the first two ever been written? Those two are all that formatting touches,
// so with them alone there is nothing to lose, and a format that the power cut short can be repeated. Every
// block in use begins with something; a disk fresh from the host is zero, an erased one is ones.
static mp_obj_t flash_blank(void) {
    for (uint32_t block = 2; block < zt_flash_blocks(); block++) {
        uint8_t head[16];
        if (!zt_flash_read(block * ZT_FLASH_BLOCK, head, sizeof(head))) {
            return mp_const_false;
        }
        for (size_t i = 0; i < sizeof(head); i++) {
            if (head[i] != head[0] || (head[i] != 0 && head[i] != 0xff)) {
                return mp_const_false;
            }
        }
    }
    return mp_const_true;
}
static MP_DEFINE_CONST_FUN_OBJ_0(flash_blank_obj, flash_blank);

// flash_stats(): writes, bytes written, erases since the machine was started
static mp_obj_t flash_stats(void) {
    mp_obj_t tuple[] = {
        mp_obj_new_int_from_uint(zt_flash_stats.writes),
        mp_obj_new_int_from_uint(zt_flash_stats.written),
        mp_obj_new_int_from_uint(zt_flash_stats.erases),
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(tuple), tuple);
}
static MP_DEFINE_CONST_FUN_OBJ_0(flash_stats_obj, flash_stats);

// ---- Ethernet; addresses are texts ----

static mp_obj_t lan_up(void) {
    if (!zt_lan_up()) {
        mp_raise_OSError(MP_ENODEV);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(lan_up_obj, lan_up);

static mp_obj_t lan_down(void) {
    zt_lan_down();
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(lan_down_obj, lan_down);

static mp_obj_t lan_static(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    ip4_addr_t a[4];
    for (int i = 0; i < 4; i++) {
        if (!ip4addr_aton(mp_obj_str_get_str(args[i]), &a[i])) {
            mp_raise_ValueError(MP_ERROR_TEXT("bad address"));
        }
    }
    zt_lan_static(&a[0], &a[1], &a[2], &a[3]);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(lan_static_obj, 4, 4, lan_static);

static mp_obj_t text(const ip4_addr_t *a) {
    char buf[IP4ADDR_STRLEN_MAX];
    return mp_obj_new_str_from_cstr(ip4addr_ntoa_r(a, buf, sizeof(buf)));
}

// lan_status(): address, mask, gateway, DNS server
static mp_obj_t lan_status(void) {
    const struct netif *n = zt_lan_netif();
    mp_obj_t tuple[] = {
        text(netif_ip4_addr(n)), text(netif_ip4_netmask(n)), text(netif_ip4_gw(n)),
        text(ip_2_ip4(dns_getserver(0))),
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(tuple), tuple);
}
static MP_DEFINE_CONST_FUN_OBJ_0(lan_status_obj, lan_status);

static mp_obj_t lan_mac(void) {
    return mp_obj_new_bytes(zt_lan_netif()->hwaddr, 6);
}
static MP_DEFINE_CONST_FUN_OBJ_0(lan_mac_obj, lan_mac);

static mp_obj_t lan_dropped(void) {
    return mp_obj_new_int_from_uint(zt_lan_dropped());
}
static MP_DEFINE_CONST_FUN_OBJ_0(lan_dropped_obj, lan_dropped);

// ---- the machine ----

static mp_obj_t arguments(void) {
    return mp_obj_new_str_from_cstr(zt_board_arguments());
}
static MP_DEFINE_CONST_FUN_OBJ_0(arguments_obj, arguments);

static mp_obj_t halt(mp_obj_t status) {
    zt_board_halt((int)mp_obj_get_int(status));
}
static MP_DEFINE_CONST_FUN_OBJ_1(halt_obj, halt);

// ticks(): of 100 ns since the start, and those of them spent asleep. Under -icount shift=0 a tick is 100
// instructions, and the difference counts the instructions that were executed.
static mp_obj_t ticks(void) {
    mp_obj_t tuple[] = {
        mp_obj_new_int_from_ull(zt_board_ticks()),
        mp_obj_new_int_from_ull(zt_board_idle),
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(tuple), tuple);
}
static MP_DEFINE_CONST_FUN_OBJ_0(ticks_obj, ticks);

// memory(): bytes of the stack and of the C heap that were never used
static mp_obj_t memory(void) {
    mp_obj_t tuple[] = {
        mp_obj_new_int_from_uint(zt_board_stack_free()),
        mp_obj_new_int_from_uint(zt_board_c_heap_free()),
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(tuple), tuple);
}
static MP_DEFINE_CONST_FUN_OBJ_0(memory_obj, memory);

static const mp_rom_map_elem_t globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__board) },
    { MP_ROM_QSTR(MP_QSTR_Flash), MP_ROM_PTR(&flash_type) },
    { MP_ROM_QSTR(MP_QSTR_flash_blank), MP_ROM_PTR(&flash_blank_obj) },
    { MP_ROM_QSTR(MP_QSTR_flash_stats), MP_ROM_PTR(&flash_stats_obj) },
    { MP_ROM_QSTR(MP_QSTR_lan_up), MP_ROM_PTR(&lan_up_obj) },
    { MP_ROM_QSTR(MP_QSTR_lan_down), MP_ROM_PTR(&lan_down_obj) },
    { MP_ROM_QSTR(MP_QSTR_lan_static), MP_ROM_PTR(&lan_static_obj) },
    { MP_ROM_QSTR(MP_QSTR_lan_status), MP_ROM_PTR(&lan_status_obj) },
    { MP_ROM_QSTR(MP_QSTR_lan_mac), MP_ROM_PTR(&lan_mac_obj) },
    { MP_ROM_QSTR(MP_QSTR_lan_dropped), MP_ROM_PTR(&lan_dropped_obj) },
    { MP_ROM_QSTR(MP_QSTR_arguments), MP_ROM_PTR(&arguments_obj) },
    { MP_ROM_QSTR(MP_QSTR_halt), MP_ROM_PTR(&halt_obj) },
    { MP_ROM_QSTR(MP_QSTR_ticks), MP_ROM_PTR(&ticks_obj) },
    { MP_ROM_QSTR(MP_QSTR_memory), MP_ROM_PTR(&memory_obj) },
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t zt_board_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&globals,
};
MP_REGISTER_MODULE(MP_QSTR__board, zt_board_module);
