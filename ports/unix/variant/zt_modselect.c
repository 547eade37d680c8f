// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// MicroPython's own select module (included as text), with its wait replaced. Upstream polls objects
// without a descriptor, such as lwIP's sockets, every millisecond. Here they can only change in the
// pump or in the application's own calls, so one turn of the pump, one look and one sleep are enough.
// asyncio waits in select.poll(), so it sleeps soundly too.

#include <poll.h>
#include <string.h>

#include "py/runtime.h"
#include "py/mphal.h"
#include "zt_hal_py.h"
#include "zt_unix.h"

#undef MICROPY_PY_SELECT
#define MICROPY_PY_SELECT (1)

static int32_t time_left(mp_uint_t timeout, mp_uint_t start_ticks) {
    if (timeout == (mp_uint_t)-1) {
        return -1;
    }
    mp_uint_t gone = mp_hal_ticks_ms() - start_ticks;
    return gone >= timeout ? 0 : (int32_t)MIN(timeout - gone, 0x3fffffff);
}

static void pump(mp_uint_t timeout) {
    if (timeout == 0) {
        zt_wait_pump_if_due();
    } else {
        zt_wait_pump();
    }
    mp_handle_pending(true);
}

// Upstream's only call of poll(2), inside its loop; poll_set, timeout and start_ticks are its locals.
#define poll(fds, n, t) \
    ((void)(t), pump(timeout), \
    zt_wait_poll(fds, n, poll_set_poll_once(poll_set, NULL) != 0 ? 0 : time_left(timeout, start_ticks)))

// Upstream grows its array of descriptors and, when it had to move, makes new pointers into it of the
// old ones: also of the null pointers of objects without a descriptor. Ours makes them of the others.
static struct pollfd *grow(void *poll_set_in, size_t n);

#undef m_renew_maybe
#define m_renew_maybe(type, ptr, old, new, move) grow(poll_set, new)

#include "extmod/modselect.c"

#undef poll

static struct pollfd *grow(void *poll_set_in, size_t n) {
    poll_set_t *set = poll_set_in;
    struct pollfd *fds = m_new(struct pollfd, n);
    if (set->alloc != 0) {
        memcpy(fds, set->pollfds, set->alloc * sizeof(*fds));
    }
    for (size_t i = 0; i < set->map.alloc; i++) {
        if (mp_map_slot_is_filled(&set->map, i) && set->map.table[i].value != MP_OBJ_NULL) {
            poll_obj_t *o = MP_OBJ_TO_PTR(set->map.table[i].value);
            if (o->pollfd != NULL) {
                o->pollfd = fds + (o->pollfd - set->pollfds);
            }
        }
    }
    m_del(struct pollfd, set->pollfds, set->alloc);
    return fds;
}

static mp_obj_t poller(void) {
    return select_poll();
}
MP_DEFINE_CONST_FUN_OBJ_0(zt_poller_obj, poller);
