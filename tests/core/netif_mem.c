// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The heap of zt_netif_mem.c against a model: random blocks taken and given back in random order, each
// filled with a pattern of its own that must still be there. Exit 1 and a line if anything is wrong.
// `netif_mem RUNS SEED`.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lwipopts.h"
#include "zt_netif.h"

#define SLOTS 600

static struct {
    uint8_t *p;
    size_t n;
    uint8_t fill;
} slots[SLOTS];

static uint32_t state;

static uint32_t draw(void) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static void fail(const char *what, unsigned long run) {
    printf("run %lu: %s\n", run, what);
    exit(1);
}

static void release(unsigned i, unsigned long run) {
    for (size_t k = 0; k < slots[i].n; k++) {
        if (slots[i].p[k] != slots[i].fill) {
            fail("a block was overwritten", run);
        }
    }
    zt_netif_free(slots[i].p);
    slots[i].p = NULL;
}

int main(int argc, char **argv) {
    const unsigned long runs = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
    state = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1;
    size_t held = 0, refused = 0, least = ZT_LWIP_HEAP, used, peak;
    if (zt_netif_malloc(ZT_LWIP_HEAP + 1) || zt_netif_malloc((size_t)-1) || zt_netif_calloc((size_t)-1, 16) ||
        zt_netif_calloc(1 << 16, 1 << 16)) {
        fail("more than there is was given", 0);
    }
    for (unsigned long run = 0; run < runs; run++) {
        // It fills and empties in turns, so that it is often full and sometimes in pieces.
        const unsigned i = draw() % SLOTS;
        if (slots[i].p) {
            if (draw() % 8 < (run >> 12 & 1 ? 2 : 7)) {
                held -= slots[i].n;
                release(i, run);
            }
            continue;
        }
        const size_t n = draw() % 8 ? draw() % 200 : draw() % 3000;
        uint8_t *p = run & 1 ? zt_netif_malloc(n) : zt_netif_calloc(n, 1);
        if (!p) {
            refused++;
            least = held < least ? held : least;
            continue;
        }
        if ((uintptr_t)p % 8) {
            fail("a block is not aligned", run);
        }
        for (size_t k = 0; !(run & 1) && k < n; k++) {
            if (p[k]) {
                fail("calloc left something", run);
            }
        }
        slots[i].p = p;
        slots[i].n = n;
        slots[i].fill = (uint8_t)draw();
        memset(p, slots[i].fill, n);
        held += n;
        zt_netif_memory(&used, &peak);
        if (used < held || peak < used || peak > ZT_LWIP_HEAP) {
            fail("the count is wrong", run);
        }
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        if (slots[i].p) {
            release(i, runs);
        }
    }
    zt_netif_memory(&used, &peak);
    if (used) {
        fail("something is still in use", runs);
    }
    // All of it is one block again.
    void *all = zt_netif_malloc(ZT_LWIP_HEAP / 4 * 3 - 64);
    if (!all) {
        fail("the pieces were not joined", runs);
    }
    zt_netif_free(all);
    zt_netif_free(NULL);
    printf("%lu runs, peak %zu, refused %zu, first with %zu held\n", runs, peak, refused, refused ? least : 0);
    return 0;
}
