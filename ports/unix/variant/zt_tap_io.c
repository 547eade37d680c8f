// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// TAP devices in the data plane: the frames of the host's own stack, read and written here as those of
// lwIP are in zt_io.c. Python makes the devices and gives them (lib/zt/tap.py); a device whose network is
// not in the plane, or that somebody deleted, is Python's to read until that changes.

#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "zt_plane_port.h"
#include "zt_unix.h"

#define FRAME 10240 // above the longest that can be sent
#define FRAMES 64 // of one device before others get their turn
#define ETHERNET 14
#define IPV4 0x0800
#define IPV6 0x86dd
#define UDP 17

static struct {
    int fd; // 0: none
    bool lost; // somebody deleted the device
    uint8_t burst; // how many frames are worth trying to read
} taps[ZT_TAPS];
static bool waiting; // something is for Python
static uint64_t written; // devices with something new, a bit each
static uint8_t frame[FRAME];

int zt_tap_give(int nic, int fd) {
    if (nic < 0 || nic >= ZT_TAPS) {
        return EINVAL;
    }
    int err = 0;
    if (taps[nic].fd != 0) {
        // Already out of the set if Python no longer watches it.
        zt_watch_renumber(taps[nic].fd, -1);
        taps[nic].fd = 0;
    }
    if (fd > 0) {
        err = zt_watch_renumber(fd, ZT_WIRES + nic);
        if (err == 0) {
            taps[nic].fd = fd;
            taps[nic].lost = false;
            taps[nic].burst = 1;
        }
    }
    return err;
}

int zt_tap_find(int fd) {
    for (int nic = 0; nic < ZT_TAPS; nic++) {
        if (taps[nic].fd == fd) {
            return nic;
        }
    }
    return -1;
}

bool zt_tap_held(int nic) {
    return nic >= 0 && nic < ZT_TAPS && taps[nic].fd != 0 && !taps[nic].lost && zt_plane_knows(nic);
}

bool zt_tap_pending(void) {
    return waiting;
}

void zt_tap_none_pending(void) {
    waiting = false;
}

// ---- to the host

bool zt_tap_write(int nic, const uint8_t *p, size_t n) {
    if (nic < 0 || nic >= ZT_TAPS || taps[nic].fd == 0) {
        return false;
    }
    ssize_t done;
    do {
        done = write(taps[nic].fd, p, n);
    } while (done < 0 && errno == EINTR);
    if (done < 0) {
        zt_io_counters.tap_refused++; // down, deleted, or no room: a frame is lost as on any link
    } else {
        zt_io_counters.tap_writes++;
        written |= (uint64_t)1 << nic;
    }
    return true;
}

// ---- from the host

static unsigned get16(const uint8_t *p) {
    return (unsigned)p[0] << 8 | p[1];
}

// Is this a datagram of the node itself? A route of the network leads it here; carried, it would come again
// and again, each time larger.
static bool from_wire(const uint8_t *p, size_t n) {
    static const uint8_t any[16];
    size_t at, size;
    const uint8_t *source;
    if (n < ETHERNET + 20 + 8) {
        return false;
    }
    if (get16(p + 12) == IPV4 && p[23] == UDP) {
        at = ETHERNET + 4 * (p[14] & 15);
        source = p + 26;
        size = 4;
    } else if (get16(p + 12) == IPV6 && p[20] == UDP) {
        at = ETHERNET + 40;
        source = p + 22;
        size = 16;
    } else {
        return false;
    }
    if (n < at + 8) {
        return false;
    }
    const unsigned port = get16(p + at);
    for (unsigned i = 0; i < ZT_WIRES; i++) {
        const zt_wire_t *w = &zt_wires[i];
        if (w->used && w->port == port && w->v6 == (size == 16)
            && (memcmp(w->ip, source, size) == 0 || memcmp(w->ip, any, size) == 0)) {
            return true;
        }
    }
    return false;
}

uint64_t zt_tap_written(void) {
    uint64_t nics = written;
    written = 0;
    return nics;
}

bool zt_tap_drain(int nic) {
    const unsigned limit = taps[nic].burst;
    for (unsigned i = 0; i < limit; i++) {
        if (!zt_tap_held(nic)) {
            waiting = waiting || taps[nic].fd != 0;
            return false;
        }
        ssize_t n = read(taps[nic].fd, frame, sizeof(frame));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            if (errno == EBADFD) {
                taps[nic].lost = true;
                waiting = true;
            }
            taps[nic].burst = (uint8_t)(i > 1 ? i : 1);
            return false;
        }
        zt_io_counters.tap_reads++;
        if (from_wire(frame, (size_t)n)) {
            zt_io_counters.tap_looped++;
            continue;
        }
        zt_seg_t segment = { frame, (size_t)n };
        if (zt_plane_from_nic(nic, &segment, 1) == ZT_PLANE_EVENT) {
            return true; // Python may put into the tables what the next frames need
        }
    }
    // That there is no more is not asked after a single frame, whose answer should be on its way first.
    taps[nic].burst = (uint8_t)(limit < FRAMES ? 2 * limit : FRAMES);
    return limit > 1;
}
