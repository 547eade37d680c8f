// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Upstream's part of the time module, where time.sleep() is a select() without descriptors.

#include <sys/select.h>
#include "zt_wait.h"

static int sleep_and_pump(struct timeval *tv) {
    zt_wait_delay((uint32_t)(tv->tv_sec * 1000 + (tv->tv_usec + 999) / 1000));
    return 0;
}

#define select(n, r, w, x, tv) sleep_and_pump(tv)
#undef sleep_select
#include "ports/unix/modtime.c"
#undef select
