// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// As much of MicroPython as zt_pump_esp32.c names, for pump.c: its scheduler, its exceptions, its console.

#ifndef PY_OBJ_H
#define PY_OBJ_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "esp_err.h"

typedef const void *mp_obj_t;
typedef intptr_t mp_int_t;
typedef uintptr_t mp_uint_t;
typedef mp_obj_t (*fun_1_t)(mp_obj_t);
typedef mp_obj_t (*fun_0_t)(void);
#define MP_DECLARE_CONST_FUN_OBJ_0(name) extern const fun_0_t name
#define MP_DECLARE_CONST_FUN_OBJ_1(name) extern const fun_1_t name
#define MP_DECLARE_CONST_FUN_OBJ_2(name) extern const void *name
#define MP_DECLARE_CONST_FUN_OBJ_VAR_BETWEEN(name) extern const void *name
#define MP_DEFINE_CONST_FUN_OBJ_1(name, f) const fun_1_t name = f
#define mp_const_none ((mp_obj_t)0)
#define MP_OBJ_FROM_PTR(p) ((mp_obj_t)(p))
#define MP_OBJ_NEW_SMALL_INT(n) ((mp_obj_t)(intptr_t)(n))
enum { MP_QSTR_fileno, MP_QSTR_network, MP_ENOMEM = 12 };

typedef struct mp_sched_node {
    void (*callback)(struct mp_sched_node *);
} mp_sched_node_t;
bool mp_sched_schedule_node(mp_sched_node_t *node, void (*callback)(mp_sched_node_t *));
void mp_sched_exception(mp_obj_t exception);
void mp_sched_keyboard_interrupt(void);
void mp_handle_pending(bool raise);
bool mp_thread_is_main_thread(void);
void mp_hal_wake_main_task(void);

typedef struct nlr_buf {
    struct nlr_buf *before;
    jmp_buf where;
    void *ret_val;
} nlr_buf_t;
extern nlr_buf_t *nlr_top;
#define nlr_push(b) ((b)->before = nlr_top, nlr_top = (b), setjmp((b)->where))
#define nlr_pop() (nlr_top = nlr_top->before)

extern int mp_interrupt_char;
void mp_hal_set_interrupt_char(int c);
typedef struct {
    int c; // the first that waits, or -1
} ringbuf_t;
extern ringbuf_t stdin_ringbuf;
int ringbuf_peek(ringbuf_t *r);
int ringbuf_get(ringbuf_t *r);

void give_up(void);
#define MP_THREAD_GIL_EXIT() give_up()
#define MP_THREAD_GIL_ENTER() give_up()
#define MICROPY_EVENT_POLL_HOOK give_up();
mp_int_t mp_obj_get_int(mp_obj_t o);
void mp_load_method(mp_obj_t o, int name, mp_obj_t *method);
mp_obj_t mp_call_method_n_kw(size_t n, size_t kw, const mp_obj_t *method);
mp_obj_t mp_import_name(int name, mp_obj_t from, mp_obj_t level);
_Noreturn void mp_raise_OSError(int error);

#endif
