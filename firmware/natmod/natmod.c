// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The crypto core as a native .mpy for stock firmware: the functions of modules/ztcrypto, and the identity
// hash and the search in steps, which natmod.py makes the rest of. No C library and no variables of its own:
// what the compiler calls is in MicroPython's table or here.

#include "../modules/ztcrypto/modztcrypto.c"

// ---- what the compiler calls ----

void *memcpy(void *to, const void *from, size_t n) {
    return mp_fun_table.memmove_(to, from, n);
}

void *memmove(void *to, const void *from, size_t n) {
    return mp_fun_table.memmove_(to, from, n);
}

void *memset(void *to, int value, size_t n) {
    return mp_fun_table.memset_(to, value, n);
}

int memcmp(const void *a, const void *b, size_t n) {
    const uint8_t *x = a;
    const uint8_t *y = b;
    for (; n--; x++, y++) {
        if (*x != *y) {
            return *x - *y;
        }
    }
    return 0;
}

// ---- the identity hash and the search, in steps ----

// The steps' state is a bytearray of Python's. What a step needs to be safe it does not take from there.
static void *get_state(mp_obj_t arg, size_t size) {
    mp_buffer_info_t b;
    mp_get_buffer_raise(arg, &b, MP_BUFFER_RW);
    if (b.len != size || (uintptr_t)b.buf % sizeof(void *)) {
        mp_raise_ValueError(MP_ERROR_TEXT("not a state"));
    }
    return b.buf;
}

static uint8_t *get_memory(mp_obj_t arg) {
    mp_buffer_info_t b;
    mp_get_buffer_raise(arg, &b, MP_BUFFER_RW);
    if (b.len != ZT_IDHASH_MEMORY) {
        mp_raise_ValueError(MP_ERROR_TEXT("memory must be 2 MiB"));
    }
    return b.buf;
}

static void check_done(const zt_idhash_t *h) {
    if (h->done > ZT_IDHASH_BLOCKS) {
        mp_raise_ValueError(MP_ERROR_TEXT("not a state"));
    }
}

static mp_obj_t natmod_sizes(void) {
    mp_obj_t sizes[3] = {
        mp_obj_new_int(sizeof(zt_idhash_t)),
        mp_obj_new_int(sizeof(zt_search_t)),
        mp_obj_new_int(ZT_IDHASH_MEMORY),
    };
    return mp_obj_new_tuple(3, sizes);
}
static MP_DEFINE_CONST_FUN_OBJ_0(natmod_sizes_obj, natmod_sizes);

static mp_obj_t natmod_idhash_init(mp_obj_t state, mp_obj_t key, mp_obj_t memory) {
    zt_idhash_t *h = get_state(state, sizeof(*h));
    zt_idhash_init(h, get_key64(key), get_memory(memory));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(natmod_idhash_init_obj, natmod_idhash_init);

// idhash_step(state, memory, blocks): the digest, or how many of a hundred parts are done
static mp_obj_t natmod_idhash_step(mp_obj_t state, mp_obj_t memory, mp_obj_t blocks) {
    zt_idhash_t *h = get_state(state, sizeof(*h));
    h->memory = get_memory(memory);
    check_done(h);
    if (zt_idhash_step(h, (uint32_t)mp_obj_get_int(blocks))) {
        return mp_obj_new_bytes(h->digest, sizeof(h->digest));
    }
    return mp_obj_new_int(h->done * 100 / ZT_IDHASH_BLOCKS);
}
static MP_DEFINE_CONST_FUN_OBJ_3(natmod_idhash_step_obj, natmod_idhash_step);

static mp_obj_t natmod_search_init(mp_obj_t state, mp_obj_t key, mp_obj_t memory) {
    zt_search_t *s = get_state(state, sizeof(*s));
    zt_search_init(s, get_key64(key), get_memory(memory));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(natmod_search_init_obj, natmod_search_init);

// search_step(state, memory, blocks): (private key, public key, digest), or how many keys were tried
static mp_obj_t natmod_search_step(mp_obj_t state, mp_obj_t memory, mp_obj_t blocks) {
    zt_search_t *s = get_state(state, sizeof(*s));
    s->hash.memory = get_memory(memory);
    check_done(&s->hash);
    if (!zt_search_step(s, (uint32_t)mp_obj_get_int(blocks))) {
        return mp_obj_new_int(s->tries);
    }
    mp_obj_t found[3] = {
        mp_obj_new_bytes(s->private_key, sizeof(s->private_key)),
        mp_obj_new_bytes(s->public_key, sizeof(s->public_key)),
        mp_obj_new_bytes(s->hash.digest, sizeof(s->hash.digest)),
    };
    return mp_obj_new_tuple(3, found);
}
static MP_DEFINE_CONST_FUN_OBJ_3(natmod_search_step_obj, natmod_search_step);

// The linker finds the names that it must bring along in this text.
mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    MP_DYNRUNTIME_INIT_ENTRY
    (void)n_args;
    (void)n_kw;
    (void)args;
    mp_store_global(MP_QSTR_BACKEND, MP_OBJ_NEW_QSTR(MP_QSTR_natmod));
    mp_store_global(MP_QSTR_sha512, MP_OBJ_FROM_PTR(&ztcrypto_sha512_obj));
    mp_store_global(MP_QSTR_sha384, MP_OBJ_FROM_PTR(&ztcrypto_sha384_obj));
    mp_store_global(MP_QSTR_salsa20_xor, MP_OBJ_FROM_PTR(&ztcrypto_salsa20_xor_obj));
    mp_store_global(MP_QSTR_poly1305, MP_OBJ_FROM_PTR(&ztcrypto_poly1305_obj));
    mp_store_global(MP_QSTR_x25519, MP_OBJ_FROM_PTR(&ztcrypto_x25519_obj));
    mp_store_global(MP_QSTR_ed25519_sign, MP_OBJ_FROM_PTR(&ztcrypto_ed25519_sign_obj));
    mp_store_global(MP_QSTR_ed25519_verify, MP_OBJ_FROM_PTR(&ztcrypto_ed25519_verify_obj));
    mp_store_global(MP_QSTR_public_key, MP_OBJ_FROM_PTR(&ztcrypto_public_key_obj));
    mp_store_global(MP_QSTR_public_key_dh, MP_OBJ_FROM_PTR(&ztcrypto_public_key_dh_obj));
    mp_store_global(MP_QSTR_agree, MP_OBJ_FROM_PTR(&ztcrypto_agree_obj));
    mp_store_global(MP_QSTR_sign, MP_OBJ_FROM_PTR(&ztcrypto_sign_obj));
    mp_store_global(MP_QSTR_verify, MP_OBJ_FROM_PTR(&ztcrypto_verify_obj));
    mp_store_global(MP_QSTR_lz4_decompress, MP_OBJ_FROM_PTR(&ztcrypto_lz4_decompress_obj));
    mp_store_global(MP_QSTR_seal, MP_OBJ_FROM_PTR(&ztcrypto_seal_obj));
    mp_store_global(MP_QSTR_open, MP_OBJ_FROM_PTR(&ztcrypto_open_obj));
    mp_store_global(MP_QSTR_hello_mask, MP_OBJ_FROM_PTR(&ztcrypto_hello_mask_obj));
    mp_store_global(MP_QSTR_equal, MP_OBJ_FROM_PTR(&ztcrypto_equal_obj));
    mp_store_global(MP_QSTR_wipe, MP_OBJ_FROM_PTR(&ztcrypto_wipe_obj));
    mp_store_global(MP_QSTR__sizes, MP_OBJ_FROM_PTR(&natmod_sizes_obj));
    mp_store_global(MP_QSTR__idhash_init, MP_OBJ_FROM_PTR(&natmod_idhash_init_obj));
    mp_store_global(MP_QSTR__idhash_step, MP_OBJ_FROM_PTR(&natmod_idhash_step_obj));
    mp_store_global(MP_QSTR__search_init, MP_OBJ_FROM_PTR(&natmod_search_init_obj));
    mp_store_global(MP_QSTR__search_step, MP_OBJ_FROM_PTR(&natmod_search_step_obj));
    MP_DYNRUNTIME_INIT_EXIT
}
