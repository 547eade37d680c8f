// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The crypto core as the MicroPython module _ztcrypto: unpacks arguments, checks lengths before anything
// is written, calls firmware/core. Knows no algorithm. Same functions as lib/zt/_crypto_py.py. Also part of
// the native .mpy of firmware/natmod, which has the hash and the search, in steps, and the table for itself.

#include <string.h>

#if MICROPY_ENABLE_DYNRUNTIME
#include "py/dynruntime.h"
#else
#include "py/mphal.h"
#include "py/mpthread.h"
#include "py/runtime.h"
#endif

#include "zt_bytes.h"
#include "zt_c25519.h"
#include "zt_identity.h"
#include "zt_idhash.h"
#include "zt_lz4.h"
#include "zt_poly1305.h"
#include "zt_salsa20.h"
#include "zt_sha512.h"
#include "zt_wire.h"

#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#define HAVE_MMAP 1
#else
#define HAVE_MMAP 0
#endif

// Blocks of the identity hash between two looks at Ctrl-C: a millisecond on a PC, some 20 on a board.
#define STEP_BLOCKS 4096

#define ADD(name) { MP_ROM_QSTR(MP_QSTR_##name), MP_ROM_PTR(&ztcrypto_##name##_obj) }

// ---- arguments ----

// The bytes of an argument that must be exactly n long.
static const uint8_t *get_exact(mp_obj_t arg, size_t n, mp_rom_error_text_t message) {
    mp_buffer_info_t b;
    mp_get_buffer_raise(arg, &b, MP_BUFFER_READ);
    if (b.len != n) {
        mp_raise_ValueError(message);
    }
    return b.buf;
}

static const uint8_t *get_key32(mp_obj_t arg) {
    return get_exact(arg, 32, MP_ERROR_TEXT("key must be 32 bytes"));
}

static const uint8_t *get_key64(mp_obj_t arg) {
    return get_exact(arg, 64, MP_ERROR_TEXT("key must be 64 bytes"));
}

static const uint8_t *get_session(mp_obj_t arg) {
    return get_exact(arg, 48, MP_ERROR_TEXT("session key must be 48 bytes"));
}

static mp_buffer_info_t get_data(mp_obj_t arg) {
    mp_buffer_info_t b;
    mp_get_buffer_raise(arg, &b, MP_BUFFER_READ);
    return b;
}

// A packet to change, of which the first n bytes count.
static uint8_t *get_packet(mp_obj_t arg, mp_int_t n) {
    mp_buffer_info_t b;
    mp_get_buffer_raise(arg, &b, MP_BUFFER_RW);
    if (n < 0 || (size_t)n > b.len) {
        mp_raise_ValueError(MP_ERROR_TEXT("bad packet length"));
    }
    return b.buf;
}

// A 64-bit number, which a small int of this machine may not hold.
static uint64_t get_uint64(mp_obj_t arg) {
    if (mp_obj_is_small_int(arg)) {
        if (MP_OBJ_SMALL_INT_VALUE(arg) < 0) {
            mp_raise_ValueError(MP_ERROR_TEXT("block must be 64 bits"));
        }
        return (uint64_t)MP_OBJ_SMALL_INT_VALUE(arg);
    }
    const mp_obj_t high = mp_binary_op(MP_BINARY_OP_RSHIFT, arg, MP_OBJ_NEW_SMALL_INT(32));
    // Of a negative number -1 is left.
    if (mp_obj_is_true(mp_binary_op(MP_BINARY_OP_RSHIFT, high, MP_OBJ_NEW_SMALL_INT(32)))) {
        mp_raise_ValueError(MP_ERROR_TEXT("block must be 64 bits"));
    }
    return (uint64_t)(uint32_t)mp_obj_get_int_truncated(high) << 32 | (uint32_t)mp_obj_get_int_truncated(arg);
}

// New bytes from a local secret, which is wiped; the copy belongs to the caller.
static mp_obj_t take_bytes(uint8_t *local, size_t n) {
    const mp_obj_t out = mp_obj_new_bytes(local, n);
    zt_wipe(local, n);
    return out;
}

// ---- hashes and ciphers ----

static mp_obj_t ztcrypto_sha512(mp_obj_t data) {
    mp_buffer_info_t b = get_data(data);
    uint8_t out[64];
    zt_sha512(b.buf, b.len, out);
    return mp_obj_new_bytes(out, sizeof(out));
}
static MP_DEFINE_CONST_FUN_OBJ_1(ztcrypto_sha512_obj, ztcrypto_sha512);

static mp_obj_t ztcrypto_sha384(mp_obj_t data) {
    mp_buffer_info_t b = get_data(data);
    uint8_t out[48];
    zt_sha384(b.buf, b.len, out);
    return mp_obj_new_bytes(out, sizeof(out));
}
static MP_DEFINE_CONST_FUN_OBJ_1(ztcrypto_sha384_obj, ztcrypto_sha384);

// salsa20_xor(key32, iv8, buf, rounds, block=0)
static mp_obj_t ztcrypto_salsa20_xor(size_t n_args, const mp_obj_t *args) {
    const uint8_t *key = get_key32(args[0]);
    const uint8_t *iv = get_exact(args[1], 8, MP_ERROR_TEXT("iv must be 8 bytes"));
    mp_buffer_info_t b;
    mp_get_buffer_raise(args[2], &b, MP_BUFFER_RW);
    mp_int_t rounds = mp_obj_get_int(args[3]);
    if (rounds != 12 && rounds != 20) {
        mp_raise_ValueError(MP_ERROR_TEXT("rounds must be 12 or 20"));
    }
    uint64_t block = n_args > 4 ? get_uint64(args[4]) : 0;
    zt_salsa20_t s;
    zt_salsa20_init(&s, key, iv, block);
    zt_salsa20_xor(&s, (unsigned)rounds, b.buf, b.len);
    zt_wipe(&s, sizeof(s));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(ztcrypto_salsa20_xor_obj, 4, 5, ztcrypto_salsa20_xor);

static mp_obj_t ztcrypto_poly1305(mp_obj_t key, mp_obj_t data) {
    const uint8_t *k = get_key32(key);
    mp_buffer_info_t b = get_data(data);
    uint8_t out[16];
    zt_poly1305(k, b.buf, b.len, out);
    return mp_obj_new_bytes(out, sizeof(out));
}
static MP_DEFINE_CONST_FUN_OBJ_2(ztcrypto_poly1305_obj, ztcrypto_poly1305);

// ---- curves ----

static mp_obj_t ztcrypto_x25519(mp_obj_t private_key, mp_obj_t public_key) {
    uint8_t out[32];
    zt_x25519(get_key32(private_key), get_key32(public_key), out);
    return take_bytes(out, sizeof(out));
}
static MP_DEFINE_CONST_FUN_OBJ_2(ztcrypto_x25519_obj, ztcrypto_x25519);

static mp_obj_t ztcrypto_ed25519_sign(mp_obj_t seed, mp_obj_t public_key, mp_obj_t msg) {
    const uint8_t *s = get_key32(seed);
    const uint8_t *p = get_key32(public_key);
    mp_buffer_info_t b = get_data(msg);
    uint8_t out[64];
    zt_ed25519_sign(s, p, b.buf, b.len, out);
    return mp_obj_new_bytes(out, sizeof(out));
}
static MP_DEFINE_CONST_FUN_OBJ_3(ztcrypto_ed25519_sign_obj, ztcrypto_ed25519_sign);

static mp_obj_t ztcrypto_ed25519_verify(mp_obj_t public_key, mp_obj_t msg, mp_obj_t sig) {
    const uint8_t *p = get_key32(public_key);
    mp_buffer_info_t b = get_data(msg);
    const uint8_t *s = get_exact(sig, 64, MP_ERROR_TEXT("signature must be 64 bytes"));
    return mp_obj_new_bool(zt_ed25519_verify_vartime(p, b.buf, b.len, s) == 0);
}
static MP_DEFINE_CONST_FUN_OBJ_3(ztcrypto_ed25519_verify_obj, ztcrypto_ed25519_verify);

static mp_obj_t ztcrypto_public_key(mp_obj_t private_key) {
    uint8_t out[64];
    zt_identity_public(get_key64(private_key), out);
    return mp_obj_new_bytes(out, sizeof(out));
}
static MP_DEFINE_CONST_FUN_OBJ_1(ztcrypto_public_key_obj, ztcrypto_public_key);

static mp_obj_t ztcrypto_public_key_dh(mp_obj_t private_key) {
    uint8_t out[32];
    zt_x25519_base(get_key32(private_key), out);
    return mp_obj_new_bytes(out, sizeof(out));
}
static MP_DEFINE_CONST_FUN_OBJ_1(ztcrypto_public_key_dh_obj, ztcrypto_public_key_dh);

static mp_obj_t ztcrypto_agree(mp_obj_t private_key, mp_obj_t public_key) {
    uint8_t out[48];
    zt_identity_agree(get_key64(private_key), get_key64(public_key), out);
    return take_bytes(out, sizeof(out));
}
static MP_DEFINE_CONST_FUN_OBJ_2(ztcrypto_agree_obj, ztcrypto_agree);

static mp_obj_t ztcrypto_sign(mp_obj_t private_key, mp_obj_t public_key, mp_obj_t msg) {
    const uint8_t *k = get_key64(private_key);
    const uint8_t *p = get_key64(public_key);
    mp_buffer_info_t b = get_data(msg);
    uint8_t out[96];
    zt_identity_sign(k, p, b.buf, b.len, out);
    return mp_obj_new_bytes(out, sizeof(out));
}
static MP_DEFINE_CONST_FUN_OBJ_3(ztcrypto_sign_obj, ztcrypto_sign);

static mp_obj_t ztcrypto_verify(mp_obj_t public_key, mp_obj_t msg, mp_obj_t sig) {
    const uint8_t *p = get_key64(public_key);
    mp_buffer_info_t b = get_data(msg);
    const uint8_t *s = get_exact(sig, 96, MP_ERROR_TEXT("signature must be 96 bytes"));
    return mp_obj_new_bool(zt_identity_verify_vartime(p, b.buf, b.len, s) == 0);
}
static MP_DEFINE_CONST_FUN_OBJ_3(ztcrypto_verify_obj, ztcrypto_verify);

#if !MICROPY_ENABLE_DYNRUNTIME

// ---- the identity hash and the search ----

static uint8_t *map_memory(void) {
    #if HAVE_MMAP
    void *p = mmap(NULL, ZT_IDHASH_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        p = NULL;
    }
    #elif ZT_NO_IDHASH
    void *p = NULL; // a board without external RAM: what computes the hash is not linked at all
    #else
    void *p = m_malloc_maybe(ZT_IDHASH_MEMORY);
    #endif
    if (p == NULL) {
        mp_raise_msg(&mp_type_MemoryError, MP_ERROR_TEXT("identity hash needs 2 MiB"));
    }
    return p;
}

static void unmap_memory(uint8_t *p) {
    #if HAVE_MMAP
    munmap(p, ZT_IDHASH_MEMORY);
    #else
    m_del(uint8_t, p, ZT_IDHASH_MEMORY);
    #endif
}

// What a step is followed by: Ctrl-C is seen, other threads run, the caller is told. May raise.
static void between_steps(mp_obj_t progress, mp_uint_t value) {
    if (progress != mp_const_none) {
        mp_call_function_1(progress, MP_OBJ_NEW_SMALL_INT(value));
    }
    mp_handle_pending(true);
}

static mp_obj_t ztcrypto_idhash(size_t n_args, const mp_obj_t *args) {
    const uint8_t *key = get_key64(args[0]);
    mp_obj_t progress = n_args > 1 ? args[1] : mp_const_none;
    uint8_t *const memory = map_memory();
    zt_idhash_t h;
    zt_idhash_init(&h, key, memory);
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        for (;;) {
            MP_THREAD_GIL_EXIT();
            int finished = zt_idhash_step(&h, STEP_BLOCKS);
            MP_THREAD_GIL_ENTER();
            if (finished) {
                break;
            }
            between_steps(progress, h.done * 100ull / ZT_IDHASH_BLOCKS);
        }
        nlr_pop();
        unmap_memory(memory);
    } else {
        unmap_memory(memory);
        nlr_jump(nlr.ret_val);
    }
    return mp_obj_new_bytes(h.digest, sizeof(h.digest));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(ztcrypto_idhash_obj, 1, 2, ztcrypto_idhash);

static mp_obj_t ztcrypto_identity_search(size_t n_args, const mp_obj_t *args) {
    const uint8_t *key = get_key64(args[0]);
    mp_obj_t progress = n_args > 1 ? args[1] : mp_const_none;
    uint8_t *const memory = map_memory();
    zt_search_t s;
    mp_obj_t found[3];
    zt_search_init(&s, key, memory);
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        for (;;) {
            MP_THREAD_GIL_EXIT();
            int finished = zt_search_step(&s, STEP_BLOCKS);
            MP_THREAD_GIL_ENTER();
            if (finished) {
                break;
            }
            between_steps(progress, s.tries);
        }
        found[0] = mp_obj_new_bytes(s.private_key, sizeof(s.private_key));
        found[1] = mp_obj_new_bytes(s.public_key, sizeof(s.public_key));
        found[2] = mp_obj_new_bytes(s.hash.digest, sizeof(s.hash.digest));
        nlr_pop();
        unmap_memory(memory);
        zt_wipe(&s, sizeof(s));
    } else {
        unmap_memory(memory);
        zt_wipe(&s, sizeof(s));
        nlr_jump(nlr.ret_val);
    }
    return mp_obj_new_tuple(3, found);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(ztcrypto_identity_search_obj, 1, 2, ztcrypto_identity_search);

#endif

// ---- packets ----

static mp_obj_t ztcrypto_lz4_decompress(mp_obj_t src, mp_obj_t dst) {
    mp_buffer_info_t from = get_data(src);
    mp_buffer_info_t to;
    mp_get_buffer_raise(dst, &to, MP_BUFFER_RW);
    return mp_obj_new_int(zt_lz4_decompress(from.buf, from.len, to.buf, to.len));
}
static MP_DEFINE_CONST_FUN_OBJ_2(ztcrypto_lz4_decompress_obj, ztcrypto_lz4_decompress);

// seal(session48, pkt, n, suite)
static mp_obj_t ztcrypto_seal(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    const uint8_t *session = get_session(args[0]);
    mp_int_t n = mp_obj_get_int(args[2]);
    uint8_t *pkt = get_packet(args[1], n);
    if (n < ZT_WIRE_HEADER || n > ZT_WIRE_MAX) {
        mp_raise_ValueError(MP_ERROR_TEXT("bad packet length"));
    }
    mp_int_t suite = mp_obj_get_int(args[3]);
    if (suite != 0 && suite != 1) {
        mp_raise_ValueError(MP_ERROR_TEXT("suite must be 0 or 1"));
    }
    zt_seal(session, pkt, (size_t)n, (unsigned)suite);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(ztcrypto_seal_obj, 4, 4, ztcrypto_seal);

static mp_obj_t ztcrypto_open(mp_obj_t session_in, mp_obj_t pkt_in, mp_obj_t n_in) {
    const uint8_t *session = get_session(session_in);
    mp_int_t n = mp_obj_get_int(n_in);
    uint8_t *pkt = get_packet(pkt_in, n);
    return mp_obj_new_bool(zt_open(session, pkt, (size_t)n) == 0);
}
static MP_DEFINE_CONST_FUN_OBJ_3(ztcrypto_open_obj, ztcrypto_open);

// hello_mask(session48, pkt, off, n)
static mp_obj_t ztcrypto_hello_mask(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    const uint8_t *session = get_session(args[0]);
    mp_int_t from = mp_obj_get_int(args[2]);
    mp_int_t n = mp_obj_get_int(args[3]);
    uint8_t *pkt = get_packet(args[1], n);
    if (from < 0 || zt_hello_mask(session, pkt, (size_t)from, (size_t)n)) {
        mp_raise_ValueError(MP_ERROR_TEXT("bad packet length"));
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(ztcrypto_hello_mask_obj, 4, 4, ztcrypto_hello_mask);

// ---- bytes ----

static mp_obj_t ztcrypto_equal(mp_obj_t a, mp_obj_t b) {
    mp_buffer_info_t x = get_data(a);
    mp_buffer_info_t y = get_data(b);
    return mp_obj_new_bool(x.len == y.len && zt_compare(x.buf, y.buf, x.len) == 0);
}
static MP_DEFINE_CONST_FUN_OBJ_2(ztcrypto_equal_obj, ztcrypto_equal);

static mp_obj_t ztcrypto_wipe(mp_obj_t buf) {
    mp_buffer_info_t b;
    mp_get_buffer_raise(buf, &b, MP_BUFFER_RW);
    zt_wipe(b.buf, b.len);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(ztcrypto_wipe_obj, ztcrypto_wipe);

#if !MICROPY_ENABLE_DYNRUNTIME

static const mp_rom_map_elem_t ztcrypto_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__ztcrypto) },
    { MP_ROM_QSTR(MP_QSTR_BACKEND), MP_ROM_QSTR(MP_QSTR_c) },
    ADD(sha512),
    ADD(sha384),
    ADD(salsa20_xor),
    ADD(poly1305),
    ADD(x25519),
    ADD(ed25519_sign),
    ADD(ed25519_verify),
    ADD(public_key),
    ADD(public_key_dh),
    ADD(agree),
    ADD(sign),
    ADD(verify),
    ADD(idhash),
    ADD(identity_search),
    ADD(lz4_decompress),
    ADD(seal),
    ADD(open),
    ADD(hello_mask),
    ADD(equal),
    ADD(wipe),
};
static MP_DEFINE_CONST_DICT(ztcrypto_globals, ztcrypto_globals_table);

const mp_obj_module_t ztcrypto_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&ztcrypto_globals,
};
MP_REGISTER_MODULE(MP_QSTR__ztcrypto, ztcrypto_module);

#endif
