// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The functions of zt_netif.h as MicroPython objects; a port's HAL module lists them by this macro.

#ifndef ZT_NIC_PY_H
#define ZT_NIC_PY_H

#include "lwip/opt.h"
#include "py/obj.h"

MP_DECLARE_CONST_FUN_OBJ_2(zt_nic_add_obj);
MP_DECLARE_CONST_FUN_OBJ_1(zt_nic_remove_obj);
MP_DECLARE_CONST_FUN_OBJ_2(zt_nic_mtu_obj);
MP_DECLARE_CONST_FUN_OBJ_VAR_BETWEEN(zt_nic_addr_obj);
MP_DECLARE_CONST_FUN_OBJ_VAR_BETWEEN(zt_nic_route_obj);
MP_DECLARE_CONST_FUN_OBJ_2(zt_nic_dns_obj);
MP_DECLARE_CONST_FUN_OBJ_2(zt_nic_input_obj);
MP_DECLARE_CONST_FUN_OBJ_2(zt_nic_recv_obj);
MP_DECLARE_CONST_FUN_OBJ_1(zt_nic_groups_obj);
MP_DECLARE_CONST_FUN_OBJ_0(zt_nic_serial_obj);
MP_DECLARE_CONST_FUN_OBJ_0(zt_nic_drops_obj);
MP_DECLARE_CONST_FUN_OBJ_2(zt_nic_mac_obj);
MP_DECLARE_CONST_FUN_OBJ_0(zt_stack_memory_obj);
MP_DECLARE_CONST_FUN_OBJ_0(zt_stack_poll_obj);
MP_DECLARE_CONST_FUN_OBJ_VAR_BETWEEN(zt_ping_send_obj);
MP_DECLARE_CONST_FUN_OBJ_1(zt_ping_recv_obj);
MP_DECLARE_CONST_FUN_OBJ_1(zt_shutdown_obj); // in zt_modlwip.c

// Where packets lie in our own heap (zt_netif_mem.c).
#ifdef ZT_LWIP_HEAP
#define ZT_NIC_PY_MEMORY { MP_ROM_QSTR(MP_QSTR_stack_memory), MP_ROM_PTR(&zt_stack_memory_obj) },
#else
#define ZT_NIC_PY_MEMORY
#endif

#define ZT_NIC_PY_TABLE \
    { MP_ROM_QSTR(MP_QSTR_nic_add), MP_ROM_PTR(&zt_nic_add_obj) }, \
    { MP_ROM_QSTR(MP_QSTR_nic_remove), MP_ROM_PTR(&zt_nic_remove_obj) }, \
    { MP_ROM_QSTR(MP_QSTR_nic_mtu), MP_ROM_PTR(&zt_nic_mtu_obj) }, \
    { MP_ROM_QSTR(MP_QSTR_nic_addr), MP_ROM_PTR(&zt_nic_addr_obj) }, \
    { MP_ROM_QSTR(MP_QSTR_nic_route), MP_ROM_PTR(&zt_nic_route_obj) }, \
    { MP_ROM_QSTR(MP_QSTR_nic_dns), MP_ROM_PTR(&zt_nic_dns_obj) }, \
    { MP_ROM_QSTR(MP_QSTR_nic_input), MP_ROM_PTR(&zt_nic_input_obj) }, \
    { MP_ROM_QSTR(MP_QSTR_nic_recv), MP_ROM_PTR(&zt_nic_recv_obj) }, \
    { MP_ROM_QSTR(MP_QSTR_nic_groups), MP_ROM_PTR(&zt_nic_groups_obj) }, \
    { MP_ROM_QSTR(MP_QSTR_nic_serial), MP_ROM_PTR(&zt_nic_serial_obj) }, \
    { MP_ROM_QSTR(MP_QSTR_nic_drops), MP_ROM_PTR(&zt_nic_drops_obj) }, \
    { MP_ROM_QSTR(MP_QSTR_nic_mac), MP_ROM_PTR(&zt_nic_mac_obj) }, \
    ZT_NIC_PY_MEMORY \
    { MP_ROM_QSTR(MP_QSTR_stack_poll), MP_ROM_PTR(&zt_stack_poll_obj) }, \
    { MP_ROM_QSTR(MP_QSTR_ping_send), MP_ROM_PTR(&zt_ping_send_obj) }, \
    { MP_ROM_QSTR(MP_QSTR_ping_recv), MP_ROM_PTR(&zt_ping_recv_obj) }, \
    { MP_ROM_QSTR(MP_QSTR_shutdown), MP_ROM_PTR(&zt_shutdown_obj) }

#endif
