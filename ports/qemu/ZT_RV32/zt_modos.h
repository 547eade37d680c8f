// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// What upstream's os module asks of a port.

#include "zt_port.h"

static mp_obj_t mp_os_urandom(mp_obj_t n_in) {
    mp_int_t n = mp_obj_get_int(n_in);
    vstr_t v;
    vstr_init_len(&v, (size_t)MAX(n, 0));
    zt_port_random(v.buf, v.len);
    return mp_obj_new_bytes_from_vstr(&v);
}
static MP_DEFINE_CONST_FUN_OBJ_1(mp_os_urandom_obj, mp_os_urandom);
