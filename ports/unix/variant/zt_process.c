// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The process: the interpreter's heap, and its signals.
//
// SIGINT and SIGTERM become KeyboardInterrupt. They are let in only while asleep or between two
// instructions of the interpreter, and wait for the end of the pump, so the node is never cut in half.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "py/runtime.h"
#include "zt_hal_py.h"
#include "zt_pump.h"
#include "zt_unix.h"

#define HEAP_INITIAL (1024 * 1024)
#define HEAP_MAX ((size_t)256 * 1024 * 1024)
#define LARGE (128 * 1024)

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

static volatile sig_atomic_t held; // back during the pump
static bool handling; // the signals come to on_signal

static void on_signal(int signum) {
    (void)signum;
    if (zt_pump_running() && held == 0) {
        held = 1;
        return;
    }
    int err = errno;
    mp_sched_keyboard_interrupt();
    zt_watch_kick();
    errno = err;
}

void zt_process_after_pump(void) {
    if (held != 0) {
        held = 0;
        mp_sched_keyboard_interrupt();
    }
}

static mp_obj_t sigterm(void) {
    int err = zt_watch_init();
    if (err != 0) {
        mp_raise_OSError(err);
    }
    struct sigaction sa = { .sa_handler = on_signal };
    sigemptyset(&sa.sa_mask);
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    handling = true;
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_0(zt_sigterm_obj, sigterm);

bool zt_process_interrupted(void) {
    return MP_STATE_MAIN_THREAD(mp_pending_exception) != MP_OBJ_NULL;
}

// Between the last look at pending signals and the sleep none may slip through: our own handler kicks, which
// ends the sleep; another's signals are let in by ppoll only.
int zt_process_sleep(struct pollfd *fds, unsigned n, int32_t ms) {
    struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
    if (handling) {
        return ppoll(fds, n, ms < 0 ? NULL : &ts, NULL);
    }
    sigset_t both, before;
    sigemptyset(&both);
    sigaddset(&both, SIGINT);
    sigaddset(&both, SIGTERM);
    sigprocmask(SIG_BLOCK, &both, &before);
    if (zt_process_interrupted()) {
        ts.tv_sec = ts.tv_nsec = 0;
        ms = 0;
    }
    int ready = ppoll(fds, n, ms < 0 ? NULL : &ts, &before);
    int err = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = err;
    return ready;
}
