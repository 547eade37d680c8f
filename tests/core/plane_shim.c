// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// A port for the data plane that only remembers: what was sent as which datagrams, what was delivered, how
// often Python was woken. Every slot and frame is a block of its own from malloc, so that a sanitizer sees a
// step outside it. Used by tests/unit/_plane.py and the fuzzers.

#include <stdlib.h>
#include <string.h>

#include "zt_hal.h"
#include "zt_plane.h"

enum { SENT = 1, DELIVERED };

typedef struct {
    int32_t kind;
    int32_t where; // wire or interface
    int32_t owned; // the owner was handed on
    uint32_t n;
    zt_addr_t to;
    uint8_t *bytes;
} record_t;

typedef struct {
    record_t *records;
    uint32_t count;
    uint32_t room;
    uint32_t next; // to be taken
    int32_t slots; // free ones; -1: any number
    int32_t out; // slots that the plane holds
    int32_t error; // what wire_put answers
    uint32_t kicks;
    uint32_t given_back; // unsent
    uint32_t wrong; // a call that breaks the rules of zt_hal.h
    zt_plane_t *plane; // of the answer
    uint8_t *answer; // sent out of nic_input if not NULL
    uint32_t answer_n;
    int32_t answer_network;
    uint32_t now;
    uint8_t *slot[64];
    uint32_t slot_n[64];
} shim_t;

// Of all that was ever sent or delivered (FNV-1a), to compare machines by.
static uint64_t digest = 0xcbf29ce484222325U;

static void add(shim_t *s, int32_t kind, int where, int32_t owned, const zt_addr_t *to, const uint8_t *bytes,
                size_t n) {
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 64;
        s->records = realloc(s->records, s->room * sizeof(record_t));
    }
    record_t *r = &s->records[s->count++];
    memset(r, 0, sizeof *r);
    r->kind = kind;
    r->where = where;
    r->owned = owned;
    r->n = (uint32_t)n;
    if (to) {
        r->to = *to;
    }
    r->bytes = malloc(n ? n : 1);
    memcpy(r->bytes, bytes, n);
    for (size_t i = 0; i < n; i++) {
        digest = (digest ^ bytes[i]) * 0x100000001b3U;
    }
}

static uint8_t *wire_get(void *ctx, int wire, size_t n) {
    shim_t *s = ctx;
    (void)wire;
    if (n == 0 || n > ZT_HAL_SLOT_MAX || s->out == 64) {
        s->wrong++;
        return NULL;
    }
    if (s->slots == 0) {
        return NULL;
    }
    if (s->slots > 0) {
        s->slots--;
    }
    uint8_t *slot = malloc(n);
    memset(slot, 0xa5, n);
    s->slot[s->out] = slot;
    s->slot_n[s->out++] = (uint32_t)n;
    return slot;
}

static int wire_put(void *ctx, int wire, const zt_addr_t *to, uint8_t *slot, size_t n, size_t datagram) {
    shim_t *s = ctx;
    int i = 0;
    while (i < s->out && s->slot[i] != slot) {
        i++;
    }
    if (i == s->out || n > s->slot_n[i] || datagram == 0 || (to->size != 4 && to->size != 16)) {
        s->wrong++;
        return 22;
    }
    s->out--;
    s->slot[i] = s->slot[s->out];
    s->slot_n[i] = s->slot_n[s->out];
    if (s->slots >= 0) {
        s->slots++;
    }
    if (n == 0) {
        s->given_back++;
    }
    for (size_t at = 0; at < n && s->error == 0; at += datagram) {
        add(s, SENT, wire, 0, to, slot + at, n - at < datagram ? n - at : datagram);
    }
    free(slot);
    return s->error;
}

static void nic_input(void *ctx, int nic, void *owner, uint8_t *frame, size_t n) {
    shim_t *s = ctx;
    add(s, DELIVERED, nic, owner != NULL, NULL, frame, n);
    if (s->answer) {
        const zt_seg_t segment = {s->answer, s->answer_n};
        zt_plane_tx(s->plane, s->now, s->answer_network, &segment, 1);
    }
    memset(frame, 0x5a, n); // it is ours to change
}

static void kick(void *ctx) {
    ((shim_t *)ctx)->kicks++;
}

static const zt_hal_t HAL = {wire_get, wire_put, nic_input, kick};

const zt_hal_t *shim_hal(void);
shim_t *shim_new(void);
void shim_clear(shim_t *s);
void shim_free(shim_t *s);
uint32_t shim_count(const shim_t *s, unsigned what);
void shim_slots(shim_t *s, int32_t slots, int32_t error);
void shim_answer(shim_t *s, zt_plane_t *plane, uint32_t now, int32_t network, const uint8_t *frame, uint32_t n);
const record_t *shim_take(shim_t *s);

const zt_hal_t *shim_hal(void) {
    return &HAL;
}

shim_t *shim_new(void) {
    shim_t *s = calloc(1, sizeof *s);
    s->slots = -1;
    return s;
}

void shim_clear(shim_t *s) {
    for (uint32_t i = 0; i < s->count; i++) {
        free(s->records[i].bytes);
    }
    s->count = 0;
    s->next = 0;
}

void shim_free(shim_t *s) {
    shim_clear(s);
    free(s->records);
    free(s->answer);
    free(s);
}

uint32_t shim_count(const shim_t *s, unsigned what) {
    const uint32_t counts[5] = {s->kicks, s->given_back, s->wrong, (uint32_t)s->out, s->count};
    return counts[what];
}

void shim_slots(shim_t *s, int32_t slots, int32_t error) {
    s->slots = slots;
    s->error = error;
}

void shim_answer(shim_t *s, zt_plane_t *plane, uint32_t now, int32_t network, const uint8_t *frame,
                 uint32_t n) {
    free(s->answer);
    s->answer = NULL;
    if (n) {
        s->answer = malloc(n);
        memcpy(s->answer, frame, n);
    }
    s->answer_n = n;
    s->plane = plane;
    s->now = now;
    s->answer_network = network;
}

// The next record, valid until the next call of anything; NULL and all forgotten after the last.
const record_t *shim_take(shim_t *s) {
    if (s->next == s->count) {
        shim_clear(s);
        return NULL;
    }
    return &s->records[s->next++];
}
