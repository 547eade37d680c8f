// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The descriptors that end a sleep: wires, devices, what Python watches, and the kick, an eventfd. They are in an
// epoll set; nothing else can make a network socket ready, so an idle process sleeps until a packet or a
// deadline.

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "py/runtime.h"
#include "zt_hal_py.h"
#include "zt_plane_port.h"
#include "zt_pump.h"
#include "zt_unix.h"

#define KICK (-2) // the kick's number in the epoll set; wires are 0 and up, -1 is anything else

static int epoll_fd = -1, kick_fd = -1;

int zt_watch_init(void) {
    if (epoll_fd >= 0) {
        return 0;
    }
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (epoll_fd >= 0 && kick_fd >= 0 && zt_watch_add(kick_fd, KICK) == 0) {
        return 0;
    }
    int err = errno;
    if (kick_fd >= 0) {
        close(kick_fd);
    }
    if (epoll_fd >= 0) {
        close(epoll_fd);
    }
    epoll_fd = kick_fd = -1;
    return err;
}

void zt_watch_read_kick(void) {
    uint64_t count;
    ssize_t n = read(kick_fd, &count, sizeof(count));
    (void)n; // nothing to read: it was something else
}

// What is in the epoll set. While it is little it is slept on as it is, so that the end of a sleep tells what
// is ready; the set is asked when there is more, and between sleeps.
static struct {
    int fd;
    int number;
} watched[ZT_WATCH_FEW];
static unsigned watched_count;
static int32_t ready_numbers[ZT_WATCH_FEW]; // what the last sleep told
static unsigned ready_count;
static bool ready_known;

int zt_watch_add(int fd, int number) {
    struct epoll_event ev = { .events = EPOLLIN, .data.u32 = (uint32_t)number };
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0) {
        return errno;
    }
    if (watched_count < ZT_WATCH_FEW) {
        watched[watched_count].fd = fd;
        watched[watched_count].number = number;
    }
    watched_count++;
    return 0;
}

int zt_watch_renumber(int fd, int number) {
    struct epoll_event ev = { .events = EPOLLIN, .data.u32 = (uint32_t)number };
    if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &ev) != 0) {
        return errno;
    }
    for (unsigned i = 0; i < watched_count && i < ZT_WATCH_FEW; i++) {
        if (watched[i].fd == fd) {
            watched[i].number = number;
        }
    }
    ready_known = false;
    return 0;
}

void zt_watch_remove(int fd) {
    if (epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL) != 0) {
        return;
    }
    ready_known = false;
    if (watched_count > ZT_WATCH_FEW) {
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
        zt_watch_read_kick();
    } else if (number < ZT_WIRES + ZT_TAPS && count < max) {
        found[count++] = (int)number;
    } else {
        zt_pump_ask(); // somebody else's: Python sees to it
    }
    return count;
}

int zt_watch_ready(int *found, int max) {
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

unsigned zt_watch_begin(struct pollfd *fds) {
    ready_known = false;
    if (zt_plane == NULL || watched_count > ZT_WATCH_FEW) {
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

int zt_watch_end(const struct pollfd *fds, unsigned n) {
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

void zt_watch_kick(void) {
    if (kick_fd >= 0) {
        uint64_t one = 1;
        ssize_t n = write(kick_fd, &one, sizeof(one));
        (void)n; // full means it is already due
    }
}

// watch(fd), unwatch(fd): a descriptor of Python's that ends a wait as a wire does.
static mp_obj_t watch(mp_obj_t fd) {
    int err = zt_watch_init();
    if (err == 0) {
        err = zt_watch_add((int)mp_obj_get_int(fd), -1);
    }
    if (err != 0) {
        mp_raise_OSError(err);
    }
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_1(zt_watch_obj, watch);

static mp_obj_t unwatch(mp_obj_t fd) {
    zt_watch_remove((int)mp_obj_get_int(fd));
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_1(zt_unwatch_obj, unwatch);
