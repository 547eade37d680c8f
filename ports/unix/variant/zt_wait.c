// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Waiting. There is one thread; whenever it has nothing to do, whoever waits (a blocking socket,
// select.poll, asyncio, time.sleep) ends up here. A wait gives the node a turn (zt_pump.h), then sleeps in one
// ppoll(2) over the caller's descriptors and those of zt_watch.c until the node's next deadline. What the data
// plane can do alone is done out of that sleep.

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "py/mphal.h"
#include "py/runtime.h"
#include "zt_hal_py.h"
#include "zt_netif.h"
#include "zt_plane_port.h"
#include "zt_pump.h"
#include "zt_unix.h"

#define IF_DUE_MS 5 // how long a busy loop of zero waits may go without a turn
#define POLL_MAX 64 // descriptors of one wait that need no allocation

static bool woken;
static int32_t next_ms = -1; // the last turn's deadline, from turn_at on
static mp_uint_t turn_at;

bool zt_wait_woken(void) {
    return woken;
}

// ---- the turn ----

static int32_t sooner(int32_t a, int32_t b) {
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

static void run_pump(void) {
    zt_pump_run();
    zt_process_after_pump();
}

// The C half of a turn: the wires and lwIP's timers; ms until lwIP is due.
static int32_t stack_turn(void) {
    int32_t ms = zt_netif_poll();
    zt_port_flush();
    return ms;
}

// ms until there is something to do in Python; without a pump the caller of wait() is who does it.
static int32_t due_in(void) {
    return zt_pump_set() ? zt_pump_next() : zt_pump_waiting() ? 0 : -1;
}

static void set_next(int32_t lwip_ms) {
    turn_at = mp_hal_ticks_ms();
    next_ms = sooner(due_in(), lwip_ms);
    if (zt_port_more() && !zt_pump_failed()) {
        next_ms = 0;
    }
}

// With the data plane Python gets its turn when it has asked for one, or something is for it. True if there is
// something for it, and it was not called.
static bool plane_turn(bool call) {
    zt_port_drain();
    int32_t lwip_ms = stack_turn();
    bool due = due_in() == 0;
    if (due && call) {
        run_pump();
        lwip_ms = stack_turn();
        due = false;
    }
    set_next(lwip_ms);
    return due;
}

void zt_wait_pump(void) {
    if (zt_pump_running()) {
        next_ms = -1;
        return;
    }
    if (zt_plane != NULL) {
        plane_turn(true);
        return;
    }
    zt_netif_poll();
    run_pump();
    // What the turn set off in the stack (an ACK, an answer to ARP) goes out in a second one.
    if (zt_netif_pending() && !zt_pump_failed()) {
        run_pump();
    }
    set_next(zt_netif_poll());
}

void zt_wait_pump_if_due(void) {
    mp_uint_t gone = mp_hal_ticks_ms() - turn_at;
    if (zt_plane != NULL || gone >= IF_DUE_MS || zt_netif_pending()
        || (next_ms >= 0 && gone >= (mp_uint_t)next_ms)) {
        zt_wait_pump();
    }
}

// ---- the sleep ----

int zt_wait_poll(struct pollfd *fds, unsigned n, int32_t ms) {
    struct pollfd small[POLL_MAX];
    struct pollfd *all = n + ZT_WATCH_FEW <= POLL_MAX ? small : m_new(struct pollfd, n + ZT_WATCH_FEW);
    if (n != 0) {
        memcpy(all, fds, n * sizeof(*fds));
    }

    const mp_uint_t start = mp_hal_ticks_ms();
    const uint32_t activity = zt_netif_activity();
    int ready, err;
    for (;;) {
        int32_t left = zt_process_interrupted() ? 0 : ms;
        if (left > 0) {
            mp_uint_t gone = mp_hal_ticks_ms() - start;
            left = gone >= (mp_uint_t)ms ? 0 : ms - (int32_t)gone;
        }
        unsigned ours = zt_watch_begin(all + n);
        ready = zt_process_sleep(all, n + ours, zt_pump_running() ? left : sooner(left, next_ms));
        err = errno;
        int count = ready > 0 ? zt_watch_end(all + n, ours) : 0;
        woken = count != 0;
        if (!woken) {
            break;
        }
        ready -= count;
        if (zt_plane == NULL) {
            zt_watch_read_kick();
            break;
        }
        // What needs neither Python nor a socket of the stack is done from here, and the sleep goes on.
        if (zt_pump_running() || left == 0 || ready != 0 || zt_process_interrupted() || plane_turn(false)
            || zt_netif_activity() != activity) {
            break;
        }
    }
    for (unsigned i = 0; i < n; i++) {
        fds[i].revents = ready > 0 ? all[i].revents : 0;
    }
    if (all != small) {
        m_del(struct pollfd, all, n + ZT_WATCH_FEW);
    }
    mp_handle_pending(true);
    errno = err;
    return ready < 0 && err == EINTR ? 0 : ready;
}

void zt_wait_once(int32_t ms) {
    zt_wait_pump();
    mp_handle_pending(true);
    zt_wait_poll(NULL, 0, ms);
}

void zt_wait_socket(int32_t ms) {
    uint32_t before = zt_netif_activity();
    zt_wait_pump();
    mp_handle_pending(true);
    if (zt_netif_activity() == before) {
        zt_wait_poll(NULL, 0, ms);
    }
}

void zt_wait_delay(uint32_t ms) {
    mp_uint_t start = mp_hal_ticks_ms();
    for (;;) {
        mp_uint_t gone = mp_hal_ticks_ms() - start;
        if (gone >= ms) {
            return;
        }
        zt_wait_once((int32_t)MIN(ms - gone, 0x3fffffff));
    }
}

// wait(ms): until a wire was readable, a kick, or ms have passed; negative is for ever.
static mp_obj_t wait(mp_obj_t ms_in) {
    mp_int_t ms = mp_obj_get_int(ms_in);
    mp_uint_t start = mp_hal_ticks_ms();
    for (;;) {
        int32_t left = -1;
        if (ms >= 0) {
            mp_uint_t gone = mp_hal_ticks_ms() - start;
            left = gone >= (mp_uint_t)ms ? 0 : (int32_t)MIN((mp_uint_t)ms - gone, 0x3fffffff);
        }
        zt_wait_once(left);
        if (woken) {
            zt_wait_pump();
            return mp_const_none;
        }
        if (zt_plane_pending() && !zt_pump_set()) {
            return mp_const_none; // the caller is who processes events
        }
        if (left == 0) {
            return mp_const_none;
        }
    }
}
MP_DEFINE_CONST_FUN_OBJ_1(zt_wait_obj, wait);
