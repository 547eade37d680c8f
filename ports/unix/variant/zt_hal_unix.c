// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// What zt_port.h asks of a port, and the beginning of _zthal (modzthal.c), on the unix port.

#include <stdlib.h>
#include <time.h>

#include "py/gc.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "zt_hal_py.h"
#include "zt_netif.h"
#include "zt_plane_port.h"
#include "zt_pump.h"
#include "zt_unix.h"

uint32_t sys_now(void) {
    return (uint32_t)mp_hal_ticks_ms();
}

// ---- zt_port.h: the one thread is the stack's context ----

int zt_port_enter(int (*fn)(void *arg), void *arg) {
    return fn(arg);
}

// The kernel's last tick, up to 4 ms behind: the plane needs no more, and asks with each frame.
uint32_t zt_port_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (uint32_t)t.tv_sec * 1000 + (uint32_t)(t.tv_nsec / 1000000);
}

void zt_port_kick(void) {
    // zt_wait.c looks after each turn of the wires.
}

void zt_port_wake(void) {
    zt_watch_kick();
}

bool zt_port_waiting(void) {
    return zt_tap_pending();
}

void *zt_port_alloc(size_t n) {
    return malloc(n);
}

void zt_port_free(void *p) {
    free(p);
}

// tidy(): collect Python's garbage, and from now on also whenever half of what is in use has been allocated
// anew: the heap stays near what the process needs instead of being filled up first.
#define GARBAGE_MIN (128 * 1024)

static void bound_garbage(size_t used) {
    MP_STATE_MEM(gc_alloc_threshold) = MAX(used / 2, GARBAGE_MIN) / MICROPY_BYTES_PER_GC_BLOCK;
}

static mp_obj_t tidy(void) {
    gc_collect();
    gc_info_t info;
    gc_info(&info);
    bound_garbage(info.used);
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_0(zt_tidy_obj, tidy);

// Called at every import; the first one counts, as this port's interpreter is never started anew.
static mp_obj_t hal_init(void) {
    static bool done;
    if (done) {
        return mp_const_none;
    }
    zt_pump_reset();
    zt_plane_end();
    zt_wire_close_all();
    int err = zt_watch_init();
    if (err != 0) {
        mp_raise_OSError(err);
    }
    done = true;
    zt_netif_init();
    zt_netif_reset();
    bound_garbage(0);
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_0(zt_hal_init_obj, hal_init);
