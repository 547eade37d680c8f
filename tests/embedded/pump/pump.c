// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The node's turn on an ESP32 (zt_pump_esp32.c) with a scheduler, a timer and a pump of our own: when it runs,
// what it never lets out, and that there is always a next one.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "esp_timer.h"
#include "lwip/sockets.h"
#include "py/runtime.h"
#include "zt_esp32.h"
#include "zt_plane_port.h"
#include "zt_pump.h"
#include "zt_hal_py.h"

#define CHECK(x) do { if (!(x)) { printf("FAILED line %d: %s\n", __LINE__, #x); exit(1); } } while (0)

// ---- the interpreter

nlr_buf_t *nlr_top;
int mp_interrupt_char = 3;
ringbuf_t stdin_ringbuf = { -1 };
static mp_sched_node_t *scheduled;
static bool main_thread = true, interrupted;
static mp_obj_t pending;
static int woken, imported;

bool mp_sched_schedule_node(mp_sched_node_t *node, void (*callback)(mp_sched_node_t *)) {
    node->callback = callback;
    scheduled = node;
    return true;
}

// As MicroPython runs them: until there is none, without catching anything.
static int run_scheduled(void) {
    int turns = 0;
    while (scheduled != NULL) {
        CHECK(++turns < 10);
        mp_sched_node_t *node = scheduled;
        scheduled = NULL;
        node->callback(node);
    }
    return turns;
}

void mp_sched_exception(mp_obj_t exception) { pending = exception; }
void mp_sched_keyboard_interrupt(void) { interrupted = true; }
void mp_handle_pending(bool raise) { (void)raise; }
bool mp_thread_is_main_thread(void) { return main_thread; }
void mp_hal_wake_main_task(void) { woken++; }
void mp_hal_set_interrupt_char(int c) { mp_interrupt_char = c; }
int ringbuf_peek(ringbuf_t *r) { return r->c; }
int ringbuf_get(ringbuf_t *r) { int c = r->c; r->c = -1; return c; }
mp_int_t mp_obj_get_int(mp_obj_t o) { return (mp_int_t)o; }
void mp_load_method(mp_obj_t o, int name, mp_obj_t *method) { (void)o; (void)name; (void)method; }
mp_obj_t mp_call_method_n_kw(size_t n, size_t kw, const mp_obj_t *method) { (void)n; (void)kw; return method[0]; }
mp_obj_t mp_import_name(int name, mp_obj_t from, mp_obj_t level) { (void)name; (void)from; imported++; return level; }
void mp_raise_OSError(int error) { (void)error; abort(); }
int lwip_shutdown(int s, int how) { (void)s; return how; }

// ---- time

static int64_t clock_us;
static int64_t alarm_at = -1;
static esp_timer_cb_t alarm_fn;
struct esp_timer { int unused; };

esp_err_t esp_timer_create(const esp_timer_create_args_t *args, esp_timer_handle_t *out) {
    static struct esp_timer one;
    alarm_fn = args->callback;
    *out = &one;
    return ESP_OK;
}

esp_err_t esp_timer_start_once(esp_timer_handle_t timer, uint64_t us) {
    CHECK(timer != NULL && alarm_at < 0);
    alarm_at = clock_us + (int64_t)us;
    return ESP_OK;
}

esp_err_t esp_timer_stop(esp_timer_handle_t timer) { (void)timer; alarm_at = -1; return ESP_OK; }
uint32_t zt_port_ms(void) { return (uint32_t)(clock_us / 1000); }

static void pass(int ms) {
    clock_us += (int64_t)ms * 1000;
    if (alarm_at >= 0 && alarm_at <= clock_us) {
        alarm_at = -1;
        alarm_fn(NULL);
    }
}

void give_up(void) { pass(10); }

// ---- the node

static int ran, next_ms = -1;
static bool due, set = true, kicked, raises;
static char exception;

bool zt_pump_waiting(void) { return due; }
bool zt_pump_due(void) { return due; }
bool zt_pump_set(void) { return set; }
bool zt_pump_running(void) { return false; }
int32_t zt_pump_next(void) { return due ? 0 : next_ms; }
bool zt_pump_kicked(void) { bool was = kicked; kicked = false; return was; }

void zt_pump_run(void) {
    ran++;
    CHECK(mp_interrupt_char == -1); // Ctrl-C waits
    CHECK(alarm_at >= 0); // whatever happens, there is a next turn
    if (raises) {
        nlr_buf_t *b = nlr_top;
        b->ret_val = &exception;
        nlr_top = b->before;
        longjmp(b->where, 1);
    }
}

int main(void) {
    zt_port_begin();
    CHECK(imported == 1 && alarm_at < 0);

    // Woken with nothing to do: no turn, no alarm, and the console is as it was.
    zt_esp32_wake();
    CHECK(run_scheduled() == 1 && ran == 0 && alarm_at < 0 && woken == 1 && mp_interrupt_char == 3);

    // A turn, and the next one at the node's deadline.
    due = true;
    next_ms = 700;
    zt_esp32_wake();
    due = true;
    run_scheduled();
    CHECK(ran == 1 && mp_interrupt_char == 3);
    // Still due (it asked for more): by the alarm, after the program had its millisecond.
    CHECK(alarm_at == clock_us + 1000 && scheduled == NULL);
    due = false;
    pass(1);
    run_scheduled();
    CHECK(ran == 1 && alarm_at == clock_us + 700000);

    // An exception stays inside and is raised in the program later; there is a next turn.
    due = raises = true;
    zt_esp32_wake();
    run_scheduled();
    CHECK(ran == 2 && pending == &exception && nlr_top == NULL && mp_interrupt_char == 3 && alarm_at >= 0);
    raises = false;

    // Ctrl-C that came during the turn is one after it; without Ctrl-C switched on it is a character.
    stdin_ringbuf.c = 3;
    pass(1);
    run_scheduled();
    CHECK(ran == 3 && interrupted && stdin_ringbuf.c == -1);
    interrupted = false;
    stdin_ringbuf.c = 3;
    mp_interrupt_char = -1;
    pass(1);
    run_scheduled();
    CHECK(ran == 4 && !interrupted && stdin_ringbuf.c == 3 && mp_interrupt_char == -1);
    mp_interrupt_char = 3;
    stdin_ringbuf.c = -1;

    // Another thread's stack is too small: later, in the main one.
    main_thread = false;
    pass(1);
    run_scheduled();
    CHECK(ran == 4 && alarm_at == clock_us + 1000);
    main_thread = true;
    pass(1);
    run_scheduled();
    CHECK(ran == 5);

    // Waiting ends by a kick, by the time, and by what waits where there is no pump.
    due = false;
    kicked = true;
    int64_t before = clock_us;
    zt_wait_obj(MP_OBJ_NEW_SMALL_INT(-1));
    CHECK(clock_us == before);
    zt_wait_obj(MP_OBJ_NEW_SMALL_INT(95));
    CHECK(clock_us - before >= 95000 && clock_us - before <= 110000);
    set = false;
    due = true;
    before = clock_us;
    zt_wait_obj(MP_OBJ_NEW_SMALL_INT(-1));
    CHECK(clock_us == before);
    puts("ok");
    return 0;
}
