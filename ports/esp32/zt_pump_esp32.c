// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Python's half of the ESP32's port: when the node has its turn, and how a program waits for it.
//
// The turn is a callback of MicroPython's scheduler (a static node: it needs no memory, cannot overflow a
// queue, and scheduling it twice is once). lwIP's task schedules it when something waits for Python; a timer
// does at the node's own next deadline. The interpreter runs it between two instructions of the user's
// program, or while that waits.
//
// The scheduler calls C without protection and, of nodes that schedule themselves again, without end. So no
// exception may leave turn(), and the next turn is always left to the timer, even when it is due at once.

#include <errno.h>

#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/mpthread.h"
#include "py/runtime.h"

#include "esp_timer.h"
#include "lwip/sockets.h"
#include "zt_esp32.h"
#include "zt_hal_py.h"
#include "zt_nic_py.h"
#include "zt_port.h"
#include "zt_pump.h"

#define BETWEEN_MS 1 // what the user's program has for itself when the node is always busy
#define ANEW_MS 100  // after a turn that was cut short

static mp_sched_node_t node;
static esp_timer_handle_t timer;

void zt_esp32_release(void) {
    MP_THREAD_GIL_EXIT();
}

void zt_esp32_acquire(void) {
    MP_THREAD_GIL_ENTER();
}

// ---- the turn ----

static void alarm_in(int32_t ms) {
    esp_timer_stop(timer); // an error if it was not running, which is no matter
    if (ms >= 0) {
        esp_timer_start_once(timer, (uint64_t)(ms < BETWEEN_MS ? BETWEEN_MS : ms) * 1000);
    }
}

// Ctrl-C that comes during the turn waits for its end: the node must not be cut in half. The drivers look for
// the character as it comes in; while they do not, it lies in the buffer of the standard input.
static void interrupt_after(int c) {
    mp_hal_set_interrupt_char(c);
    if (c >= 0 && ringbuf_peek(&stdin_ringbuf) == c) {
        ringbuf_get(&stdin_ringbuf);
        mp_sched_keyboard_interrupt();
    }
}

static void turn(mp_sched_node_t *self) {
    (void)self;
    if (!mp_thread_is_main_thread() || zt_pump_running()) {
        alarm_in(BETWEEN_MS); // another thread's stack is too small for a node
        return;
    }
    if (zt_pump_due()) {
        int c = mp_interrupt_char;
        alarm_in(ANEW_MS);
        mp_hal_set_interrupt_char(-1);
        nlr_buf_t nlr;
        if (nlr_push(&nlr) == 0) {
            zt_pump_run();
            nlr_pop();
        } else {
            mp_sched_exception(MP_OBJ_FROM_PTR(nlr.ret_val)); // raised in the program, after this
        }
        interrupt_after(c);
    }
    alarm_in(zt_pump_next());
}

void zt_esp32_wake(void) {
    mp_sched_schedule_node(&node, turn);
    mp_hal_wake_main_task();
}

void zt_port_wake(void) {
    zt_esp32_wake();
}

static void on_alarm(void *arg) {
    (void)arg;
    zt_esp32_wake();
}

// ---- who waits ----

// wait(ms): until a kick, something for Python where there is no pump to take it, or ms have passed;
// negative is for ever. The node has its turns meanwhile.
static mp_obj_t wait_for(mp_obj_t ms_in) {
    mp_int_t ms = mp_obj_get_int(ms_in);
    uint32_t start = zt_port_ms();
    for (;;) {
        mp_handle_pending(true);
        if (zt_pump_kicked() || (!zt_pump_set() && zt_pump_waiting())
            || (ms >= 0 && zt_port_ms() - start >= (uint32_t)ms)) {
            return mp_const_none;
        }
        MICROPY_EVENT_POLL_HOOK
    }
}
MP_DEFINE_CONST_FUN_OBJ_1(zt_wait_obj, wait_for);

// ---- what MicroPython's socket lacks ----

// shutdown(socket): no more will be sent; what the peer sends can still be read.
static mp_obj_t shutdown_socket(mp_obj_t socket) {
    mp_obj_t fileno[2];
    mp_load_method(socket, MP_QSTR_fileno, fileno);
    int fd = (int)mp_obj_get_int(mp_call_method_n_kw(0, 0, fileno));
    MP_THREAD_GIL_EXIT();
    int result = lwip_shutdown(fd, SHUT_WR);
    int error = errno;
    MP_THREAD_GIL_ENTER();
    if (result != 0) {
        mp_raise_OSError(error);
    }
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_1(zt_shutdown_obj, shutdown_socket);

// ---- begin ----

// Called at the first import of _zthal after each reset of the interpreter, before anything else of it.
// lwIP's task is started by the module network.
void zt_port_begin(void) {
    mp_import_name(MP_QSTR_network, mp_const_none, MP_OBJ_NEW_SMALL_INT(0));
    if (timer == NULL) {
        const esp_timer_create_args_t args = { .callback = on_alarm, .name = "zt" };
        if (esp_timer_create(&args, &timer) != ESP_OK) {
            mp_raise_OSError(MP_ENOMEM);
        }
    }
    esp_timer_stop(timer);
}
