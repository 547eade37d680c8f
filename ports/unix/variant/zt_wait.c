// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Waiting. There is one thread; whenever it has nothing to do, whoever waits (a blocking socket,
// select.poll, asyncio, time.sleep) ends up here. A wait gives the node a turn by calling the pump,
// a Python function that returns the ms to its next deadline, then sleeps in one ppoll(2) over the
// caller's descriptors and an epoll set of all wires. Nothing else can make a network socket ready, so
// an idle process sleeps until a packet or a deadline. What the data plane can do alone is done out of that
// sleep.
//
// SIGINT and SIGTERM become KeyboardInterrupt. They are let in only while asleep or between two
// instructions of the interpreter, and wait for the end of the pump, so the node is never cut in half.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "py/mphal.h"
#include "py/mpprint.h"
#include "py/runtime.h"
#include "zt_netif.h"
#include "zt_plane_port.h"
#include "zt_unix.h"

#define HEAP_INITIAL (1024 * 1024)
#define HEAP_MAX ((size_t)256 * 1024 * 1024)
#define LARGE (128 * 1024)
#define AFTER_ERROR_MS 250 // the pause after a pump that failed
#define IF_DUE_MS 5        // how long a busy loop of zero waits may go without a turn
#define FEW 12             // of our descriptors
#define POLL_MAX 64        // descriptors of one wait that need no allocation
#define KICK (-2)          // the kick's number in the epoll set; wires are 0 and up, -1 is anything else

extern const mp_print_t mp_stderr_print;

static int epoll_fd = -1, kick_fd = -1;
static bool in_pump, woken;
static volatile sig_atomic_t interrupts; // held back during the pump
static bool handling; // the signals come to on_signal
static int32_t next_ms = -1;             // the last turn's deadline, from turn_at on
static mp_uint_t turn_at;
static bool complained;
// With the data plane Python gets its turn when it has asked for one, or something is for it.
static bool forced = true, more;
static int32_t pump_ms = -1, lwip_ms = -1; // what Python, and lwIP, last said when it is due again
static mp_uint_t pumped_at;

// ---- the interpreter's heap ----

// The unix port's own variable; its default is 2 MB, all of which a lazy collector would use.
extern long heap_size;

__attribute__((constructor)) static void before_main(void) {
    heap_size = HEAP_INITIAL;
    // What is large comes from the kernel and goes back there when it is freed: the 2 MiB of an identity's
    // hash must not stay because they were needed twice.
    mallopt(M_MMAP_THRESHOLD, LARGE);
    mallopt(M_TRIM_THRESHOLD, LARGE);
    // A socket or a state file must not become the stdout of a process that was started without one.
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= 2);
    if (fd > 2) {
        close(fd);
    }
}

// What the heap may grow by when a collection does not help.
size_t gc_get_max_new_split(void) {
    return HEAP_MAX;
}

// ---- signals ----

static void on_signal(int signum) {
    (void)signum;
    if (in_pump && interrupts == 0) {
        interrupts = 1;
        return;
    }
    int err = errno;
    mp_sched_keyboard_interrupt();
    zt_wait_kick();
    errno = err;
}

static mp_obj_t sigterm(void) {
    zt_wait_init();
    struct sigaction sa = { .sa_handler = on_signal };
    sigemptyset(&sa.sa_mask);
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    handling = true;
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_0(zt_sigterm_obj, sigterm);

static bool pending(void) {
    return MP_STATE_MAIN_THREAD(mp_pending_exception) != MP_OBJ_NULL;
}

// ---- descriptors ----

void zt_wait_init(void) {
    if (epoll_fd >= 0) {
        return;
    }
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (epoll_fd < 0 || kick_fd < 0 || zt_wait_add(kick_fd, KICK) != 0) {
        int err = errno;
        if (kick_fd >= 0) {
            close(kick_fd);
        }
        if (epoll_fd >= 0) {
            close(epoll_fd);
        }
        epoll_fd = kick_fd = -1;
        mp_raise_OSError(err);
    }
}

static void read_kick(void) {
    uint64_t count;
    ssize_t n = read(kick_fd, &count, sizeof(count));
    (void)n; // nothing to read: it was something else
}

// What is in the epoll set. While it is little it is slept on as it is, so that the end of a sleep tells what
// is ready; the set is asked when there is more, and between sleeps.
static struct {
    int fd;
    int number;
} watched[FEW];
static unsigned watched_count;
static int32_t ready_numbers[FEW]; // what the last sleep told
static unsigned ready_count;
static bool ready_known;

int zt_wait_add(int fd, int number) {
    struct epoll_event ev = { .events = EPOLLIN, .data.u32 = (uint32_t)number };
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0) {
        return errno;
    }
    if (watched_count < FEW) {
        watched[watched_count].fd = fd;
        watched[watched_count].number = number;
    }
    watched_count++;
    return 0;
}

int zt_wait_renumber(int fd, int number) {
    struct epoll_event ev = { .events = EPOLLIN, .data.u32 = (uint32_t)number };
    if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &ev) != 0) {
        return errno;
    }
    for (unsigned i = 0; i < watched_count && i < FEW; i++) {
        if (watched[i].fd == fd) {
            watched[i].number = number;
        }
    }
    ready_known = false;
    return 0;
}

void zt_wait_remove(int fd) {
    if (epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL) != 0) {
        return;
    }
    ready_known = false;
    if (watched_count > FEW) {
        return; // once there was too much to remember it stays with the set
    }
    for (unsigned i = 0; i < watched_count; i++) {
        if (watched[i].fd == fd) {
            watched[i] = watched[--watched_count];
            return;
        }
    }
}

static int keep(uint32_t number, int *found, int count, int max) {
    if (number == (uint32_t)KICK) {
        read_kick();
    } else if (number < ZT_WIRES + ZT_TAPS && count < max) {
        found[count++] = (int)number;
    } else {
        forced = true; // somebody else's: Python sees to it
    }
    return count;
}

int zt_wait_ready(int *found, int max) {
    int count = 0;
    if (ready_known) {
        ready_known = false;
        for (unsigned i = 0; i < ready_count; i++) {
            count = keep((uint32_t)ready_numbers[i], found, count, max);
        }
        return count;
    }
    struct epoll_event ev[ZT_WIRES + ZT_TAPS + 1];
    int n = epoll_wait(epoll_fd, ev, ZT_WIRES + ZT_TAPS + 1, 0);
    for (int i = 0; i < n; i++) {
        count = keep(ev[i].data.u32, found, count, max);
    }
    return count;
}

// Appends to the descriptors of a sleep what is ours; their count.
static unsigned add_watched(struct pollfd *fds) {
    ready_known = false;
    if (zt_plane == NULL || watched_count > FEW) {
        fds[0].fd = epoll_fd; // negative before the first use: ignored by poll
        fds[0].events = POLLIN;
        return 1;
    }
    for (unsigned i = 0; i < watched_count; i++) {
        fds[i].fd = watched[i].fd;
        fds[i].events = POLLIN;
    }
    return watched_count;
}

// How many of ours are ready.
static int look_at_watched(const struct pollfd *fds, unsigned n) {
    int count = 0;
    ready_count = 0;
    for (unsigned i = 0; i < n; i++) {
        if (fds[i].revents != 0) {
            count++;
            if (fds[i].fd != epoll_fd) {
                ready_numbers[ready_count++] = watched[i].number;
            }
        }
    }
    ready_known = ready_count != 0;
    return count;
}

void zt_wait_kick(void) {
    if (kick_fd >= 0) {
        uint64_t one = 1;
        ssize_t n = write(kick_fd, &one, sizeof(one));
        (void)n; // full means it is already due
    }
}

bool zt_wait_woken(void) {
    return woken;
}

// ---- the pump ----

static int32_t call_pump(mp_obj_t f) {
    int32_t ms = -1;
    in_pump = true;
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        mp_obj_t r = mp_call_function_0(f);
        if (r != mp_const_none) {
            mp_int_t n = mp_obj_get_int(r);
            ms = n < 0 ? -1 : (int32_t)MIN(n, 0x3fffffff);
        }
        nlr_pop();
        in_pump = false;
    } else {
        in_pump = false;
        mp_obj_t type = MP_OBJ_FROM_PTR(((mp_obj_base_t *)nlr.ret_val)->type);
        if (mp_obj_is_subclass_fast(type, MP_OBJ_FROM_PTR(&mp_type_SystemExit))
            || mp_obj_is_subclass_fast(type, MP_OBJ_FROM_PTR(&mp_type_KeyboardInterrupt))) {
            nlr_jump(nlr.ret_val);
        }
        if (!complained) {
            complained = true;
            mp_print_str(&mp_stderr_print, "error pump: internal error, please report it:\n");
            mp_obj_print_exception(&mp_stderr_print, MP_OBJ_FROM_PTR(nlr.ret_val));
        }
        ms = AFTER_ERROR_MS;
    }
    if (interrupts != 0) {
        interrupts = 0;
        mp_sched_keyboard_interrupt();
    }
    return ms;
}

static int32_t sooner(int32_t a, int32_t b) {
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

// The C half of a turn: the wires and lwIP's timers. True if there is something for Python to do.
static bool plane_turn(void) {
    more = zt_port_drain();
    lwip_ms = zt_netif_poll();
    zt_port_flush();
    return forced || zt_plane_pending() || zt_netif_pending() || zt_netif_pongs() || zt_tap_pending()
        || (pump_ms >= 0 && mp_hal_ticks_ms() - pumped_at >= (mp_uint_t)pump_ms);
}

static void set_next(void) {
    turn_at = mp_hal_ticks_ms();
    next_ms = sooner(pump_ms < 0 ? -1 : (int32_t)MAX(pump_ms - (mp_int_t)(turn_at - pumped_at), 0), lwip_ms);
    if (more || zt_plane_pending() || zt_netif_pending() || zt_tap_pending()) {
        next_ms = pump_ms == AFTER_ERROR_MS ? sooner(next_ms, AFTER_ERROR_MS) : 0;
    }
}

void zt_wait_pump(void) {
    if (in_pump) {
        next_ms = -1;
        return;
    }
    mp_obj_t f = MP_STATE_VM(zt_pump);
    if (zt_plane != NULL) {
        if (plane_turn() && f != MP_OBJ_NULL) {
            forced = false;
            pump_ms = call_pump(f);
            pumped_at = mp_hal_ticks_ms();
            more = zt_port_more();
            lwip_ms = zt_netif_poll();
            zt_port_flush();
        }
        set_next();
        return;
    }
    zt_netif_poll();
    next_ms = -1;
    if (f != MP_OBJ_NULL) {
        next_ms = call_pump(f);
        // What the turn set off in the stack (an ACK, an answer to ARP) goes out in a second one.
        if (next_ms != 0 && zt_netif_pending() && MP_STATE_VM(zt_pump) == f) {
            next_ms = call_pump(f);
        }
        if (zt_netif_pending() && next_ms != AFTER_ERROR_MS) {
            next_ms = 0;
        }
    }
    next_ms = sooner(next_ms, zt_netif_poll());
    turn_at = mp_hal_ticks_ms();
}

void zt_wait_pump_if_due(void) {
    mp_uint_t gone = mp_hal_ticks_ms() - turn_at;
    if (zt_plane != NULL || gone >= IF_DUE_MS || zt_netif_pending()
        || (next_ms >= 0 && gone >= (mp_uint_t)next_ms)) {
        zt_wait_pump();
    }
}

// Raises OSError for something that is not callable; None takes the pump away.
static mp_obj_t set_pump(mp_obj_t f) {
    if (f != mp_const_none && !mp_obj_is_callable(f)) {
        mp_raise_TypeError(MP_ERROR_TEXT("pump must be callable"));
    }
    MP_STATE_VM(zt_pump) = f == mp_const_none ? MP_OBJ_NULL : f;
    forced = true;
    complained = false;
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_1(zt_set_pump_obj, set_pump);

MP_REGISTER_ROOT_POINTER(mp_obj_t zt_pump);

// ---- the sleep ----

// ppoll(2). Between the last look at pending signals and the sleep none may slip through: our own handler
// kicks, which ends the sleep; another's signals are let in by ppoll only.
static int sleep_on(struct pollfd *all, unsigned n, int32_t ms) {
    struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
    if (handling) {
        return ppoll(all, n, ms < 0 ? NULL : &ts, NULL);
    }
    sigset_t both, before;
    sigemptyset(&both);
    sigaddset(&both, SIGINT);
    sigaddset(&both, SIGTERM);
    sigprocmask(SIG_BLOCK, &both, &before);
    if (pending()) {
        ts.tv_sec = ts.tv_nsec = 0;
        ms = 0;
    }
    int ready = ppoll(all, n, ms < 0 ? NULL : &ts, &before);
    int err = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = err;
    return ready;
}

int zt_wait_poll(struct pollfd *fds, unsigned n, int32_t ms) {
    struct pollfd small[POLL_MAX];
    struct pollfd *all = n + FEW <= POLL_MAX ? small : m_new(struct pollfd, n + FEW);
    if (n != 0) {
        memcpy(all, fds, n * sizeof(*fds));
    }

    const mp_uint_t start = mp_hal_ticks_ms();
    const uint32_t activity = zt_netif_activity();
    int ready, err;
    for (;;) {
        int32_t left = pending() ? 0 : ms;
        if (left > 0) {
            mp_uint_t gone = mp_hal_ticks_ms() - start;
            left = gone >= (mp_uint_t)ms ? 0 : ms - (int32_t)gone;
        }
        unsigned ours = add_watched(all + n);
        ready = sleep_on(all, n + ours, in_pump ? left : sooner(left, next_ms));
        err = errno;
        int count = ready > 0 ? look_at_watched(all + n, ours) : 0;
        woken = count != 0;
        if (!woken) {
            break;
        }
        ready -= count;
        if (zt_plane == NULL) {
            read_kick();
            break;
        }
        // What needs neither Python nor a socket of the stack is done from here, and the sleep goes on.
        if (in_pump || left == 0 || ready != 0 || pending() || plane_turn() || zt_netif_activity() != activity) {
            break;
        }
        set_next();
    }
    for (unsigned i = 0; i < n; i++) {
        fds[i].revents = ready > 0 ? all[i].revents : 0;
    }
    if (all != small) {
        m_del(struct pollfd, all, n + FEW);
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
        if (zt_plane_pending() && MP_STATE_VM(zt_pump) == MP_OBJ_NULL) {
            return mp_const_none; // the caller is who processes events
        }
        if (left == 0) {
            return mp_const_none;
        }
    }
}
MP_DEFINE_CONST_FUN_OBJ_1(zt_wait_obj, wait);

static mp_obj_t kick(void) {
    forced = true;
    zt_wait_kick();
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_0(zt_kick_obj, kick);

// watch(fd), unwatch(fd): a descriptor of Python's that ends a wait as a wire does.
static mp_obj_t watch(mp_obj_t fd) {
    zt_wait_init();
    int err = zt_wait_add((int)mp_obj_get_int(fd), -1);
    if (err != 0) {
        mp_raise_OSError(err);
    }
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_1(zt_watch_obj, watch);

static mp_obj_t unwatch(mp_obj_t fd) {
    zt_wait_remove((int)mp_obj_get_int(fd));
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_1(zt_unwatch_obj, unwatch);
